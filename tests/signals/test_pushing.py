"""Events are pushed to receivers (RFC 8935): in order, again until they are taken, and nowhere else than where they may go."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from idp import access, applications, outbound, realms, signals
from idp.db import db
from idp.signals import SignalEvent, SignalStream
from tests.called import Called, being_called
from tests.conftest import FrozenClock
from tests.factories import Factory, set_application
from tests.serving import Server, send, wait_until
from tests.signals.conftest import PUSH, SESSION_REVOKED, SSF, Receiver


@pytest.fixture
def endpoint() -> Iterator[Called]:
    """Where a receiver takes events."""
    with being_called(202) as found:
        yield found


@pytest.fixture
def pushed(siem: Receiver, endpoint: Called, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """A receiver with a stream that is pushed."""
    monkeypatch.setattr(outbound, "_is_public", lambda _: True)
    delivery = {"method": PUSH, "endpoint_url": endpoint.url, "authorization_header": "Bearer of-the-receiver"}
    siem.stream(delivery=delivery, events_requested=[SESSION_REVOKED])
    return siem


def push(app: Flask) -> int:
    with app.app_context():
        return signals.push_events()


def waiting(app: Flask) -> int:
    with app.app_context():
        return db.session.query(SignalEvent).count()


def end(make: Factory, *names: str) -> list[str]:
    """Disable applications, one after the other; return their uids."""
    uids = []
    for name in names:
        uids.append(make.application(name, secret=False).uid)
        make.change(lambda realm, row: set_application(realm, row, enabled=False), name)
    return uids


def test_events_are_pushed_in_order(app: Flask, make: Factory, pushed: Receiver, endpoint: Called) -> None:
    uids = end(make, "one", "two", "three")
    assert push(app) == 3
    assert [pushed.opened(each.body)["sub_id"]["sub"] for each in endpoint.heard] == uids
    for each in endpoint.heard:
        assert each.headers["Content-Type"] == "application/secevent+jwt"
        assert each.headers["Authorization"] == "Bearer of-the-receiver"
    assert (push(app), waiting(app)) == (0, 0)


@pytest.mark.parametrize(
    "answer",
    [(500, None), (503, None), (401, None), (302, None), (404, None), (400, None), (400, {"err": "authentication_failed"})],
)
def test_what_was_not_taken_is_pushed_again(
    answer: tuple[int, object], app: Flask, make: Factory, pushed: Receiver, endpoint: Called, frozen_clock: FrozenClock
) -> None:
    endpoint.answers.append(answer)
    end(make, "one", "two")
    assert push(app) == 0
    assert push(app) == 0, "not at once"
    assert len(endpoint.heard) == 1
    frozen_clock.advance(seconds=3)
    assert push(app) == 2
    assert endpoint.heard[0].body.split(".")[1] == endpoint.heard[1].body.split(".")[1], "the same event, with the same jti"
    assert waiting(app) == 0


def test_what_a_receiver_cannot_read_holds_up_nothing(app: Flask, make: Factory, pushed: Receiver, endpoint: Called) -> None:
    endpoint.answers.append((400, {"err": "invalid_request", "description": "no"}))
    end(make, "one", "two")
    assert push(app) == 1
    assert (len(endpoint.heard), waiting(app)) == (2, 0)


def test_a_receiver_that_is_away_is_asked_ever_more_rarely(
    app: Flask, make: Factory, pushed: Receiver, endpoint: Called, frozen_clock: FrozenClock
) -> None:
    endpoint.answers += [(503, None)] * 10
    end(make, "one")
    waits = []
    for _ in range(9):
        push(app)
        with app.app_context():
            stream = db.session.query(SignalStream).one()
            waits.append(int((stream.push_at - frozen_clock.now()).total_seconds()))
            assert stream.last_error == "status 503"
        frozen_clock.advance(seconds=waits[-1] + 1)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (2, 3600)
    pushed.call("PATCH", "streams", {"stream_id": pushed.streams[0], "description": "mended"})
    endpoint.answers.clear()
    assert push(app) == 1, "its receiver has shown that it is there"


@pytest.mark.parametrize(
    ("said", "wait"),
    [("90", 90), ("1", 2), ("86400", 3600), ("Fri, 27 Nov 2026 00:00:00 GMT", 2), ("-5", 2), ("9" * 40, 2), ("\u0669", 2)],
)
def test_a_receiver_says_when_it_wants_to_be_asked_again(
    said: str, wait: int, app: Flask, make: Factory, pushed: Receiver, endpoint: Called, frozen_clock: FrozenClock
) -> None:
    endpoint.retry_after = said.encode().decode("latin-1")
    endpoint.answers.append((429, None))
    end(make, "one")
    assert push(app) == 0
    frozen_clock.advance(seconds=wait - 1)
    assert push(app) == 0
    assert len(endpoint.heard) == 1
    frozen_clock.advance(seconds=1)
    assert push(app) == 1


def test_nothing_is_pushed_to_this_machine(app: Flask, make: Factory, siem: Receiver, endpoint: Called) -> None:
    siem.stream(delivery={"method": PUSH, "endpoint_url": endpoint.url})
    end(make, "one")
    assert push(app) == 0
    assert endpoint.heard == []
    with app.app_context():
        assert "private network" in db.session.query(SignalStream).one().last_error


def test_who_loses_the_permission_gets_nothing_more(
    app: Flask, make: Factory, pushed: Receiver, endpoint: Called, frozen_clock: FrozenClock
) -> None:
    end(make, "one")

    def change(act: Callable[..., Any]) -> None:
        make.change(lambda realm, row: act(realm, applications.holder_of(row), "listener"), "siem")

    change(access.remove_grant)
    assert push(app) == 0
    assert endpoint.heard == []
    change(access.grant_role)
    frozen_clock.advance(seconds=10)
    assert push(app) == 1


def test_a_realm_that_is_deactivated_says_so_itself(app: Flask, make: Factory, pushed: Receiver, endpoint: Called) -> None:
    make.do(realms.deactivate_realm)
    assert push(app) == 1
    assert '"uri"' in str(pushed_claims(endpoint))


def pushed_claims(endpoint: Called) -> str:
    """Return what was pushed, as it is written: the keys of a realm that is deactivated are not published."""
    part = endpoint.heard[-1].body.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()


def test_a_stream_that_is_paused_is_not_pushed(app: Flask, make: Factory, pushed: Receiver, endpoint: Called) -> None:
    stream = pushed.streams[0]
    pushed.call("POST", "status", {"stream_id": stream, "status": "paused"})
    end(make, "one")
    assert (push(app), waiting(app)) == (0, 1)
    pushed.call("POST", "status", {"stream_id": stream, "status": "enabled"})
    assert push(app) == 1


def test_the_header_stays_with_its_place(app: Flask, make: Factory, pushed: Receiver, endpoint: Called) -> None:
    told = pushed.call("GET", "streams", stream_id=pushed.streams[0]).json
    assert pushed.call("PUT", "streams", told).status_code == 200
    end(make, "one")
    push(app)
    assert endpoint.heard[0].headers["Authorization"] == "Bearer of-the-receiver"
    told["delivery"]["endpoint_url"] += "/elsewhere"
    assert pushed.call("PUT", "streams", told).status_code == 200
    end(make, "two")
    push(app)
    assert "Authorization" not in endpoint.heard[1].headers


def test_what_its_receiver_changes_counts_from_the_next_event_on(
    app: Flask, make: Factory, pushed: Receiver, endpoint: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(make, "one", "two")
    posts = outbound.post

    def pausing(*args: Any, **options: Any) -> outbound.Answer:
        with app.app_context():
            pushed.call("POST", "status", {"stream_id": pushed.streams[0], "status": "paused"})
        return posts(*args, **options)

    monkeypatch.setattr(outbound, "post", pausing)
    assert push(app) == 1
    assert (len(endpoint.heard), waiting(app)) == (1, 1)


def test_a_stream_can_be_tried_by_a_push(app: Flask, pushed: Receiver, endpoint: Called) -> None:
    pushed.call("POST", "verify", {"stream_id": pushed.streams[0], "state": "abc"})
    assert push(app) == 1
    assert pushed.opened(endpoint.heard[0].body)["events"] == {f"{SSF}/verification": {"state": "abc"}}


def test_one_worker_pushes(app: Flask, make: Factory, pushed: Receiver, endpoint: Called) -> None:
    end(make, *(f"app-{number}" for number in range(8)))
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(push(app))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == len(endpoint.heard) == 8


def test_the_header_of_a_receiver_is_told_to_nobody(app: Flask, pushed: Receiver) -> None:
    answer = pushed.call("GET", "streams")
    assert "of-the-receiver" not in answer.text
    with app.app_context():
        assert "of-the-receiver" not in db.session.query(SignalStream).one().sealed_header


def test_the_served_program_pushes_by_itself(own_server: Server, endpoint: Called) -> None:
    server = own_server
    server.settings["IDP_OUTBOUND_PRIVATE"] = "true"
    server.start()
    server.idp("roles", "create", "--realm", "acme", "listener")
    server.idp("roles", "permit", "--realm", "acme", "listener", "signals:receive")
    token = server.token(server.create_application("siem", "--role", "listener")).json["access_token"]
    said = json.dumps({"delivery": {"method": PUSH, "endpoint_url": endpoint.url}, "events_requested": [SESSION_REVOKED]})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = send(f"{server.url}/auth/realms/acme/protocol/ssf/streams", said.encode(), headers)
    assert answer.status == 201, answer.body
    server.create_application("short-lived")
    server.idp("applications", "delete", "--realm", "acme", "--yes", "short-lived")
    wait_until(lambda: endpoint.heard, "the event")
    assert SESSION_REVOKED in pushed_claims(endpoint)
