"""How many clicks it takes, from the page that one is at after signing in. Typing is no click; Enter is one."""

import re
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Console

COUNT = """
window.addEventListener("click", (event) => { if (event.isTrusted && event.detail > 0) add(); }, true);
window.addEventListener("keydown", (event) => { if (event.key === "Enter") add(); }, true);
function add() { sessionStorage.setItem("clicks", String(Number(sessionStorage.getItem("clicks") || 0) + 1)); }
"""


@dataclass
class Counted:
    """Somebody at the start page, whose clicks are counted by the browser."""

    page: Page

    def click(self, what: Locator) -> None:
        what.click()

    @property
    def clicks(self) -> int:
        return int(self.page.evaluate("sessionStorage.getItem('clicks') || 0"))


@pytest.fixture(scope="module")
def console_with_ann(console: Console) -> Console:
    console.make.user("ann@example.test", roles=("administrator",))
    return console


@pytest.fixture
def start(console_with_ann: Console) -> Counted:
    page = console_with_ann.sign_in(console_with_ann.visitor())
    page.context.add_init_script(COUNT)
    page.goto("/console/")
    page.wait_for_selector("nav.sidebar")
    return Counted(page)


def test_from_the_start_to_a_first_token_it_takes_at_most_six(start: Counted) -> None:
    page = start.page
    start.click(page.get_by_role("link", name="New application").first)
    page.get_by_label("Name").fill("first-bot")
    page.get_by_label("How it proves who it is").select_option("secret")  # two clicks with a mouse
    start.click(page.get_by_role("button", name="Create"))
    start.click(page.get_by_role("button", name="Try it"))
    expect(page.locator("main")).to_contain_text("iss")
    expect(page.locator("main")).to_contain_text("first-bot")
    assert 0 < start.clicks + 2 <= 6


def test_from_the_start_to_a_rotated_secret_it_takes_at_most_four(console_with_ann: Console, start: Counted) -> None:
    console_with_ann.make.application("rotated-bot", roles=())
    page = start.page
    start.click(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Applications", exact=True))
    start.click(page.get_by_role("checkbox", name="Select rotated-bot"))
    start.click(page.get_by_role("button", name=re.compile("^Rotate")))
    start.click(page.get_by_role("button", name="Rotate"))
    expect(page.get_by_role("heading", name="The new secrets, shown only once")).to_be_visible()
    assert 0 < start.clicks <= 4


def test_with_the_palette_it_takes_less(console_with_ann: Console, start: Counted) -> None:
    console_with_ann.make.application("palette-bot", roles=())
    page = start.page
    page.keyboard.press("/")
    page.keyboard.type("palette-bot")
    expect(page.get_by_role("option", name="palette-bot")).to_be_visible()
    page.keyboard.press("Enter")
    start.click(page.get_by_role("button", name="Rotate secret"))
    start.click(page.get_by_role("button", name="Rotate"))
    expect(page.get_by_role("heading", name="The new secrets, shown only once")).to_be_visible()
    assert start.clicks == 3


def test_who_can_do_what_in_a_project_takes_at_most_two(console_with_ann: Console, start: Counted) -> None:
    console_with_ann.make.user("bob@example.test", roles=(), projects=(("vision", "researcher"),))
    page = start.page
    start.click(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Projects", exact=True))
    start.click(page.get_by_role("rowheader", name="vision").get_by_role("link"))
    access = page.get_by_role("table", name="Roles and projects")
    expect(access.first).to_contain_text("bob@example.test")
    everywhere = page.get_by_role("table", name="On the whole organisation")
    expect(everywhere.get_by_text("ann@example.test")).to_be_visible()
    meanings = page.locator("details.folded", has=page.get_by_role("heading", name="What these roles permit"))
    expect(meanings.get_by_text("administrator", exact=True)).to_be_visible()
    assert 0 < start.clicks <= 2
