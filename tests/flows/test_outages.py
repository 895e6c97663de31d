"""A PostgreSQL that turns read-only, goes away, has no connections left, or refuses us: what callers, probes and operators are told."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from idp import db as database
from idp import feed, patience, runtime, stuck
from idp.db import db, storage_errors
from idp.errors import StorageUnavailableError
from idp.keysets.group_commit import GroupCommit
from idp.outages import explain, is_unavailable
from idp.pool import BEHIND, FURTHER, BoundedPool, behind_others
from idp.server.front import WAIT_FOR_PLACE
from idp.settings import Settings
from idp.web import downloads
from tests.console.surfing import Surfer
from tests.factories import PASSWORD, Factory, ask_token, at_once, session_of
from tests.faults.surroundings import Wire
from tests.faults.surroundings import postgres as cluster
from tests.flows.test_people import call, make_person, session_token
from tests.serving import PATIENCE, PROJECT, Server, free_port, run_idp, send, wait_until


@contextlib.contextmanager
def read_only(postgres: Any) -> Iterator[None]:
    """Have the server take no writes, as a primary that was set aside in a fail-over."""
    postgres.psql("ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf();")
    try:
        yield
    finally:
        postgres.psql("ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf();")


@contextlib.contextmanager
def stuck_statements_ended() -> Iterator[None]:
    """End statements that get no answer, as each worker does, until the block ends."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            stuck.end_stuck_statements()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()


def turned(url: str, value: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SHOW default_transaction_read_only").fetchone() == (value,)


def is_ready(server: Server) -> bool:
    return send(f"{server.url}/health/ready").status == 200


def pids(url: str) -> set[int]:
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(url) as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        return {row[0] for row in connection.execute(query, [name])}


def test_primary_that_takes_no_writes_is_an_outage_and_passes_by_itself(postgres: Any, tmp_path: Path, database_url: str) -> None:
    server = Server(tmp_path / "served", settings={"IDP_DATABASE_URL": database_url, "IDP_WORKERS": "2"}).start()
    try:
        make_person(server, "ann@example.test", "--role", "administrator")
        application, body = server.create_application("bot"), {"emailId": "ann@example.test", "password": PASSWORD, "org": "acme"}

        def sign_in() -> Any:
            return call(server, "POST", "/v1/auth/authenticate", body)

        assert {sign_in().status for _ in range(8)} == {200}
        before = pids(database_url)
        with read_only(postgres):
            wait_until(lambda: turned(database_url, "on"), "the change of PostgreSQL's settings")
            wait_until(lambda: not is_ready(server), "the end of readiness")
            for _ in range(20):
                answer = sign_in()
                assert (answer.status, answer.json["code"], answer.headers["Retry-After"]) == (503, "Unavailable", "5")
                assert server.token(application).status in {200, 503}
                assert not is_ready(server)
            assert send(f"{server.url}/health/ready").json == {
                "status": "DOWN",
                "checks": {"database": "DOWN", "clock": "UP", "threads": "UP", "serving": "UP"},
            }
            assert send(f"{server.url}/health/live").status == 200
            refused = server.token(application)
            assert (refused.status, refused.json["error"]) == (503, "temporarily_unavailable")
        wait_until(lambda: all(is_ready(server) for _ in range(8)), "the recovery")
        assert {sign_in().status for _ in range(20)} == {200}
        assert {server.token(application).status for _ in range(20)} == {200}
        wait_until(lambda: sign_in().status == 200 and not pids(database_url) & before, "the end of the old connections")
    finally:
        server.stop()
    log = "".join(server.output)
    assert "it accepts no writes now" in log
    assert "unexpected error" not in log


def test_every_edge_says_503_and_when_to_come_back(postgres: Any, pg_make: Factory, database_url: str) -> None:
    pg_make.user(roles=("administrator",))
    made, client = pg_make.application(), pg_make.app.test_client(use_cookies=False)
    header, ann, pages = session_of(client), Surfer(pg_make.app).sign_in(), Surfer(pg_make.app)
    sign_in = pages.open("/console/sign-in").form("Sign in")
    origin = {"Origin": "http://127.0.0.1:8080"}
    typed = dict(sign_in.values) | {"organisation": "acme", "name": "ann@example.test", "password": PASSWORD}
    edges = {
        "api": lambda: client.post("/v1/auth/authenticate", json={"emailId": "ann@example.test", "password": PASSWORD}),
        "api, signed in": lambda: client.post("/v1/apiKeys", headers=header, json={}),
        "token": lambda: ask_token(client, made),
        "console": lambda: pages.client.post("/console/sign-in", data=typed, headers=origin),
        "console, signed in": lambda: ann.client.get("/console/realms/acme/applications"),
        "rafay": lambda: client.post("/auth/v1/login/", json={"username": "ann@example.test", "password": PASSWORD}),
        "runai": lambda: client.post("/api/v1/token", json={"grantType": "client_credentials", "clientId": "x"}),
        "gateway": lambda: client.get("/gateway/check/acme/reports"),
        "readiness": lambda: client.get("/health/ready"),
    }

    def look(kind: str) -> None:
        for name, ask in edges.items():
            for _ in range(2):  # with what was in memory, and without
                answer = ask()
                assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5"), (kind, name, answer.text)
                assert database_url not in answer.text
            expire(pg_make)

    with read_only(postgres):
        wait_until(lambda: turned(database_url, "on"), "the change of PostgreSQL's settings")
        expire(pg_make)
        look("read-only")
    with closed(postgres, database_url):
        expire(pg_make)
        look("away")
    wait_until(lambda: client.get("/health/ready").status_code == 200, "the recovery")
    assert ask_token(client, made).status_code == 200
    assert ann.open("/console/realms/acme/applications").status == 200


def expire(make: Factory) -> None:
    with make.app.app_context():
        runtime.current().feed.expire()


@contextlib.contextmanager
def closed(postgres: Any, database_url: str) -> Iterator[None]:
    """Have a database let nobody in, and those who are in thrown out."""
    name = database_url.partition("?")[0].rpartition("/")[2]
    postgres.psql(
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS false; "
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}';"
    )
    try:
        yield
    finally:
        postgres.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true;")


def test_only_what_passes_is_an_outage(postgres: Any, pg_make: Factory) -> None:
    passing = {
        "SET LOCAL statement_timeout = 1; SELECT pg_sleep(5)": "took too long",
        "SET TRANSACTION READ ONLY; UPDATE realm SET name = name": "no writes now",
        "SELECT pg_terminate_backend(pg_backend_pid())": "",
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$": "disk is full",
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$": "came first",
        "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '58030'; END $$": "its files",
    }
    lasting = ("SELECT * FROM nowhere", "SELECT 1 / 0", "nonsense", "INSERT INTO realm DEFAULT VALUES", "SELECT 'x'::int")
    lasting += ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '54001'; END $$", "DO $$ BEGIN RAISE EXCEPTION 'ours'; END $$")
    with pg_make.app.app_context():
        for statement in (*passing, *lasting):
            with pytest.raises(DBAPIError) as caught, db.engine.begin() as connection:
                connection.exec_driver_sql(statement)
            assert is_unavailable(caught.value) is (statement in passing), statement
            assert passing.get(statement, "") in explain(caught.value)
            assert caught.value.connection_invalidated is ("READ ONLY" in statement or "terminate" in statement), statement
        with db.engine.begin() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1, "and the next connection is a good one"


def test_statement_of_ours_that_is_wrong_stays_500(pg_make: Factory) -> None:
    pg_make.user(roles=("administrator",))
    client = pg_make.app.test_client(use_cookies=False)
    header = session_of(client)
    with pg_make.app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE api_key RENAME COLUMN name TO surname")
    answer = client.get("/v1/apiKeys", headers=header)
    assert (answer.status_code, answer.json["code"]) == (500, "InternalError")
    assert "Retry-After" not in answer.headers


def test_locked_table_is_not_ready_in_time_for_who_asks(pg_make: Factory) -> None:
    client = pg_make.app.test_client(use_cookies=False)
    assert client.get("/health/ready").status_code == 200
    with pg_make.app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE attempt_count IN EXCLUSIVE MODE")
        wait_until(lambda: client.get("/health/ready").status_code == 503, "the end of readiness")
    wait_until(lambda: client.get("/health/ready").status_code == 200, "the recovery")


@contextlib.contextmanager
def stopped(postgres: Any) -> Iterator[None]:
    """Have PostgreSQL accept everything and answer nothing: its processes are stopped, its machine is well."""
    first = psutil.Process(int((Path(postgres.pgdata) / "postmaster.pid").read_text().split()[0]))
    processes = [first, *first.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_database_that_accepts_and_does_not_answer(postgres: Any, tmp_path: Path, database_url: str) -> None:
    """Public documents come from memory, everything else is 503 after seconds, and all goes on by itself afterwards."""
    server = Server(tmp_path / "served", settings={"IDP_DATABASE_URL": database_url, "IDP_WORKERS": "2"}).start()
    application = server.create_application("bot")
    documents = [f"{server.issuer()}/.well-known/openid-configuration", server.endpoint("certs"), server.issuer()]

    def ask(what: int) -> tuple[int, float]:
        began = time.monotonic()
        answer = server.token(application) if what % 4 == 3 else send(documents[what % 4])
        return answer.status, time.monotonic() - began

    try:
        for what in range(40):  # so that both workers know all of it
            assert ask(what)[0] == 200
        with stopped(postgres):
            wait_until(lambda: server.token(application).status == 503, "the end of tokens")
            assert not is_ready(server), "and a probe takes nothing out of memory"
            answers: list[tuple[int, int, float]] = []
            threads = [threading.Thread(target=lambda what=what: answers.append((what, *ask(what)))) for what in range(60)]  # type: ignore[misc]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            assert len(answers) == 60
            assert {status for what, status, _ in answers if what % 4 != 3} == {200}, "key set, discovery, realm document"
            assert {status for what, status, _ in answers if what % 4 == 3} == {503}
            assert not is_ready(server)
        wait_until(lambda: {server.token(application).status for _ in range(10)} == {200}, "the recovery")
        wait_until(lambda: is_ready(server), "the return of readiness")
    finally:
        server.stop()
    assert "connections were cut" in "".join(server.output)


def test_all_waits_that_one_call_may_come_to_end_before_the_longest_call() -> None:
    """What a machine that is busy adds is its own; the limits themselves leave it something."""
    noticed = 2 * stuck.LOOK_EVERY  # a statement is seen one look after it has begun, and ended one look after its time
    assert database.WAIT_FOR_LOCK + stuck.LATER + noticed < patience.LONGEST_CALL, (
        "a statement; whoever waits for it tries no more"
    )
    assert max(feed.LONGEST_WAIT, feed.AWAY_AFTER) < patience.LONGEST_CALL, "a neighbour's question"
    for url, hosts in (("postgresql://a@one/x", 1), ("postgresql://a@one,two/x", 2)):
        options = database.engine_options(Settings(database_url=url))
        assert hosts * options["connect_args"]["connect_timeout"] < patience.LONGEST_CALL
        assert options["connect_args"]["tcp_user_timeout"] < 1000 * patience.LONGEST_CALL
        assert options["pool_timeout"] < patience.LONGEST_CALL
    assert WAIT_FOR_PLACE < patience.LONGEST_CALL, "after which what frees a place is a silent server, or an answer"


def test_silent_server_is_tried_by_one_at_a_time_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = [100.0]
    monkeypatch.setattr(stuck.time, "monotonic", lambda: passed[0])
    silence = stuck._Silence()

    def fail(seconds: float) -> None:
        with pytest.raises(ConnectionError), silence.connecting():
            passed[0] += seconds
            raise ConnectionError

    fail(0.1)
    silence.refuse()  # one that refuses is asked again at once
    fail(3.0)
    with pytest.raises(stuck.SilentServerError):
        silence.refuse()
    assert explain(stuck.SilentServerError("the server does not answer")) == "the server does not answer"
    passed[0] += stuck.REST
    with silence.connecting():  # which nobody else does meanwhile
        with pytest.raises(stuck.SilentServerError):
            silence.refuse()
        with pytest.raises(stuck.SilentServerError), silence.connecting():
            pass
    silence.refuse()


def test_memory_that_was_true_before_a_long_wait_in_vain_is_not_served(pg_make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    with pg_make.app.app_context():
        asked = runtime.current().feed
        asked.confirm_now()
        monkeypatch.setattr(feed, "CONFIRM_AFTER", 0.0)

        def wait_in_vain() -> None:
            asked._confirmed -= 5  # as long as it takes to learn that there is no answer
            raise StorageUnavailableError(cause="away")

        monkeypatch.setattr(asked, "_catch_up", wait_in_vain)
        with pytest.raises(StorageUnavailableError):
            asked.confirm()


@pytest.mark.parametrize("age", [feed.CONFIRM_AFTER, feed.CONFIRM_AT_LAST])
def test_request_that_may_wait_no_longer_leaves_the_feed_to_others(pg_make: Factory, age: float) -> None:
    with pg_make.app.app_context():
        asked = runtime.current().feed
        asked.confirm_now()
        asked._confirmed -= age
        with patience.answering():
            with patience.waiting():
                patience._patience.since -= 60  # as if it had waited for a minute
            with pytest.raises(patience.SlowDatabaseError):
                asked.confirm()
        asked.confirm()
        assert time.monotonic() - asked._confirmed < age


def test_statement_that_may_take_its_time_is_not_cut(pg_make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending many leases, and purging: these have told the server so, and the watch."""
    monkeypatch.setattr(stuck, "LATER", 0.1 - database.WAIT_FOR_LOCK)  # so that it would cut after a tenth of a second
    with pg_make.app.app_context():
        stuck.allow_seconds(db.session.connection(), 60)
        with stuck_statements_ended():
            db.session.execute(text("SELECT pg_sleep(0.6)"))
            db.session.commit()
            with pytest.raises(DBAPIError):
                db.session.execute(text("SELECT pg_sleep(30)"))  # what is allowed ends with its transaction
        db.session.rollback()


def test_request_waits_so_long_for_all_statements_together(pg_make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LONGEST_CALL", patience.MARGIN + 0.5)
    sleep = text("SELECT pg_sleep(0.3)")
    with pg_make.app.app_context():
        for _ in range(3):  # nobody waits for an answer
            db.session.execute(sleep)
        with patience.answering():
            db.session.execute(sleep)
            db.session.execute(sleep)
            with pytest.raises(StorageUnavailableError, match="database"), storage_errors():
                db.session.execute(text("SELECT 1"))
        db.session.rollback()
        with patience.answering():
            stuck.allow_seconds(db.session.connection(), 60)
            for _ in range(3):
                db.session.execute(sleep)
        db.session.rollback()


def test_wait_for_a_connection_that_others_use_does_not_count(pg_make: Factory) -> None:
    with pg_make.app.app_context(), patience.answering():
        before = patience.left()
        with patience.waiting():
            patience.forgive(60)
        assert patience.left() >= before
        with patience.waiting():
            patience._patience.since -= 60  # as if it had waited for the database itself
        with pytest.raises(patience.SlowDatabaseError):
            patience.left()


def test_statement_that_gets_no_answer_is_cut_soon_where_the_request_has_waited_before(
    pg_make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a connection, which is not the database's doing: what is then refused is a wait that adds to that one."""
    monkeypatch.setattr(patience, "SLIGHT", 60)  # so that statements count for nothing, however busy the machine is
    with pg_make.app.app_context(), patience.answering():
        with patience.waiting():
            patience.forgive(2)
        connection = db.session.connection()
        assert patience.left_for(connection.info) == patience.left() - 2
        with patience.waiting():
            patience.forgive(60)
        connection.execute(text("SELECT 1"))
        assert patience.left_for(connection.info) == patience.left_for_one() == patience.LEAST
        patience.lift()
        connection.execute(text("SELECT 1"))
        assert patience.left_for(connection.info) == float("inf")
        db.session.rollback()


@contextlib.contextmanager
def nearly_impatient() -> Iterator[None]:
    """Have this thread wait for no longer than a moment, as one that has waited for the database until now."""
    with patience.answering():
        with patience.waiting():
            patience._patience.since -= patience.left() - 0.1
        yield


def test_what_is_written_together_waits_for_nobody_longer_than_its_request_may() -> None:
    written: list[str] = []
    begun, may_end = threading.Event(), threading.Event()

    def write(entries: Sequence[str]) -> Sequence[str]:
        if "first" in entries:
            begun.set()
            may_end.wait(PATIENCE)
        written.extend(entries)
        return entries

    line = GroupCommit(write)
    first = threading.Thread(target=line.write, args=("first",))
    first.start()
    try:
        assert begun.wait(PATIENCE)
        with nearly_impatient(), pytest.raises(patience.SlowDatabaseError):
            line.write("second")
    finally:
        may_end.set()
        first.join()
    assert line.write("third") == "third"
    assert written == ["first", "third"], "who was told that it was not written may ask again"


def test_file_waits_for_those_of_others_no_longer_than_its_request_may(make: Factory, client: FlaskClient) -> None:
    make.user("lea@example.test", roles=("auditor",))
    auditor = session_of(client, "lea@example.test")
    with downloads._one_reads, nearly_impatient():
        refused = client.get("/v1/accessReview?format=csv", headers=auditor)
    assert (refused.status_code, bool(refused.headers.get("Retry-After"))) == (503, True)
    assert client.get("/v1/accessReview?format=csv", headers=auditor).status_code == 200


def test_chores_leave_most_connections_to_requests() -> None:
    size = BEHIND + FURTHER + 1
    engine = create_engine("sqlite://", poolclass=BoundedPool, pool_size=size, max_overflow=0, pool_timeout=0.05)
    over, begun = threading.Event(), threading.Barrier(BEHIND + 1)

    def chore() -> None:
        with behind_others(), engine.connect():
            begun.wait(PATIENCE)
            over.wait(PATIENCE)

    chores = [threading.Thread(target=chore) for _ in range(BEHIND)]
    for each in chores:
        each.start()
    try:
        begun.wait(PATIENCE)
        with pytest.raises(PoolTimeoutError), behind_others():
            engine.connect()
        assert isinstance(engine.pool, BoundedPool)
        assert engine.pool.counts.timeouts == 0, "which an alert goes by: it hurts nobody"
        with engine.connect():  # a request has room
            pass
    finally:
        over.set()
        for each in chores:
            each.join()
    with behind_others(), engine.connect(), engine.connect():  # as has a chore, when others are over
        pass


def test_statement_is_cut_when_the_request_has_waited_for_as_long_as_it_may(
    pg_make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LONGEST_CALL", patience.MARGIN + 0.5)
    monkeypatch.setattr(database, "WAIT_FOR_LOCK", 600)
    with pg_make.app.app_context():
        with stuck_statements_ended(), patience.answering(), pytest.raises(DBAPIError) as cut:
            db.session.execute(text("SELECT pg_sleep(3)"))
        assert cut.value.connection_invalidated, "and not ended by the server's own limit"
        db.session.rollback()


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_end_of_a_transaction_waits_no_longer_than_the_request_may(
    pg_make: Factory, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """It may have waited for another connection meanwhile: what is remembered is read on one of its own."""
    monkeypatch.setattr(patience, "LONGEST_CALL", 600)
    with pg_make.app.app_context(), stuck_statements_ended(), patience.answering():
        for watch in stuck._watches:
            monkeypatch.setattr(watch, "_seconds", 600)
        backend = psutil.Process(db.session.execute(text("SELECT pg_backend_pid()")).scalar_one())
        with patience.waiting():
            patience._patience.since -= 600  # as if it had waited for as long as it may
        backend.suspend()
        answering_again = threading.Timer(PATIENCE / 2, backend.resume)
        answering_again.start()
        try:
            with pytest.raises(DBAPIError) as cut:
                getattr(db.session, end)()
            assert cut.value.connection_invalidated
        finally:
            answering_again.cancel()
            backend.resume()
            db.session.remove()


def test_what_the_end_of_a_transaction_takes_counts(pg_make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    with pg_make.app.app_context(), patience.answering():
        passed, dialect = 0.0, db.engine.dialect

        def slowly(end: Callable[[Any], None], connection: Any) -> None:
            nonlocal passed
            passed += 1.0
            end(connection)

        monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: passed))
        for name in ("do_commit", "do_rollback"):
            monkeypatch.setattr(dialect, name, partial(slowly, getattr(dialect, name)))
        before = patience.left()
        for end in (db.session.commit, db.session.rollback):
            db.session.execute(text("SELECT 1"))
            end()
        assert before - patience.left() == passed > 1.0


def test_database_that_is_slow_keeps_nobody_waiting_for_long(tmp_path: Path) -> None:
    """Each statement is answered in time; a call that has a dozen of them would be so after half a minute."""
    with cluster() as make:
        database = make().create()
        wire = Wire(database.port)
        url = database.url().replace(str(database.port), str(wire.port))
        server = Server(tmp_path / "served", settings={"IDP_DATABASE_URL": url, "IDP_WORKERS": "1"}).start()
        try:
            application = server.create_application("bot")
            assert server.token(application).status == 200
            wire.delay(0.6)
            body = json.dumps({"emailId": "a@b.example", "password": "x", "org": "acme"}).encode()
            began = time.monotonic()
            answer = send(f"{server.url}/v1/auth/authenticate", body, {"Content-Type": "application/json"})
            assert (answer.status, bool(answer.headers.get("Retry-After"))) == (503, True)
            assert time.monotonic() - began < 15
            wire.delay(0)
            wait_until(lambda: server.token(application).status == 200, "the recovery")
        finally:
            server.stop()
            wire.close()


def test_probes_write_once_a_second_and_one_row(pg_make: Factory) -> None:
    client = pg_make.app.test_client(use_cookies=False)
    at_once(6, lambda: [pg_make.app.test_client().get("/health/ready").status_code for _ in range(30)])
    assert client.get("/health/ready").status_code == 200
    with pg_make.app.app_context():
        rows = db.session.execute(text("SELECT key, count FROM attempt_count")).all()
    assert [row.key for row in rows] == ["proof"]
    assert rows[0].count < 30


# connections


@pytest.mark.parametrize("workers", ["2", "3"])
def test_connections_of_all_workers_have_a_bound_and_calls_wait_for_one(
    postgres: Any, tmp_path: Path, database_url: str, workers: str
) -> None:
    name = database_url.partition("?")[0].rpartition("/")[2]
    postgres.psql(f"CREATE ROLE few_{name} LOGIN CONNECTION LIMIT 40; ALTER DATABASE {name} OWNER TO few_{name};")
    url = database_url.replace("postgres:", f"few_{name}:", 1)
    server = Server(tmp_path / "served", settings={"IDP_DATABASE_URL": url, "IDP_WORKERS": workers}).start()
    try:
        make_person(server, "ann@example.test", "--role", "administrator")
        header = {"Authorization": session_token(server, "ann@example.test")}
        paths = ("/v1/users", "/v1/roles", "/v1/apiKeys", "/v1/sessions", "/v1/audit/events")
        statuses = at_once(40, lambda: [call(server, "GET", paths[n % 5], headers=header).status for n in range(15)])
        assert {status for each in statuses for status in each} == {200}
        made = at_once(40, lambda: call(server, "POST", "/v1/projects", project(), header).status)
        assert set(made) == {201}
        assert len(pids(database_url)) <= 10 * int(workers)
    finally:
        server.stop()


def project() -> Any:
    import uuid

    return {"metadata": {"name": f"p-{uuid.uuid4()}"}, "spec": {}}


def test_threads_that_need_two_connections_do_not_wait_for_each_other(pg_settings: Any, pg_make: Factory) -> None:
    """As requests that change something do, whose caller is not in memory yet."""
    from idp.app import close_app, create_app
    from idp.db import reading

    app = create_app(pg_settings.model_copy(update={"database_connections": 5}))

    def work() -> None:
        with app.app_context():
            db.session.execute(text("SELECT pg_sleep(0.02)"))
            with reading() as outer:
                outer.execute(text("SELECT pg_sleep(0.02)"))
                with reading() as inner:
                    inner.execute(text("SELECT 1"))
            db.session.rollback()

    at_once(16, work)
    close_app(app)


def test_call_that_gets_no_connection_is_503_after_a_while(pg_settings: Any, pg_make: Factory, monkeypatch: Any) -> None:
    from idp.app import close_app, create_app

    monkeypatch.setattr("idp.db.WAIT_FOR_CONNECTION", 1)
    app = create_app(pg_settings.model_copy(update={"database_connections": 5}))
    pg_make.user()
    with contextlib.ExitStack() as stack, app.app_context():
        header = session_of(app.test_client())
        for _ in range(4):
            stack.enter_context(db.engine.connect())
        (answer,) = at_once(1, lambda: app.test_client().get("/v1/sessions", headers=header))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert app.test_client().get("/v1/sessions", headers=header).status_code == 200
    close_app(app)


# what operators are told


def run(tmp_path: Path, url: str, *command: str) -> str:
    import os

    environment = {"PATH": os.environ["PATH"], "IDP_DATABASE_URL": url, "IDP_DATA_DIR": str(tmp_path / "data")}
    environment |= {"IDP_REALMS_DIR": str(PROJECT / "realms"), "IDP_PORT": str(free_port())}
    done = run_idp(*command, environment=environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def roles(postgres: Any) -> None:
    """Roles that PostgreSQL refuses for different reasons."""
    pg_hba = Path(postgres.pgdata) / "pg_hba.conf"
    lines = pg_hba.read_text()
    if "guarded" not in lines:
        pg_hba.write_text(f"local all guarded scram-sha-256\nlocal all nobody_else reject\n{lines}")
        postgres.psql(
            "CREATE ROLE guarded LOGIN PASSWORD 'right'; CREATE ROLE full LOGIN CONNECTION LIMIT 0; CREATE ROLE weak LOGIN; "
            "CREATE ROLE nobody_else LOGIN; SELECT pg_reload_conf();"
        )


def test_start_says_why_the_database_cannot_be_used(postgres: Any, tmp_path: Path, database_url: str, roles: None) -> None:
    as_role = {name: database_url.replace("postgres:", f"{name}:S3cretPw", 1) for name in ("guarded", "full", "weak", "nobody")}
    causes = {
        f"postgresql://ann:S3cretPw@127.0.0.1:{free_port()}/x": "nothing is listening there (connection refused)",
        "postgresql://ann:S3cretPw@nowhere.invalid/x": "its host name is not known",
        f"postgresql://ann:S3cretPw@/x?host={tmp_path}": "its socket does not exist",
        database_url.replace("/test_", "/S3cretPw_"): "it has no database with that name",
        as_role["guarded"]: "the user name or the password is wrong",
        as_role["nobody"]: "the user name or the password is wrong",
        as_role["full"]: "it has no connection left for us",
        as_role["weak"]: "the user is not allowed to do that there (permission denied)",
        database_url + "&sslmode=nonsense": "invalid sslmode value",
    }
    for url, cause in causes.items():
        said = run(tmp_path, url, "setup")
        assert f"The database cannot be used: {cause}" in said, said
        assert "S3cretPw" not in said
        assert said.count("\n") == 1
    for command, url in zip((("serve",), ("realms", "list"), ("doctor",)), causes, strict=False):
        said = run(tmp_path, url, *command)
        assert f"The database cannot be used: {causes[url]}" in said, said
        assert "S3cretPw" not in said


def test_start_on_a_server_that_takes_no_writes_says_so(postgres: Any, tmp_path: Path, database_url: str) -> None:
    with read_only(postgres):
        wait_until(lambda: turned(database_url, "on"), "the change of PostgreSQL's settings")
        assert "The database cannot be used: it accepts no writes now" in run(tmp_path, database_url, "setup")


def test_cause_is_in_the_log_of_a_running_server_and_not_in_its_answers(postgres: Any, tmp_path: Path, database_url: str) -> None:
    server = Server(tmp_path / "served", settings={"IDP_DATABASE_URL": database_url}).start()
    try:
        application = server.create_application("bot")
        with closed(postgres, database_url):
            wait_until(lambda: server.token(application).status == 503, "the outage")
            told = server.token(application).body.decode()
            wait_until(
                lambda: any("that database accepts no connections" in line for line in server.output), "the line in the log"
            )
        assert "nobody" not in told
    finally:
        server.stop()
    for line in server.output:
        if "that database accepts no connections" in line:
            assert json.loads(line)["level"] == "warning"


def test_neighbours_of_a_question_without_an_answer_do_not_ask_again(pg_make: Factory, monkeypatch: Any) -> None:
    """Else each of many threads would wait its own five seconds for a server that is cut off, one after the other."""
    import sys
    import threading

    with pg_make.app.app_context():
        feed = runtime.current().feed
    feed.expire()
    asked, away = [], threading.Event()

    def wait_in_vain() -> None:
        asked.append(1)
        away.wait(PATIENCE)
        raise StorageUnavailableError(cause="away")

    monkeypatch.setattr(feed, "_catch_up", wait_in_vain)
    refused: list[str] = []

    def confirm() -> None:
        with pytest.raises(StorageUnavailableError) as caught:
            feed.confirm()
        refused.append(caught.value.cause)

    threads = [threading.Thread(target=confirm) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: asked, "the question")

    def wait_for_the_lock() -> bool:
        frames = sys._current_frames()
        at = [frames[thread.ident] for thread in threads if thread.ident in frames]
        return sum(frame.f_code.co_name == "_wait_for_turn" for frame in at) == 7

    wait_until(wait_for_the_lock, "the others to come to the lock")
    away.wait(0.3)  # from reading the clock to the lock
    away.set()
    for thread in threads:
        thread.join()
    assert refused == ["away"] * 8
    assert len(asked) == 1


def test_nothing_is_read_from_a_server_that_was_found_to_be_set_aside(postgres: Any, pg_make: Factory, database_url: str) -> None:
    """What a pooled connection reads there may be old for ever, and would stay in memory once the new primary confirms that."""
    from idp.db import reading

    def pid() -> int:
        with reading() as session:
            found: int = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
            return found

    with pg_make.app.app_context():
        db.session.remove()
        db.engine.dispose()
        feed = runtime.current().feed
        feed.expire()
        feed.confirm()
        before = pid()
        feed.cache("realm").load("acme", lambda: "known")
        feed.expire()
        feed.confirm()
        assert (pid(), feed.cache("realm").get("acme")) == (before, "known")
        with read_only(postgres):
            wait_until(lambda: turned(database_url, "on"), "the change of PostgreSQL's settings")
            feed.expire()
            with pytest.raises(StorageUnavailableError):
                feed.confirm()
            assert pid() != before
        wait_until(lambda: turned(database_url, "off"), "the change of PostgreSQL's settings")
        feed.expire()
        feed.confirm()
        assert feed.cache("realm").get("acme") is None, "it may be another server: all is read anew"


def test_answer_stands_when_the_connection_is_lost_after_it_was_decided(pg_make: Factory, database_url: str) -> None:
    """The end of a request gives the connection back with a ROLLBACK, which may be the first that a lost connection is noticed by."""
    app = pg_make.app

    @app.before_request
    def read_and_be_cut() -> None:
        db.session.execute(text("SELECT 1"))
        own = db.session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [own])

    assert app.test_client().get("/health/live").status_code == 200
    app.before_request_funcs[None].remove(read_and_be_cut)
    assert ask_token(app.test_client(), pg_make.application()).status_code == 200
