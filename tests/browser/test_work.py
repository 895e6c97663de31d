"""Each task of an administrator, an operator and an ordinary person, done in the browser as they would do it."""

import json

import pytest
from playwright.sync_api import Page, expect

from idp import users
from idp.audit import AuditEvent, Tag
from idp.db import db
from idp.users import LinkPurpose
from tests.browser.conftest import Console, shoot
from tests.factories import PASSWORD, session_of
from tests.keysets.lending import borrower, take, token_of
from tests.serving import send, wait_until

BASE = "/console/realms/acme"
NEW = "another long password"


@pytest.fixture(scope="module")
def page(console: Console) -> Page:
    console.make.user("ann@example.test", roles=("administrator",))
    return console.sign_in(console.visitor(accept_downloads=True))


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).first.click()


def part(page: Page, name: str) -> None:
    """Open a part of the page of a thing."""
    page.get_by_role("navigation", name="Parts of").get_by_role("link", name=name).click()


def done(page: Page, text: str) -> None:
    expect(page.get_by_role("status").filter(has_text=text).first).to_be_visible()


def shown(page: Page, label: str) -> str:
    return page.get_by_label(label, exact=True).first.inner_text()


def works(console: Console, key: str) -> bool:
    return send(f"{console.server.url}/v1/auth/exchange", b"", {"apiKey": key}).status == 200


def has_mail(name: str) -> bool:
    rows = db.session.query(AuditEvent).filter_by(tag=Tag.PASSWORD_RESET_START.value, target=f"user:{name}")
    return bool(rows.count())


@pytest.fixture(autouse=True)
def nothing_against_the_policy(console: Console) -> object:
    yield
    assert console.violations == []


def test_page_of_another_site_cannot_sign_a_browser_in(console: Console) -> None:
    console.make.user("mallory@example.test")
    client = console.make.app.test_client()
    token = session_of(client, "mallory@example.test")["Authorization"]
    url = console.server.url
    sent = json.dumps({"emailId": "mallory@example.test", "password": PASSWORD, "org": "acme"})
    visitor = console.visitor()
    visitor.route(
        "http://evil.example/",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f"""
        <a href="{url}/v1/auth/refresh/{token}">Look at this</a>
        <form method="post" enctype="text/plain" action="{url}/v1/auth/authenticate"><input type="hidden"
          name='{sent[:-1]}, "x": "' value='"}}'><button>Win a prize</button></form>""",
        ),
    )
    for role, name in (("link", "Look at this"), ("button", "Win a prize")):
        visitor.goto("http://evil.example/")
        with visitor.expect_navigation(url=f"{url}/**"):
            visitor.get_by_role(role, name=name).click()
        names = {cookie["name"] for cookie in visitor.context.cookies(url)}
        assert names <= {"realmgate-visitor"}, name
    assert visitor.goto(f"{url}/v1/users/info").status == 401  # type: ignore[union-attr]


def test_a_secret_is_added_and_the_old_one_retired(console: Console, page: Page) -> None:
    old = console.make.application("rotating")
    page.goto(f"{BASE}/applications/rotating")
    page.get_by_role("link", name="New secret").click()
    page.fill("#name", "next")
    press(page, "Create")
    new = {"client_id": "rotating", "client_secret": shown(page, "the secret")}
    assert console.server.token(new).status == 200
    page.get_by_role("link", name="I have copied it").click()
    part(page, "Credentials")
    page.get_by_role("link", name="Retire main").click()
    expect(page.get_by_text("Cannot be undone")).to_be_visible()
    shoot(page, "retire a secret")
    press(page, "Retire")
    done(page, "Retired")
    assert console.server.token(old.form).status == 401
    assert console.server.token(new).status == 200


def test_an_application_is_disabled_and_enabled_again(console: Console, page: Page) -> None:
    made = console.make.application("switched")
    page.goto(f"{BASE}/applications/switched")
    part(page, "Danger zone")
    page.get_by_role("link", name="Disable").click()
    press(page, "Disable")
    done(page, "Disabled")
    assert console.server.token(made.form).status == 401
    press(page, "Enable")
    done(page, "Enabled")
    assert console.server.token(made.form).status == 200


def test_a_person_is_invited_follows_the_link_and_signs_in(console: Console, page: Page) -> None:
    page.goto(f"{BASE}/new-user")
    page.select_option("#kind", "person")
    page.fill("#name", "new@example.test")
    page.fill("#first_name", "Neo")
    page.select_option("#role", "viewer")
    press(page, "Create")
    expect(page.get_by_text("waits in the outbox").first).to_be_visible()
    code = console.make.do(
        lambda realm: users.send_link(realm, users.get_user(realm, "new@example.test"), LinkPurpose.INVITATION)
    )
    visitor = console.visitor()
    visitor.goto(f"/console/invitation/{code}")
    visitor.fill("#password", NEW)
    press(visitor, "Set my password")
    done(visitor, "Your password has been set")
    visitor.fill("#organisation", "acme")
    visitor.fill("#name", "new@example.test")
    visitor.fill("#password", NEW)
    press(visitor, "Sign in")
    expect(visitor.get_by_role("heading", name="Projects")).to_be_visible()
    shoot(visitor, "first page of a viewer")


def test_a_forgotten_password_is_replaced(console: Console) -> None:
    console.make.user("lost@example.test")
    visitor = console.visitor()
    visitor.goto("/console/sign-in")
    visitor.get_by_role("link", name="Forgotten your password?").click()
    visitor.fill("#name", "lost@example.test")
    press(visitor, "Send me a link")
    expect(visitor.get_by_text("No mail server is configured here")).to_be_visible()
    wait_until(
        lambda: console.make.do(lambda _: has_mail("lost@example.test")), "the answer to the request, which makes others void"
    )
    code = console.make.do(lambda realm: users.send_link(realm, users.get_user(realm, "lost@example.test"), LinkPurpose.RESET))
    visitor.goto(f"/console/reset/{code}")
    visitor.fill("#password", NEW)
    press(visitor, "Set my password")
    visitor.fill("#name", "lost@example.test")
    visitor.fill("#password", NEW)
    press(visitor, "Sign in")
    expect(visitor.get_by_role("heading", name="Manage keys")).to_be_visible()
    visitor.goto(f"/console/reset/{code}")
    expect(visitor.get_by_text("This one-time code is not valid")).to_be_visible()


def test_a_role_a_project_and_who_works_in_it(console: Console, page: Page, tmp_path) -> None:  # type: ignore[no-untyped-def]
    console.make.user("bob@example.test")
    page.goto(f"{BASE}/roles")
    page.get_by_role("link", name="New role").click()
    page.fill("#name", "labeller")
    page.get_by_label("View projects. projects:read").check()
    press(page, "Create")
    done(page, "Created")
    page.goto(f"{BASE}/projects")
    page.get_by_role("link", name="New project").click()
    page.fill("#name", "moon")
    press(page, "Create")
    page.get_by_role("link", name="Assign role").click()
    page.fill("#holder", "bob@example.test")
    page.select_option("#role", "labeller")
    page.fill("#until", "2030-01-31T12:00")
    press(page, "Assign")
    done(page, "Role assigned")
    expect(page.get_by_role("heading", name="moon", exact=True)).to_be_visible()
    expect(page.get_by_text("2030-01-31 12:00 UTC")).to_be_attached()
    page.get_by_role("link", name="Change labeller moon").click()
    page.fill("#until", "")
    press(page, "Save")
    expect(page.get_by_text("no end").first).to_be_visible()
    page.goto(f"{BASE}/access")
    page.fill("#search", "bob@")
    page.get_by_role("button", name="Search", exact=True).click()
    with page.expect_download() as started:
        page.get_by_role("link", name="Export CSV").click()
    started.value.save_as(tmp_path / "access.csv")
    assert "user,bob@example.test,labeller,moon,," in (tmp_path / "access.csv").read_text()
    page.get_by_role("link", name="Remove labeller moon").click()
    press(page, "Remove")
    done(page, "Role removed")
    page.goto(f"{BASE}/projects/moon/delete")
    page.fill("#typed", "moon")
    press(page, "Delete")
    done(page, "Deleted")


def test_a_group_and_its_members(console: Console, page: Page) -> None:
    console.make.user("gil@example.test")
    page.goto(f"{BASE}/groups")
    page.get_by_role("link", name="New group").click()
    page.fill("#name", "night-shift")
    page.fill("#display_name", "The Night Shift")
    press(page, "Create")
    expect(page.get_by_text("The Night Shift")).to_be_visible()
    page.fill("#user", "gil@example.test")
    press(page, "Add member")
    expect(page.get_by_role("link", name="gil@example.test")).to_be_visible()
    part(page, "Access")
    page.get_by_role("link", name="Assign role").click()
    page.select_option("#role", "viewer")
    expect(page.locator("[data-role=viewer]")).to_be_visible()
    press(page, "Assign")
    done(page, "Role assigned")
    page.goto(f"{BASE}/users/gil@example.test")
    part(page, "Access")
    expect(page.get_by_role("heading", name="Inherited from groups")).to_be_visible()
    page.goto(f"{BASE}/groups/night-shift")
    press(page, "Remove gil@example.test")
    done(page, "Saved")


def test_keys_on_behalf_and_ones_own(console: Console, page: Page) -> None:
    console.make.user("kay@example.test")
    page.goto(f"{BASE}/users/kay@example.test")
    part(page, "Credentials")
    page.get_by_role("link", name="New API key for kay@example.test").click()
    expect(page.locator("#owner")).to_have_value("kay@example.test")
    page.fill("#name", "from ann")
    page.get_by_label("Never expires").check()
    press(page, "Create")
    assert works(console, shown(page, "the key"))
    kay = console.sign_in(console.visitor(), "kay@example.test")
    expect(kay.get_by_role("link", name="from ann")).to_be_visible()
    kay.get_by_role("link", name="New API key").click()
    kay.fill("#name", "mine")
    kay.fill("#hours", "2 days")
    press(kay, "Create")
    old = shown(kay, "the key")
    kay.get_by_role("link", name="I have copied it").click()
    kay.get_by_role("link", name="Rotate").click()
    press(kay, "Create successor")
    new = shown(kay, "the key")
    assert works(console, old)
    assert works(console, new)
    kay.goto("/console/my/keys")
    kay.get_by_role("link", name="mine").last.click()  # the older one
    part(kay, "Danger zone")
    kay.get_by_role("link", name="Revoke").click()
    kay.fill("#reason", "moved")
    shoot(kay, "revoke a key")
    press(kay, "Revoke")
    done(kay, "Revoked permanently")
    assert not works(console, old)
    assert works(console, new)


def test_a_keyset_is_kept_lent_and_replaced(console: Console, page: Page) -> None:
    page.get_by_role("link", name="Keysets").click()
    page.get_by_role("link", name="New keyset").first.click()
    page.get_by_role("link", name="Amazon Web Services").click()
    page.fill("#name", "prod aws")
    page.get_by_label("vision").check()
    page.get_by_label("Access key id").fill("AKIA-first")
    page.get_by_label("Secret access key").fill("first secret")
    shoot(page, "new keyset")
    press(page, "Create")
    done(page, "Created.")
    client = console.make.app.test_client()
    bot = token_of(client, borrower(console.make, "deploy-bot"))
    assert take(client, bot, "prod aws").json["values"] == {"pub": "AKIA-first", "pvt": "first secret"}
    page.get_by_role("link", name="Replace values").click()
    page.get_by_label("Access key id").fill("AKIA-second")
    page.get_by_label("Secret access key").fill("second secret")
    press(page, "Replace")
    done(page, "New leases receive the new values")
    expect(page.get_by_text("1 lease, the last until")).to_be_visible()
    part(page, "Active leases")
    page.get_by_role("link", name="End the lease of deploy-bot").click()
    page.fill("#reason", "has the new one now")
    press(page, "End lease")
    done(page, "Ended.")
    page.get_by_role("link", name="Keysets").first.click()
    page.get_by_role("link", name="prod aws").click()
    expect(page.get_by_text("no longer leased")).to_be_visible()
    assert take(client, bot, "prod aws").json["values"]["pub"] == "AKIA-second"
    assert "second secret" not in page.content()


def test_personal_tokens_sessions_and_the_password(console: Console, page: Page) -> None:
    console.make.user("pia@example.test")
    pia, elsewhere = (console.sign_in(console.visitor(), "pia@example.test") for _ in range(2))
    pia.goto("/console/my/personal-tokens")
    pia.get_by_role("link", name="New personal token").first.click()
    press(pia, "Create")
    token = shown(pia, "the token")
    assert send(f"{console.server.url}/v1/users/info", headers={"Authorization": f"Bearer {token}"}).status == 200
    pia.get_by_role("link", name="I have copied it").click()
    pia.get_by_role("link", name="Delete").click()
    press(pia, "Delete")
    done(pia, "Deleted")
    pia.goto("/console/my/sessions")
    press(pia, "End the session of")
    done(pia, "Ended")
    elsewhere.goto("/console/my/keys")
    expect(elsewhere.get_by_text("Your session has ended")).to_be_visible()
    pia.goto("/console/my/password")
    pia.fill("#current", PASSWORD)
    pia.fill("#new", NEW)
    press(pia, "Change my password")
    done(pia, "Your password has been changed")
    page.goto(f"{BASE}/users/pia@example.test")
    part(page, "Credentials")
    press(page, "End all sessions")
    done(page, "Ended")
    pia.goto("/console/my/keys")
    expect(pia.get_by_role("heading", name="Sign in")).to_be_visible()


def test_signing_keys_settings_and_the_audit_trail(console: Console, page: Page, tmp_path) -> None:  # type: ignore[no-untyped-def]
    page.goto(f"{BASE}/signing-keys")
    page.get_by_role("link", name="Rotate ES256").click()
    press(page, "Rotate")
    done(page, "A successor has been announced")
    expect(page.get_by_role("listitem").filter(has_text="starts signing").first).to_be_visible()
    shoot(page, "signing keys")
    page.goto(f"{BASE}/settings")
    assert shown(page, "the realm") == "acme"
    page.fill("#session_hours", "8")
    press(page, "Save")
    done(page, "Saved")
    page.goto(f"{BASE}/audit")
    page.fill("#actor", "ann@example.test")
    page.select_option("#tag", "admin:realm")
    page.get_by_role("button", name="Search", exact=True).click()
    event = page.get_by_role("list", name="Events").get_by_role("listitem").first
    expect(event.get_by_text("admin:realm:update").first).to_be_visible()
    event.locator("summary").click()
    expect(event.get_by_text("session_hours")).to_be_visible()
    with page.expect_download() as started:
        page.get_by_role("link", name="Export JSON lines").click()
    started.value.save_as(tmp_path / "audit.jsonl")
    events = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert {(event["actor"], event["tag"]) for event in events} == {("user:ann@example.test", "admin:realm:update")}


def test_an_operator_among_a_thousand_organisations(console: Console) -> None:
    from idp import realms
    from idp.db import commit, db

    with console.make.app.app_context():
        for number in range(1_000):
            db.session.add(
                realms.Realm(name=f"org-{number:04}", display_name=f"Company {number}", contract_number=20_000_000 + number)
            )
        commit()
    console.make.user("root@example.test", realm="master", roles=("administrator",))
    page = console.sign_in(console.visitor(), "root@example.test", "master")
    page.get_by_role("link", name="New organisation").click()
    page.fill("#name", "hooli")
    page.get_by_label("Requires approval").check()
    press(page, "Create")
    expect(page.get_by_text("This organisation is pending")).to_be_visible()
    page.goto("/console/organisations")
    page.get_by_role("link", name="pending 1").click()
    press(page, "Approve hooli")
    done(page, "Approved")
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Name", exact=True).fill("company 777")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("link", name="org-0777", exact=True)).to_be_visible()
    page.get_by_role("link", name="Deactivate org-0777").click()
    expect(page.get_by_text("Can be undone")).to_be_visible()
    press(page, "Deactivate")
    done(page, "Deactivated")
    press(page, "Activate org-0777")
    done(page, "Activated")
    page.get_by_role("link", name="Delete org-0777").click()
    page.fill("#typed", "org-0777")
    shoot(page, "delete an organisation")
    press(page, "Delete")
    done(page, "Deleted")
    press(page, "Restore org-0777")
    done(page, "Restored")
