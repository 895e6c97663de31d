"""A database is copied into another one, of the other kind and back: whole, whatever it holds, and whoever stands in the way."""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.string import TextLoader
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from idp import copying, migrations, setup
from idp.app import close_app, create_app
from idp.copying import Act, CopyError, InUseError, OtherContentError, Step
from idp.db import Base, db, make_engine_apart
from idp.errors import IdpError
from idp.settings import Settings
from tests import forking
from tests.cli.test_commands import Run, run  # noqa: F401 (a fixture)
from tests.flows.filling import EACH, FIRST, fill_every_table
from tests.serving import PATIENCE, PROJECT, Server

Raw = dict[str, list[tuple[Any, ...]]]


def at(settings: Settings, url: str) -> Settings:
    """Return the settings of who uses another database."""
    return settings.model_copy(update={"database_url": url})


def copy(settings: Settings, url: str, **options: Any) -> copying.Report:
    return copying.copy_database(settings, at(settings, url), lambda step: None, **options)


def sqlite_at(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def full(settings: Settings) -> Settings:
    """A database in which each table has rows, and the hard values are."""
    app = create_app(settings)
    with app.app_context():
        fill_every_table(db.engine)
    close_app(app)
    return settings


def raw(settings: Settings) -> Raw:
    """Return what a database holds, as its own driver reads it and not as the program does; times in UTC."""
    if settings.sqlite_path is not None:
        with closing(sqlite3.connect(settings.sqlite_path)) as file:
            query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '%_text%'"
            return _read(file.execute, [name for (name,) in file.execute(query)])
    with psycopg.connect(settings.database_url) as connection:
        connection.adapters.register_loader("json", TextLoader)
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
        return _read(connection.execute, [name for (name,) in names])  # type: ignore[arg-type]


def _read(execute: Callable[[str], Any], names: list[str]) -> Raw:
    found = {}
    for name in names:
        columns = [column.name for column in Base.metadata.tables[name].columns] if name in Base.metadata.tables else ["*"]
        rows = execute(f'SELECT {", ".join(columns)} FROM "{name}"').fetchall()
        if name == "audit_sealing":  # which transactions a number was missed for is the other database's affair
            gaps = columns.index("gaps")
            rows = [(*row[:gaps], [gap[:2] for gap in json.loads(row[gaps])], *row[gaps + 1 :]) for row in rows]
        found[name] = sorted((tuple(map(_plain, row)) for row in rows), key=repr)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(" ", "microseconds").removesuffix("+00:00")
    return int(value) if isinstance(value, bool) else value


def test_every_table_is_copied_there_and_back_with_the_hard_values(full: Settings, database_url: str, tmp_path: Path) -> None:
    before = raw(full)
    assert before.keys() == {*Base.metadata.tables, "alembic_version"}
    assert [name for name, rows in before.items() if len(rows) < EACH and name != "alembic_version"] == []
    there, back = at(full, database_url), at(full, sqlite_at(tmp_path / "back.db"))
    report = copy(full, database_url)
    assert (report.tables, report.went_on, report.was_complete) == (len(Base.metadata.tables), False, False)
    assert report.rows == sum(len(rows) for name, rows in before.items() if name != "alembic_version")
    assert raw(there) == before
    copying.copy_database(there, back, lambda step: None)
    assert raw(back) == before
    assert back.sqlite_path is not None
    with closing(sqlite3.connect(back.sqlite_path)) as file:
        assert {gap[2] for (gaps,) in file.execute("SELECT gaps FROM audit_sealing") for gap in json.loads(gaps)} == {0}
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
    sums = [copying.compare_databases(full, each, lambda step: None) for each in (there, back)]
    assert [[each.target for each in compared] for compared in sums] == [[each.source for each in compared] for compared in sums]


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_copy_has_the_schema_guards_and_numbers_of_the_source(full: Settings, request: Any, tmp_path: Path, kind: str) -> None:
    """Numbers of rows that were removed are not given again, of tables that are empty neither."""
    url = request.getfixturevalue("database_url") if kind == "postgresql" else sqlite_at(tmp_path / "copy.db")
    assert full.sqlite_path is not None
    with closing(sqlite3.connect(full.sqlite_path)) as file, file:
        file.execute("DELETE FROM reset_request")
        file.execute("DELETE FROM mail_message WHERE id > 1")
    copy(full, url)
    app = create_app(at(full, url))
    with app.app_context():
        from idp import mail, trail, users

        assert trail.is_guarded()
        db.session.rollback()
        with db.engine.connect() as connection:
            assert migrations.drift(connection) == []
        for made, number in (
            (users.ResetRequest(sealed="x"), FIRST + EACH),
            (mail.MailMessage(occasion="y", realm="acme", template="z", sealed=""), FIRST + EACH),
        ):
            db.session.add(made)
            db.session.flush()
            assert made.id == number
        for statement in ("UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_batch"):
            with pytest.raises(SQLAlchemyError, match="append-only"):
                db.session.execute(text(statement))
            db.session.rollback()
    close_app(app)


KILLED = """
import os, signal, sys
from idp import copying
from idp.copying import progress, rows
from idp.settings import Settings

where, number, url = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rows.PAGE, calls = 2, 0

def count():
    global calls
    calls += 1
    if calls == number:
        os.kill(os.getpid(), signal.SIGKILL)

def killed_after(act):
    def wrapped(*arguments):
        act(*arguments)
        count()
    return wrapped

if where != "watch":
    setattr(progress, where, killed_after(getattr(progress, where)))
settings = Settings.load()
watch = (lambda step: count()) if where == "watch" else (lambda step: None)
copying.copy_database(settings, copying.target_settings(settings, url), watch)
"""
MOMENTS = {
    "postgresql": [
        ("begin", 1),  # the tables are made, and nothing is committed
        ("advance", 5),  # rows are stored, and not committed
        ("watch", 60),  # rows are committed, and more of the table are to come
        ("watch", 230),  # all is copied, and is compared
        ("end", 1),  # all is well, and nothing of it is committed
    ],
    "sqlite": [("begin", 1), ("advance", 60), ("end", 1)],
}


@pytest.mark.parametrize("kind", MOMENTS)
def test_copy_that_is_killed_anywhere_goes_on(full: Settings, request: Any, tmp_path: Path, kind: str) -> None:
    url, source = request.getfixturevalue("database_url"), full
    if kind == "sqlite":
        copy(full, url)
        source, url = at(full, url), sqlite_at(tmp_path / "back.db")
    server = Server(full.data_dir, settings={"IDP_DATABASE_URL": source.database_url})
    for where, number in MOMENTS[kind]:
        command = [sys.executable, "-c", KILLED, where, str(number), url]
        done = subprocess.run(command, env=server.environment, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == -9, (where, number, done.stderr)
    report = json.loads(server.idp("database", "copy", "--to", url, "--json"))
    assert (report["went_on"], report["copied"]) == (True, True)
    assert raw(at(full, url)) == raw(full)
    assert copy(source, url).was_complete


def test_unfinished_copy_is_neither_served_nor_copied(
    settings: Settings,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = sqlite_at(tmp_path / "copy.db")
    stop_at(settings, url, "realm")
    monkeypatch.setenv("IDP_DATABASE_URL", url)
    for command in (["setup"], ["serve"], ["doctor"], ["database", "copy", "--to", sqlite_at(tmp_path / "further.db")]):
        assert "is an unfinished copy of another one" in run(*command, status=1), command
    assert copy(settings, url).went_on
    said = run("doctor")
    assert "up to date" in said
    assert f"{settings.data_dir / 'realmgate.db'} is not the database that is in use" in said


def test_what_was_written_between_two_calls_is_noticed(full: Settings, database_url: str) -> None:
    stop_at(full, database_url, "audit_event")
    assert full.sqlite_path is not None
    with closing(sqlite3.connect(full.sqlite_path)) as file, file:
        file.execute("UPDATE change_clock SET value = value + 1 WHERE id = 1")
        file.execute("UPDATE change_clock SET value = 9223372036854775807 WHERE id = 1")
        file.execute("UPDATE audit_sealing SET turn = 9 WHERE id <> 1")
    with pytest.raises(OtherContentError, match="before the source was changed"):
        copy(full, database_url)


def test_what_nothing_else_tells_of_is_found_by_the_comparison(full: Settings, database_url: str) -> None:
    stop_at(full, database_url, "keyset_version")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE role SET description = 'other' WHERE id = 1")
        connection.execute("DELETE FROM membership")
    with pytest.raises(
        CopyError, match=r"role: \d+ rows in both, which are not the same; membership: \d rows in the source, 0 in"
    ):
        copy(full, database_url)
    app = create_app(at(full, database_url))
    with app.app_context(), pytest.raises(IdpError, match="unfinished copy"):
        setup.upgrade_schema()
    close_app(app)


def stop_at(settings: Settings, url: str, table: str) -> None:
    """Copy up to a table, and stop there."""

    class StoppedError(Exception):
        pass

    def watch(step: Step) -> None:
        if step.act is Act.COPY and step.table == table:
            raise StoppedError

    with pytest.raises(StoppedError):
        copying.copy_database(settings, at(settings, url), watch)


@pytest.mark.parametrize("source", ["postgresql", "sqlite"])
def test_nobody_writes_or_begins_to_serve_meanwhile(
    full: Settings, request: Any, tmp_path: Path, source: str, database_url: str
) -> None:
    settings, url = full, database_url
    if source == "postgresql":
        copy(full, url)
        settings, url = at(full, url), sqlite_at(tmp_path / "back.db")
    tried: list[str] = []

    def write(each: Settings, statement: str) -> str:
        engine = make_engine_apart(each)
        try:
            with engine.connect() as connection:
                if engine.dialect.name == "postgresql":
                    connection.exec_driver_sql("SET LOCAL lock_timeout = 100; SET LOCAL statement_timeout = 100")
                else:
                    connection.exec_driver_sql("PRAGMA busy_timeout = 100")
                connection.execute(text(statement))
                connection.commit()
        except SQLAlchemyError as error:
            return type(error).__name__
        finally:
            engine.dispose()
        return "written"

    def watch(step: Step) -> None:
        if step.is_last and step.table == "keyset" and step.role is None:
            tried.append(write(settings, "UPDATE role SET description = 'meanwhile'"))
            for each in (settings, at(settings, url)):
                if not each.is_sqlite:
                    tried.append(write(each, "SELECT pg_advisory_xact_lock(7207201912)"))
                else:
                    tried.append(write(each, "SELECT 1 FROM role"))

    copying.copy_database(settings, at(settings, url), watch)
    assert tried == ["OperationalError"] * 3
    assert raw(at(full, url)) == raw(full)


BY_SERVER = [("sqlite", "source"), ("postgresql", "source"), ("postgresql", "target")]


@pytest.mark.parametrize(("kind", "role"), BY_SERVER)
def test_nothing_is_copied_while_a_server_runs(
    settings: Settings, database_url: str, tmp_path: Path, kind: str, role: str
) -> None:
    """Also not if the server has a data folder of its own, as on another machine."""
    environment = {"IDP_MASTER_KEY_FILE": str(settings.master_key_file)}
    mine = settings.database_url if kind == "sqlite" else database_url
    other = database_url if kind == "sqlite" else settings.database_url
    if role == "source" and kind == "postgresql":
        copy(settings, database_url)
        other = sqlite_at(tmp_path / "copy.db")
    server = Server(tmp_path / "served", settings={**environment, "IDP_DATABASE_URL": mine}).start()
    try:
        source, target = (mine, other) if role == "source" else (other, mine)
        elsewhere = Server(settings.data_dir, settings={"IDP_DATABASE_URL": source})
        said = elsewhere.idp("database", "copy", "--to", target, status=1)
        assert said.startswith(f"Error: The {role} (")
        assert "is in use" in said
        assert "Stop every server" in said
        if kind == "sqlite":
            here = Server(server.data_dir, settings=elsewhere.settings | environment)
            assert "A server is running with the data folder" in here.idp("database", "copy", "--to", target, status=1)
    finally:
        server.stop()


def test_others_who_are_connected_can_be_let_be(settings: Settings, database_url: str) -> None:
    with psycopg.connect(database_url, application_name="a monitor") as connection:
        connection.execute("SELECT 1")
        with pytest.raises(InUseError, match=r"a monitor of postgres from this machine.*--ignore-connections"):
            copy(settings, database_url)
        assert copy(settings, database_url, ignore_connections=True).rows > 0


def test_database_that_was_set_aside_read_only_is_copied(settings: Settings, database_url: str, tmp_path: Path) -> None:
    copy(settings, database_url)
    name = database_url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(database_url) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    back = at(settings, sqlite_at(tmp_path / "back.db"))
    copying.copy_database(at(settings, database_url), back, lambda step: None)
    assert raw(back) == raw(settings)


UNFIT = {
    "UPDATE role SET description = 'a' || char(0) || 'b' WHERE id = 1": "Column description of table role .id 1. holds a NUL",
    "UPDATE role SET name = printf('%065d', 1) WHERE id = 1": "Column name of table role .id 1. holds more than 64 characters",
    "UPDATE application SET rate_per_second = 3000000000 WHERE id = 1": "Column rate_per_second .* more than 32 bits",
    "UPDATE application SET rate_per_second = 'many' WHERE id = 1": "Column rate_per_second .* holds str where int belongs",
    "UPDATE application SET audience = '[NaN]' WHERE id = 1": "Column audience of table application .id 1. is not JSON",
    "UPDATE role SET description = CAST(x'ff' AS TEXT) WHERE id = 1": "source .* at table role: a text in it is damaged",
    "UPDATE role SET created_at = 'yesterday' WHERE id = 1": "Table role holds something that is not a value of its column",
}


@pytest.mark.parametrize("statement", UNFIT)
def test_what_postgresql_cannot_hold_is_named(settings: Settings, database_url: str, statement: str) -> None:
    with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as file, file:
        file.execute(statement)
    act = copying.copy_database if "char(0)" in statement else copying.check_copy
    with pytest.raises(CopyError, match=UNFIT[statement]):
        act(settings, at(settings, database_url), lambda step: None)


def test_row_that_points_nowhere_is_named(settings: Settings, database_url: str) -> None:
    with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as file, file:
        file.execute("INSERT INTO membership (group_id, user_id) VALUES (77, 88)")
    with pytest.raises(CopyError, match=r"2 rows of the source refer to missing rows \(in membership\)"):
        copy(settings, database_url)


def _other_tables(settings: Settings, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE invoice (id int)")


def _other_installation(settings: Settings, url: str) -> None:
    other = Settings.load(data_dir=settings.data_dir.parent / "other", realms_dir=PROJECT / "realms", database_url=url)
    app, _ = setup.set_up(other)
    close_app(app)


def _other_copy(settings: Settings, url: str) -> None:
    other = Settings.load(data_dir=settings.data_dir.parent / "other", realms_dir=PROJECT / "realms")
    app, _ = setup.set_up(other)
    close_app(app)
    stop_at(other, url, "realm")


def _served_since(settings: Settings, url: str) -> None:
    copy(settings, url)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE realm SET display_name = 'later'")


def _later_version(settings: Settings, url: str) -> None:
    copy(settings, url)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def _old_source(settings: Settings, url: str) -> None:
    with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as file, file:
        file.execute("UPDATE alembic_version SET version_num = '0006'")


def _added_table(settings: Settings, url: str) -> None:
    with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as file, file:
        file.execute("CREATE TABLE invoice (id int)")


REFUSED = [
    (_other_tables, r"holds other tables \(invoice\). Give it an empty database"),
    (_other_installation, "holds another installation. Give it an empty database"),
    (_other_copy, "is an unfinished copy of another installation"),
    (_served_since, r"not the same as the source: realm: \d rows in both, which are not the same. Give it an empty"),
    (_later_version, "target has schema 9999, and this version has"),
    (_old_source, "source has schema 0006, and this version has .* run `idp setup`"),
    (_added_table, "schema of the source differs"),
]


@pytest.mark.parametrize(("prepare", "sentence"), REFUSED)
def test_what_is_no_empty_target_or_no_sound_source_is_refused(
    settings: Settings, database_url: str, prepare: Callable[[Settings, str], None], sentence: str
) -> None:
    prepare(settings, database_url)
    before = raw(at(settings, database_url))
    with pytest.raises(CopyError, match=sentence):
        copy(settings, database_url)
    assert raw(at(settings, database_url)) == before


@pytest.mark.parametrize("act", ["copy", "compare"])
@pytest.mark.parametrize("url", ["mysql://u:{}@h/x", "postgresql://u:{}@127.0.0.1:1/x", "postgresql://u:{}/x@h"])
def test_password_of_the_target_is_nowhere(
    run: Run,
    url: str,
    act: str,
) -> None:
    secret = "hunter2hunter2"
    said = run("database", act, "--to", url.format(secret), status=1)
    assert secret not in said
    assert (
        "target (postgresql://***@127.0.0.1:1/x) cannot be used: nothing is listening" in said
        or "URL of the target cannot" in said
    )


def test_same_database_wrong_folder_and_wrong_key_are_refused(settings: Settings, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(settings.data_dir / "realmgate.db")
    with pytest.raises(CopyError, match="the same database"):
        copy(settings, sqlite_at(tmp_path / "link.db"))
    with pytest.raises(CopyError, match="there is no folder"):
        copying.check_copy(settings, at(settings, sqlite_at(tmp_path / "no" / "x.db")), lambda step: None)
    with pytest.raises(CopyError, match="folder exists"):
        copy(settings, sqlite_at(tmp_path / "no" / "x.db"))
    copy(settings, database_url)
    there = at(settings, database_url)
    with pytest.raises(CopyError, match="the same database"):
        copying.copy_database(there, at(settings, database_url + "&application_name=x"), lambda step: None)
    from idp import master_keys

    master_keys.create_master_key(tmp_path / "other.key")
    with pytest.raises(IdpError, match="encrypted with master key"):
        copying.check_copy(settings.model_copy(update={"master_key_file": tmp_path / "other.key"}), there, lambda step: None)


def test_command_shows_how_far_it_is_and_what_to_do_next(settings: Settings, database_url: str) -> None:
    server = Server(settings.data_dir)
    dry = server.idp("database", "copy", "--dry-run", "--to", database_url, both=True)
    assert "checking  signing_key  4 of 4 rows" in dry
    assert "Nothing was written." in dry
    assert raw(at(settings, database_url)) == {}
    said = server.idp("database", "copy", "--to", database_url, both=True)
    assert "copying  signing_key  4 of 4 rows\n" in said
    assert "comparing  signing_key  4 of 4 rows\n" in said
    for expected in ("Set IDP_DATABASE_URL", "idp audit verify", str(settings.master_key_file)):
        assert expected in said
    assert "Both hold the same" in server.idp("database", "compare", "--to", database_url)
    shown = on_terminal(server, "database", "copy", "--to", sqlite_at(settings.data_dir / "copy.db"))
    assert re.match(r"(\r\x1b\[Kc\w+  \w+  \d+ of \d+ rows(, (source|target))?)+\r\x1b\[K$", shown), shown
    server.idp("audit", "list", "--limit", "1")  # which is recorded
    said = server.idp("database", "compare", "--to", database_url, status=1, both=True)
    assert "audit_event: " in said
    assert "Error: 1 of 61 tables differ." in said
    assert "does not exist" in server.idp("database", "compare", "--to", sqlite_at(settings.data_dir / "none.db"), status=1)


def on_terminal(server: Server, *arguments: str) -> str:
    """Run a command whose standard error is a terminal, and return what that shows."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        with Path(os.devnull).open("r+b") as nothing:
            process = forking.Process(
                arguments, server.environment, stdin=nothing.fileno(), stdout=nothing.fileno(), stderr=theirs
            )
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # that is how the other end closes
            while part := terminal.read(65_536):
                shown += part
        assert process.wait(PATIENCE) == 0, shown
    return shown.decode()
