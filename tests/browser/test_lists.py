"""Lists in a browser: what can be done with several rows comes when some are chosen, and nothing moves for it."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console

BASE = "/console/realms/acme"


@pytest.fixture(scope="module")
def filled(console: Console) -> Console:
    console.make.user("ann@example.test", roles=("administrator",))
    for number in range(30):
        console.make.application(f"bot-{number:02}", roles=())
    return console


@pytest.fixture
def page(filled: Console) -> Page:
    return filled.sign_in(filled.visitor())


def test_what_can_be_done_with_several_is_shown_once_some_are_chosen(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 600})
    page.goto(f"{BASE}/applications")
    act = page.get_by_role("button", name="Disable")
    row = page.get_by_role("row", name="bot-03")
    expect(act).to_be_hidden()
    before = row.bounding_box()
    page.get_by_role("checkbox", name="Select bot-03").check()
    expect(page.get_by_role("status").filter(has_text="1 selected")).to_be_visible()
    expect(act).to_be_in_viewport()
    expect(page.get_by_role("button", name="Export selected")).to_be_in_viewport()
    assert row.bounding_box() == before
    page.get_by_role("checkbox", name="Select bot-03").uncheck()
    expect(act).to_be_hidden()
    assert row.bounding_box() == before


def test_without_a_script_it_is_always_there(filled: Console) -> None:
    page = filled.sign_in(filled.visitor(java_script_enabled=False))
    page.goto(f"{BASE}/applications")
    expect(page.get_by_role("button", name="Disable")).to_be_visible()


def test_on_a_telephone_rows_can_be_chosen_and_the_current_tab_is_seen(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{BASE}/applications")
    page.get_by_role("checkbox", name="Select bot-03").check()
    expect(page.get_by_role("button", name="Disable")).to_be_in_viewport()
    page.goto(f"{BASE}/applications/bot-03?tab=danger")
    expect(page.get_by_role("link", name="Danger zone")).to_be_in_viewport(ratio=0.9)
    label = page.locator("main .tabs")
    expect(label).not_to_have_class("tabs more")
    page.goto(f"{BASE}/applications/bot-03")
    expect(label).to_have_class("tabs more")


def test_columns_that_tell_rows_apart_have_room(page: Page) -> None:
    """What has a length of its own is never cut: states, times, the beginnings of keys."""
    for number in range(2):
        page.goto(f"{BASE}/api-keys/new")
        page.get_by_label("Owner").fill("application:bot-03")
        page.get_by_label("Name", exact=True).fill(f"key {number}")
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", name="The key, shown only once")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 600})
    for path in ("api-keys", "sessions", "access", "applications"):
        page.goto(f"{BASE}/{path}")
        assert page.locator(".one-line tbody tr").count() > 0, path
        cut = page.evaluate(
            """() => [...document.querySelectorAll(".one-line td")].filter(cell => cell.querySelector("time, code, .state, .btn")
                && cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.innerText)"""
        )
        assert cut == [], (path, cut)
