"""The day's work in a real browser: from an empty database to a token, by keyboard, without scripts, and out again."""

import contextlib
import re

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, shoot
from tests.factories import PASSWORD, claims_of
from tests.serving import Server, send


class Clicks:
    """Counts what a person presses."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def click(self, selector: str) -> None:
        self.count += 1
        self.page.click(selector)


def one_time_secret(server: Server) -> str:
    found = re.search(r"administrator's one-time secret.*?(idp_cs_\w+)", "".join(server.output), re.DOTALL)
    assert found is not None
    return found[1]


def test_from_an_empty_database_to_a_token_in_eight_clicks(own_server: Server, browser, tmp_path) -> None:  # type: ignore[no-untyped-def]
    own_server.settings["IDP_REALMS_DIR"] = str(tmp_path / "no-realms")
    own_server.start()
    console = Console(own_server, None, browser)  # type: ignore[arg-type]
    page = console.visitor()
    person = Clicks(page)
    page.goto("/console/")
    person.click("text=First start: use the one-time secret")
    page.fill("#secret", one_time_secret(own_server))
    page.fill("#name", "root@example.test")
    page.fill("#password", PASSWORD)
    person.click("text=Create my account")
    person.click("text=New organisation")
    page.fill("#name", "initech")
    person.click("button:has-text('Create')")
    person.click("a:has-text('Create application')")
    page.fill("#name", "payroll")
    page.locator("#credential").focus()
    page.keyboard.type("A secret")
    person.count += 1  # chosen by what it is called
    person.click("button:has-text('Create')")
    expect(page.get_by_text("shown only once")).to_be_visible()
    shoot(page, "secret shown once")
    person.click("button:has-text('Try it')")
    expect(page.get_by_text("It works: the token endpoint")).to_be_visible()
    shoot(page, "try it")
    token = page.get_by_label("the access token").first.inner_text()
    assert claims_of(token)["client_id"] == "payroll"
    assert person.count <= 8
    assert console.violations == []


def test_the_command_can_be_copied_and_works(console: Console) -> None:
    console.make.user("ann@example.test", roles=("administrator",))
    page = console.sign_in(console.visitor(permissions=["clipboard-read", "clipboard-write"]))
    page.goto("/console/realms/acme/new-application")
    page.fill("#name", "copied")
    page.select_option("#credential", "secret")
    page.click("button:has-text('Create')")
    page.click("button:has-text('Copy curl')")
    expect(page.get_by_role("button", name="Copied curl")).to_be_visible()
    command = page.evaluate("navigator.clipboard.readText()")
    assert command.startswith(f"curl -X POST '{console.server.url}/auth/realms/acme/protocol/openid-connect/token'")
    form = dict(part.split("=", 1) for part in re.findall(r"--data-urlencode '([^']*)'", command))
    assert send(console.server.endpoint("token"), form).status == 200
    assert console.violations == []


def test_everything_can_be_done_by_keyboard(console: Console) -> None:
    console.make.user("kim@example.test", roles=("administrator",))
    page = console.visitor()
    page.goto("/console/sign-in?next=/console/realms/acme/new-project")
    expect(page.locator("#name")).to_be_focused()
    page.keyboard.type("kim@example.test")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("New project")
    page.keyboard.press("Tab")
    expect(page.locator(".skip-link")).to_be_focused()
    expect(page.locator(".skip-link")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    for _ in range(3):  # the organisation, the way back, then the first field
        page.keyboard.press("Tab")
    page.keyboard.type("by-keyboard")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("by-keyboard")
    page.locator("summary", has_text="kim@").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_enter_creates_and_adds_no_row(console: Console) -> None:
    console.make.user("eni@example.test", roles=("administrator",))
    page = console.sign_in(console.visitor(), "eni@example.test")
    page.goto("/console/realms/acme/new-application")
    page.select_option("#credential", "secret")
    page.fill("#name", "by-enter")
    page.keyboard.press("Enter")
    expect(page.get_by_text("shown only once")).to_be_visible()


def test_what_is_for_people_who_sign_in_opens_with_the_kind(console: Console) -> None:
    console.make.user("pia@example.test", roles=("administrator",))
    page = console.sign_in(console.visitor(), "pia@example.test")
    page.goto("/console/realms/acme/new-application")
    expect(page.locator("#redirect_uris")).to_be_hidden()
    page.select_option("#kind", "web")
    expect(page.locator("#redirect_uris")).to_be_visible()
    page.select_option("#kind", "")
    expect(page.locator("#redirect_uris")).to_be_hidden()


def test_everything_works_without_scripts(console: Console) -> None:
    console.make.user("noel@example.test", roles=("administrator",))
    page = console.sign_in(console.visitor(java_script_enabled=False), "noel@example.test")
    page.goto("/console/realms/acme/new-application")
    page.fill("#name", "no-script")
    page.select_option("#credential", "secret")
    page.locator("summary", has_text="Projects").click()
    page.click("text=Add another project")
    assert page.locator("#name").input_value() == "no-script"
    page.fill("#projects-1-project", "vision")
    page.select_option("#projects-1-role", "researcher")
    page.click("button:has-text('Create')")
    expect(page.get_by_text("shown only once")).to_be_visible()
    assert page.locator("button.copy:visible").count() == 0
    page.click("button:has-text('Try it')")
    expect(page.get_by_text("It works: the token endpoint")).to_be_visible()
    page.goto("/console/realms/acme/applications/no-script/delete")
    page.fill("#typed", "no-script")
    page.click("button:has-text('Delete')")
    expect(page.get_by_text("Deleted.")).to_be_visible()
    page.locator("summary", has_text="noel@").click()
    page.click("button:has-text('Sign out')")
    expect(page.get_by_text("You have signed out")).to_be_visible()


@pytest.mark.spec("R114")
def test_the_back_button_shows_nothing_after_a_sign_out(console: Console) -> None:
    console.make.user("bea@example.test", roles=("administrator",))
    page = console.sign_in(console.visitor(), "bea@example.test")
    page.goto("/console/realms/acme/new-application")
    page.fill("#name", "secretive")
    page.select_option("#credential", "secret")
    page.click("button:has-text('Create')")
    expect(page.get_by_text("shown only once")).to_be_visible()
    secret = page.get_by_label("the secret").inner_text()
    page.locator("summary", has_text="bea@").click()
    page.click("button:has-text('Sign out')")
    expect(page.get_by_text("You have signed out")).to_be_visible()
    for _ in range(3):
        with contextlib.suppress(PlaywrightError):  # the answer to a form is not kept: the browser shows its own page
            page.go_back()
        page.wait_for_load_state("networkidle")
        expect(page.locator("nav.sidebar")).to_have_count(0)
        assert secret not in page.locator("html").inner_text()


@pytest.mark.spec("T89")
def test_a_cookie_that_was_planted_is_not_signed_in(console: Console) -> None:
    console.make.user("vic@example.test")
    thief, victim = console.visitor(), console.visitor()
    thief.goto("/console/sign-in")
    planted = thief.context.cookies()
    victim.context.add_cookies(planted)
    console.sign_in(victim, "vic@example.test")
    thief.goto("/console/my/keys")
    expect(thief.locator("h1")).to_have_text("Sign in")
    # the zone is told by a script, the same by each browser here
    planted = [cookie for cookie in planted if cookie["name"] != "realmgate-zone"]
    names = {cookie["name"]: cookie for cookie in victim.context.cookies() if cookie["name"] != "realmgate-zone"}
    assert sorted(name.partition("realmgate-session")[0] for name in names) == ["", ""], "of the console, and of the realm"
    assert all(cookie["httpOnly"] for cookie in names.values())
    assert not {cookie["value"] for cookie in planted} & {cookie["value"] for cookie in names.values()}


def test_two_administrators_on_one_form(console: Console) -> None:
    console.make.user("one@example.test", roles=("administrator",))
    console.make.user("two@example.test", roles=("administrator",))
    console.make.application("contested")
    one, two = console.sign_in(console.visitor(), "one@example.test"), console.sign_in(console.visitor(), "two@example.test")
    for page in (one, two):
        page.goto("/console/realms/acme/applications/contested?tab=settings")
    one.fill("#description", "what one says")
    one.click("button:has-text('Save')")
    expect(one.get_by_text("Saved.")).to_be_visible()
    two.fill("#description", "what two says")
    two.click("button:has-text('Save')")
    expect(two.locator("#problem")).to_contain_text("Someone else has changed this in the meantime")
    expect(two.locator("#problem")).to_be_focused()
    expect(two.locator("#description")).to_have_value("what two says")
    expect(two.get_by_text("what one says").first).to_be_visible()


def test_a_form_is_sent_once_however_often_its_button_is_pressed(console: Console) -> None:
    console.make.user("dee@example.test", roles=("administrator",))
    page = console.sign_in(console.visitor(), "dee@example.test")
    page.goto("/console/realms/acme/new-project")
    page.fill("#name", "pressed-twice")
    page.dblclick("button:has-text('Create')")
    expect(page.locator("h1")).to_have_text("pressed-twice")
