"""A PgBouncer in transaction mode between the server and PostgreSQL, and the URLs that lead to either."""

from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from idp import runtime
from idp.app import close_app, create_app
from idp.db import WAIT_FOR_LOCK, commit, db
from idp.settings import Settings
from tests.factories import Factory, at_once, set_application
from tests.flows.conftest import Bouncer, has_ipv6, set_up_machines
from tests.flows.test_outages import project
from tests.flows.test_people import call, make_person, session_token
from tests.serving import Server, free_port, wait_until


def test_server_starts_and_serves_behind_it(bouncer: Bouncer, tmp_path: Path, database_url: str) -> None:
    """Sixteen callers at two workers: every transaction may get another connection of PgBouncer's."""
    settings = {"IDP_DATABASE_URL": bouncer.url(database_url), "IDP_WORKERS": "2"}
    server = Server(tmp_path / "served", settings=settings).start()
    try:
        application = server.create_application("bot")
        make_person(server, "ann@example.test", "--role", "administrator")
        header = {"Authorization": session_token(server, "ann@example.test")}

        def work() -> list[int]:
            asked = [call(server, "GET", path, headers=header).status for path in ("/v1/users", "/v1/roles", "/v1/sessions")]
            made = call(server, "POST", "/v1/projects", project(), header).status
            return [*asked, server.token(application).status, made - 1]

        for _ in range(3):  # more often than the driver would wait before it prepares a statement
            assert Counter(status for statuses in at_once(16, work) for status in statuses) == {200: 80}
        server.idp("applications", "disable", "--realm", "acme", "bot")
        wait_until(lambda: {server.token(application).status for _ in range(10)} == {401}, "the refusal on both workers")
    finally:
        server.stop()
    assert "unexpected error" not in "".join(server.output)


def test_set_ups_behind_it_take_turns_and_leave_no_lock(
    bouncer: Bouncer, pg_settings: Settings, tmp_path: Path, database_url: str
) -> None:
    behind = pg_settings.model_copy(update={"database_url": bouncer.url(database_url)})
    assert sorted(set_up_machines(behind, tmp_path)) == [[], [], ["acme"]]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


def test_no_transaction_waits_for_ever_and_none_changes_the_session_of_others(
    bouncer: Bouncer, pg_make: Factory, pg_settings: Settings, database_url: str
) -> None:
    app = create_app(pg_settings.model_copy(update={"database_url": bouncer.url(database_url)}))
    names = ("statement_timeout", "lock_timeout", "timezone")

    def values(connection: Any) -> list[str]:
        return [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]

    with app.app_context():
        for _ in range(3):
            with db.engine.begin() as connection:
                assert values(connection) == [f"{WAIT_FOR_LOCK}s", f"{WAIT_FOR_LOCK}s", "UTC"]
        raw = db.engine.raw_connection()
        cursor = raw.cursor()
        for name in names[:2]:
            assert cursor.execute(f"SHOW {name}").fetchone() == ("0",), "PgBouncer's connection is as it was"
        raw.close()
        feed = runtime.current().feed
        feed.confirm()
        assert feed._connection is not None
        with feed._connection.begin():
            assert values(feed._connection) == [f"{WAIT_FOR_LOCK}s", f"{WAIT_FOR_LOCK}s", "UTC"]
    close_app(app)


def test_changes_reach_another_node_behind_it(
    bouncer: Bouncer, pg_make: Factory, pg_settings: Settings, database_url: str
) -> None:
    made = pg_make.application()
    node = create_app(pg_settings.model_copy(update={"database_url": bouncer.url(database_url)}))
    from tests.factories import ask_token

    assert ask_token(node.test_client(), made).status_code == 200
    pg_make.change(lambda realm, application: set_application(realm, application, enabled=False))
    wait_until(lambda: ask_token(node.test_client(), made).status_code == 401, "the refusal")
    close_app(node)


# URLs, as libpq takes them


def test_every_form_of_url_that_libpq_takes_leads_to_the_database(
    bouncer: Bouncer, postgres: Any, pg_make: Factory, pg_settings: Settings, database_url: str, monkeypatch: Any
) -> None:
    with pg_make.app.app_context():
        db.session.execute(text("UPDATE realm SET display_name = 'found' WHERE name = 'acme'"))
        commit()
    info = postgres.get_postmaster_info()
    name, folder = database_url.partition("?")[0].rpartition("/")[2], info.socket_dir
    port, dead = bouncer.port, free_port()
    urls = [
        f"postgres://postgres@127.0.0.1:{port}/{name}",
        f"postgresql+psycopg://postgres:any%40%2F%20password@localhost:{port}/{name}?sslmode=prefer&application_name=x%20y",
        f"postgresql://postgres@127.0.0.1:{dead},127.0.0.1:{port}/{name}?target_session_attrs=read-write",
        f"postgresql://postgres@/{name}?host={folder}",
        f"postgresql://postgres@{str(folder).replace('/', '%2F')}/{name}",
        f"postgresql:///{name}?host={folder}&user=postgres&options=-c%20search_path%3Dpublic",
    ]
    if has_ipv6():
        urls += [f"postgresql://postgres@[::1]:{port}/{name}", f"postgresql://postgres@127.0.0.1:{dead},[::1]:{port}/{name}"]
    for url in urls:
        found = create_app(Settings.load(**pg_settings.model_dump() | {"database_url": url}))
        with found.app_context():
            said = db.session.execute(text("SELECT display_name FROM realm WHERE name = 'acme'")).scalar_one()
            assert said == "found", url
        close_app(found)
    monkeypatch.setenv("PGHOST", str(folder))
    monkeypatch.setenv("PGUSER", "postgres")
    monkeypatch.setenv("PGDATABASE", name)
    found = create_app(Settings.load(**pg_settings.model_dump() | {"database_url": "postgresql://"}))
    with found.app_context():
        assert db.session.execute(text("SELECT current_database()")).scalar_one() == name
    close_app(found)


def test_workers_get_the_url_as_it_was_written(bouncer: Bouncer, tmp_path: Path, database_url: str) -> None:
    hosts = f"127.0.0.1:{free_port()},{'[::1]' if has_ipv6() else '127.0.0.1'}:{bouncer.port}"
    url = bouncer.url(database_url).replace(f"127.0.0.1:{bouncer.port}", hosts).replace("postgres@", "postgres:a%20b%25@")
    server = Server(tmp_path / "served", settings={"IDP_DATABASE_URL": url + "?target_session_attrs=read-write"}).start()
    try:
        assert server.token(server.create_application("bot")).status == 200
        assert "a%20b" not in server.idp("settings")
        assert f"postgresql://***@{hosts}/" in server.idp("settings")
    finally:
        server.stop()
