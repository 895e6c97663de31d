"""Mail: written in the transaction that causes it, sent once by a real mail server, tried again, never in the way."""

import json
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from idp import access, apikeys, clock, mail, organisations, realms, runtime, setup, users, vault
from idp.apikeys import ApiKey
from idp.app import close_app, create_app
from idp.audit import Tag
from idp.db import commit, db
from idp.errors import InvalidValueError
from idp.mail import MailMessage
from idp.settings import Settings
from idp.users import LinkPurpose
from tests.conftest import FrozenClock
from tests.factories import PASSWORD, Factory, at_once, session_of, set_realm
from tests.mail.conftest import Mailbox
from tests.serving import Server, send, wait_until


def enqueue(occasion: str = "test:1", to: str = "ann@example.test", **values: str) -> None:
    given = {"organisation": "Acme", "name": "ann", "code": "idp_ol_x", "expires": "tomorrow"} | values
    mail.enqueue("acme", occasion, "invitation", to, useful_until=None, **given)
    commit()


def test_mail_goes_out_once_in_text_and_html(context: Flask, mailbox: Mailbox) -> None:
    enqueue(name="<b>Ann</b> & Söhne")
    assert mail.deliver_mail() == 1
    assert mail.deliver_mail() == 0
    ((to, message),) = mailbox.mails
    assert to == ["ann@example.test"]
    assert (message["To"], message["From"], message["Subject"]) == (
        "ann@example.test",
        "Realmgate <id@acme.example>",
        "An account has been created for you",
    )
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@acme.example>")
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "idp_ol_x" in text
    assert "<b>Ann</b> & Söhne" in text
    assert "&lt;b&gt;Ann&lt;/b&gt; &amp; Söhne" in html


def test_one_occasion_is_one_mail(context: Flask, mailbox: Mailbox) -> None:
    for _ in range(3):
        enqueue()
    mail.deliver_mail()
    enqueue()
    mail.deliver_mail()
    assert len(mailbox.mails) == 1


def test_of_several_workers_one_sends_each_mail(app: Flask, settings: Settings, mailbox: Mailbox) -> None:
    with app.app_context():
        for number in range(20):
            enqueue(f"test:{number}")

    def deliver() -> int:
        with app.app_context():
            return mail.deliver_mail()

    assert sum(at_once(5, deliver)) == 20
    assert len({message["Message-ID"] for _, message in mailbox.mails}) == len(mailbox.mails) == 20


def test_mail_that_is_refused_is_tried_again_later_and_then_given_up(
    context: Flask, mailbox: Mailbox, frozen_clock: FrozenClock
) -> None:
    enqueue()
    mailbox.refusal = "451 later"
    assert mail.deliver_mail() == 0
    assert mail.deliver_mail() == 0, "not before its time"
    frozen_clock.advance(seconds=61)
    mailbox.refusal = ""
    assert mail.deliver_mail() == 1
    enqueue("test:2")
    mailbox.refusal = "550 never"
    for _ in range(10):
        mail.deliver_mail()
        frozen_clock.advance(days=2)
    db.session.rollback()
    row = db.session.scalars(select(MailMessage).where(MailMessage.occasion == "test:2")).one()
    assert (row.sent, row.done_at is not None, row.sealed, row.tries) == (False, True, "", 8)
    assert "550" in row.last_error


def test_mail_that_cannot_be_made_stands_in_the_way_of_no_other(context: Flask, mailbox: Mailbox) -> None:
    enqueue("test:broken")
    db.session.execute(MailMessage.__table__.update().values(template="nothing"))
    commit()
    enqueue("test:good")
    assert mail.deliver_mail() == 1
    assert len(mailbox.mails) == 1


def test_mail_server_that_is_away_leaves_the_mail_in_the_outbox(
    context: Flask, mailbox: Mailbox, frozen_clock: FrozenClock
) -> None:
    mailbox.controller.stop()
    enqueue()
    assert mail.deliver_mail() == 0
    assert len(mail.list_waiting()) == 1
    mailbox.controller = Mailbox(mailbox.controller.port).controller
    mailbox.controller.start()
    frozen_clock.advance(seconds=61)
    assert mail.deliver_mail() == 1


def code_for(make: Factory, purpose: LinkPurpose = LinkPurpose.RESET) -> str:
    """Have a one-time code be sent to ann, and return it."""
    plain: str = make.do(lambda realm: users.send_link(realm, users.get_user(realm, "ann@example.test"), purpose))
    return plain


def outbox() -> list[tuple[bool, bool, str, str]]:
    """Return of each mail whether it is done with, whether it was sent, what is kept of it, and why."""
    db.session.rollback()
    rows = db.session.scalars(select(MailMessage).order_by(MailMessage.id))
    return [(row.done_at is not None, row.sent, row.sealed, row.last_error) for row in rows]


def test_mail_is_not_sent_when_its_code_has_expired_while_the_mail_server_was_down(
    app: Flask, mailbox: Mailbox, frozen_clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    make = Factory(app)
    make.user()
    mailbox.controller.stop()
    began = clock.now()
    code_for(make)
    with app.app_context():
        enqueue("test:no end")
        while clock.now() < began + timedelta(hours=1):
            mail.deliver_mail()
            frozen_clock.advance(minutes=1)
        mailbox.controller = Mailbox(mailbox.controller.port).controller
        mailbox.controller.start()
        for _ in range(2):
            mail.deliver_mail()
            frozen_clock.advance(hours=7)
        received = mailbox.controller.handler.mails
        assert ["password" in message["Subject"] for _, message in received] == [False], "the other one is sent"
        setup.rotate_keys_and_tidy()
        first, second = outbox()
    assert first[:3] == (True, False, "")
    assert first[3].startswith("what it carries has expired; before that: ConnectionRefusedError")
    assert second == (True, True, "", "")
    assert "was given up (try 9): what it carries has expired" in caplog.text
    assert "idp_ol_" not in caplog.text


def test_mail_that_is_of_use_for_an_hour_is_tried_until_shortly_before_its_end(
    app: Flask, mailbox: Mailbox, frozen_clock: FrozenClock
) -> None:
    make = Factory(app)
    make.user()
    code_for(make)
    mailbox.refusal = "451 later"
    with app.app_context():
        for _ in range(52):
            mail.deliver_mail()
            frozen_clock.advance(minutes=1)
        mailbox.refusal = ""
        for _ in range(7):
            mail.deliver_mail()
            frozen_clock.advance(minutes=1)
    assert len(mailbox.mails) == 1, "by its usual waits the next try would be when the code has expired"


@pytest.mark.parametrize("end", ["replaced", "used", "void", "deleted"])
def test_mail_whose_code_was_used_or_replaced_is_not_sent(app: Flask, mailbox: Mailbox, end: str) -> None:
    make = Factory(app)
    make.user()
    code, other = code_for(make), []
    match end:
        case "replaced":
            other = [code_for(make)]
        case "used":
            make.do(lambda _: users.redeem_link(code, LinkPurpose.RESET, "a brand new password"))
        case "void":
            make.do(lambda realm: users.set_password(realm, users.get_user(realm, "ann@example.test"), "x", Tag.PASSWORD_CHANGE))
        case "deleted":
            make.do(lambda realm: users.delete_user(realm, users.get_user(realm, "ann@example.test")))
    with app.app_context():
        mail.deliver_mail()
        first = outbox()[0]
    assert first == (True, False, "", "what it carries was used or replaced")
    codes = [
        word for _, message in mailbox.mails for word in message.get_body(("plain",)).get_content().split() if "idp_ol" in word
    ]
    assert all(code not in word for word in codes)
    assert [any(each in word for word in codes) for each in other] == [True] * len(other)


def test_sign_up_that_was_verified_is_not_mailed_again(settings: Settings, mailbox: Mailbox) -> None:
    """Where the mail server took the mail, and the connection was lost before it could say so."""
    update = {"smtp_host": "127.0.0.1", "smtp_port": mailbox.controller.port, "smtp_security": "none", "sign_up": "open"}
    app = create_app(settings.model_copy(update=update))
    with app.app_context():
        organisations.sign_up(organisations.SignUpWish("globex", "ann@example.test"), "192.0.2.1")
        (row,) = mail.list_waiting()
        code = json.loads(vault.unseal(row.sealed, context=f"mail {row.occasion}"))["values"]["code"]
        assert row.useful_until is not None
        commit()
        organisations.verify_sign_up(code, PASSWORD, "192.0.2.1")
        commit()
        assert mail.deliver_mail() == 0
        assert outbox() == [(True, False, "", "what it carries was used or replaced")]
    close_app(app)


def test_notice_of_a_key_is_of_use_until_the_next_one_or_the_end(
    make: Factory, context: Flask, frozen_clock: FrozenClock
) -> None:
    make.user()
    db.session.rollback()
    key = make.key(hours=24 * 30)
    ends = []
    for days in (24, 5.5):
        frozen_clock.advance(days=days)
        make.do(lambda _: apikeys.send_notices())
        ends.append(mail.list_waiting()[-1].useful_until)
        db.session.rollback()
    expires_at = make.do(lambda realm: apikeys.get_key(realm, key.uid).expires_at)
    assert ends == [expires_at - timedelta(days=1), expires_at]


def test_each_of_many_keys_is_announced_once_and_those_of_nobody_are_not_read(
    make: Factory, context: Flask, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.user()
    make.application()
    db.session.rollback()
    mine = [make.key(hours=24 * 30, name=f"mine-{number}") for number in range(5)]
    make.key("ci-bot", hours=24 * 30)  # of which nobody can be told
    monkeypatch.setattr("idp.apikeys.notices.AT_ONCE", 2)
    frozen_clock.advance(days=24)
    read: list[str] = []

    def note(key: ApiKey, _context: object) -> None:
        read.append(key.public_part)

    event.listen(ApiKey, "load", note)
    try:
        assert [make.do(lambda _: apikeys.send_notices(4)) for _ in range(3)] == [4, 1, 0]
    finally:
        event.remove(ApiKey, "load", note)
    assert sorted(read) == sorted(key.public_part for key in mine)


def test_of_an_owner_who_may_not_be_mailed_just_now_one_key_is_tried(
    make: Factory, context: Flask, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.user()
    for number in range(5):
        make.key(hours=24 * 30, name=f"mine-{number}")
    frozen_clock.advance(days=24)
    asked: list[object] = []
    monkeypatch.setattr("idp.apikeys.notices.may_mail", lambda kind, _: bool(asked.append(kind)))
    assert make.do(lambda _: apikeys.send_notices()) == 0
    assert len(asked) == 1


def test_content_is_sealed_in_the_outbox_and_gone_once_it_is_sent(context: Flask, mailbox: Mailbox) -> None:
    enqueue(code="canary-code")
    (row,) = mail.list_waiting()
    assert "canary" not in row.sealed
    assert "ann@" not in row.sealed
    mail.deliver_mail()
    db.session.rollback()
    assert db.session.scalars(select(MailMessage.sealed)).all() == [""]


@pytest.mark.spec("T105")
@pytest.mark.parametrize(
    "address",
    [
        "a@b.test\nBcc: victim@example.test",
        "a@b.test\r\nX: y",
        "a@b.test,c@d.test",
        "a@b.test c@d.test",
        "<a@b.test>",
        "a@b.test\u2028x",
        "a@=?utf-8?q?b=2Cvictim=40evil.test?=",
        "=?x?q??=@y.test",
        "a@b..test",
        "a@-b.test",
        "a@b-.test",
        "a",
        "@b.test",
        "a@",
        "a@b@c",
        '"a b"@c.test',
        "a\x00@b.test",
        "a" * 65 + "@b.test",
        "a@" + "b." * 130 + "test",
        "",
    ],
)
def test_address_that_could_add_a_header_or_a_recipient_is_refused(address: str) -> None:
    with pytest.raises(InvalidValueError):
        mail.check_address(address)


@pytest.mark.parametrize(
    "address", ["a@b.test", "a.b+c@sub.example.test", "zoé@exämple.test", "o'hara@example.test", "a@localhost"]
)
def test_usual_addresses_are_taken(address: str) -> None:
    assert mail.check_address(address) == address


def test_names_with_line_ends_do_not_reach_a_header(settings: Settings) -> None:
    values = {"organisation": "Acme\nBcc: victim@example.test", "name": "x", "code": "y", "expires": "z"}
    message = mail.postman.compose(settings, "invitation", "a@b.test", values)
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"]


def test_every_template_is_complete(settings: Settings) -> None:
    names = (
        "organisation",
        "name",
        "code",
        "expires",
        "changed",
        "public_part",
        "uid",
        "holder",
        "left",
        "uses",
        "last_used",
        "revoked",
    )
    for template in ("invitation", "password-reset", "password-changed", "api-key-expiry", "api-key-leaked"):
        message = mail.postman.compose(settings, template, "a@b.test", dict.fromkeys(names, "value"))
        assert message["Subject"]
        assert message.get_body(("plain",)) is not None
        assert message.get_body(("html",)) is not None


def test_sign_in_and_reset_do_not_wait_for_a_mail_server_that_hangs(own_server: Server) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)  # accepts, and says nothing
        own_server.settings |= {
            "IDP_SMTP_HOST": "127.0.0.1",
            "IDP_SMTP_PORT": str(silent.getsockname()[1]),
            "IDP_SMTP_SECURITY": "none",
        }
        own_server.start()
        own_server.idp("users", "create", "--realm", "acme", "--email", "ann@example.test")
        body = json.dumps({"emailId": "ann@example.test"}).encode()
        for _ in range(3):
            answer = send(f"{own_server.url}/v1/auth/user/password/reset", body, {"Content-Type": "application/json"})
            assert answer.status == 204
        bot = own_server.create_application("bot")
        assert own_server.token(bot).status == 200


def test_served_program_sends_invitations_resets_and_notices(own_server: Server, mailbox: Mailbox) -> None:
    own_server.settings |= {
        "IDP_SMTP_HOST": "127.0.0.1",
        "IDP_SMTP_PORT": str(mailbox.controller.port),
        "IDP_SMTP_SECURITY": "none",
        "IDP_WORKERS": "2",
    }
    own_server.start()
    own_server.idp("users", "create", "--realm", "acme", "--email", "ann@example.test")
    wait_until(lambda: len(mailbox.mails) == 1, "the invitation")
    body = json.dumps({"emailId": "Ann@example.test"}).encode()
    send(f"{own_server.url}/v1/auth/user/password/reset", body, {"Content-Type": "application/json"})
    wait_until(lambda: len(mailbox.mails) == 2, "the reset")
    assert [message["Subject"] for _, message in mailbox.mails] == [
        "An account has been created for you",
        "Choose a new password",
    ]


def test_without_a_mail_server_mails_wait_and_doctor_says_so(own_server: Server) -> None:
    own_server.idp("setup")
    own_server.idp("users", "create", "--realm", "acme", "--email", "ann@example.test")
    said = own_server.idp("doctor")
    assert "1 email waits" in said
    assert "IDP_SMTP_HOST" in said


def test_made_person_is_told_when_their_password_changes(client: FlaskClient, app: Flask, mailbox: Mailbox) -> None:
    make = Factory(app)
    uid = make.user()
    body = {"currentPassword": "correct horse battery staple", "newPassword": "another good one"}
    assert client.patch(f"/v1/users/{uid}/password/change", headers=session_of(client), json=body).status_code == 204
    with app.app_context():
        assert runtime.current().settings.smtp_host
        mail.deliver_mail()
    assert [message["Subject"] for _, message in mailbox.mails] == ["Your password was changed"]


HOSTILE = "Win 1000 at https://evil.example/now"
"""What somebody would like a stranger to read."""


def test_no_mail_carries_what_somebody_has_written_for_a_stranger_to_read(settings: Settings, mailbox: Mailbox) -> None:
    update = {"smtp_host": "127.0.0.1", "smtp_port": mailbox.controller.port, "smtp_security": "none", "sign_up": "open"}
    app = create_app(settings.model_copy(update=update))
    client, make = app.test_client(), Factory(app)
    victim = "victim@example.test"
    make.do(lambda realm: set_realm(realm, display_name=HOSTILE))
    make.user("boss@example.test", roles=("administrator",))
    header = session_of(client, "boss@example.test")
    wish = {"emailId": victim, "firstName": HOSTILE, "lastName": HOSTILE}
    assert client.post("/v1/users", json={"spec": wish}, headers=header).status_code == 201
    named = make.user("www.evil.example/now@example.test", email=victim, first_name=HOSTILE)
    assert client.patch(f"/v1/users/{named}/password/reset", headers=header).status_code == 204
    with app.app_context():
        mail.deliver_mail()  # before the next act makes the code of the reset void
    change = {"emailId": "www.evil.example/now@example.test", "currentPassword": PASSWORD, "newPassword": "another good one"}
    assert client.patch("/v1/users/password/change", json=change).status_code == 204
    key = make.key("www.evil.example/now@example.test", name=HOSTILE, hours=200, description=HOSTILE)
    client.post("/v1/auth/credentials/report", json={"credential": key.plain})
    sign_up = {"orgName": "globex", "emailId": victim, "displayName": HOSTILE, "firstName": HOSTILE, "lastName": HOSTILE}
    assert client.post("/v1/auth/signup", json=sign_up).status_code == 201
    expiring = make.key("www.evil.example/now@example.test", name=HOSTILE, hours=24 * 30)

    def wait_and_tell(realm: realms.Realm) -> None:
        row = apikeys.get_key(realm, expiring.uid)
        row.created_at, row.expires_at = clock.now() - timedelta(days=30), clock.now() + timedelta(hours=20)
        db.session.flush()
        assert apikeys.send_notices() == 1
        access.grant_role(realm, users.holder_of(users.get_user(realm, named)), "administrator")
        realm.pending, realm.enabled = True, False
        organisations.approve(realm)

    make.do(wait_and_tell)
    with app.app_context():
        mail.deliver_mail()
    close_app(app)
    sent = [message for to, message in mailbox.mails if to == [victim]]
    assert {message["Subject"] for message in sent} == {
        "An account has been created for you",
        "Choose a new password",
        "Your password was changed",
        "An API key was reported as leaked",
        "Verify your email address",
        "An API key expires in 1 day",
        "Your organisation is approved",
    }
    for message in sent:
        for kind in ("plain", "html"):
            text = message.get_body((kind,)).get_content()
            assert "evil.example" not in text, message["Subject"]
            assert "Win 1000" not in text, message["Subject"]
            assert "acme" in text or "globex" in text, message["Subject"]
