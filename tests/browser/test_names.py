"""Names are chosen from suggestions, with the keyboard alone; what is sent is what a form without a script would send."""

import json
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, shoot

BASE = "/console/realms/acme"


@pytest.fixture(scope="module")
def page(console: Console) -> Page:
    console.make.user("ann@example.test", roles=("administrator",))
    return console.sign_in(console.visitor())


@pytest.fixture(autouse=True)
def nothing_against_the_policy(console: Console) -> object:
    yield
    assert console.violations == []


def restricted(console: Console, name: str) -> tuple[list[str], list[str]]:
    from idp import apikeys

    def find(realm: object) -> tuple[list[str], list[str]]:
        (key,) = [key for key in apikeys.list_keys(realm) if key.name == name]  # type: ignore[arg-type]
        return list(key.roles), list(key.projects)

    found: tuple[list[str], list[str]] = console.make.do(find)
    return found


def test_several_names_are_chosen_with_the_keyboard_alone(console: Console, page: Page) -> None:
    page.goto("/console/my/keys/new")
    page.get_by_label("Name").first.fill("by-keyboard")
    roles = page.get_by_role("combobox", name="Only with these roles")
    roles.focus()
    page.keyboard.type("view")
    options = page.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(options.first).to_have_text("viewer")
    expect(roles).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(roles).to_have_attribute("aria-activedescendant", options.first.get_attribute("id") or "none")
    expect(options.first).to_have_attribute("aria-selected", "true")
    shoot(page, "suggestions")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="viewer added.")).to_have_count(1)
    expect(roles).to_have_value("")
    expect(roles).to_have_attribute("aria-expanded", "false")
    page.keyboard.type("audit")
    expect(options.first).to_have_text("auditor")
    page.keyboard.press("Escape")
    expect(roles).to_have_attribute("aria-expanded", "false")
    page.keyboard.type("or,researcher")
    chips = page.get_by_role("list", name="Only with these roles").get_by_role("listitem")
    expect(chips).to_have_count(2)
    page.keyboard.press("Tab")  # leaving the field keeps what was typed
    expect(chips).to_have_count(3)
    roles.focus()
    page.keyboard.press("Backspace")
    expect(chips).to_have_count(2)
    page.get_by_role("button", name="Remove auditor").press("Enter")
    expect(page.get_by_role("status").filter(has_text="auditor removed.")).to_have_count(1)
    expect(roles).to_be_focused()
    page.get_by_role("combobox", name="Only on these projects").focus()
    page.keyboard.type("vision")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # with nothing typed, it sends the form
    expect(page.get_by_role("heading", level=1)).to_contain_text("copy")
    assert restricted(console, "by-keyboard") == (["viewer"], ["vision"])


def test_what_was_refused_is_there_still_and_says_what_was_perhaps_meant(page: Page) -> None:
    page.goto("/console/my/keys/new")
    page.get_by_label("Name").first.fill("mistyped")
    roles = page.get_by_role("combobox", name="Only with these roles")
    roles.fill("veiwer")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("alert")).to_contain_text("Did you mean viewer?")
    expect(page.get_by_role("list", name="Only with these roles").get_by_role("listitem")).to_have_count(1)


def test_a_pasted_list_is_several_names(page: Page) -> None:
    page.goto("/console/my/keys/new")
    roles = page.get_by_role("combobox", name="Only with these roles")
    roles.focus()
    roles.evaluate(
        """(field) => { const data = new DataTransfer(); data.setData("text", "viewer\\nauditor\\n");
        field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })); }"""
    )
    expect(page.get_by_role("list", name="Only with these roles").get_by_role("listitem")).to_have_count(2)


def test_one_name_is_suggested_and_chosen_by_pointer(page: Page) -> None:
    page.goto(f"{BASE}/access/give")
    who = page.get_by_role("combobox", name="Who")
    who.click()
    page.keyboard.type("ann")
    page.get_by_role("option", name="ann@example.test").click()
    expect(who).to_have_value("ann@example.test")
    expect(who).to_be_focused()


def test_without_a_script_each_is_the_box_that_it_was(console: Console, page: Page) -> None:
    plain = console.visitor(java_script_enabled=False)
    console.sign_in(plain)
    plain.goto("/console/my/keys/new")
    plain.get_by_label("Name").first.fill("by-hand")
    plain.locator("textarea[name=roles]").fill("viewer\nresearcher")
    plain.get_by_role("button", name="Create").click()
    assert restricted(console, "by-hand") == (["researcher", "viewer"], [])


def test_what_roles_permit_is_shown_while_they_are_chosen(page: Page) -> None:
    page.goto(f"{BASE}/new-application")
    told = page.locator("[data-roles-of=roles] > :visible")
    expect(told).to_have_count(0)
    roles = page.get_by_role("combobox", name="Roles on the whole organisation")
    for name in ("viewer", "auditor"):
        roles.fill(name)
        roles.press("Enter")
    expect(told).to_have_count(2)
    expect(told.first).to_contain_text("Read the audit trail.")
    page.get_by_role("button", name="Remove auditor").click()
    expect(told).to_have_count(1)
    expect(told).to_contain_text("View projects.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_button_is_pressed_although_what_a_role_permits_is_shown_above_it(page: Page, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{BASE}/new-application")
    page.get_by_label("Name").first.fill("by-pointer")
    page.get_by_role("combobox", name="Roles on the whole organisation").press_sequentially("administrator")
    page.get_by_role("button", name="Create").last.click()  # the name is taken over as the field is left
    expect(page.get_by_text("administrator is a strong role.")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Yes, assign this role")).not_to_be_checked()
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_while_suggestions_are_open(page: Page, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto("/console/my/keys/new")
    roles = page.get_by_role("combobox", name="Only with these roles")
    roles.fill("viewer")
    roles.press("Enter")
    roles.press("a")
    expect(page.get_by_role("listbox", name="Suggestions")).to_be_visible()
    roles.press("ArrowDown")
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()


def test_nothing_but_the_list_moves_when_suggestions_come(page: Page) -> None:
    page.goto(f"{BASE}/access/give")
    place = "JSON.stringify([...document.querySelectorAll('main input, main select, main button')].map((each) => each.getBoundingClientRect().top))"
    before = json.loads(page.evaluate(place))
    page.get_by_role("combobox", name="Who").click()
    page.keyboard.type("a")
    expect(page.get_by_role("listbox", name="Suggestions")).to_be_visible()
    assert json.loads(page.evaluate(place)) == before
