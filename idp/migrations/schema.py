"""Which schema a database has, and bringing it up to date. Who does that takes turns with everybody else who would."""

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, Index, String, column, delete, insert, inspect, select, table, text
from sqlalchemy.schema import CreateIndex

from idp.db import EVERYWHERE, SLOW, Base
from idp.errors import IdpError
from idp.nodes import SchemaFloor

if TYPE_CHECKING:
    from alembic.config import Config

UNFINISHED_COPY = "unfinished_copy"
"""Table that a database has as long as it is an unfinished copy of another one."""

_SETUP_LOCK = 7_207_201_912

_VERSION = table("alembic_version", column("version_num", String(32)))
"""Where Alembic keeps which schema a database has."""


OLDEST_SERVED = "0024"
"""Oldest schema whose version works on a database that has this version's: the one before, so that nodes can be replaced.

A migration only adds, then: what the former version does not know of, it must be able to leave alone (defaults of the database,
references that end with what they refer to), and what it uses is removed by the migration after. See docs/architecture.md.
"""


class SchemaError(IdpError):
    """The database cannot be brought to this version's schema; the sentence says what to do."""


def alembic_config() -> "Config":
    """Return what Alembic needs to find the migrations."""
    from alembic.config import Config  # noqa: PLC0415 (a schema that is this version's needs none of Alembic)

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


@functools.cache
def known_revisions() -> tuple[str, ...]:
    """Return the schemas that this version has migrations to, the newest last: the files in `versions/` begin with them."""
    return tuple(sorted(file.name.partition("_")[0] for file in (Path(__file__).parent / "versions").glob("[0-9]*_*.py")))


def newest() -> str:
    """Return the schema of this version."""
    return known_revisions()[-1]


def revision(connection: Connection) -> str | None:
    """Return the schema that a database has; None if it has none."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    return connection.scalar(select(_VERSION.c.version_num))


def upgrade(connection: Connection) -> str | None:
    """Bring the schema up to date, in the transaction of the connection. One that a later version has made is left as it is.

    :returns: the schema that there was; None if there was none.
    :raises SchemaError: a later version has made it that does not serve this one, or it is an unfinished copy.
    """
    refuse_unfinished(connection)
    current = revision(connection)
    if current == newest() or is_later_that_serves(connection):
        return current
    if current is not None and current not in known_revisions():
        raise SchemaError(
            f"The database has schema {current}, which this version does not know. Start the version that created it, or later."
        )
    from alembic import command  # noqa: PLC0415 (a tenth of a second, and five megabytes, for what most starts do not do)

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.execute(delete(SchemaFloor))
    connection.execute(insert(SchemaFloor).values(oldest=OLDEST_SERVED))
    return current


def build_slow_indexes(engine: Engine, tell: Callable[[str], None]) -> None:
    """Build the indexes of large tables that are missing, one after the other, while nodes read and write those tables.

    One whose building was interrupted is built anew. If another start is at it, it is left to that one: they are of use, and
    nothing depends on them. Never call it within `database_lock`: PostgreSQL waits for whoever waits for that.

    :param tell: called with what is going to be done.
    """
    if engine.dialect.name != "postgresql":
        with engine.begin() as connection:
            for index in _missing_indexes(connection, set()):
                tell(f"building index {index.name}")
                index.create(connection)
        return
    with engine.connect() as connection:
        broken = set(connection.execute(text(_BROKEN)).scalars())
        missing = _missing_indexes(connection, broken)
        is_at_it = connection.execute(text(_BEING_BUILT)).first() is not None
    if not missing or is_at_it:
        return
    # past SQLAlchemy, since what is built so is in no transaction, and each of ours begins with its limits
    with contextlib.closing(engine.raw_connection()) as apart:
        cursor = apart.cursor()
        cursor.execute("SET statement_timeout = 0; SET lock_timeout = 0")
        for index in missing:
            tell(f"building index {index.name}, while the server can be used")
            if index.name in broken:
                cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}")
            cursor.execute(str(CreateIndex(index, if_not_exists=True).compile(dialect=engine.dialect)))
        cursor.execute("RESET statement_timeout; RESET lock_timeout")


_BROKEN = "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE NOT indisvalid"
_BEING_BUILT = "SELECT 1 FROM pg_stat_progress_create_index WHERE datname = current_database()"


def _missing_indexes(connection: Connection, broken: set[str]) -> list[Index]:
    known, slow = (
        inspect(connection),
        [each for each in _slow_indexes() if each.info[SLOW] in {EVERYWHERE, connection.dialect.name}],
    )
    there = {each["name"] for name in {_table_of(index) for index in slow} for each in known.get_indexes(name)}
    return [index for index in slow if index.name not in there - broken]


def _slow_indexes() -> list[Index]:
    every = (index for table in Base.metadata.sorted_tables for index in table.indexes if index.info.get(SLOW))
    return sorted(every, key=lambda each: str(each.name))


def _table_of(index: Index) -> str:
    assert index.table is not None
    return str(index.table.name)


def is_later_that_serves(connection: Connection) -> bool:
    """Tell whether a database has the schema of a later version, which has said that this version works on it."""
    current = revision(connection)
    if current is None or current <= newest() or not inspect(connection).has_table(SchemaFloor.__tablename__):
        return False
    oldest = connection.scalar(select(SchemaFloor.oldest))
    return oldest is not None and oldest <= newest()


def refuse_unfinished(connection: Connection) -> None:
    """Refuse a database that lacks what has not been copied into it yet.

    :raises SchemaError: it is one.
    """
    if inspect(connection).has_table(UNFINISHED_COPY):
        raise SchemaError(
            "The database is an unfinished copy of another one. Set IDP_DATABASE_URL to that one, and run the same "
            "`idp database copy` again to continue where it stopped."
        )


def drift(connection: Connection) -> list[object]:
    """Return the differences between the migrated schema and the models; none, if the migrations are complete.

    An index that is still to be built by `build_slow_indexes` is none, nor is what databases search by in ways of their own.
    """
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 (a developer's check)
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 (the same)

    options = {"include_name": lambda name, kind, _parents: kind not in {"table", "index"} or not is_for_search(name)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "autogenerate skipping metadata-specified expression-based index")  # that on PostgreSQL
        found = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    slow = {index.name for index in _slow_indexes()}
    return [each for each in found if not (each[0] == "add_index" and each[1].name in slow)]


def is_for_search(name: str | None) -> bool:
    """Tell whether something is part of the indexes of migrations 0016 and 0017, which no model describes."""
    if name is None:
        return False
    return name in {"ix_application_grams", "ix_user_account_grams"} or f"{name}_".startswith(
        ("application_text_", "user_account_text_")
    )


@contextlib.contextmanager
def database_lock(engine: Engine) -> Iterator[None]:
    """Wait for starts on other machines that share a PostgreSQL database."""
    if engine.dialect.name != "postgresql":
        yield
        return
    # a lock of the transaction, which stays open meanwhile: one of the session could not be given back behind PgBouncer
    with engine.begin() as connection:
        take_turn(connection, seconds=60)
        yield


def take_turn(connection: Connection, *, seconds: int) -> None:
    """Wait for others who set the database up, and keep them out until the end of the transaction, which may take its time.

    :param connection: one to PostgreSQL.
    """
    waits = (f"lock_timeout = '{seconds}s'", f"statement_timeout = '{seconds}s'", "idle_in_transaction_session_timeout = 0")
    for timeout in waits:
        connection.execute(text(f"SET LOCAL {timeout}"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _SETUP_LOCK})
