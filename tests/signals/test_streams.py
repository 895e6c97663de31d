"""Streams over HTTP: who may have one, how it is set up, and how it is polled (SSF §8.1, RFC 8936)."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import CliRunner
from flask import Flask

from idp import access, applications, clock, realms, runtime, signals
from idp.cli import main as idp_command
from idp.db import commit, db
from idp.settings import Settings
from idp.signals import SignalEvent, SignalStream
from tests.conftest import FrozenClock
from tests.factories import Factory, Made, ask_token, set_application
from tests.serving import wait_until
from tests.signals.conftest import BASE, CREDENTIAL_CHANGE, ISSUER, POLL, PUSH, SESSION_REVOKED, SSF, Receiver, header_of


def disable(make: Factory, name: str = "ci-bot") -> None:
    make.change(lambda realm, row: set_application(realm, row, enabled=False), name)


def test_the_transmitter_is_found_where_the_specification_has_it(app: Flask) -> None:
    client = app.test_client()
    answer = client.get("/.well-known/ssf-configuration/auth/realms/acme")
    assert answer.json["issuer"] == ISSUER
    assert answer.json["spec_version"] == "1_0"
    assert set(answer.json["delivery_methods_supported"]) == {POLL, PUSH}
    assert {"spec_urn": "urn:ietf:rfc:6749"} in answer.json["authorization_schemes"]
    assert client.get("/auth/realms/acme/.well-known/ssf-configuration").json == answer.json
    for name in ("configuration_endpoint", "status_endpoint", "verification_endpoint"):
        assert answer.json[name].startswith(f"{ISSUER}/protocol/ssf/")
    assert client.get("/.well-known/ssf-configuration/auth/realms/none").status_code == 404


def test_a_stream_is_polled_unless_another_way_is_asked_for(siem: Receiver) -> None:
    answer = siem.call("POST", "streams", {"events_requested": [SESSION_REVOKED, "urn:example:unknown"], "description": "for us"})
    assert answer.status_code == 201
    told = answer.json
    assert (told["iss"], told["aud"], told["description"]) == (ISSUER, "siem", "for us")
    assert told["delivery"] == {"method": POLL, "endpoint_url": f"{ISSUER}/protocol/ssf/poll/{told['stream_id']}"}
    assert told["events_delivered"] == [SESSION_REVOKED]
    assert told["events_requested"] == [SESSION_REVOKED, "urn:example:unknown"]
    assert siem.call("GET", "streams", stream_id=told["stream_id"]).json == told
    assert siem.call("GET", "streams").json == [told]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_stream_is_changed_replaced_and_deleted(siem: Receiver) -> None:
    stream = siem.stream(events_requested=[SESSION_REVOKED], description="first")
    answer = siem.call("PATCH", "streams", {"stream_id": stream, "description": "second"})
    assert (answer.json["description"], answer.json["events_delivered"]) == ("second", [SESSION_REVOKED])
    answer = siem.call("PUT", "streams", {"stream_id": stream, "events_requested": [CREDENTIAL_CHANGE]})
    assert "description" not in answer.json
    assert answer.json["events_delivered"] == [CREDENTIAL_CHANGE]
    repeated = siem.call("PUT", "streams", answer.json)
    assert repeated.json == answer.json, "as it was told, it can be sent back"
    for fixed in ({"iss": "https://evil.example"}, {"aud": "other"}, {"events_delivered": []}):
        answer = siem.call("PATCH", "streams", {"stream_id": stream} | fixed)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_request"), fixed
    assert siem.call("DELETE", "streams", stream_id=stream).status_code == 204
    assert siem.call("DELETE", "streams", stream_id=stream).status_code == 404
    assert siem.call("GET", "streams").json == []


@pytest.mark.parametrize(
    "said",
    [
        {"delivery": {"method": "urn:example:pigeon"}},
        {"delivery": "push"},
        {"delivery": {"method": PUSH}},
        {"delivery": {"method": PUSH, "endpoint_url": "http://receiver.example/events"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://receiver.example/events#part"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://user:word@receiver.example/events"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://r.example/", "authorization_header": "a\r\nX-Evil: 1"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://r.example/", "authorization_header": 5}},
        {"delivery": {"method": PUSH, "endpoint_url": 5}},
        {"events_requested": "all"},
        {"events_requested": [5]},
        {"events_requested": ["u"] * 51},
        {"description": 5},
        [],
    ],
)
def test_what_cannot_be_is_refused(said: object, siem: Receiver) -> None:
    answer = siem.call("POST", "streams", said)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request"), answer.text
    assert siem.call("GET", "streams").json == []


def test_a_receiver_has_so_many_streams(siem: Receiver) -> None:
    for _ in range(signals.streams.MOST_STREAMS):
        siem.stream()
    answer = siem.call("POST", "streams", {})
    assert answer.status_code == 409
    assert "10 streams" in answer.json["error_description"]


def test_nobody_sees_the_streams_of_another(siem: Receiver, receiving: Callable[..., Receiver]) -> None:
    stream, other = siem.stream(), receiving("other")
    assert other.call("GET", "streams").json == []
    for answer in (
        other.call("GET", "streams", stream_id=stream),
        other.call("PATCH", "streams", {"stream_id": stream, "description": "mine"}),
        other.call("DELETE", "streams", stream_id=stream),
        other.call("GET", "status", stream_id=stream),
        other.call("POST", "status", {"stream_id": stream, "status": "disabled"}),
        other.call("POST", "verify", {"stream_id": stream}),
        other.poll(stream),
    ):
        assert answer.status_code == 404, answer.text


def test_receiving_takes_the_permission(app: Flask, make: Factory) -> None:
    client = app.test_client()
    token = ask_token(client, make.application(roles=("viewer", "auditor"))).json["access_token"]
    answer = Receiver(client, token).call("GET", "streams")
    assert (answer.status_code, answer.json["error"]) == (403, "access_denied")
    assert "signals:receive" in answer.json["error_description"]


def test_receiving_takes_a_token_of_the_realm(app: Flask, siem: Receiver, make: Factory) -> None:
    client = app.test_client()
    for headers in ({}, {"Authorization": "Bearer no"}, {"Cookie": f"session={siem.token}"}):
        answer = client.get(f"{BASE}/streams", headers=headers)
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_token")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    make.realm()
    elsewhere = client.get("/auth/realms/other/protocol/ssf/streams", headers={"Authorization": f"Bearer {siem.token}"})
    assert elsewhere.status_code == 403


def test_a_person_receives_nothing_by_a_session(app: Flask, make: Factory) -> None:
    make.user(roles=("administrator",))
    client = app.test_client()
    body = {"emailId": "ann@example.test", "password": "correct horse battery staple", "org": "acme"}
    answer = client.post("/v1/auth/authenticate?setCookie=false", json=body)
    token = answer.json["Authorization"].removeprefix("Bearer ")
    assert Receiver(client, token).call("GET", "streams").status_code == 403


def test_scopes_narrow_a_receiver(receiving: Callable[..., Receiver]) -> None:
    reader = receiving("reader", scope="ssf.read")
    assert reader.call("GET", "streams").status_code == 200
    answer = reader.call("POST", "streams", {})
    assert (answer.status_code, answer.json["error"]) == (403, "insufficient_scope")
    assert 'scope="ssf.manage"' in answer.headers["WWW-Authenticate"]
    manager = receiving("manager", scope="ssf.manage ssf.read")
    assert manager.call("POST", "streams", {}).status_code == 201


def test_events_are_told_again_until_they_are_acknowledged(siem: Receiver, make: Factory) -> None:
    siem.stream()
    for name in ("one", "two", "three"):
        make.application(name, secret=False)
        disable(make, name)
    first = siem.poll(maxEvents=2).json
    assert (len(first["sets"]), first["moreAvailable"]) == (2, True)
    assert siem.poll(maxEvents=2).json == first or len(siem.poll(maxEvents=2).json["sets"]) == 2
    second = siem.poll(ack=list(first["sets"])).json
    assert set(second["sets"]).isdisjoint(first["sets"])
    assert "moreAvailable" not in second
    (jti,) = second["sets"]
    assert header_of(second["sets"][jti])["alg"] == "RS256"
    assert siem.poll(setErrs={jti: {"err": "invalid_key", "description": "cannot be read"}}).json == {"sets": {}}
    assert siem.poll(maxEvents=0).json == {"sets": {}}


def test_nobody_acknowledges_for_another(siem: Receiver, receiving: Callable[..., Receiver], make: Factory) -> None:
    make.application()
    other = receiving("other")
    siem.stream()
    other.stream()
    disable(make)
    (jti,) = siem.poll().json["sets"]
    other.poll(ack=[jti])
    assert list(siem.poll().json["sets"]) == [jti]


@pytest.mark.parametrize(
    "said",
    [
        {"maxEvents": -1},
        {"maxEvents": "5"},
        {"maxEvents": True},
        {"ack": "all"},
        {"ack": [1]},
        {"setErrs": []},
        {"setErrs": {"a": "b"}},
        {"returnImmediately": "no"},
    ],
)
def test_a_poll_that_cannot_be_is_refused(said: dict[str, object], siem: Receiver) -> None:
    siem.stream()
    answer = siem.poll(**said)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_a_receiver_that_waits_is_told_at_once(app: Flask, siem: Receiver, make: Factory) -> None:
    make.application()
    stream = siem.stream()
    told: list[int] = []
    waits = Receiver(app.test_client(), siem.token)
    thread = threading.Thread(target=lambda: told.append(len(waits.poll(stream, returnImmediately=False).json["sets"])))
    thread.start()
    with app.app_context():
        newest = signals.newest(runtime.current())
    wait_until(lambda: len(newest.waiting._waiting) == 1, "its waiting")
    disable(make)
    thread.join(20)
    assert told == [1]
    wait_until(lambda: newest.waiting._thread is None, "the end of the looking")


def test_who_waits_goes_home_when_the_server_ends(app: Flask, siem: Receiver) -> None:
    stream = siem.stream()
    answers: list[object] = []
    waits = Receiver(app.test_client(), siem.token)
    thread = threading.Thread(target=lambda: answers.append(waits.poll(stream, returnImmediately=False).json))
    thread.start()
    with app.app_context():
        newest = signals.newest(runtime.current())
    wait_until(lambda: len(newest.waiting._waiting) == 1, "its waiting")
    newest.waiting.close()
    thread.join(20)
    assert answers == [{"sets": {}}]


def test_a_stream_that_is_paused_keeps_its_events(siem: Receiver, make: Factory) -> None:
    make.application()
    stream = siem.stream()
    answer = siem.call("POST", "status", {"stream_id": stream, "status": "paused", "reason": "at work on it"})
    assert answer.json == {"stream_id": stream, "status": "paused", "reason": "at work on it"}
    disable(make)
    assert siem.events() == []
    assert siem.call("GET", "status", stream_id=stream).json["status"] == "paused"
    siem.call("POST", "status", {"stream_id": stream, "status": "enabled"})
    assert len(siem.events()) == 1


def test_a_stream_that_is_disabled_drops_them(siem: Receiver, make: Factory) -> None:
    make.application()
    make.application("other")
    stream = siem.stream()
    disable(make)
    siem.call("POST", "status", {"stream_id": stream, "status": "disabled"})
    disable(make, "other")
    siem.call("POST", "status", {"stream_id": stream, "status": "enabled"})
    assert siem.events() == []
    answer = siem.call("POST", "status", {"stream_id": stream, "status": "asleep"})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request")


def test_a_stream_can_be_tried(siem: Receiver, frozen_clock: FrozenClock) -> None:
    stream = siem.stream(events_requested=[])
    assert siem.call("POST", "verify", {"stream_id": stream, "state": "abc"}).status_code == 204
    (told,) = siem.events()
    assert told["sub_id"] == {"format": "opaque", "id": stream}
    assert told["events"] == {f"{SSF}/verification": {"state": "abc"}}
    again = siem.call("POST", "verify", {"stream_id": stream})
    assert again.status_code == 429
    assert int(again.headers["Retry-After"]) >= 1
    frozen_clock.advance(seconds=11)
    assert siem.call("POST", "verify", {"stream_id": stream}).status_code == 204
    assert siem.events()[1]["events"] == {f"{SSF}/verification": {}}
    assert siem.call("POST", "verify", {"stream_id": stream, "state": 5}).status_code == 400


def test_a_stream_whose_events_nobody_takes_is_ended(app: Flask, siem: Receiver, make: Factory) -> None:
    make.application()
    stream = siem.stream()
    disable(make)
    siem.call("POST", "verify", {"stream_id": stream})
    with app.app_context():
        db.session.query(SignalEvent).update({"at": clock.now() - timedelta(days=8)})
        commit()
        signals.end_stuck_streams()
        commit()
    answer = siem.call("GET", "status", stream_id=stream)
    assert answer.json["status"] == "disabled"
    assert "7 days" in answer.json["reason"]
    (told,) = siem.events()
    assert told["events"][f"{SSF}/stream-updated"]["status"] == "disabled"
    assert siem.call("POST", "verify", {"stream_id": stream}).status_code == 409


def test_tokens_that_somebody_revokes_on_purpose_hide_nothing_else(
    app: Flask, siem: Receiver, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals.streams, "MOST_HELD", 2)
    bot = make.application()
    siem.stream(events_requested=[SESSION_REVOKED])
    client = app.test_client()
    for _ in range(3):
        token = ask_token(client, bot).json["access_token"]
        assert (
            client.post("/auth/realms/acme/protocol/openid-connect/revoke", data={"token": token} | bot.form).status_code == 200
        )
    disable(make)
    assert len(siem.events()) == 4
    with app.app_context():
        signals.end_stuck_streams()
        commit()
    (told,) = siem.events()
    assert told["sub_id"] == {"format": "iss_sub", "iss": ISSUER, "sub": bot.uid}


def test_the_last_request_waits_at_a_stream(app: Flask, siem: Receiver) -> None:
    stream = siem.stream()
    answers: list[object] = []
    waits = Receiver(app.test_client(), siem.token)
    thread = threading.Thread(target=lambda: answers.append(waits.poll(stream, returnImmediately=False).json))
    thread.start()
    with app.app_context():
        newest = signals.newest(runtime.current())
    wait_until(lambda: len(newest.waiting._waiting) == 1, "its waiting")
    siem.poll(stream)
    thread.join(20)
    assert answers == [{"sets": {}}]
    assert newest._numbers == newest._turns == {}


def test_a_token_that_carries_less_receives_nothing(app: Flask, siem: Receiver, make: Factory) -> None:
    """Whoever may add secrets to a receiver, and may not receive, gets no more by them than they hold."""

    def add(realm: realms.Realm, row: applications.Application) -> str:
        return applications.add_secret(realm, row, "theirs", frozen=access.freeze((), clock.timestamp()))[1]

    secret = make.change(add, "siem")
    answer = ask_token(app.test_client(), Made("siem", secret, ""))
    theirs = Receiver(app.test_client(), answer.json["access_token"])
    answer = theirs.call("POST", "streams", {})
    assert (answer.status_code, answer.json["error"]) == (403, "access_denied")


def test_what_belongs_to_an_application_goes_with_it(app: Flask, siem: Receiver, make: Factory) -> None:
    make.application()
    siem.stream()
    disable(make)
    make.change(applications.delete_application, "siem")
    with app.app_context():
        assert db.session.query(SignalStream).count() == 0
        assert db.session.query(SignalEvent).count() == 0


def test_who_loses_the_permission_is_told_nothing_more(siem: Receiver, make: Factory) -> None:
    stream = siem.stream()

    def take(realm: realms.Realm, row: applications.Application) -> None:
        access.remove_grant(realm, applications.holder_of(row), "listener")

    make.change(take, "siem")
    assert siem.poll(stream).status_code == 403


def test_operators_see_streams_and_end_them(app: Flask, siem: Receiver, make: Factory, settings: Settings) -> None:
    make.application()
    stream = siem.stream(description="for the SOC")
    disable(make)

    def idp(*arguments: str) -> str:
        done = CliRunner().invoke(idp_command, arguments, env={"IDP_DATA_DIR": str(settings.data_dir)})
        assert done.exit_code == 0, done.output
        return done.output

    (listed,) = json.loads(idp("signals", "list", "--realm", "acme", "--json"))
    assert (listed["stream_id"], listed["receiver"], listed["waiting"]) == (stream, "siem", 1)
    assert stream in idp("signals", "list", "--realm", "acme")
    assert "Deleted" in idp("signals", "delete", "--realm", "acme", "--yes", stream)
    assert "There are no streams" in idp("signals", "list", "--realm", "acme")
    assert siem.call("GET", "streams").json == []
