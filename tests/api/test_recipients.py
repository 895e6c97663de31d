"""How many mails somebody gets whom others write to, whoever they are and however they do it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from idp import mail, users, vault
from idp.app import close_app, create_app
from idp.db import db
from idp.mail import MailMessage
from idp.ratelimit import AttemptCount
from idp.settings import Settings
from tests.conftest import FrozenClock
from tests.factories import PASSWORD, Factory, at_once, session_of

VICTIM = "victim@example.test"
MOST = 5
"""Invitations to one address in an hour."""


def boss(client: FlaskClient, make: Factory, realm: str = "acme") -> dict[str, str]:
    make.user(f"boss@{realm}.test", realm=realm, roles=("administrator",))
    return session_of(client, f"boss@{realm}.test", org=realm)


def create(client: FlaskClient, header: dict[str, str], address: str = VICTIM) -> Any:
    return client.post("/v1/users", json={"spec": {"emailId": address}}, headers=header)


def mails_to(app: Flask, address: str = VICTIM) -> list[str]:
    """Return the templates of the mails in the outbox that go to an address, oldest first."""
    with app.app_context():
        rows = db.session.scalars(select(MailMessage).order_by(MailMessage.id)).all()
        opened = [(row.template, json.loads(vault.unseal(row.sealed, context=f"mail {row.occasion}"))) for row in rows]
    return [template for template, content in opened if content["to"].casefold() == address.casefold()]


@pytest.fixture(autouse=True)
def _all_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each be on its way before the next one is asked for: what has replaced it comes too late for it."""
    monkeypatch.setattr(mail, "withdraw", lambda _occasions: None)


@pytest.fixture
def open_app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings.model_copy(update={"sign_up": "open"}))
    yield app
    close_app(app)


def test_invitations_to_one_address_are_bounded_whoever_sends_them_in_whichever_way(
    app: Flask, client: FlaskClient, make: Factory, frozen_clock: FrozenClock
) -> None:
    make.realm("globex")
    acme, globex = boss(client, make), boss(client, make, "globex")
    uid = create(client, acme).json["uid"]
    assert client.post(f"/v1/users/{uid}/invite", headers=acme).status_code == 204, "invited again"
    client.delete(f"/v1/users/{uid}", headers=acme)
    uid = create(client, acme, "Victim@EXAMPLE.test").json["uid"]
    assert create(client, globex).status_code == 201, "by another organisation"
    other = create(client, globex, "other@example.test").json["uid"]
    assert client.patch(f"/v1/users/{other}", json={"emailId": VICTIM}, headers=globex).status_code == 204
    assert client.post(f"/v1/users/{other}/invite", headers=globex).status_code == 204
    assert len(mails_to(app)) == 4, "codes of an account without a password go to the address that it is named by"
    assert client.post(f"/v1/users/{uid}/invite", headers=acme).status_code == 204, "invited once more"
    assert len(mails_to(app)) == MOST
    refused = [
        client.post(f"/v1/users/{uid}/invite", headers=acme),
        client.patch(f"/v1/users/{uid}/password/reset", headers=acme),
        create(client, globex, "victim+news@example.test"),
        create(client, globex, "\uff56ictim+1@example.test"),
        client.post("/api/v1/users", json={"email": "VICTIM+2@example.test"}, headers=globex),
        client.post("/cloudapi/v6/um/users", json={"properties": {"email": "victim+3@example.test"}}, headers=globex),
    ]
    for answer in refused:
        assert answer.status_code == 429, answer.text
        assert 0 < int(answer.headers["Retry-After"]) <= 3601
    assert refused[0].json["message"].startswith("Too many emails to this address.")
    assert len(mails_to(app)) == MOST
    listed = client.get("/v1/users", headers=globex).json["items"]
    assert {each["spec"]["loginName"] for each in listed} == {"boss@globex.test", VICTIM, "other@example.test"}
    assert create(client, acme, "somebody.else@example.test").status_code == 201, "others are invited as before"
    frozen_clock.advance(hours=1, seconds=1)
    assert (
        client.post(f"/v1/users/{other}/invite", headers=session_of(client, "boss@globex.test", org="globex")).status_code == 204
    )


def test_address_of_another_alphabet_is_the_same_address(app: Flask, client: FlaskClient, make: Factory) -> None:
    header = boss(client, make)
    written = ("zoe@bücher.test", "zoe@BÜCHER.test", "zoe@xn--bcher-kva.test", "Zoe+1@xn--bcher-kva.test", "zoe+2@bücher.test")
    statuses = [create(client, header, address).status_code for address in written]
    assert statuses == [201, 409, 201, 201, 201]
    assert create(client, header, "zoe+3@bücher.test").status_code == 201
    assert create(client, header, "zoe+4@bücher.test").status_code == 429


def test_invitation_that_was_not_made_is_not_counted(client: FlaskClient, make: Factory) -> None:
    header = boss(client, make)
    wrong = {"spec": {"emailId": VICTIM, "teams": ["nothing"]}}
    assert {client.post("/v1/users", json=wrong, headers=header).status_code for _ in range(MOST + 2)} == {404}
    assert create(client, header).status_code == 201


def test_address_is_counted_and_not_kept(app: Flask, client: FlaskClient, make: Factory) -> None:
    create(client, boss(client, make))
    with app.app_context():
        assert not [row.key for row in db.session.scalars(select(AttemptCount)) if "victim" in row.key or "@" in row.key]


def test_invitations_at_the_same_moment_cannot_slip_past_the_bound(settings: Settings, app: Flask, make: Factory) -> None:
    header = boss(app.test_client(), make)
    uid = create(app.test_client(), header).json["uid"]
    nodes = [create_app(settings.model_copy(update={"threads": 64})) for _ in range(2)]
    turn = iter(range(20))
    statuses = at_once(
        20, lambda: nodes[next(turn) % 2].test_client().post(f"/v1/users/{uid}/invite", headers=header).status_code
    )
    assert set(statuses) <= {204, 429, 503}
    assert len(mails_to(app)) == 1 + statuses.count(204) <= MOST
    for node in nodes:
        close_app(node)


def test_page_refuses_another_invitation_and_says_why(app: Flask, client: FlaskClient, make: Factory) -> None:
    from tests.console.surfing import Surfer

    uid = create(client, boss(client, make)).json["uid"]
    surfer = Surfer(app).sign_in("boss@acme.test")
    for _ in range(MOST - 1):
        surfer.open(f"/console/realms/acme/users/{uid}").send("Send another invitation")
    surfer.open(f"/console/realms/acme/users/{uid}").send("Send another invitation")
    assert surfer.page.status_code == 429
    assert "Too many emails to this address" in surfer.page.text
    assert len(mails_to(app)) == MOST


def test_sign_ups_with_one_address_are_bounded_wherever_they_come_from(open_app: Flask, make: Factory) -> None:
    def sign_up(number: int, address: str = VICTIM) -> int:
        client = open_app.test_client()
        body = {"orgName": f"g{number}", "emailId": address}
        place = {"REMOTE_ADDR": f"192.0.2.{number}"}
        return client.post("/v1/auth/signup", json=body, environ_overrides=place).status_code

    assert [sign_up(number) for number in range(7)] == [201] * 5 + [429] * 2
    assert sign_up(8, "other@example.test") == 201
    assert mails_to(open_app) == ["sign-up"] * 5


def test_invitations_keep_no_reset_from_who_has_an_account(open_app: Flask, make: Factory) -> None:
    client = open_app.test_client()
    make.user(VICTIM)
    make.user("mallory@example.test", email=VICTIM)
    make.realm("globex")
    header = boss(client, make, "globex")
    other = create(client, header).json["uid"]
    assert [client.post(f"/v1/users/{other}/invite", headers=header).status_code for _ in range(6)][-1] == 429
    for number in range(6):
        body = {"orgName": f"g{number}", "emailId": VICTIM}
        client.post("/v1/auth/signup", json=body, environ_overrides={"REMOTE_ADDR": f"192.0.2.{number}"})
        place = {"REMOTE_ADDR": f"198.51.100.{number}"}
        client.post("/v1/auth/user/password/reset", json={"emailId": "mallory@example.test"}, environ_overrides=place)
    with open_app.app_context():
        users.answer_reset_requests()
    before = mails_to(open_app)
    assert before.count("password-reset") == 5, "what is sent there for an account of another name is bounded, too"
    client.post("/v1/auth/user/password/reset", json={"emailId": VICTIM, "org": "acme"})
    with open_app.app_context():
        users.answer_reset_requests()
    assert mails_to(open_app) == [*before, "password-reset"]


def test_resets_that_an_administrator_sends_are_bounded(app: Flask, client: FlaskClient, make: Factory) -> None:
    uid, header = make.user(VICTIM), boss(client, make)
    statuses = [client.patch(f"/v1/users/{uid}/password/reset", headers=header).status_code for _ in range(6)]
    assert statuses == [204] * 5 + [429]
    client.post("/v1/auth/user/password/reset", json={"emailId": VICTIM})
    with app.app_context():
        users.answer_reset_requests()
    assert mails_to(app) == ["password-reset"] * 6, "who asks for themselves is not kept from it"


def test_notices_about_an_account_with_somebody_elses_address_are_bounded(app: Flask, client: FlaskClient, make: Factory) -> None:
    for number in range(2):
        make.user(f"mallory{number}@example.test", email=VICTIM)
    for number in range(14):
        old, new = (PASSWORD, "another good one")[:: 1 if number % 4 < 2 else -1]
        body = {"emailId": f"mallory{number % 2}@example.test", "currentPassword": old, "newPassword": new}
        assert client.patch("/v1/users/password/change", json=body).status_code == 204, "the change is made"
        key = make.key("mallory0@example.test", name=f"k{number}")
        assert client.post("/v1/auth/credentials/report", json={"credential": key.plain}).status_code == 204
        assert client.get("/v1/users/info", headers=key.header).status_code == 401, "the key is revoked"
    sent = mails_to(app)
    assert (sent.count("password-changed"), sent.count("api-key-leaked")) == (5, 5)
