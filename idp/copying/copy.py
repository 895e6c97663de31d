"""Copying a whole database into another one, of whichever kind, a table after the other, a batch a transaction."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Table, delete, insert, inspect, text

from idp import migrations, vault
from idp.copying import progress
from idp.copying.compare import Act, Compared, Step, Watch, compare_ends, count_rows, differences
from idp.copying.counters import read_counters, set_counters
from idp.copying.ends import End, Role
from idp.copying.errors import CopyError, InUseError, OtherContentError
from idp.copying.progress import Progress, Source
from idp.copying.rows import all_tables, check_rows, key_of, pack_key, read_pages, unpack_key
from idp.database_url import check_url
from idp.db import db, storage_errors
from idp.opening import close_app, open_app
from idp.redaction import keep_out_of_logs
from idp.scratch import is_server_running
from idp.settings import Settings
from idp.written import one_line

_EMPTY = "Give it an empty database"


@dataclass(frozen=True)
class Report:
    """What was copied."""

    tables: int
    rows: int
    went_on: bool
    """Whether an earlier call had begun it."""
    was_complete: bool
    """Whether an earlier call had finished it, and nothing was left to do but to compare."""


def copy_database(settings: Settings, target: Settings, watch: Watch, *, ignore_connections: bool = False) -> Report:
    """Copy everything that a database holds into an empty one, and see that both then hold the same.

    Whatever ends it, the same call goes on where it was.

    :param settings: of the source.
    :param target: the same, but for the database.
    :param watch: called after each batch.
    :param ignore_connections: take no notice of others who are connected to PostgreSQL.
    :raises CopyError: nothing was copied, or not all of it; the sentence says what to do.
    """
    _refuse_server(settings)
    _check_source(settings)
    with _ends(settings, target) as (source, copy), contextlib.ExitStack() as stack:
        for end in (source, copy):
            stack.enter_context(end.held(ignore_connections=ignore_connections))
        with source.reading() as rows:
            went_on, was_complete = _prepare(copy, progress.describe(rows))
            if not was_complete:
                _copy_tables(source, rows, copy, watch)
        compared = _verify(source, copy, watch, was_complete=was_complete)
        if not was_complete:
            _finish(source, copy)
    return Report(len(compared), sum(each.source.rows for each in compared), went_on, was_complete)


def check_copy(settings: Settings, target: Settings, watch: Watch, *, ignore_connections: bool = False) -> Report:
    """Look for everything that would stop `copy_database`, and write nothing. See there."""
    _refuse_server(settings)
    _check_source(settings)
    with _ends(settings, target) as (source, copy), source.held(ignore_connections=ignore_connections), source.reading() as rows:
        went_on = was_complete = False
        if copy.file is None or copy.file.exists():
            with copy.held(ignore_connections=ignore_connections), copy.reading() as there:
                _check_encoding(copy, there)
                went_on, was_complete = _look(copy, there, progress.describe(rows))
        elif not copy.file.parent.is_dir():
            raise CopyError(f"{copy} cannot be made: there is no folder {copy.file.parent}.")
        total = sum(_check_table(source, rows, copy, table, watch) for table in all_tables())
    return Report(len(all_tables()), total, went_on, was_complete)


def _check_table(source: End, rows: Connection, copy: End, table: Table, watch: Watch) -> int:
    """See that the target can hold the rows of a table, and return how many those are."""
    total, done = count_rows(rows, table), 0
    with source.errors(table.name):
        for page in read_pages(rows, table):
            if not copy.is_sqlite:
                check_rows(table, page)
            done += len(page)
            watch(Step(Act.CHECK, table.name, done, total))
    watch(Step(Act.CHECK, table.name, done, total, is_last=True))
    return done


def compare_databases(settings: Settings, target: Settings, watch: Watch) -> list[Compared]:
    """Read the same of two databases, and return what each holds. What servers write meanwhile is a difference, too."""
    _check_source(settings)
    with _ends(settings, target) as (source, other):
        if other.file is not None and not other.file.exists():
            raise CopyError(f"{other} does not exist.")
        with other.reading() as connection:
            _check_schema(other, connection)
        return compare_ends(source, other, watch)


def target_settings(settings: Settings, url: str) -> Settings:
    """Return the settings of who uses another database.

    :raises CopyError: the URL cannot be used. What is said does not repeat it.
    """
    try:
        check_url(url)
    except ValueError as error:
        raise CopyError(f"The URL of the target cannot be used: it {error}.") from None
    target = settings.model_copy(update={"database_url": url})
    keep_out_of_logs(target.credentials)
    return target


@contextlib.contextmanager
def _ends(settings: Settings, target: Settings) -> Iterator[tuple[End, End]]:
    with contextlib.ExitStack() as stack:
        source, copy = End(settings, Role.SOURCE), End(target, Role.TARGET)
        stack.callback(source.close)
        stack.callback(copy.close)
        if source.is_sqlite == copy.is_sqlite and source.identity() == copy.identity():
            raise CopyError(f"The source and the target are the same database ({source.name}).")
        yield source, copy


def _refuse_server(settings: Settings) -> None:
    if is_server_running(settings.data_dir):
        raise InUseError(f"A server is running with the data folder {settings.data_dir}. Stop it, then run this again.")


def _check_source(settings: Settings) -> None:
    """See that the source is what this version makes of it, and that the master key opens it.

    :raises IdpError: it is not.
    """
    app = open_app(settings)
    try:
        with app.app_context(), storage_errors():
            with db.engine.execution_options(read_only=True).connect() as connection:
                migrations.refuse_unfinished(connection)
                _check_revision("source", connection)
                if drift := migrations.drift(connection):
                    raise CopyError(
                        f"The schema of the source differs from this version's in {len(drift)} places (tables or columns that "
                        "somebody has added, perhaps), so not everything would be copied. Undo that."
                    )
                _check_links(connection)
            db.session.connection(execution_options={"read_only": True})
            vault.open_all_peppers()
    finally:
        close_app(app)


def _check_revision(role: str, connection: Connection) -> None:
    found, newest = migrations.revision(connection), migrations.newest()
    if found != newest:
        raise CopyError(
            f"The {role} has schema {found or 'none'}, and this version has {newest}. Install the version that is to serve it, "
            "run `idp setup` with it, and then this again."
        )


def _check_links(connection: Connection) -> None:
    """See that no row of SQLite points to one that is not there, which PostgreSQL would refuse."""
    if connection.dialect.name != "sqlite":
        return
    broken = connection.execute(text("PRAGMA foreign_key_check")).all()
    if broken:
        tables = ", ".join(sorted({str(row[0]) for row in broken}))
        raise CopyError(f"{len(broken)} rows of the source refer to missing rows (in {tables}). Restore a backup.")


def _check_schema(end: End, connection: Connection) -> None:
    tables = set(inspect(connection).get_table_names())
    known = {table.name for table in all_tables()}
    if not tables & known:
        raise CopyError(f"{end} is not a Realmgate database.")
    _check_revision(end.role, connection)
    if missing := known - tables:
        raise CopyError(f"{end} lacks the tables {', '.join(sorted(missing))}.")


def _prepare(copy: End, state: Source) -> tuple[bool, bool]:
    """Make the tables of the target, unless they are there. See `_look` for the rest."""
    with copy.writing() as connection:
        _check_encoding(copy, connection)
        if inspect(connection).get_table_names():
            return _look(copy, connection, state)
        migrations.upgrade(connection)
        for table in reversed(all_tables()):
            if count_rows(connection, table):  # rows with which tables begin
                connection.execute(delete(table))
        progress.begin(connection, state)
    return False, False


def _check_encoding(copy: End, connection: Connection) -> None:
    if not copy.is_sqlite and (encoding := connection.execute(text("SHOW server_encoding")).scalar_one()) != "UTF8":
        raise CopyError(f"{copy} keeps text as {encoding}. Make it with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0")


def _look(copy: End, connection: Connection, state: Source) -> tuple[bool, bool]:
    """Return whether the target is an unfinished copy of the source, and whether it may be a finished one.

    :raises OtherContentError: it is something else.
    """
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return False, False
    if not progress.is_begun(connection):
        own = {table.name for table in all_tables()} | {"alembic_version"}
        if foreign := {name for name in tables - own if not migrations.is_for_search(name)}:
            raise OtherContentError(f"{copy} holds other tables ({one_line(', '.join(sorted(foreign)[:5]))}). {_EMPTY}.")
        _check_schema(copy, connection)
        if progress.describe(connection).installation != state.installation:
            raise OtherContentError(f"{copy} holds another installation. {_EMPTY}.")
        return False, True
    begun = progress.copied_from(connection)
    if begun != state:
        raise OtherContentError(f"{copy} is an unfinished copy {_difference(begun, state)}. {_EMPTY}, and start again.")
    return True, False


def _difference(begun: Source | None, state: Source) -> str:
    if begun is None or begun.schema != state.schema:
        return "that another version has begun"
    if begun.installation != state.installation:
        return "of another installation"
    return "that was begun before the source was changed: a server or a command has written"


def _copy_tables(source: End, rows: Connection, copy: End, watch: Watch) -> None:
    with copy.reading() as connection:
        begun = progress.read(connection)
    for table in all_tables():
        state = begun.get(table.name, Progress())
        with source.errors(table.name):
            total = count_rows(rows, table)
            after = unpack_key(table, state.last) if state.last is not None else None
            for page in read_pages(rows, table, after):
                state = _copy_page(copy, table, page, state)
                watch(Step(Act.COPY, table.name, state.rows, total))
        watch(Step(Act.COPY, table.name, state.rows, total, is_last=True))
    counters = _read_counters(source, rows)
    with copy.writing() as connection:
        set_counters(connection, counters)


def _read_counters(source: End, rows: Connection) -> dict[str, int]:
    with source.errors():
        return read_counters(rows)


def _copy_page(copy: End, table: Table, page: list[tuple[object, ...]], state: Progress) -> Progress:
    """Store some rows, and in the same transaction that they are."""
    if not copy.is_sqlite:
        check_rows(table, page)
    further = Progress(state.rows + len(page), tuple(pack_key(key_of(table, page[-1]))))
    names = list(table.columns.keys())
    with copy.writing() as connection, copy.errors(table.name):
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in page])
        progress.advance(connection, table.name, state, further)
    return further


def _verify(source: End, copy: End, watch: Watch, *, was_complete: bool) -> list[Compared]:
    """Read both anew, and compare.

    :raises CopyError: they differ.
    """
    compared = compare_ends(source, copy, watch)
    if found := list(differences(compared)):
        said = "; ".join(found[:5]) + ("; and more" if len(found) > 5 else "")
        if was_complete:
            raise OtherContentError(f"{copy} holds something already, which is not the same as the source: {said}. {_EMPTY}.")
        raise CopyError(
            f"The copy differs from the source: {said}. Somebody has written to one of them meanwhile. {_EMPTY}, and start again."
        )
    return compared


def _finish(source: End, copy: End) -> None:
    """Make it a database that can be served, if others were kept out all the time."""
    for end in (source, copy):
        end.see_held()
    with copy.writing() as connection:
        progress.end(connection)
        if not copy.is_sqlite:  # which knows nothing of its new tables yet
            connection.execute(text(f"ANALYZE {', '.join(map(connection.dialect.identifier_preparer.quote, _names()))}"))


def _names() -> list[str]:
    return [table.name for table in all_tables()]
