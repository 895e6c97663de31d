"""A session that ends while somebody fills in a form: they sign in again, and go on where they were."""

import re

import pytest
from playwright.sync_api import Page, expect

from idp import applications, users
from tests.browser.conftest import Console, shoot
from tests.factories import PASSWORD

BASE = "/console/realms/acme"


@pytest.fixture
def page(console: Console) -> Page:
    if not console.make.do(lambda realm: users.find_user(realm, "ann@example.test") is not None):
        console.make.user("ann@example.test", roles=("administrator",))
    return console.sign_in(console.visitor())


@pytest.fixture(autouse=True)
def nothing_against_the_policy(console: Console) -> object:
    yield
    assert console.violations == []


def expire(page: Page) -> None:
    """Have the browser forget the session, as it does 15 minutes after its last use."""
    page.context.clear_cookies(name=re.compile("realmgate-session"))


def left_cookies(page: Page) -> set[str]:
    """Return what cookies there are, but for the browser's zone; that of the realm counts as the session, which it names too."""
    names = {cookie["name"] for cookie in page.context.cookies()} - {"realmgate-zone"}
    return {re.sub("^realmgate-session-[0-9a-f]{16}$", "realmgate-session", name) for name in names}


def sign_in_again(page: Page, name: str = "ann@example.test") -> None:
    expect(page.get_by_text("to get back what you typed")).to_be_visible()
    page.fill("#organisation", "acme")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("nav.sidebar")


def test_a_form_is_filled_again_after_signing_in(console: Console, page: Page) -> None:
    page.goto(f"{BASE}/new-application")
    page.fill("#name", "late-bot")
    page.select_option("#credential", "secret")
    page.fill("#description", "does <things> & more")
    roles = page.get_by_role("combobox", name="Roles on the whole organisation")
    roles.fill("researcher")
    roles.press("Enter")
    page.locator("summary", has_text="Projects").click()
    page.fill("#projects-0-project", "vision")
    page.select_option("#projects-0-role", "ml-engineer")
    page.locator("summary", has_text="Audience").click()
    page.fill("#audience", "https://a.example\nhttps://b.example")
    expire(page)
    page.get_by_role("button", name="Create").last.click()
    sign_in_again(page)
    expect(page.get_by_text("This form had expired, so nothing was saved")).to_be_visible()
    expect(page.locator("#name")).to_have_value("late-bot")
    expect(page.locator("#description")).to_have_value("does <things> & more")
    expect(page.locator("#roles")).to_have_value("researcher")
    expect(page.locator("#projects-0-role")).to_have_value("ml-engineer")
    expect(page.locator("#audience")).to_have_value("https://a.example\nhttps://b.example")
    shoot(page, "a form that was put back")
    assert left_cookies(page) == {"realmgate-session"}, "and no draft"
    page.get_by_role("button", name="Create").last.click()
    expect(page.get_by_text("shown only once")).to_be_visible()
    assert console.make.do(lambda realm: applications.get_application(realm, "late-bot").description) == "does <things> & more"


def test_secrets_are_typed_again(page: Page) -> None:
    page.goto(f"{BASE}/new-keyset?kind=provider:aws")
    page.fill("#name", "late aws")
    page.get_by_label("Access key id").fill("AKIA-typed")
    page.get_by_label("Secret access key").fill("typed secret")
    expire(page)
    page.get_by_role("button", name="Create").click()
    sign_in_again(page)
    expect(page.locator("#name")).to_have_value("late aws")
    expect(page.get_by_label("Access key id")).to_have_value("")
    expect(page.get_by_label("Secret access key")).to_have_value("")


def test_another_user_of_the_browser_sees_nothing_of_it(console: Console, page: Page) -> None:
    console.make.user("bob@example.test", roles=("administrator",))
    page.goto(f"{BASE}/new-group")
    page.fill("#name", "of-ann")
    expire(page)
    page.get_by_role("button", name="Create").click()
    sign_in_again(page, "bob@example.test")
    expect(page.locator("#name")).to_have_value("")
    assert left_cookies(page) == {"realmgate-session"}, "and no draft"
