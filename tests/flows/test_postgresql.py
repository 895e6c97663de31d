"""The same program on a real PostgreSQL: set-up, tokens, races, the change feed between workers, an outage."""

import itertools
import json
import os
import threading
import uuid
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, event, insert, select, text
from sqlalchemy.exc import DBAPIError

from idp import apikeys, applications, audit, clock, keysets, migrations, realms, runtime, setup, text_search, users
from idp.apikeys import ApiKey
from idp.app import close_app, create_app
from idp.audit import Tag
from idp.cli import main
from idp.db import commit, db, make_engine_apart
from idp.errors import IdpError
from idp.keysets.known import known_keysets
from idp.realms import Realm
from idp.settings import Settings
from tests import forking
from tests.conftest import FrozenClock
from tests.factories import (
    Factory,
    Made,
    ask,
    ask_token,
    assertion,
    assertion_form,
    at_once,
    key_pair,
    session_of,
    set_application,
)
from tests.flows.conftest import set_up_machines
from tests.serving import Server, run_idp, send, wait_until
from tests.test_written import find_by_what_they_are_called


@pytest.fixture
def make(pg_make: Factory) -> Factory:
    return pg_make


ISSUER = "http://127.0.0.1:8080/auth/realms/acme"


def test_schema_has_no_drift_and_a_second_set_up_changes_nothing(make: Factory, pg_settings: Settings) -> None:
    from idp import audit

    with make.app.app_context():
        with db.engine.connect() as connection:
            assert migrations.drift(connection) == []
        before = len(audit.list_events(limit=1000))
        db.session.rollback()
    app, report = setup.set_up(pg_settings)
    with app.app_context():
        assert report.created_realms == []
        assert len(audit.list_events(limit=1000)) == before
    close_app(app)


def test_applications_are_found_by_the_index(make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(realm: Realm) -> None:
        for number in range(60):
            sheet = applications.ApplicationSheet(description=f"Sorts the invoices of BRANCH {number:03}")
            applications.create_application(realm, f"bot-{number:03}", sheet)

    def count(wanted: str) -> int:
        counted: int = make.do(lambda realm: applications.application_listing(realm, containing=wanted).count())
        return counted

    make.do(fill)
    make.change(lambda realm, row: set_application(realm, row, description="Sortiert Übergrößen"), "bot-059")
    wanted = {"branch 017": 1, "Bot-0": 60, "h 0%": 0, "%": 0, "_": 0, "ot": 60, '" OR "': 0, "ÜBER": 1, "sortiert": 1, "059": 1}
    assert {text: count(text) for text in wanted} == wanted
    monkeypatch.setattr(text_search, "FEW", dict.fromkeys(text_search.FEW, 5))  # more than a few: looked for one after the other
    assert {text: count(text) for text in wanted} == wanted
    with make.app.app_context():
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = db.session.execute(
            text("EXPLAIN SELECT id FROM application WHERE grams_of(name || chr(10) || description) @> ARRAY['bra', 'ran']")
        )
        assert "ix_application_grams" in "".join(row[0] for row in plan)


def test_users_are_found_by_any_part_of_their_names(make: Factory) -> None:
    make.user("ada@example.test", first_name="Ada", last_name="Lovelace", password=False)
    wanted = {"LOVE": 1, "da L": 0, "ada@ex": 1, "%": 0, "xyz": 0}
    listed = {text: make.do(lambda realm, text=text: users.user_listing(realm, containing=text).count()) for text in wanted}
    assert listed == wanted
    with make.app.app_context():
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        names = "name || chr(10) || first_name || chr(10) || last_name"
        plan = db.session.execute(text(f"EXPLAIN SELECT id FROM user_account WHERE grams_of({names}) @> ARRAY['ada', 'da@']"))
        assert "ix_user_account_grams" in "".join(row[0] for row in plan)


FEW_KEYS: dict[str, dict[str, str]] = {
    "off": {"state": "inactive"},
    "gone": {"state": "revoked"},
    "narrow": {"role": "viewer"},
    "aside": {"project": "vision"},
    "old": {"state": "unused"},
    "of ann": {"owned_by": "user:ann"},
    "none": {"owned_by": "no-such"},
}
"""By name of the one key that a filter finds in a realm, the filter."""


@pytest.fixture
def many_keys(make: Factory, pg_settings: Settings) -> None:
    """Keys of a realm that all work and are for everything, but for one of each kind; and of another in which all are of all kinds."""
    make.user()
    make.application("ledger-bot", projects=("vision",))
    for name, terms in {"off": {"active": False}, "narrow": {"roles": ["viewer"]}, "aside": {"projects": ["vision"]}}.items():
        make.key("ledger-bot", name=name, **terms)
    made = {name: make.key("ledger-bot", name=name).uid for name in ("gone", "old", "usual")}
    make.key("ann@example.test", name="of ann")

    def change(realm: Realm) -> None:
        apikeys.revoke_key(realm, apikeys.get_key(realm, made["gone"]), "lost")
        apikeys.get_key(realm, made["old"]).last_used_at = clock.now() - clock.UNUSED - timedelta(days=1)
        db.session.flush()
        row = db.session.execute(select(ApiKey.__table__).where(ApiKey.uid == made["usual"])).mappings().one()
        usual = dict(row) | {"last_used_at": clock.now()}
        other = {"realm_id": realms.get_realm("master").id, "active": False, "roles": ["viewer"], "projects": ["vision"]}
        rows = [usual, usual | other, usual, usual | other | {"revoked_at": clock.now()}] * 1500
        told = ({"id": 1000 + n, "uid": str(uuid.uuid4()), "public_part": f"idp_ak_{n:08}"} for n in range(len(rows)))
        db.session.execute(insert(ApiKey), [row | own for row, own in zip(rows, told, strict=True)])

    make.do(change)
    with psycopg.connect(pg_settings.database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE api_key")


def rows_read(plan: dict[str, Any]) -> int:
    """Return how many rows all parts of a plan have looked at."""
    own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return int(own) + sum(map(rows_read, plan.get("Plans", ())))


@pytest.mark.usefixtures("many_keys")
def test_the_few_keys_that_a_filter_finds_are_found_without_a_look_at_all(make: Factory) -> None:
    with make.app.app_context():
        realm = realms.get_realm("acme")
        for (name, asked), order in itertools.product(FEW_KEYS.items(), ("name", "expires", "used", "uses", "")):
            sent: list[tuple[str, Any]] = []

            def note(_connection: Any, _cursor: Any, said: str, values: Any, *_: Any) -> None:
                sent.append((said, values))  # noqa: B023 (it is removed in the same turn)

            event.listen(db.engine, "before_cursor_execute", note)
            listing = apikeys.key_listing(realm, **asked)
            found = [key.name for key in listing.take(order, descending=True, after=None, limit=50)]
            assert listing.count() == len(found)
            event.remove(db.engine, "before_cursor_execute", note)
            assert found == ([] if name == "none" else [name])
            plans = [
                db.session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {said}", values).scalar_one()[0]["Plan"]
                for said, values in sent
            ]
            assert max(map(rows_read, plans)) < 100, (name, max(plans, key=rows_read))


@pytest.mark.usefixtures("many_keys")
def test_keys_are_found_by_a_part_of_the_names_of_their_owners(make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {"ledger": 3006, "LEDGER-bot": 3006, "ann": 1, "ex": 1, "application:ann": 0, "user:example.test": 1, "no-such": 0}

    def counts(realm: Realm) -> dict[str, int]:
        return {named: apikeys.key_listing(realm, owned_by=named).count() for named in owners}

    assert make.do(counts) == owners
    monkeypatch.setattr(
        text_search, "FEW", dict.fromkeys(text_search.FEW, 0)
    )  # more than a few owners: by their names themselves
    assert make.do(counts) == owners


def test_days_have_what_their_hours_have(make: Factory) -> None:
    begin = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)

    def count(_realm: Realm) -> None:
        for hour in range(48):
            event = audit.event_values(begin + timedelta(hours=hour), "acme", audit.Tag.TOKEN_ISSUE, "a", "t", "x", "success")
            audit.count_events([event] * (hour + 1))

    make.do(count)
    days = make.do(lambda _realm: [(each.hour, each.count) for each in audit.list_activity("acme", begin, by_day=True)])
    assert days == [(begin, sum(range(1, 25))), (begin + timedelta(days=1), sum(range(25, 49)))]


def test_set_ups_on_several_machines_at_once_take_turns(pg_settings: Settings, tmp_path: Path) -> None:
    assert sorted(set_up_machines(pg_settings, tmp_path)) == [[], [], ["acme"]]


def machine(settings: Settings, folder: Path) -> dict[str, str]:
    """Return the environment of a machine with a data folder of its own, and with no master key in it."""
    return {
        "PATH": os.environ["PATH"],
        "IDP_CONFIG": os.devnull,
        "IDP_DATA_DIR": str(folder),
        "IDP_DATABASE_URL": settings.database_url,
        "IDP_REALMS_DIR": str(settings.realms_dir),
    }


def test_of_two_first_starts_without_a_common_key_one_makes_it_and_the_other_none(pg_settings: Settings, tmp_path: Path) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database "
        "WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
    )
    engine = make_engine_apart(pg_settings)
    folders = [tmp_path / "one", tmp_path / "two"]
    with engine.connect() as watch, migrations.database_lock(engine):
        both = [forking.start(["setup"], machine(pg_settings, folder)) for folder in folders]
        wait_until(lambda: watch.scalar(waiting) == 2, "the wait of both")
    printed = [process.finish() for process in both]
    engine.dispose()
    assert sorted(process.returncode or 0 for process in both) == [0, 1], printed
    refused = [process.returncode == 1 for process in both].index(True)
    assert "but no master key" in printed[refused]
    assert [(folder / "master.key").exists() for folder in folders] == [refused != 0, refused != 1]


@pytest.mark.parametrize(
    "command", [["serve"], ["setup"], ["doctor"], ["realms", "list"], ["master-key", "add"], ["restored", "--yes"]], ids=" ".join
)
def test_a_machine_without_the_master_key_is_told_so_and_left_without_one(
    make: Factory, pg_settings: Settings, tmp_path: Path, command: list[str]
) -> None:
    done = run_idp(*command, environment=machine(pg_settings, tmp_path / "other") | {"IDP_MANAGEMENT_PORT": "0"})
    assert done.returncode == 1
    assert "but no master key" in done.stdout + done.stderr
    assert "from its backup or from another machine that serves this database" in done.stdout + done.stderr
    assert not [path for path in tmp_path.rglob("*.key*") if "other" in path.parts]


def test_an_unfinished_copy_gets_no_master_key(pg_settings: Settings, database_url: str, tmp_path: Path) -> None:
    engine = make_engine_apart(pg_settings)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE {migrations.UNFINISHED_COPY} (id integer)"))
    engine.dispose()
    with pytest.raises(IdpError, match="unfinished copy"):
        setup.set_up(pg_settings)
    assert not pg_settings.master_key_file.exists()


def test_tokens_introspection_and_revocation(make: Factory) -> None:
    made = make.application(projects=("vision",))
    client = make.app.test_client()
    token = ask_token(client, made, scope="openid project:vision").json["access_token"]
    assert ask(client, "token/introspect", {"token": token, **made.form}).json["active"] is True
    assert ask(client, "revoke", {"token": token, **made.form}).status_code == 200
    assert ask(client, "token/introspect", {"token": token, **made.form}).json == {"active": False}


def test_doctor_finds_what_it_would_on_sqlite(make: Factory, pg_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make.application("mute", roles=("administrator", "viewer"), projects=("vision",))
    make.change(lambda realm, application: setattr(application, "audience", []), made.client_id)
    for name in ("data_dir", "realms_dir", "database_url"):
        monkeypatch.setenv(f"IDP_{name.upper()}", str(getattr(pg_settings, name)))
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 0, done.output
    assert done.output.count("hold administrative roles: mute.") == 1


def test_odd_input_is_refused_and_loses_no_events(make: Factory) -> None:
    from idp import audit, runtime, tokens

    made = make.application()
    client = make.app.test_client()
    for client_id in ("\0", "\N{GRINNING FACE}", "x" * 500, "'; DROP TABLE realm; --"):
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "\0"}
        assert ask(client, "token", form).status_code == 401
    assert client.get("/auth/realms/a%00b").status_code == 404
    assert ask_token(client, made).status_code == 200
    with make.app.app_context():
        tokens.usage(runtime.current()).flush()
        assert len(audit.list_events("acme", tag="client:token:issue")) == 1


def test_people_are_found_by_what_they_are_called(make: Factory) -> None:
    find_by_what_they_are_called(make.app.test_client(), make)


@pytest.mark.parametrize("statement", ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event", "TRUNCATE audit_event"])
def test_audit_trail_cannot_be_changed(make: Factory, database_url: str, statement: str) -> None:
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize("by_key", [False, True])
def test_counters_are_free_for_other_workers_while_one_writes_its_events(make: Factory, *, by_key: bool) -> None:
    """Writing thousands of events takes a while; what others add to is locked for the end of that only."""
    from idp import apikeys, tokens

    made = make.application()
    client = make.app.test_client()
    if by_key:
        make.user()
        assert client.get("/v1/applications", headers=make.key().header).status_code in {200, 403}
    else:
        assert ask_token(client, made).status_code == 200
    table = "api_key" if by_key else "application"

    def flush() -> None:
        with make.app.app_context():
            (apikeys.key_usage if by_key else tokens.usage)(runtime.current()).flush()

    waiting = text("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'audit_event'::regclass")
    writer = threading.Thread(target=flush)
    with make.app.app_context(), db.engine.connect() as other, db.engine.connect() as looking:
        other.execute(text("LOCK TABLE audit_event IN SHARE MODE"))
        writer.start()
        wait_until(lambda: looking.execute(waiting).first(), "a write that waits for the trail")
        assert looking.execute(text(f"SELECT id FROM {table} FOR UPDATE NOWAIT")).all()
    writer.join()


def test_refusals_of_an_application_that_is_just_being_deleted_keep_nothing_else_from_being_counted(make: Factory) -> None:
    """Its days point to it, so its deletion is waited for, and what it was refused is passed over."""
    from idp import clock, tokens
    from idp.applications import DailyUse

    going, staying = make.application("going"), make.application("staying")
    client = make.app.test_client()
    for name in (going, staying):
        assert ask_token(client, Made(name.client_id, "idp_cs_wrong", "")).status_code == 401

    def flush() -> None:
        with make.app.app_context():
            tokens.usage(runtime.current()).flush()

    waiting = text("SELECT 1 FROM pg_locks WHERE NOT granted")
    writer = threading.Thread(target=flush)
    with make.app.app_context(), db.engine.connect() as looking:
        realm = realms.get_realm("acme")
        applications.delete_application(realm, applications.get_application(realm, "going"))
        db.session.flush()
        writer.start()
        wait_until(lambda: looking.execute(waiting).first(), "a write that waits for the deletion")
        commit()
    writer.join()
    with make.app.app_context():
        application = applications.get_application(realms.get_realm("acme"), "staying")
        (count,) = applications.list_use(application, [applications.day_of(clock.now())])
        assert (count.issued, count.refused) == (0, 1)
        assert [row.application_id for row in db.session.scalars(select(DailyUse))] == [application.id]


@pytest.mark.spec("T56", "T54")
def test_one_time_things_work_once_in_a_race(make: Factory) -> None:
    key, jwks = key_pair()
    made = make.application(jwks=jwks, secret=False)
    plain = make.change(
        lambda realm, application: applications.add_secret(realm, application, "once", applications.SecretSheet(single_use=True))[
            1
        ]
    )
    form = assertion_form(assertion(key, "ci-bot", ISSUER))
    once = {"grant_type": "client_credentials", **Made("ci-bot", plain, made.uid).form}
    for body in (form, once):
        statuses = at_once(8, lambda body=body: ask(make.app.test_client(), "token", body).status_code)  # type: ignore[misc]
        assert Counter(statuses) == {200: 1, 401: 7}


def test_changes_of_many_writers_reach_another_worker_without_a_gap(make: Factory, pg_settings: Settings) -> None:
    """Numbers of the feed appear in commit order: a reader never passes one that is committed later."""
    from idp import feed, runtime

    reader = create_app(pg_settings)
    with reader.app_context():
        memory = runtime.current().feed
        memory.confirm()
        names = [f"acme/app-{number}" for number in range(60)]
        for name in names:
            memory.cache("application").load(name, lambda: "known")

    def write(start: int) -> None:
        for number in range(start, 60, 6):
            with make.app.app_context():
                feed.publish("application", f"acme/app-{number}")
                commit()

    threads = [threading.Thread(target=write, args=(start,)) for start in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        memory.expire()
        memory.confirm()
    for thread in threads:
        thread.join()
    memory.expire()
    memory.confirm()
    assert [name for name in names if memory.cache("application").get(name)] == []
    close_app(reader)


def test_two_workers_and_an_outage(postgres: Any, tmp_path: Path, database_url: str) -> None:
    """Connections that are cut answer 503 or 200 and never 500; afterwards everything goes on without a restart."""
    server = Server(tmp_path / "served", settings={"IDP_DATABASE_URL": database_url, "IDP_WORKERS": "2"})
    server.start()
    try:
        application = server.create_application("pg-bot")
        assert {server.token(application).status for _ in range(10)} == {200}
        name = database_url.partition("?")[0].rpartition("/")[2]
        for _ in range(5):
            postgres.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}';")
            assert {server.token(application).status for _ in range(10)} <= {200, 503}
        wait_until(lambda: {server.token(application).status for _ in range(10)} == {200}, "the recovery")
        server.idp("applications", "disable", "--realm", "acme", "pg-bot")
        wait_until(lambda: {server.token(application).status for _ in range(10)} == {401}, "the refusal on both workers")
        assert send(f"{server.issuer()}/.well-known/openid-configuration").status == 200
    finally:
        server.stop()
    events = json.loads(
        server.idp("audit", "list", "--realm", "acme", "--tag", "client:token:issue", "--limit", "1000", "--json")
    )
    assert len(events) >= 10


def test_database_of_the_first_schema_is_upgraded(pg_settings: Settings) -> None:
    from idp import master_keys
    from tests.test_setup import check_upgraded_schema, make_first_schema

    setup.make_data_dir(pg_settings.data_dir)
    master_keys.create_master_key(pg_settings.master_key_file)
    app = create_app(pg_settings)
    with app.app_context():
        make_first_schema()
        setup.upgrade_schema()
        check_upgraded_schema()
    close_app(app)


def test_trail_is_cut_and_stays_whole_and_nothing_else_is_removed(make: Factory, frozen_clock: FrozenClock) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from idp import trail
    from tests.audit.test_retention import count, use

    with make.app.app_context():
        use()
        frozen_clock.advance(days=367)
        use()
        assert trail.cut_old_events() >= 3
        trail.seal_trail()
        assert count(Tag.TOKEN_ISSUE) == 3
        assert all(trail.verify_trail(name).problems == [] for name in trail.trail_names())
        for statement in ("DELETE FROM audit_event", "DELETE FROM audit_batch", "DELETE FROM audit_cut", "TRUNCATE audit_event"):
            with pytest.raises(SQLAlchemyError, match="append-only"):
                db.session.execute(text(statement))
            db.session.rollback()


@pytest.mark.parametrize("read", ["lend", "show"])
def test_what_is_read_in_several_statements_is_of_one_moment(make: Factory, read: str) -> None:
    old, new = [("token", "old")], [("token", "new")]

    def keep(realm: realms.Realm) -> str:
        return keysets.create_keyset(realm, "vcs", "github", keysets.KeysetSheet(name="repos"), old).uid

    def replace(realm: realms.Realm) -> None:
        keysets.replace_values(realm, keysets.find_keysets(realm, "repos")[0], new)

    make.do(keep)
    make.user(roles=("administrator",))
    client = make.app.test_client()
    header, replaced = session_of(client), threading.Event()

    def between(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "sealed_data_key" in statement and "FROM keyset \n" in statement and not replaced.is_set():
            replaced.set()
            thread = threading.Thread(target=make.do, args=(replace,))
            thread.start()
            thread.join()

    with make.app.app_context():
        engine = db.engine
        event.listen(engine, "after_cursor_execute", between)
        try:
            if read == "lend":
                realm = realms.known_realm(runtime.current(), "acme")
                assert realm is not None
                (known,) = known_keysets(realm, "repos")
                assert known.open(realm) == {"token": "old"}
            else:
                assert client.get("/v1/keysets/repos", headers=header).json["status"] == {"damaged": False}
        finally:
            event.remove(engine, "after_cursor_execute", between)
    assert replaced.is_set()
