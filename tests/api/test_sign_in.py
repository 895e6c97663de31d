"""Signing in: right and wrong, alike whoever is asked for, counted before the password is looked at."""

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import audit, users
from idp.app import close_app, create_app
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import PASSWORD, Factory, at_once, claims_of, session_of, sign_in

WRONG = "incorrect horse battery"


@pytest.mark.spec("R113", "R116")
def test_right_password_gives_a_session_token_of_900_seconds(client: FlaskClient, make: Factory) -> None:
    uid = make.user(roles=("viewer",), projects=(("vision", "researcher"),))
    answer = sign_in(client)
    assert answer.status_code == 200
    assert answer.json["isMfa"] is False
    assert answer.headers["Cache-Control"] == "no-store"
    claims = claims_of(answer.json["Authorization"])
    assert claims["exp"] - claims["iat"] == 900 == answer.json["expiresIn"]
    assert (claims["sub"], claims["auth_method"], claims["realm_access"]) == (uid, "password", {"roles": ["viewer"]})
    assert [project["name"] for project in claims["projects"]] == ["vision"]
    assert claims["iss"] == claims["aud"] == "http://localhost:8080/auth/realms/acme"


def test_name_is_found_in_any_case_and_with_spaces_and_without_the_organisation(client: FlaskClient, make: Factory) -> None:
    make.user("Zoé@example.test")
    for name in ("zoé@example.test", " ZOÉ@EXAMPLE.TEST ", "zoe\u0301@example.test"):
        assert sign_in(client, name).status_code == 200, name
        assert sign_in(client, name, org=None).status_code == 200, name


def test_person_of_two_organisations_must_name_one(client: FlaskClient, make: Factory) -> None:
    make.realm()
    make.user()
    make.user(realm="other")
    assert sign_in(client, org=None).status_code == 401
    assert claims_of(sign_in(client, org="other").json["Authorization"])["iss"].endswith("/other")


@pytest.mark.spec("R110", "T85")
@pytest.mark.parametrize(
    "body",
    [
        {"password": WRONG},
        {"name": "nobody@example.test"},
        {"name": "invited@example.test"},
        {"name": "robot"},
        {"name": "gone@example.test"},
        {"org": "nowhere"},
        {"org": "../etc"},
        {"password": ""},
        {"password": "x" * 2_000},
        {"name": "\x00"},
        {"name": "x" * 999},
    ],
    ids=str,
)
def test_every_failure_looks_the_same(client: FlaskClient, make: Factory, body: dict[str, Any]) -> None:
    make.user()
    make.user("invited@example.test", password=False)
    make.user("robot")
    make.user("gone@example.test", enabled=False)
    answer = sign_in(client, **body)
    assert answer.status_code == 401
    told = {name: value for name, value in answer.json.items() if name != "ref"}
    message = "The name or the password is wrong, or the account is disabled. If several organisations know you, name one."
    assert told == {"code": "Unauthorized", "message": message, "details": {}}


@pytest.mark.spec("R110", "T85")
def test_every_failure_hashes_once(client: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    make.user()
    make.user("invited@example.test", password=False)
    compared = count_hashes(monkeypatch)
    for name in ("ann@example.test", "nobody@example.test", "invited@example.test"):
        assert sign_in(client, name, WRONG).status_code == 401
    assert len(compared) == 3


def count_hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the hash by one that costs nothing, and return the list of what it was asked to compare."""
    compared: list[str] = []

    class Fast:
        def verify(self, stored: str, password: str) -> bool:
            compared.append(stored)
            return password == PASSWORD

        def hash(self, password: str) -> str:
            return f"hash of {len(password)}"

        def check_needs_rehash(self, _stored: str) -> bool:
            return False

    monkeypatch.setattr(users.passwords, "HASHER", Fast())
    monkeypatch.setattr(users.passwords, "_nobodys_hash", lambda: "the hash of nobody")
    return compared


@pytest.mark.spec("R109", "T82", "T83")
def test_all_ways_in_share_one_counter_whatever_the_spelling(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.user()
    compared = count_hashes(monkeypatch)
    basic = {"Authorization": "Basic QU5OQGV4YW1wbGUudGVzdDp3cm9uZw=="}  # ANN@example.test:wrong
    ways = [
        lambda: sign_in(client, "ann@example.test", WRONG),
        lambda: sign_in(client, " Ann@Example.TEST", WRONG, org=None),
        lambda: client.post("/v1/users/default/login", json={"username": "ann@example.test", "password": WRONG}),
        lambda: client.get("/auth/v1/tokens", headers=basic),
        lambda: client.patch(
            "/v1/users/password/change",
            json={"emailId": "ann@example.test", "currentPassword": WRONG, "newPassword": "another good one"},
        ),
    ]
    for way in ways + ways:
        assert way().status_code == 401
    for way in ways:
        answer = way()
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 301
    assert sign_in(client).status_code == 429
    assert len(compared) == 10
    assert sign_in(client, "bob@example.test", WRONG).status_code == 401, "another account is not slowed"
    frozen_clock.advance(seconds=301)
    assert sign_in(client).status_code == 200


@pytest.mark.spec("T81")
def test_parallel_wrong_passwords_cause_no_more_verifications_than_the_limit(
    settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.user()
    compared = count_hashes(monkeypatch)
    nodes = [create_app(settings.model_copy(update={"threads": 256})) for _ in range(2)]
    answers = at_once(50, lambda: [sign_in(nodes[n % 2].test_client(), password=WRONG).status_code for n in range(10)])
    for node in nodes:
        close_app(node)
    statuses = [status for answer in answers for status in answer]
    assert len(statuses) == 500
    assert set(statuses) <= {401, 429, 503}
    assert len(compared) <= 10
    assert statuses.count(401) == len(compared)


def test_only_failures_count(client: FlaskClient, make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    make.user()
    count_hashes(monkeypatch)
    for _ in range(25):
        assert sign_in(client).status_code == 200


@pytest.mark.spec("T84", "R123")
def test_forwarded_addresses_do_not_reset_the_limit_of_an_address(
    settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_hashes(monkeypatch)
    app = create_app(settings.model_copy(update={"sign_in_limit_address": 3}))
    client = app.test_client()
    body = {"emailId": "x@example.test", "password": WRONG}
    statuses = [
        client.post("/v1/auth/authenticate", json=body, headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code for n in range(5)
    ]
    close_app(app)
    assert statuses == [401, 401, 401, 429, 429]


def test_limit_of_an_ipv6_network_is_shared_by_its_addresses(
    settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_hashes(monkeypatch)
    app = create_app(settings.model_copy(update={"sign_in_limit_address": 2}))
    client = app.test_client()
    statuses = [
        client.post(
            "/v1/auth/authenticate",
            json={"emailId": f"x{n}@example.test", "password": WRONG},
            environ_base={"REMOTE_ADDR": f"2001:db8::{n}"},
        ).status_code
        for n in range(4)
    ]
    close_app(app)
    assert statuses == [401, 401, 429, 429]


def test_busy_worker_says_so_instead_of_waiting(settings: Settings, make: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    make.user()
    app = create_app(settings.model_copy(update={"threads": 4}))  # one hashes, one waits
    with app.app_context():
        from idp import runtime

        works = users.password_works(runtime.current())
    with works.seat(), works.seat():
        answer = sign_in(app.test_client())
    assert (answer.status_code, answer.json["code"]) == (503, "Unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert sign_in(app.test_client()).status_code == 200
    close_app(app)


@pytest.mark.spec("R124")
def test_sign_ins_are_recorded_without_what_was_typed(client: FlaskClient, make: Factory, context: Flask) -> None:
    make.user()
    sign_in(client, "my-password-in-the-wrong-field", WRONG)
    sign_in(client, password=WRONG)
    session_of(client)
    events = audit.list_events(tag="user:")
    assert [(event.tag, event.target.partition(":")[2] or "", event.outcome) for event in reversed(events)][:2] == [
        ("user:sign-in:refuse", "(unknown)", "refused"),
        ("user:sign-in:refuse", "ann@example.test", "refused"),
    ]
    assert events[0].tag == "user:session:start"
    assert events[0].actor == "user:ann@example.test"
    assert not any("wrong-field" in json.dumps([event.target, event.detail]) for event in events)


def test_stored_hash_is_renewed_when_its_parameters_change(client: FlaskClient, make: Factory, context: Flask) -> None:
    import argon2

    from idp import realms
    from idp.db import db

    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
    uid = make.user()
    make.do(lambda realm: setattr(users.get_user(realm, uid), "password_hash", weak.hash(PASSWORD)))
    assert sign_in(client).status_code == 200
    db.session.rollback()
    stored = users.get_user(realms.get_realm("acme"), uid).password_hash
    assert "m=65536,t=2" in stored
    assert sign_in(client).status_code == 200


def test_body_that_is_no_sign_in_is_400_and_says_what_is_missing(client: FlaskClient) -> None:
    for body in ({}, {"emailId": 1, "password": "x"}, {"emailId": ["x"], "password": "x"}, {"password": "secret canary"}):
        answer = client.post("/v1/auth/authenticate", json=body)
        assert (answer.status_code, answer.json["code"]) == (400, "InvalidRequest"), body
        assert "emailId" in answer.json["message"]
        assert "canary" not in answer.text
    answer = client.post("/v1/auth/authenticate", data="emailId=a&password=b")
    assert (answer.status_code, answer.json["message"]) == (400, "Send the body as application/json.")
