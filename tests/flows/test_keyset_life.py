"""Keysets under concurrency and `kill -9`: the served program with two workers, on SQLite and on PostgreSQL."""

import http.client
import json
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from idp import access, applications, audit, keysets
from idp.access import Grant
from idp.app import close_app, create_app
from idp.db import db
from idp.keysets import Keyset, KeysetKey, KeysetVersion, Lease
from idp.settings import Settings
from tests import forking
from tests.factories import Factory, Made
from tests.flows.test_people import call
from tests.keysets.lending import borrower, wish
from tests.serving import Answer, Server, send, wait_until

Header = dict[str, str]


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    settings = {"IDP_WORKERS": "2", "IDP_LEASES_PER_APPLICATION": "100000"}
    if request.param == "postgresql":
        settings["IDP_DATABASE_URL"] = request.getfixturevalue("database_url")
    server = Server(tmp_path / "data", settings=settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def make(server: Server) -> Iterator[Factory]:
    database = server.settings.get("IDP_DATABASE_URL")
    more = {"database_url": database} if database else {}
    app = create_app(Settings.load(data_dir=server.data_dir, public_url=server.url, **more))
    yield Factory(app)
    close_app(app)


@pytest.fixture
def admin(server: Server, make: Factory) -> Header:
    return header_of(server, make.application("admin", roles=("administrator",)))


@pytest.fixture
def deployer(make: Factory) -> Made:
    return borrower(make)


@pytest.fixture
def bot(server: Server, deployer: Made) -> Header:
    return header_of(server, deployer)


def header_of(server: Server, made: Made) -> Header:
    form = {"grant_type": "client_credentials", **made.form}
    token = wait_until(lambda: send(server.endpoint("token"), form).json.get("access_token"), "a token")
    return {"Authorization": f"Bearer {token}"}


def values(number: int) -> list[dict[str, str]]:
    """Return values that say which version they are, and belong to each other."""
    return [{"type": "pub", "value": f"id {number}"}, {"type": "pvt", "value": f"secret {number}"}]


def lease(server: Server, header: Header, keyset: str = "prod aws") -> Answer:
    return call(server, "POST", "/v1/leases", {"spec": {"keyset": keyset, "reason": "test"}}, header)


def in_threads(count: int, act: Callable[[int], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=act, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_a_lease_holds_the_values_of_the_version_that_it_names(server: Server, make: Factory, admin: Header, bot: Header) -> None:
    made = call(server, "POST", "/v1/keysets", wish(keys=values(1), projects=["vision"]), admin)
    uid, stop = made.json["uid"], threading.Event()
    seen: list[tuple[int, dict[str, str]]] = []
    statuses: Counter[int] = Counter()

    def borrow(_: int) -> None:
        while not stop.is_set():
            answer = lease(server, bot, uid)
            statuses[answer.status] += 1
            if answer.status == 201:
                seen.append((answer.json["version"], answer.json["values"]))

    threads = in_threads(4, borrow)
    for number in range(2, 12):
        wait_until(lambda number=number: number - 1 in {each for each, _ in seen}, "a lease of the version before")
        answer = call(server, "POST", f"/v1/keysets/{uid}/versions", {"spec": {"keys": values(number)}}, admin)
        assert (answer.status, answer.json["version"]) == (201, number)
        after = lease(server, bot, uid)
        assert after.json["version"] >= number, "what was answered counts for whoever asks next, on every worker"
    wait_until(lambda: 11 in {each for each, _ in seen}, "a lease of the last version")
    stop.set()
    for thread in threads:
        thread.join()
    assert statuses.keys() == {201}, statuses
    assert {number for number, _ in seen} == set(range(1, 12))
    for number, given in seen:
        assert given == {"pub": f"id {number}", "pvt": f"secret {number}"}
    stored = make.do(lambda _: db.session.scalar(select(func.count()).select_from(Lease)))
    recorded = make.do(lambda _: len(audit.list_events("acme", tag="client:lease:take", limit=100_000)))
    assert stored == recorded == len(seen) + 10


def test_no_lease_outlives_what_it_hangs_on(server: Server, make: Factory, admin: Header, deployer: Made, bot: Header) -> None:
    call(server, "POST", "/v1/keysets", wish(keys=values(1), projects=["vision"]), admin)
    uid = call(server, "GET", "/v1/keysets/prod%20aws", None, admin).json["metadata"]["uid"]
    stop = threading.Event()
    statuses: Counter[int] = Counter()

    def borrow(_: int) -> None:
        while not stop.is_set():
            statuses[lease(server, bot, uid).status] += 1

    def live() -> int:
        number: int = make.do(keysets.count_live)
        return number

    def grant_uid() -> str:
        query = select(Grant.uid).where(Grant.holder_name == "deployer")
        found: str = make.do(lambda _: db.session.scalar(query))
        return found

    project = make.do(lambda realm: access.get_project(realm, "vision").uid)
    role = {"holder": {"kind": "application", "uid": deployer.uid}, "role": "lender", "projectUid": project}
    threads = in_threads(4, borrow)
    for round_ in range(6):
        wait_until(live, "leases")
        before = statuses[201]
        wait_until(lambda before=before: statuses[201] > before + 3, "more leases")
        if round_ % 2:
            off = call(server, "PATCH", f"/v1/applications/{deployer.uid}", {"spec": {"enabled": False}}, admin)
            assert off.status == 204, off.body
        else:
            assert call(server, "DELETE", f"/v1/grants/{grant_uid()}", None, admin).status == 204
        # from the answer on, not from a second later
        assert live() == 0
        assert live() == 0, "and nothing that was under way came after it"
        assert {lease(server, bot, uid).status for _ in range(6)} <= {401, 403, 404}
        assert live() == 0
        if round_ % 2:
            on = call(server, "PATCH", f"/v1/applications/{deployer.uid}", {"spec": {"enabled": True}}, admin)
            assert on.status == 204, on.body
        else:
            given = call(server, "POST", "/v1/grants", {"spec": role}, admin)
            assert given.status == 201, given.body
    wait_until(live, "leases")
    assert call(server, "DELETE", f"/v1/keysets/{uid}", None, admin).status == 204
    assert live() == 0
    stop.set()
    for thread in threads:
        thread.join()
    assert live() == 0
    assert 500 not in statuses, statuses


def test_six_at_once_make_one_and_two_replacements_make_two_versions(server: Server, admin: Header) -> None:
    for round_ in range(5):
        statuses: list[int] = []
        body = wish(f"set {round_}")

        def create(_: int, body: Any = body, statuses: list[int] = statuses) -> None:
            statuses.append(call(server, "POST", "/v1/keysets", body, admin).status)

        for thread in in_threads(6, create):
            thread.join()
        assert sorted(statuses) == [201, 409, 409, 409, 409, 409]
    versions: list[int] = []

    def replace(number: int) -> None:
        answer = call(server, "POST", "/v1/keysets/set%200/versions", {"spec": {"keys": values(number)}}, admin)
        versions.append(answer.json["version"])

    for thread in in_threads(6, replace):
        thread.join()
    assert sorted(versions) == [2, 3, 4, 5, 6, 7]
    assert call(server, "GET", "/v1/keysets/set%200", None, admin).json["status"] == {"damaged": False}


@pytest.mark.spec("R123")
def test_kill_leaves_keysets_whole_or_not_there(server: Server, make: Factory, admin: Header, bot: Header) -> None:
    stop = threading.Event()
    made: list[str] = []
    replaced: dict[str, int] = {}
    lent: list[str] = []

    def work(part: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            name = f"k{part}-{number}"
            try:
                body = wish(name, keys=values(1), projects=["vision"])
                if call(server, "POST", "/v1/keysets", body, admin).status != 201:
                    continue
                made.append(name)
                answer = call(server, "POST", f"/v1/keysets/{name}/versions", {"spec": {"keys": values(2)}}, admin)
                if answer.status == 201:
                    replaced[name] = answer.json["version"]
                answer = lease(server, bot, name)
                if answer.status == 201:
                    lent.append(answer.json["uid"])
            except (OSError, http.client.HTTPException, ValueError):  # the server was killed in the middle of its answer
                stop.wait(0.05)

    threads = in_threads(3, work)
    for round_ in range(4):
        wait_until(lambda goal=(round_ + 1) * 6: len(made) >= goal, "keysets")
        server.kill()
        server.start()
    stop.set()
    for thread in threads:
        thread.join()

    there, versions, created, leases, taken = make.do(whole_keysets)
    assert there == created, "what was made is in the trail, and nothing else is"
    assert set(made) <= there, "and what was answered is there"
    assert all(versions[name] >= version for name, version in replaced.items())
    assert leases == taken
    assert set(lent) <= leases


def whole_keysets(realm: Any) -> tuple[set[str], dict[str, int], set[str], set[str], set[str]]:
    """Return the names of all keysets, their versions, those in the trail, all leases, and those in the trail."""
    rows = db.session.scalars(select(Keyset)).all()
    for row in rows:
        assert not keysets.is_damaged(realm, row), row.name
        assert [key.key_type for key in row.keys] == ["pub", "pvt"]
    numbers = db.session.execute(
        select(KeysetVersion.keyset_id, func.max(KeysetVersion.number)).group_by(KeysetVersion.keyset_id)
    )
    assert {row[0]: row[1] for row in numbers.all()} == {row.id: row.version for row in rows}
    assert db.session.scalar(select(func.count()).select_from(KeysetKey)) == 2 * len(rows)
    created = {event.target.partition(":")[2] for event in audit.list_events("acme", tag="admin:keyset:create", limit=10_000)}
    taken = {event.detail["uid"] for event in audit.list_events("acme", tag="client:lease:take", limit=10_000)}
    leases = set(db.session.scalars(select(Lease.uid)).all())
    return {row.name for row in rows}, {row.name: row.version for row in rows}, created, leases, taken


def test_kill_in_a_rotation_loses_nothing_and_the_next_one_goes_on(
    server: Server, make: Factory, admin: Header, bot: Header
) -> None:
    from tests.bench.keysets import add_keysets

    with make.app.app_context():
        from idp import runtime

        settings = runtime.current().settings
    call(server, "POST", "/v1/keysets", wish(keys=values(1), projects=["vision"]), admin)
    add_keysets(settings, 4_000)
    stop = threading.Event()
    statuses: Counter[int] = Counter()

    def borrow(_: int) -> None:
        while not stop.is_set():
            statuses[lease(server, bot).status] += 1

    threads = in_threads(2, borrow)
    for pause in (0.05, 0.15, 0.3, 0.6):
        process = forking.start(["master-key", "rotate"], server.environment)
        try:
            process.wait(pause)  # anywhere: before the new key, in the middle, after it
        except subprocess.TimeoutExpired:
            process.kill()
        process.finish()
    output = json.loads(server.idp("master-key", "rotate", "--json"))
    assert output["damaged"] == []
    keys = json.loads(server.idp("master-key", "list", "--json"))
    for key in keys:
        if not key["current"]:
            assert key["values"] == 0
            server.idp("master-key", "retire", key["id"])
    assert "Keysets checked: 4001. None is damaged." in server.idp("keysets", "check")
    before = statuses[201]
    wait_until(lambda: statuses[201] > before + 5, "leases by servers that run since before it all")
    stop.set()
    for thread in threads:
        thread.join()
    assert statuses.keys() == {201}, statuses
    server.stop()
    server.start()
    assert lease(server, bot).status == 201


def test_no_lease_outlives_a_keyset_that_the_command_line_deletes(
    server: Server, make: Factory, admin: Header, bot: Header
) -> None:
    for round_ in range(3):
        uid = call(server, "POST", "/v1/keysets", wish(f"set {round_}", keys=values(1), projects=["vision"]), admin).json["uid"]
        stop = threading.Event()

        def borrow(_: int, uid: str = uid, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                lease(server, bot, uid)

        threads = in_threads(4, borrow)
        wait_until(lambda: make.do(keysets.count_live), "leases")
        server.idp("keysets", "delete", "--realm", "acme", "--yes", uid)
        assert make.do(keysets.count_live) == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert make.do(keysets.count_live) == 0


def test_a_new_realm_role_weakened_by_the_command_line_ends_leases(
    server: Server, make: Factory, admin: Header, bot: Header
) -> None:
    call(server, "POST", "/v1/keysets", wish(keys=values(1), projects=["vision"]), admin)
    assert lease(server, bot).status == 201
    make.do(lambda realm: access.set_permissions(realm, "lender", ["keysets:read"]))
    assert make.do(keysets.count_live) == 0
    make.do(lambda realm: access.set_permissions(realm, "lender", ["keysets:lease"]))
    wait_until(lambda: lease(server, bot).status == 201, "a lease")
    server.idp("grants", "remove", "--realm", "acme", "--project", "vision", "deployer", "lender")
    assert make.do(keysets.count_live) == 0
    assert make.do(lambda realm: applications.get_application(realm, "deployer").enabled)
