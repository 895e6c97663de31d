"""Personal tokens under `/auth/v1/tokens`, as the clients of that contract use them."""

import base64
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp import audit, clock, realms, runtime, users
from idp.app import close_app, create_app
from idp.audit import Tag
from idp.db import db
from idp.jose import read_unverified
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import PASSWORD, Factory, ask, ask_token, at_once, session_of, set_realm, set_user

TOKENS = "/auth/v1/tokens"
INFO = "/v1/users/info"


def basic(name: str = "ann@example.test", password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def generate(client: FlaskClient, header: dict[str, str] | None = None, query: str = "") -> str:
    answer = client.get(f"{TOKENS}/generate{query}", headers=header or basic())
    assert answer.status_code == 200, answer.text
    token: str = answer.json["token"]
    return token


def works(client: FlaskClient, token: str) -> bool:
    return client.get(INFO, headers=bearer(token)).status_code == 200


def test_a_password_that_is_shown_leaves_a_trace(client: FlaskClient, make: Factory, context: Flask) -> None:
    make.user(roles=("viewer",))
    for address, number in (("192.0.2.9", 3), ("192.0.2.8", 1)):
        for _ in range(number):
            assert client.get(TOKENS, headers=basic(), environ_base={"REMOTE_ADDR": address}).status_code == 200
    assert client.get("/cloudapi/v6/contracts", headers=basic()).status_code == 200
    assert client.get(TOKENS, headers=basic(password="wrong one")).status_code == 401
    change = {"emailId": "ann@example.test", "currentPassword": PASSWORD, "newPassword": "another good one"}
    assert client.patch("/v1/users/password/change", json=change).status_code == 204
    assert audit.list_events(tag="user:password:use") == []
    db.session.rollback()
    users.password_usage(runtime.current()).flush()
    recorded = audit.list_events("acme", tag="user:password:use")
    assert {(event.actor, event.target, event.outcome) for event in recorded} == {("user:ann@example.test",) * 2 + ("success",)}
    assert sorted((event.address, event.detail["purpose"], event.detail["count"]) for event in recorded) == [
        ("127.0.0.1", "call", 1),
        ("127.0.0.1", "change", 1),
        ("192.0.2.8", "call", 1),
        ("192.0.2.9", "call", 3),
    ]
    counted = [
        each.count for each in audit.list_activity("acme", clock.now() - timedelta(hours=2)) if each.tag == Tag.PASSWORD_USE
    ]
    assert sum(counted) == 6
    assert users.get_user(realms.get_realm("acme"), "ann@example.test").last_sign_in_at is not None


def test_first_token_by_password_the_next_by_token(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    uid = make.user(roles=("viewer",))
    first = generate(client)
    second = generate(client, bearer(first))
    opened = read_unverified(second)
    assert opened.header.keys() == {"alg", "kid", "typ"}
    assert (opened.header["alg"], opened.header["typ"]) == ("RS256", "JWT")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", opened.header["kid"])
    assert opened.claims["exp"] - opened.claims["iat"] == 31_536_000
    assert opened.claims["identity"]["uuid"] == uid
    assert opened.claims["identity"]["contractNumber"] > 0
    assert works(client, first)
    assert works(client, second)
    listed = client.get(TOKENS, headers=bearer(second)).json["tokens"]
    assert [each["id"] for each in listed] == [read_unverified(token).header["kid"] for token in (first, second)]
    assert listed[0].keys() == {"id", "href", "createdDate", "expirationDate"}
    assert listed[0]["href"] == f"http://localhost:8080{TOKENS}/{listed[0]['id']}"
    assert client.get(f"{TOKENS}/{listed[0]['id']}", headers=basic()).json == listed[0]


def test_deleting_by_id_and_by_criteria(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    make.user()
    make.do(lambda realm: set_realm(realm, personal_token_choice=True))
    short, one, two, three = (generate(client, query=query) for query in ("?ttl=60", "", "", ""))
    uid = read_unverified(one).header["kid"]
    assert client.delete(f"{TOKENS}/{uid}", headers=basic()).json == {"success": True}
    assert client.delete(f"{TOKENS}/{uid}", headers=basic()).status_code == 404
    assert not works(client, one)
    frozen_clock.advance(seconds=60)
    assert not works(client, short)
    assert len(client.get(TOKENS, headers=basic()).json["tokens"]) == 3, "expired ones are not cleared by themselves"
    assert client.delete(f"{TOKENS}?criteria=EXPIRED", headers=basic()).json == {"success": True}
    assert len(client.get(TOKENS, headers=basic()).json["tokens"]) == 2
    assert client.delete(f"{TOKENS}?criteria=CURRENT", headers=basic()).status_code == 422
    assert client.delete(f"{TOKENS}?criteria=CURRENT", headers=bearer(two)).json == {"success": True}
    assert not works(client, two)
    assert works(client, three)
    assert client.delete(f"{TOKENS}?criteria=NONE", headers=basic()).status_code == 422
    assert client.delete(TOKENS, headers=basic()).status_code == 422
    assert client.delete(f"{TOKENS}?criteria=ALL", headers=basic()).json == {"success": True}
    assert not works(client, three)


def test_basic_is_read_as_utf8_and_else_as_latin1(client: FlaskClient, make: Factory) -> None:
    make.user()
    password = "Fußgängerübergang"
    change = {"emailId": "ann@example.test", "currentPassword": PASSWORD, "newPassword": password}
    assert client.patch("/v1/users/password/change", json=change).status_code == 204

    def status(pair: bytes) -> int:
        return client.get(TOKENS, headers={"Authorization": "Basic " + base64.b64encode(pair).decode()}).status_code

    pair = f"ann@example.test:{password}"
    assert (status(pair.encode()), status(pair.encode("latin-1"))) == (200, 200)
    misread = pair.encode().decode("latin-1").encode()
    assert status(misread) == 401, "what is valid UTF-8 is read as nothing else"
    assert status(pair.encode("utf-16")) == 401


def test_limit_counts_expired_tokens_and_says_so(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    make.user()
    make.user("bob@example.test")
    make.do(lambda realm: set_realm(realm, personal_token_limit=3, personal_token_choice=True))
    for query in ("?ttl=60", "?ttl=60", ""):
        generate(client, query=query)
    frozen_clock.advance(seconds=61)
    answer = client.get(f"{TOKENS}/generate", headers=basic())
    assert answer.status_code == 403
    message = answer.json["messages"][0]["message"]
    assert "limit of 3 tokens" in message
    assert "2 of yours have expired" in message
    assert "criteria=EXPIRED" in message
    session = session_of(client)
    here = client.post("/v1/personalTokens", json={}, headers=session).json["message"]
    assert here.endswith("until they are deleted. Delete some: DELETE /v1/personalTokens/<id>.")
    generate(client, basic("bob@example.test"))
    client.delete(f"{TOKENS}?criteria=EXPIRED", headers=basic())
    generate(client)


def test_limit_holds_when_many_ask_at_once(settings: Settings, make: Factory) -> None:
    make.user()
    make.do(lambda realm: set_realm(realm, personal_token_limit=5))
    nodes = [create_app(settings) for _ in range(2)]
    header = bearer(generate(nodes[0].test_client()))
    turn = iter(range(30))
    statuses = at_once(30, lambda: nodes[next(turn) % 2].test_client().get(f"{TOKENS}/generate", headers=header).status_code)
    for node in nodes:
        close_app(node)
    assert (statuses.count(200), statuses.count(403)) == (4, 26)


@pytest.mark.parametrize(
    ("choice", "query", "status"),
    [
        (False, "?ttl=3600", 422),
        (False, "?ttl=31536000", 200),
        (True, "?ttl=59", 422),
        (True, "?ttl=60", 200),
        (True, "?ttl=31536001", 422),
        (True, "?ttl=-1", 422),
        (True, "?ttl=x", 422),
        (True, "?ttl=99999999999999999999", 422),
        (True, "?ttl=", 422),
    ],
)
def test_life_is_the_organisations_unless_it_lets_people_choose(
    client: FlaskClient, make: Factory, choice: bool, query: str, status: int
) -> None:
    make.user()
    make.do(lambda realm: set_realm(realm, personal_token_choice=choice))
    assert client.get(f"{TOKENS}/generate{query}", headers=basic()).status_code == status


def test_contract_number_chooses_the_organisation(client: FlaskClient, make: Factory, context: Flask) -> None:
    make.realm()
    make.user()
    make.user(realm="other")
    numbers = {name: str(realms.get_realm(name).contract_number) for name in ("acme", "other")}
    answer = client.get(f"{TOKENS}/generate", headers=basic())
    assert answer.status_code == 401, "the person belongs to two, and names none"
    for name, number in numbers.items():
        token = generate(client, basic() | {"X-Contract-Number": number})
        assert read_unverified(token).claims["iss"].endswith(f"/{name}")
        assert read_unverified(token).claims["identity"]["contractNumber"] == int(number)
        other = numbers["other" if name == "acme" else "acme"]
        assert client.get(TOKENS, headers=bearer(token) | {"X-Contract-Number": other}).status_code == 401
        assert client.get(TOKENS, headers=bearer(token) | {"X-Contract-Number": number}).status_code == 200
    for wrong, status in (("1", 401), ("x", 422), ("-1", 422), ("9" * 30, 422)):
        assert client.get(TOKENS, headers=basic() | {"X-Contract-Number": wrong}).status_code == status, wrong


def test_errors_have_the_form_of_the_contract(client: FlaskClient, make: Factory) -> None:
    make.user()
    for header in ({}, basic(password="wrong"), bearer("x"), bearer("a.b.c"), {"Authorization": "Basic x"}, {"apiKey": "x"}):
        answer = client.get(TOKENS, headers=header)
        assert answer.status_code in {400, 401, 422}
        if answer.status_code == 401:
            assert answer.json["httpStatus"] == 401
            assert answer.json["messages"][0]["errorCode"] == "315"
            assert answer.json["messages"][0]["message"].startswith("Unauthorized")
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert client.post(TOKENS, headers=basic()).status_code == 405
    assert client.get(f"{TOKENS}/nothing", headers=basic()).json["httpStatus"] == 404


def test_what_is_no_person_makes_no_personal_token(client: FlaskClient, make: Factory) -> None:
    make.user()
    made = make.application()
    key = make.key()
    exchanged = client.post("/v1/auth/exchange", headers=key.header).json["Authorization"]
    access_token = ask_token(client, made, resource="http://localhost:8080/auth/realms/acme").json["access_token"]
    assert client.get(f"{TOKENS}/generate", headers=bearer(exchanged)).status_code == 403
    assert client.get(f"{TOKENS}/generate", headers=bearer(access_token)).status_code == 403
    assert client.get(f"{TOKENS}/generate", headers=key.header).status_code == 401
    client.post("/v1/auth/authenticate", json={"emailId": "ann@example.test", "password": PASSWORD})
    assert client.get(f"{TOKENS}/generate").status_code == 401, "a GET that changes something takes no cookie"


def test_tokens_of_others_are_not_there(client: FlaskClient, make: Factory) -> None:
    make.user()
    make.user("bob@example.test", roles=("administrator",))
    uid = read_unverified(generate(client)).header["kid"]
    bob = basic("bob@example.test")
    assert client.get(f"{TOKENS}/{uid}", headers=bob).status_code == 404
    assert client.delete(f"{TOKENS}/{uid}", headers=bob).status_code == 404
    assert client.get(TOKENS, headers=bob).json["tokens"] == []


@pytest.mark.parametrize("how", ["user disabled", "user deleted", "realm disabled"])
def test_token_dies_with(client: FlaskClient, make: Factory, how: str) -> None:
    uid = make.user()
    token = generate(client)
    acts: dict[str, Any] = {
        "user disabled": lambda realm: set_user(realm, users.get_user(realm, uid), enabled=False),
        "user deleted": lambda realm: users.delete_user(realm, users.get_user(realm, uid)),
        "realm disabled": lambda realm: set_realm(realm, enabled=False),
    }
    make.do(acts[how])
    assert not works(client, token)


@pytest.mark.spec("T71")
def test_altered_tokens_are_refused(client: FlaskClient, make: Factory) -> None:
    make.user()
    token = generate(client)
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    wider = base64.urlsafe_b64encode(json.dumps(claims | {"exp": claims["exp"] + 1}).encode()).rstrip(b"=").decode()
    last = signature[-1]
    same_bits = (
        signature[:-1]
        + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[
            ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(last)) ^ 1
        ]
    )  # differs only in bits that base64url does not use
    for other in (
        f"{head}.{wider}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}.{same_bits}",
        token[:-1],
        token + "A",
        token.swapcase(),
    ):
        assert not works(client, other)
    assert works(client, token)


def test_introspection_knows_personal_tokens(client: FlaskClient, make: Factory) -> None:
    make.user(roles=("viewer",))
    watcher = make.application("watcher", roles=(), resources=["http://localhost:8080/auth/realms/acme"])
    token = generate(client)
    answer = ask(client, "token/introspect", {"token": token, **watcher.form}).json
    assert (answer["active"], answer["username"], answer["realm_access"]) == (True, "ann@example.test", {"roles": ["viewer"]})
    client.delete(f"{TOKENS}?criteria=ALL", headers=basic())
    assert ask(client, "token/introspect", {"token": token, **watcher.form}).json == {"active": False}


def test_administrators_see_and_delete_the_tokens_of_others(client: FlaskClient, make: Factory) -> None:
    uid = make.user()
    make.user("admin@example.test", roles=("administrator",))
    make.user("auditor@example.test", roles=("auditor",))
    make.user("bob@example.test")
    token = generate(client)
    token_id = read_unverified(token).header["kid"]
    path = f"/v1/users/{uid}/personalTokens"
    own, admin, auditor, bob = (session_of(client, f"{name}@example.test") for name in ("ann", "admin", "auditor", "bob"))
    for header in (own, admin, auditor):
        answer = client.get(path, headers=header)
        assert [item["metadata"]["uid"] for item in answer.json["items"]] == [token_id]
        assert token not in answer.text
    assert client.get(path, headers=bob).status_code == 403
    assert client.delete(f"{path}/{token_id}", headers=auditor).status_code == 403
    assert client.delete(f"{path}/{token_id}", headers=admin).status_code == 204
    assert client.delete(f"{path}/{token_id}", headers=admin).status_code == 404
    assert not works(client, token)


@pytest.mark.spec("T91")
def test_token_ends_with_the_one_that_it_was_made_with(client: FlaskClient, make: Factory, frozen_clock: FrozenClock) -> None:
    make.user()
    first = generate(client, basic())
    frozen_clock.advance(days=300)
    second = generate(client, bearer(first))
    third = generate(client, bearer(second))
    apart = generate(client, basic())
    ends = [read_unverified(token).claims["exp"] for token in (first, second, third)]
    assert ends[2] <= ends[1] <= ends[0], "none outlives the one before"
    uid = read_unverified(first).header["kid"]
    assert client.delete(f"{TOKENS}/{uid}", headers=bearer(apart)).status_code == 200
    make.forget()
    for token in (first, second, third):
        assert client.get(TOKENS, headers=bearer(token)).status_code == 401
    assert client.get(TOKENS, headers=bearer(apart)).status_code == 200
