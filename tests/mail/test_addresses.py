"""People verify and change their email address themselves; the address of before is told, and nobody else's is taken."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from idp import audit, clock, mail, users
from idp.db import commit, db
from idp.errors import ConflictError
from idp.realms import Realm
from idp.users import LinkPurpose, OneTimeLink, UserSheet
from tests.console.surfing import Surfer
from tests.factories import PASSWORD, Factory, at_once
from tests.mail.conftest import Mailbox

MINE = "/console/my/email"
LINK = re.compile(r"/console/confirm-address/(idp_ol_\w+)")


@pytest.fixture
def ann(app: Flask, make: Factory) -> Surfer:
    """Somebody who is signed in."""
    make.user("ann@example.test")
    return Surfer(app).sign_in()


def delivered(app: Flask, mailbox: Mailbox) -> list[tuple[str, str, str]]:
    """Return recipient, subject and text of each email, and forget them."""
    with app.app_context():
        mail.deliver_mail()
    found = [(to[0], str(message["Subject"]), message.get_body(("plain",)).get_content()) for to, message in mailbox.mails]
    mailbox.mails.clear()
    return found


def asked(app: Flask, mailbox: Mailbox, ann: Surfer, address: str) -> str:
    """Ask for a link to an address, and return its code."""
    ann.open(MINE).send("Send the link", {"email": address, "current": PASSWORD})
    assert "A link is on its way" in ann.text, ann.text
    ((to, subject, text),) = delivered(app, mailbox)
    assert (to, subject) == (address, "Verify your email address")
    assert "ann@example.test" not in text.replace(address, ""), "a stranger is told nothing of the account"
    found = LINK.search(text)
    assert found is not None
    return found[1]


def address_of(make: Factory, name: str = "ann@example.test") -> tuple[str, bool]:
    def read(realm: Realm) -> tuple[str, bool]:
        user = users.get_user_by_name(realm, name)
        return user.email, user.email_verified

    found: tuple[str, bool] = make.do(read)
    return found


def follow(somebody: Surfer, code: str) -> Surfer:
    """Follow a link in somebody's browser."""
    return somebody.open(f"/console/confirm-address/{code}")


def test_address_is_verified_by_whoever_follows_the_link(app: Flask, make: Factory, mailbox: Mailbox, ann: Surfer) -> None:
    assert "ann@example.test, not verified" in ann.open(MINE).text
    code = asked(app, mailbox, ann, "ann@example.test")
    stranger = Surfer(app).open(f"/console/confirm-address/{code}")
    assert "Password" in stranger.text, "who follows it signs in"
    follow(ann, code)
    assert address_of(make) == ("ann@example.test", False), "a program that opens links confirms nothing"
    ann.send("Verify")
    assert "The email address is verified" in ann.text
    assert address_of(make) == ("ann@example.test", True)
    assert follow(ann, code).status == 401, "a link works once"
    assert delivered(app, mailbox) == []
    assert "ann@example.test, verified" in ann.open(MINE).text
    ann.send("Send the link", {"email": "ann@example.test", "current": PASSWORD})
    assert "verified already" in ann.text


@pytest.mark.spec("R115")
def test_address_is_changed_and_the_former_one_told(app: Flask, make: Factory, mailbox: Mailbox, ann: Surfer) -> None:
    code = asked(app, mailbox, ann, "archer@elsewhere.test")
    assert address_of(make) == ("ann@example.test", False)
    follow(ann, code).send("Verify")
    assert address_of(make) == ("archer@elsewhere.test", True)
    ((to, subject, text),) = delivered(app, mailbox)
    assert (to, subject) == ("ann@example.test", "Your email address was changed")
    assert "a…@elsewhere.test" in text
    assert "archer@" not in text
    Surfer(app).sign_in()
    events = make.do(lambda realm: [(each.tag, each.actor) for each in audit.list_events(realm.name)])
    assert (audit.Tag.ADDRESS_VERIFY, "user:ann@example.test") in events


def test_it_takes_the_password(app: Flask, make: Factory, mailbox: Mailbox, ann: Surfer) -> None:
    ann.open(MINE).send("Send the link", {"email": "archer@elsewhere.test", "current": "wrong password"})
    assert "The current password is wrong" in ann.text
    assert delivered(app, mailbox) == []
    assert address_of(make) == ("ann@example.test", False)


@pytest.mark.parametrize("address", ["nobody", "a@b\n@c.test", "a@", " ", "<a@b.test>"])
def test_what_is_no_address(app: Flask, mailbox: Mailbox, ann: Surfer, address: str) -> None:
    ann.open(MINE).send("Send the link", {"email": address, "current": PASSWORD})
    assert ann.status in {200, 400}
    assert "A link is on its way" not in ann.text
    assert delivered(app, mailbox) == []


def test_link_dies(app: Flask, make: Factory, mailbox: Mailbox, ann: Surfer) -> None:
    first = asked(app, mailbox, ann, "one@elsewhere.test")
    second = asked(app, mailbox, ann, "two@elsewhere.test")
    assert follow(ann, first).status == 401, "with the next one"
    with app.app_context():
        users.replace_password("ann@example.test", PASSWORD, "another long password 7", realm="acme", address="127.0.0.1")
    ann = Surfer(app).sign_in(password="another long password 7")
    assert follow(ann, second).status == 401, "with the password"
    delivered(app, mailbox)
    ann.open(MINE).send("Send the link", {"email": "three@elsewhere.test", "current": "another long password 7"})
    third = LINK.search(delivered(app, mailbox)[-1][2])
    assert third is not None

    def expire(_: Realm) -> None:
        db.session.query(OneTimeLink).update({"expires_at": clock.now() - timedelta(seconds=1)})

    make.do(expire)
    assert follow(ann, third[1]).status == 401, "with its time"
    assert address_of(make) == ("ann@example.test", False)


def test_link_is_for_nothing_else(app: Flask, make: Factory, mailbox: Mailbox, ann: Surfer) -> None:
    code = asked(app, mailbox, ann, "archer@elsewhere.test")
    for way in ("reset", "invitation"):
        assert Surfer(app).open(f"/console/{way}/{code}").status == 401
    other = make.do(lambda realm: users.send_link(realm, users.get_user_by_name(realm, "ann@example.test"), LinkPurpose.RESET))
    assert follow(ann, other).status == 401


def test_of_many_at_once_one_succeeds(app: Flask, make: Factory, mailbox: Mailbox, ann: Surfer) -> None:
    code = asked(app, mailbox, ann, "archer@elsewhere.test")
    user_id = make.do(lambda realm: users.get_user_by_name(realm, "ann@example.test").id)

    def confirm() -> bool:
        with app.app_context():
            try:
                users.confirm_address(user_id, code)
                commit()
            except users.LinkError:
                return False
            return True

    assert at_once(6, confirm).count(True) == 1
    assert len(delivered(app, mailbox)) == 1


@pytest.mark.spec("R115", "T59")
def test_nobody_verifies_for_somebody_else(app: Flask, make: Factory, mailbox: Mailbox, ann: Surfer) -> None:
    make.user("boss@example.test")
    boss = Surfer(app).sign_in("boss@example.test")
    code = asked(app, mailbox, ann, "boss@example.test")
    assert follow(boss, code).status == 401, "the owner of the mailbox has asked for nothing"
    assert "Another account has this email address" in follow(ann, code).send("Verify").text
    assert address_of(make) == ("ann@example.test", False)
    own = asked(app, mailbox, boss, "new@elsewhere.test")
    follow(boss, own).send("Verify")
    delivered(app, mailbox)
    other = asked(app, mailbox, ann, "new@elsewhere.test")
    assert "Another account has this email address" in follow(ann, other).send("Verify").text, "nor a verified one"


def test_password_that_changes_meanwhile_sends_nothing(app: Flask, make: Factory, mailbox: Mailbox, ann: Surfer) -> None:
    assert ann

    def ask(realm: Realm) -> None:
        user = users.get_user_by_name(realm, "ann@example.test")
        users.request_address(realm, user.uid, "the hash of before", "eve@evil.test")

    with pytest.raises(ConflictError):
        make.do(ask)
    assert delivered(app, mailbox) == []


def test_asking_for_addresses_keeps_no_invitation_from_them(app: Flask, make: Factory, mailbox: Mailbox, ann: Surfer) -> None:
    for number in range(5):
        ann.open(MINE).send("Send the link", {"email": f"newcomer+{number}@elsewhere.test", "current": PASSWORD})
        assert len(delivered(app, mailbox)) == 1
    for address in ("newcomer@elsewhere.test", "other@elsewhere.test"):
        ann.open(MINE).send("Send the link", {"email": address, "current": PASSWORD})
        assert "A link is on its way" not in ann.text, "a person asks for five in an hour"
    make.user("newcomer@elsewhere.test", password=False)
    make.do(
        lambda realm: users.send_link(realm, users.get_user_by_name(realm, "newcomer@elsewhere.test"), LinkPurpose.INVITATION)
    )
    assert len(delivered(app, mailbox)) == 1


def test_change_by_an_administrator_is_told_too(app: Flask, make: Factory, mailbox: Mailbox, ann: Surfer) -> None:
    follow(ann, asked(app, mailbox, ann, "ann@example.test")).send("Verify")

    def change(realm: Realm) -> None:
        user = users.get_user_by_name(realm, "ann@example.test")
        users.update_user(realm, user, UserSheet.of(user).changed({"email": "eve@evil.test"}))

    make.do(change)
    ((to, subject, _),) = delivered(app, mailbox)
    assert (to, subject) == ("ann@example.test", "Your email address was changed")
    assert address_of(make) == ("eve@evil.test", False)


def test_address_gets_few_of_them(app: Flask, mailbox: Mailbox, ann: Surfer) -> None:
    sent = []
    for _ in range(8):
        ann.open(MINE).send("Send the link", {"email": "victim@elsewhere.test", "current": PASSWORD})
        sent.append(len(delivered(app, mailbox)))
    assert sent == [1] * 5 + [0] * 3
    assert "Too many" in ann.text
