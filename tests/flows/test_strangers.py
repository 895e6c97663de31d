"""What strangers do at the served program, and on a real PostgreSQL: it costs others nothing, and leaves little behind."""

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from idp import audit, runtime, users
from tests.factories import PASSWORD, Factory
from tests.flows.test_people import call, make_person
from tests.serving import Server, free_port, send, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "IDP_TRUSTED_PROXIES": "127.0.0.1",
        "IDP_MANAGEMENT_PORT": str(free_port()),
        "IDP_SIGN_IN_LIMIT_ADDRESS": "1000000",
        "IDP_RATE_FAILURES": "3",
    }
    server = Server(tmp_path_factory.mktemp("strangers"), settings=settings)
    server.start()
    yield server
    server.stop()


def from_address(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def test_connections_of_one_stranger_leave_room_for_others_to_sign_in(server: Server) -> None:
    make_person(server, "ann@example.test")
    right = {"emailId": "ann@example.test", "password": PASSWORD, "org": "acme"}
    stop = threading.Event()
    seen: Counter[int] = Counter()

    def flood(number: int) -> None:
        while not stop.is_set():
            body = {"emailId": f"x{number}@example.test", "password": "wrong one here", "org": "nowhere"}
            number += 24
            seen[call(server, "POST", "/v1/auth/authenticate", body, from_address("192.0.2.66")).status] += 1

    crowd = [threading.Thread(target=flood, args=(number,)) for number in range(24)]
    for each in crowd:
        each.start()
    try:
        wait_until(lambda: seen[503], "the first that finds no seat")
        answers = [call(server, "POST", "/v1/auth/authenticate", right, from_address("198.51.100.7")).status for _ in range(5)]
    finally:
        stop.set()
        for each in crowd:
            each.join()
    assert answers == [200] * 5

    def refused_for_want_of_seats() -> float:
        text = send(f"http://127.0.0.1:{server.settings['IDP_MANAGEMENT_PORT']}/metrics").body.decode()
        found = [line for line in text.splitlines() if line.startswith('realmgate_rate_limited_total{limit="sign-in-seats"}')]
        return float(found[0].rpartition(" ")[2]) if found else 0

    wait_until(lambda: refused_for_want_of_seats() >= seen[503], "the count")


def test_wrong_secrets_from_behind_the_same_address_refuse_no_right_one(server: Server) -> None:
    bot = server.create_application("behind-nat")
    wrong = bot | {"client_secret": "idp_cs_" + "0" * 57}
    assert [server.token(wrong).status for _ in range(6)] == [401] * 3 + [429] * 3
    assert server.token(bot).status == 200


def test_nonsense_from_many_addresses_is_a_handful_of_events(server: Server) -> None:
    path = "/v1/auth/exchange"
    for number in range(300):
        shown = from_address(f"2001:db8:7:7::{number + 1:x}") | {"apiKey": "nonsense"}
        assert call(server, "POST", path, headers=shown).status == 401
    database = sqlite3.connect(server.data_dir / "realmgate.db")

    def written() -> list[tuple[str, int]]:
        query = "SELECT address, detail FROM audit_event WHERE tag = 'client:api-key:refuse'"
        return [(address, json.loads(detail)["count"]) for address, detail in database.execute(query)]

    wait_until(lambda: sum(count for _, count in written()) == 300, "the events")
    assert {address for address, _ in written()} == {"2001:db8:7:7::/64"}
    assert len(written()) < 100, "one for each second that it took"
    database.close()


def test_failed_sign_ins_are_counted_and_recorded_on_postgresql(pg_make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.api.test_sign_in import count_hashes, tried

    count_hashes(monkeypatch)
    pg_make.user()
    for name in ("ann@example.test", "nobody@example.test"):
        statuses = [tried(pg_make.app, emailId=name, org=("acme", None)[number % 2]) for number in range(12)]
        assert statuses == [401] * 10 + [429] * 2, name
    assert tried(pg_make.app, "198.51.100.1", PASSWORD) == 200
    assert tried(pg_make.app, "198.51.100.1", PASSWORD, org=None) == 200

    def recorded() -> list[Any]:
        found = audit.list_events(tag="user:sign-in:refuse", limit=100)
        return sorted((event.realm, event.target, event.address, event.detail.get("count", 1)) for event in found)

    with pg_make.app.app_context():
        assert recorded() == [("acme", "user:ann@example.test", "192.0.2.1", 1)] * 10
        users.password_usage(runtime.current()).flush()
        assert recorded()[0] == ("", "user:(unknown)", "192.0.2.1", 10)
