"""What is gathered in memory: refusals that anybody can cause, and uses while nothing can be written. Both are bounded."""

import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import apikeys, audit, crypto, networks, runtime, tokens, users
from idp.app import close_app, create_app
from idp.audit import Gathering, Refusal, Refusals, Tag
from idp.audit.gathering import BY_REALM, BY_WIDE_NETWORK
from idp.errors import StorageUnavailableError
from idp.settings import Settings
from tests.compat.test_ionos import basic
from tests.factories import PASSWORD, Factory, ask, sign_in

MOST = BY_REALM + 1
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


def flush() -> None:
    process = runtime.current()
    for gathered in (tokens.usage(process), apikeys.key_usage(process), users.password_usage(process)):
        gathered.flush()


def refusals(tag: str) -> list[Any]:
    return [event for event in audit.list_events(tag=tag, limit=5_000) if event.outcome == "refused"]


def total(events: list[Any]) -> int:
    return sum(event.detail["count"] for event in events)


def with_unknown_key(client: FlaskClient, address: str) -> None:
    client.post("/v1/auth/exchange", headers={"apiKey": "nonsense"}, environ_base={"REMOTE_ADDR": address})


def with_exchange(client: FlaskClient, address: str) -> None:
    form = {
        "grant_type": EXCHANGE,
        "subject_token": "nonsense",
        "subject_token_type": "urn:realmgate:params:oauth:token-type:api-key",
    }
    ask(client, "token", form, environ_base={"REMOTE_ADDR": address})


def with_wrong_secret(client: FlaskClient, address: str) -> None:
    form = {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "wrong"}
    ask(client, "token", form, environ_base={"REMOTE_ADDR": address})


def with_unknown_name(client: FlaskClient, address: str) -> None:
    body = {"emailId": f"{address}@example.test", "password": "wrong one", "org": "acme"}
    client.post("/v1/auth/authenticate", json=body, environ_base={"REMOTE_ADDR": address})


WAYS = [
    (with_unknown_key, "client:api-key:refuse"),
    (with_exchange, "client:api-key:refuse"),
    (with_wrong_secret, "client:token:refuse"),
    (with_unknown_name, "user:sign-in:refuse"),
]


@pytest.mark.parametrize(("fail", "tag"), WAYS)
def test_refusals_of_one_network_are_one_event_and_those_of_many_are_bounded(
    client: FlaskClient, context: Flask, monkeypatch: pytest.MonkeyPatch, fail: Callable[[FlaskClient, str], None], tag: str
) -> None:
    from tests.api.test_sign_in import count_hashes

    count_hashes(monkeypatch)
    for number in range(30):
        fail(client, f"2001:db8:1:1::{number:x}")
    flush()
    (event,) = refusals(tag)
    assert (event.address, event.detail["count"]) == ("2001:db8:1:1::/64", 30)
    monkeypatch.setattr("idp.audit.gathering.BY_NETWORK", 10)
    monkeypatch.setattr("idp.audit.gathering.BY_WIDE_NETWORK", 15)
    for number in range(40):
        fail(client, f"2001:db8:{number % 2}:{number:x}::1")
    flush()
    written = refusals(tag)[:-1]
    assert len(written) <= 16
    assert total(written) == 40
    assert {"2001:db8::/48", "2001:db8:1::/48"} <= {each.address for each in written}


def test_refusals_of_known_keys_and_applications_are_bounded_too(client: FlaskClient, make: Factory, context: Flask) -> None:
    make.user()
    key, bot = make.key(addresses=["192.0.2.1/32"]), make.application()
    for number in range(MOST + 50):
        address = f"2001:db8:{number:x}::1"
        client.get("/v1/users/info", headers=key.header, environ_base={"REMOTE_ADDR": address})
        form = {"grant_type": "client_credentials", "client_id": bot.client_id, "client_secret": "wrong"}
        ask(client, "token", form, environ_base={"REMOTE_ADDR": address})
    flush()
    for tag in ("client:api-key:refuse", "client:token:refuse"):
        written = refusals(tag)
        assert len(written) <= MOST
        assert total(written) == MOST + 50
        assert written[0].realm == "acme"


def test_refusals_are_told_apart_by_network_then_by_wide_network_then_by_realm(context: Flask) -> None:
    gathered = Refusals()
    for number in range(100_000):
        address = f"2001:db8:{number % 500:x}:{number:x}::1" if number < 50_000 else f"10.{number % 250}.{number // 250 % 250}.1"
        gathered.add(Refusal(Tag.TOKEN_REFUSE, f"realm-{number % 300}", "application:bot", "secret", address))
    with gathered.written() as refused:
        events = audit.refusal_events(refused)
    assert len(events) <= MOST
    assert total_of(events) == 100_000
    kinds = {"/64": 0, "/48": 0, "": 0}
    for event in events:
        kinds[event["address"][-3:] if "/" in event["address"] else event["address"]] += 1
    assert kinds["/64"] == 200
    assert kinds["/64"] + kinds["/48"] == BY_WIDE_NETWORK
    (rest,) = (event for event in events if not event["realm"])
    assert (rest["target"], rest["detail"]["reason"]) == ("application:(unknown)", "other refusals")


def total_of(events: list[dict[str, Any]]) -> int:
    return sum(event["detail"]["count"] for event in events)


def test_networks_stay_what_they_are() -> None:
    for address, network, wide in (
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:2::/64", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1::/48", "2001:db8:1::/48", "2001:db8:1::/48"),
        ("local", "local", "local"),
        ("", "", ""),
        ("2001:db8::/nonsense", "2001:db8::/nonsense", "2001:db8::/nonsense"),
    ):
        assert (networks.network_of(address), networks.wide_network_of(address)) == (network, wide)


def test_what_could_not_be_written_comes_with_what_came_since(context: Flask) -> None:
    gathered: Gathering[str] = Gathering(2)
    for kind in ("a", "b", "b", "c"):
        gathered.add(kind)
    with pytest.raises(OSError, match="full"), gathered.written():
        gathered.add("d")
        raise OSError("full")
    gathered.add("a")
    with gathered.written() as written:
        assert {kind: tally.count for kind, tally in written.tallies.items()} == {"a": 2, "b": 2}
        assert written.lost == 2
    with gathered.written() as written:
        assert (written.tallies, written.lost) == ({}, 0)


@pytest.fixture
def stuck(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server, and what keeps it from writing until it is closed."""
    monkeypatch.setattr("idp.db.WAIT_FOR_LOCK", 0.1)
    app = create_app(settings)
    writers: list[sqlite3.Connection] = []

    def begin() -> sqlite3.Connection:
        writers.append(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), isolation_level=None))
        writers[0].execute("BEGIN IMMEDIATE")
        return writers[0]

    yield app, begin
    for each in writers:
        each.close()
    close_app(app)


def test_uses_of_keys_are_bounded_while_nothing_can_be_written(stuck: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    app, begin = stuck
    monkeypatch.setattr(sys.modules["idp.apikeys.usage"], "MOST_KINDS", 5)
    make, client = Factory(app), app.test_client()
    make.user()
    key = make.key()
    other_writer = begin()
    for number in range(4):
        for last in range(3):
            address = f"192.0.2.{number * 3 + last}"
            assert client.get("/v1/users/info", headers=key.header, environ_base={"REMOTE_ADDR": address}).status_code == 200
            client.get("/v1/users/info", headers={"apiKey": crypto.make_secret("ak")}, environ_base={"REMOTE_ADDR": address})
        with app.app_context(), pytest.raises(StorageUnavailableError):
            apikeys.key_usage(runtime.current()).flush()
    other_writer.close()
    with app.app_context():
        assert apikeys.key_usage(runtime.current()).flush() == 5 + 12 + 1
        (lost,) = audit.list_events(tag="system:events:lost")
        assert (lost.target, lost.detail) == ("events:api-key", {"count": 7})
        assert total(refusals("client:api-key:refuse")) == 12, "refusals are counted, however many there are"


def test_uses_of_passwords_are_bounded_and_written_later(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.api.test_sign_in import count_hashes

    count_hashes(monkeypatch)
    monkeypatch.setattr(sys.modules["idp.users.usage"], "MOST_KINDS", 3)
    app = create_app(settings)
    Factory(app).user()
    for number in range(5):
        environ = {"REMOTE_ADDR": f"192.0.2.{number}"}
        assert app.test_client().get("/auth/v1/tokens", headers=basic(password=PASSWORD), environ_base=environ).status_code == 200
    with app.app_context():
        assert users.password_usage(runtime.current()).flush() == 4
        (lost,) = audit.list_events(tag="system:events:lost")
        assert (lost.target, lost.detail) == ("events:password", {"count": 2})
    close_app(app)


def test_last_use_of_a_key_is_the_last_of_all_its_uses(
    client: FlaskClient, make: Factory, context: Flask, frozen_clock: Any
) -> None:
    from idp.apikeys import ApiKey
    from idp.db import db

    make.user()
    key = make.key()
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        frozen_clock.advance(seconds=1)
        client.get("/v1/users/info", headers=key.header, environ_base={"REMOTE_ADDR": address})
    last = frozen_clock.now()
    frozen_clock.advance(seconds=30)
    flush()
    row = db.session.query(ApiKey).one()
    assert (row.use_count, row.last_used_address, row.last_used_at) == (3, "192.0.2.1", last)


def test_unknown_names_leave_the_trail_to_others(client: FlaskClient, context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.api.test_sign_in import count_hashes

    count_hashes(monkeypatch)
    for number in range(20):
        sign_in(client, f"x{number}@example.test")
    assert refusals("user:sign-in:refuse") == []
    flush()
    assert [event.detail["count"] for event in refusals("user:sign-in:refuse")] == [20]
