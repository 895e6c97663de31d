"""How tokens name the credential that they were fetched with, and what ends when that is taken away."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from idp import applications, clock
from idp.app import close_app, create_app
from idp.applications import ApplicationKeySet, SecretSheet
from idp.crypto import b64url
from idp.db import db
from idp.settings import Settings
from tests.factories import (
    Factory,
    Made,
    ask,
    ask_token,
    assertion,
    assertion_form,
    claims_of,
    key_pair,
    set_api,
    set_application,
)
from tests.protocol.test_exchange import ACCESS, exchange
from tests.recall.conftest import API, ISSUER
from tests.recall.test_acts import Stage, retire_all
from tests.sign_in.conftest import DONE, Browser

USERINFO = "/auth/realms/acme/protocol/openid-connect/userinfo"


def token_of(client: FlaskClient, made: Made) -> str:
    answer = ask_token(client, made, scope="openid")
    assert answer.status_code == 200, answer.text
    return str(answer.json["access_token"])


def name_in(token: str) -> Any:
    return claims_of(token).get("credential")


def signed(client: FlaskClient, name: str, key: Any) -> str:
    answer = ask(client, "token", assertion_form(assertion(key, name, ISSUER)))
    assert answer.status_code == 200, answer.text
    return str(answer.json["access_token"])


def test_each_secret_has_a_name_by_which_it_cannot_be_found(client: FlaskClient, make: Factory) -> None:
    made = make.application()
    other = Made(made.client_id, make.change(lambda realm, row: applications.add_secret(realm, row, "next")[1]), made.uid)
    uids = make.change(lambda _, row: [each.uid for each in applications.list_secrets(row)])
    names = [name_in(token_of(client, each)) for each in (made, other)]
    assert names == [b64url(hashlib.sha256(f"secret\0{uid}".encode()).digest()[:8]).decode() for uid in uids]
    assert name_in(token_of(client, made)) == names[0], "it is always the same"


def test_each_application_names_its_public_keys_itself(client: FlaskClient, make: Factory) -> None:
    key, jwks = key_pair()
    _, other = key_pair("RS256")
    for name in ("ci-bot", "robot"):
        make.application(name, secret=False, jwks={"keys": other["keys"] + jwks["keys"]})
    names = [name_in(signed(client, name, key)) for name in ("ci-bot", "robot")]
    assert len(set(names)) == 2
    assert all(isinstance(name, str) and len(name) == 11 for name in names)
    make.change(lambda realm, row: set_application(realm, row, jwks=jwks))
    assert name_in(signed(client, "ci-bot", key)) == names[0]


def test_keys_of_one_kid_are_told_apart_by_what_they_have_signed(client: FlaskClient, make: Factory) -> None:
    pairs = [key_pair(), key_pair()]
    make.application(secret=False, jwks={"keys": [jwks["keys"][0] for _, jwks in pairs]})
    names = [name_in(signed(client, "ci-bot", key)) for key, _ in pairs]
    make.change(lambda realm, row: set_application(realm, row, jwks=pairs[1][1]))
    assert names[0] != names[1] == name_in(signed(client, "ci-bot", pairs[1][0]))


def test_what_is_published_elsewhere_has_no_name(client: FlaskClient, make: Factory) -> None:
    key, jwks = key_pair()
    make.application(secret=False, jwks_uri="https://bot.example/keys")

    def fetch(_: Any) -> None:
        row = db.session.scalars(select(ApplicationKeySet)).one()
        row.fetched_keys, row.fetched_at, row.fetch_at = jwks["keys"], clock.now(), clock.now()

    make.do(fetch)
    make.forget()
    assert "credential" not in claims_of(signed(client, "ci-bot", key))


def test_who_describes_itself_elsewhere_has_keys_without_a_name(context: Flask, make: Factory) -> None:
    _, jwks = key_pair()
    make.application(secret=False, jwks=jwks)
    found = make.change(lambda _, row: (applications.credentials_of(row), setattr(row, "document_url", "https://bot.example/")))
    assert len(found[0]) == 1
    assert make.change(lambda _, row: applications.credentials_of(row)) == set()


def test_who_shows_nothing_of_its_own_has_none(app: Flask, make: Factory) -> None:
    assert "credential" not in claims_of(Stage(app, make).federated_token())
    make.user(roles=("viewer",))
    page = make.application("page", kind="browser", redirect_uris=[DONE], roles=(), secret=False)
    assert "credential" not in claims_of(Browser(app, page).tokens(scope="openid roles")["access_token"])


def test_exchanged_token_names_all_credentials_on_its_way_once(client: FlaskClient, make: Factory) -> None:
    targets = ["https://data.example", API]
    made = make.application(audience=[API, "https://own.example"], resources=[API])
    worker = make.application("worker", audience=targets, resources=[API])

    def exchanged(token: str, by: Made, audience: str) -> str:
        answer = exchange(client, subject_token=token, subject_token_type=ACCESS, audience=audience, **by.form)
        assert answer.status_code == 200, answer.text
        return str(answer.json["access_token"])

    token = token_of(client, made)
    own, workers = name_in(token), name_in(token_of(client, worker))
    assert name_in(exchanged(token, made, API)) == own
    first = exchanged(token, worker, API)
    assert name_in(first) == [own, workers]
    assert name_in(exchanged(first, worker, "https://data.example")) == [own, workers]


def test_what_has_used_up_a_secret_goes_on(client: FlaskClient, make: Factory) -> None:
    made = make.application(secret=False, resources=[API], audience=[API])
    once = make.change(lambda realm, row: applications.add_secret(realm, row, "once", SecretSheet(single_use=True))[1])
    token = token_of(client, Made(made.client_id, once, made.uid))
    assert name_in(token)
    checker = make.application("checker", resources=[API])
    make.change(lambda realm, row: applications.add_secret(realm, row, "next"))
    assert ask(client, "token/introspect", {"token": token, **checker.form}).json["active"] is True


@pytest.fixture
def proxy(settings: Settings) -> Iterator[FlaskClient]:
    """A client that is a trusted proxy, too, as the gateway asks for."""
    app = create_app(settings.model_copy(update={"trusted_proxies": ("127.0.0.1/32",)}))
    yield app.test_client(use_cookies=False)
    close_app(app)


def test_every_door_refuses_at_once(proxy: FlaskClient) -> None:
    client, make = proxy, Factory(proxy.application)
    made = make.application(roles=("administrator",), audience=[ISSUER, API])
    kept = make.application("kept", roles=("administrator",), audience=[ISSUER, API])
    worker = make.application("worker", audience=["https://data.example"], resources=[API])
    make.do(lambda realm: set_api(realm, "metrics", audience=API, rules=[{"methods": ["GET"], "path": "/"}]))
    tokens = {True: token_of(client, kept), False: token_of(client, made)}

    def statuses(token: str) -> dict[str, Any]:
        header = {"Authorization": f"Bearer {token}"}
        environ = {"QUERY_STRING": "method=GET&uri=/x"}
        return {
            "userinfo": client.get(USERINFO, headers=header).status_code == 200,
            "/v1": client.get("/v1/applications", headers=header).status_code == 200,
            "introspection": ask(client, "token/introspect", {"token": token, **worker.form}).json["active"],
            "exchange": exchange(client, subject_token=token, subject_token_type=ACCESS, **worker.form).status_code == 200,
            "gateway": client.get("/gateway/check/acme/metrics", headers=header, environ_overrides=environ).status_code == 200,
        }

    for token in tokens.values():
        assert set(statuses(token).values()) == {True}, statuses(token)
    make.change(retire_all)
    for works, token in tokens.items():
        assert set(statuses(token).values()) == {works}, statuses(token)


@pytest.mark.parametrize("kind", ["secret", "key"])
def test_who_has_another_credential_notices_nothing(client: FlaskClient, make: Factory, kind: str) -> None:
    key, jwks = key_pair()
    made = make.application(jwks=jwks, audience=[API], resources=[API])
    checker = make.application("checker", resources=[API])
    by_secret, by_key = token_of(client, made), signed(client, "ci-bot", key)
    if kind == "secret":
        make.change(retire_all)
    else:
        make.change(lambda realm, row: set_application(realm, row, jwks=None))

    def is_active(token: str) -> bool:
        return bool(ask(client, "token/introspect", {"token": token, **checker.form}).json["active"])

    assert (is_active(by_secret), is_active(by_key)) == (kind == "key", kind == "secret")
