"""An invitation that is passed on by hand: on a server that sends no mail, to whom one may manage, and proving no address."""

import re

import pytest
from flask import Flask

from idp import access, audit, runtime, users
from tests.console.surfing import Surfer
from tests.factories import PASSWORD, Factory

BASE = "/console/realms/acme"


@pytest.fixture
def invited(ann: Surfer) -> Surfer:
    """An administrator who has just created somebody who cannot sign in yet."""
    ann.open(f"{BASE}/new-user").send("Create", {"kind": "person", "name": "bob@example.test"})
    assert "No mail server is configured" in ann.text
    return ann


def hand_over(surfer: Surfer) -> str:
    surfer.open(f"{BASE}/users/bob@example.test/invitation").send("Show the link")
    assert surfer.status == 200, surfer.text
    (link,) = set(re.findall(r"http://localhost:8080(/console/invitation/idp_ol_\w+)", surfer.text))
    return str(link)


@pytest.mark.spec("R107")
def test_link_chooses_a_password_once_and_proves_no_address(app: Flask, invited: Surfer, make: Factory) -> None:
    former, link = hand_over(invited), hand_over(invited)
    bob = Surfer(app)
    assert bob.open(former).status == 401, "replaced by the second"
    bob.open(link).send("Set my password", {"password": PASSWORD})
    assert "Your password has been set" in bob.text
    assert bob.open(link).status == 401
    bob.sign_in("bob@example.test")
    found = make.do(lambda realm: users.get_user(realm, "bob@example.test").email_verified)
    assert found is False
    handed = make.do(lambda _: [event.detail.get("handed_over") for event in audit.list_events("acme", tag="admin:user:invite")])
    assert handed == [True, True, None], "and the one that went to the outbox"


def test_link_is_shown_once(invited: Surfer) -> None:
    invited.open(f"{BASE}/users/bob@example.test/invitation")
    form = invited.form("Show the link")
    invited.send("Show the link")
    again = invited.client.post(
        f"{BASE}/users/bob@example.test/invitation",
        data=dict(form.values),
        headers={"Origin": invited.origin, "Sec-Fetch-Site": "same-origin"},
    )
    assert again.status_code == 403
    assert "idp_ol_" not in again.text


@pytest.mark.spec("R107")
def test_a_server_that_sends_mail_shows_no_invitation(app: Flask, invited: Surfer) -> None:
    with app.app_context():
        process = runtime.current()
        object.__setattr__(process, "settings", process.settings.model_copy(update={"smtp_host": "mail.example.test"}))  # frozen
    assert "Invitation link" not in invited.open(f"{BASE}/users/bob@example.test").text
    invited.open(f"{BASE}/users/bob@example.test/invitation").send("Show the link")
    assert invited.status == 403
    assert "idp_ol_" not in invited.text


@pytest.mark.spec("T108")
def test_nobody_becomes_somebody_stronger_by_inviting_them(app: Flask, invited: Surfer, make: Factory) -> None:
    make.do(lambda realm: access.grant_role(realm, users.holder_of(users.get_user(realm, "bob@example.test")), "administrator"))
    sheet = access.RoleSheet(permissions=["users:read", "users:write"])
    make.do(lambda realm: access.create_role(realm, "inviter", sheet))
    make.user("eve@example.test", roles=("inviter",))
    eve = Surfer(app).sign_in("eve@example.test")
    assert "Invitation link" not in eve.open(f"{BASE}/users/bob@example.test").text
    assert eve.open(f"{BASE}/users/bob@example.test/invitation").status == 403


def test_who_has_a_password_is_not_invited(ann: Surfer, make: Factory) -> None:
    make.user("bob@example.test")
    ann.open(f"{BASE}/users/bob@example.test/invitation").send("Show the link")
    assert ann.status == 409
    assert "idp_ol_" not in ann.text
