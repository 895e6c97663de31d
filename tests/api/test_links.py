"""Invitations and password resets: one-time codes that go by mail, work once, and tell nothing."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, func, select

from idp import mail, users, vault
from idp.app import close_app, create_app
from idp.db import commit, db
from idp.mail import MailMessage
from idp.ratelimit import AttemptCount
from idp.settings import Settings
from idp.users import LinkPurpose
from tests.conftest import FrozenClock
from tests.factories import PASSWORD, RACE_ROUNDS, Factory, at_once, session_of, set_user, sign_in

CODE = re.compile(r"idp_ol_[0-9A-Za-z]{57}")
NEW = "a brand new password"


def link(make: Factory, purpose: LinkPurpose = LinkPurpose.INVITATION, name: str = "ann@example.test") -> str:
    return make.do(lambda realm: users.send_link(realm, users.get_user(realm, name), purpose))


def redeem(client: FlaskClient, code: str, path: str = "activate", password: str = NEW) -> int:
    return client.patch(f"/v1/auth/password/{code}/{path}", json={"password": password}).status_code


def outbox(context: Flask) -> list[dict[str, Any]]:
    import json

    db.session.rollback()
    rows = db.session.scalars(select(MailMessage).where(MailMessage.done_at.is_(None)).order_by(MailMessage.id)).all()
    return [json.loads(vault.unseal(row.sealed, context=f"mail {row.occasion}")) | {"template": row.template} for row in rows]


def test_invited_person_chooses_a_password_and_signs_in(client: FlaskClient, make: Factory, context: Flask) -> None:
    make.user("admin@example.test", roles=("administrator",))
    answer = client.post(
        "/v1/users",
        headers=session_of(client, "admin@example.test"),
        json={"spec": {"emailId": "ann@example.test", "roles": ["viewer"]}},
    )
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/users/{answer.json['uid']}"
    assert not CODE.search(answer.text), "who invites does not learn the code"
    (sent,) = outbox(context)
    assert (sent["to"], sent["template"]) == ("ann@example.test", "invitation")
    assert redeem(client, sent["values"]["code"]) == 204
    assert sign_in(client, password=NEW).status_code == 200


def test_code_works_once_for_its_purpose_only_and_in_its_time(
    client: FlaskClient, make: Factory, frozen_clock: FrozenClock
) -> None:
    make.user(password=False)
    code = link(make)
    assert redeem(client, code, "reset") == 401, "an invitation is no reset (T49)"
    assert redeem(client, code, password="short") == 400, "a bad password does not use it up"
    assert redeem(client, code) == 204
    assert redeem(client, code) == 401
    reset = link(make, LinkPurpose.RESET)
    assert redeem(client, reset, "activate") == 401
    frozen_clock.advance(minutes=61)
    assert redeem(client, reset, "reset") == 401


@pytest.mark.spec("T71")
def test_altered_codes_are_refused(client: FlaskClient, make: Factory) -> None:
    make.user(password=False)
    code = link(make)
    for other in (code[:-1], code + "0", code.swapcase(), code[:20] + ("0" if code[20] != "0" else "1") + code[21:], "x", "%20"):
        assert redeem(client, other) in {401, 404}, other
    assert redeem(client, code) == 204


@pytest.mark.spec("T59")
def test_newer_code_password_change_and_disabling_make_a_code_void(client: FlaskClient, make: Factory) -> None:
    make.user()
    old = link(make, LinkPurpose.RESET)
    new = link(make, LinkPurpose.RESET)
    assert redeem(client, old, "reset") == 401
    body = {"emailId": "ann@example.test", "currentPassword": PASSWORD, "newPassword": NEW}
    assert client.patch("/v1/users/password/change", json=body).status_code == 204
    assert redeem(client, new, "reset") == 401
    third = link(make, LinkPurpose.RESET)
    make.do(lambda realm: set_user(realm, users.get_user(realm, "ann@example.test"), enabled=False))
    assert redeem(client, third, "reset") == 401


@pytest.mark.spec("T61")
@pytest.mark.parametrize("purpose", [LinkPurpose.INVITATION, LinkPurpose.RESET])
def test_of_fifty_uses_at_once_one_wins(
    settings: Settings, make: Factory, purpose: LinkPurpose, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.api.test_sign_in import count_hashes

    count_hashes(monkeypatch)
    make.user(password=purpose is LinkPurpose.RESET)
    path = "activate" if purpose is LinkPurpose.INVITATION else "reset"
    nodes = [create_app(settings.model_copy(update={"threads": 256})) for _ in range(2)]
    for _ in range(RACE_ROUNDS):
        make.do(lambda _: db.session.execute(delete(AttemptCount)))  # as many mails to her as there are rounds
        code = link(make, purpose)
        turn = iter(range(50))
        statuses = at_once(50, lambda code=code, turn=turn: redeem(nodes[next(turn) % 2].test_client(), code, path))
        assert statuses.count(204) == 1
        assert set(statuses) <= {204, 401, 503}
    for node in nodes:
        close_app(node)


@pytest.mark.spec("R110", "T85")
def test_asking_for_a_reset_tells_nothing_and_writes_one_row_for_anybody(
    client: FlaskClient, make: Factory, context: Flask
) -> None:
    make.user()
    make.user("gone@example.test", enabled=False)
    make.user("robot", email="ops@example.test")
    for name in ("ann@example.test", "nobody@example.test", "gone@example.test", "robot"):
        for answer in (
            client.post("/v1/auth/user/password/reset", json={"emailId": name}),
            client.get(f"/v1/auth/user/org/forgot?emailId={name}"),
        ):
            assert (answer.status_code, answer.data) == (204, b"")
    assert outbox(context) == []
    users.answer_reset_requests()
    commit()
    assert [(sent["to"], sent["template"]) for sent in outbox(context)] == [("ann@example.test", "password-reset")]
    assert db.session.scalar(select(func.count()).select_from(MailMessage)) == 2, "and the second has replaced the first"
    assert redeem(client, outbox(context)[-1]["values"]["code"], "reset") == 204
    assert sign_in(client, password=NEW).status_code == 200


def test_resets_for_one_account_are_limited(client: FlaskClient) -> None:
    statuses = [
        client.post("/v1/auth/user/password/reset", json={"emailId": f" ANN@example.test{' ' * n}"}).status_code for n in range(7)
    ]
    assert statuses == [204] * 5 + [429] * 2


@pytest.mark.spec("R107")
def test_administrator_starts_a_reset_and_does_not_choose_the_password(
    client: FlaskClient, make: Factory, context: Flask
) -> None:
    uid = make.user()
    make.user("admin@example.test", roles=("administrator",))
    answer = client.patch(
        f"/v1/users/{uid}/password/reset", headers=session_of(client, "admin@example.test"), json={"password": NEW}
    )
    assert (answer.status_code, answer.data) == (204, b"")
    assert sign_in(client).status_code == 200
    assert [sent["template"] for sent in outbox(context)] == ["password-reset"]


@pytest.mark.spec("T102")
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}, {"Forwarded": "host=evil.example"}], ids=str
)
def test_links_in_mails_come_from_the_configuration(
    client: FlaskClient, make: Factory, context: Flask, settings: Settings, headers: dict[str, str]
) -> None:
    make.user()
    client.post("/v1/auth/user/password/reset", json={"emailId": "ann@example.test"}, headers=headers)
    users.answer_reset_requests()
    commit()
    (sent,) = outbox(context)
    message = mail.postman.compose(settings, sent["template"], sent["to"], sent["values"])
    for part in message.walk():
        if not part.is_multipart():
            text = part.get_content()
            assert "evil.example" not in text
            assert f"http://localhost:8080/console/reset/{sent['values']['code']}" in text


def test_passwords_may_be_long_and_of_any_characters(client: FlaskClient, make: Factory) -> None:
    for password in ("x y\t\u2028 z 🔑 ü", "p" * 1024, "aaaaaaaaa1!", "        "):
        make.user(name := f"u{abs(hash(password))}@example.test", password=False)
        assert redeem(client, link(make, name=name), password=password) == 204, password[:20]
        assert sign_in(client, name, password).status_code == 200


@pytest.mark.spec("R106")
@pytest.mark.parametrize(
    "password", ["1234567", "iloveyou", "PASSWORD1", "qwertyuiop", "p" * 1025, "ann@example.test", "ANN@EXAMPLE.TEST"]
)
def test_bad_passwords_are_refused_and_not_repeated(client: FlaskClient, make: Factory, password: str) -> None:
    make.user(password=False)
    answer = client.patch(f"/v1/auth/password/{link(make)}/activate", json={"password": password})
    assert answer.status_code == 400
    assert password not in answer.json["message"]


@pytest.mark.spec("R106")
def test_three_thousand_common_passwords_are_refused() -> None:
    common = users.passwords._common_passwords()
    assert len(common) == 3_000
    assert all(len(word) >= 8 for word in common)
    for word in list(common)[:50]:
        with pytest.raises(Exception, match="most common"):
            users.check_password(word.upper())
