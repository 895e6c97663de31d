"""Whoever can read the mail decides over a sign-up: nothing that opens anything was chosen before, by somebody who may be anybody."""

import json
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from idp import vault
from idp.app import close_app, create_app
from idp.db import commit, db
from idp.organisations import SignUp
from idp.settings import Settings
from tests.compat.test_rafay import SIGN_UP, sent_code
from tests.console.surfing import Surfer
from tests.factories import PASSWORD, password_hash

OWN = "a long and unusual one"
WISH = {"orgName": "globex", "emailId": "boss@globex.test", "displayName": "Globex", "firstName": "Bo", "lastName": "Ss"}


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings.model_copy(update={"sign_up": "open"}))
    yield app
    close_app(app)


def signs_in(client: FlaskClient, password: str) -> bool:
    body = {"emailId": "boss@globex.test", "password": password, "org": "globex"}
    return client.post("/v1/auth/authenticate?setCookie=false", json=body).status_code == 200


def test_password_is_no_part_of_a_sign_up(app: Flask) -> None:
    client = app.test_client()
    answer = client.post("/v1/auth/signup", json=WISH | {"password": PASSWORD})
    assert (answer.status_code, answer.json["details"]["members"][0]["member"]) == (400, "password")
    assert client.post("/v1/auth/signup", json=WISH).status_code == 201
    url = f"/v1/auth/signup/{sent_code(app, 'sign-up')}/verify"
    assert client.patch(url, json={}).status_code == 400, "a code alone makes nothing"
    assert client.patch(url, json={"password": OWN}).status_code == 200
    assert signs_in(client, OWN)


def test_password_that_another_contract_sends_with_a_sign_up_opens_nothing(app: Flask) -> None:
    client = app.test_client()
    assert client.post("/auth/v1/signup/organization/", json=SIGN_UP | {"password": PASSWORD}).status_code == 201
    code = sent_code(app, "sign-up")
    assert client.patch(f"/v1/auth/signup/{code}/verify", json={}).status_code == 400
    assert client.patch(f"/v1/auth/signup/{code}/verify", json={"password": OWN}).status_code == 200
    assert not signs_in(client, PASSWORD)
    assert signs_in(client, OWN)


def test_password_of_a_sign_up_from_former_days_opens_nothing(app: Flask) -> None:
    client = app.test_client()
    client.post("/v1/auth/signup", json=WISH)
    with app.app_context():
        row = db.session.scalars(select(SignUp)).one()
        context = f"sign-up {row.uid}"
        content = json.loads(vault.unseal(row.sealed, context=context)) | {"password_hash": password_hash()}
        row.sealed = vault.seal(json.dumps(content).encode(), context=context)
        commit()
    code = sent_code(app, "sign-up")
    surfer = Surfer(app).open(f"/console/sign-up/{code}")
    assert "password" in dict(surfer.read().forms[-1].values), "the page asks for one"
    assert client.patch(f"/v1/auth/signup/{code}/verify", json={}).status_code == 400
    assert client.patch(f"/v1/auth/signup/{code}/verify", json={"password": OWN}).status_code == 200
    assert not signs_in(client, PASSWORD)
    assert signs_in(client, OWN)


def test_page_says_what_is_confirmed_and_what_somebody_else_has_written(app: Flask) -> None:
    app.test_client().post("/v1/auth/signup", json=WISH)
    surfer = Surfer(app).open(f"/console/sign-up/{sent_code(app, 'sign-up')}")
    text = surfer.page.text
    assert "This creates the organisation <strong>globex</strong>" in text
    assert "makes you its administrator, as <strong>boss@globex.test</strong>" in text
    assert text.index("Whoever signed it up entered") < text.index("Bo Ss")
    surfer.send("Create my organisation", {"password": OWN})
    assert signs_in(app.test_client(), OWN)
