"""The look as data: what is written can be read on what it stands on, in each theme and with each accent."""

import re

import pytest
from flask import Flask

from idp.console import design
from idp.console.icons import icon
from tests.console.surfing import Surfer
from tests.factories import Factory
from tests.serving import PROJECT

THEMES = {"day": design.DAY, "night": design.NIGHT}
CONSOLE = PROJECT / "idp" / "console"


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_every_text_can_be_read_and_every_edge_seen(theme: dict[str, str]) -> None:
    assert design.least_contrast(theme, design.READ_ON) >= design.READABLE
    assert design.least_contrast(theme, design.SEEN_ON) >= design.VISIBLE


@pytest.mark.parametrize("colour", ["#14539a", "#7a1fa2", "#b00020", "#006400", "#000000", "#6b5b00", "#767676"])
@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_every_accent_of_a_branding_can_be_read(theme: dict[str, str], colour: str) -> None:
    assert design.least_contrast(design.with_accent(theme, colour), design.READ_ON) >= design.READABLE


def test_themes_have_the_same_colours_and_no_other_file_names_one() -> None:
    assert design.DAY.keys() == design.NIGHT.keys()
    sheet = (CONSOLE / "static" / "console.css").read_text()
    assert re.findall(r"#[0-9a-f]{3,8}\b", sheet) == []
    used = set(re.findall(r"var\(--rg-([a-z0-9-]+)\)", sheet))
    made = set(re.findall(r"--rg-([a-z0-9-]+):", sheet)) | design.DAY.keys()
    assert used <= made, used - made


def test_every_kind_of_alert_has_the_colours_of_a_theme() -> None:
    pages = "".join(path.read_text() for path in (CONSOLE / "templates").rglob("*.html"))
    sheet = (CONSOLE / "static" / "console.css").read_text()
    kinds = set(re.findall(r"alert alert-([a-z]+)", pages))
    assert kinds >= {"info", "secondary", "warning"}
    without = {kind for kind in kinds for use in ("text-emphasis", "bg-subtle") if f"--bs-{kind}-{use}: var(--rg-" not in sheet}
    assert without == set()


def test_the_theme_that_was_chosen_is_kept_and_another_one_is_not_taken(ann: Surfer) -> None:
    assert "data-theme" not in ann.open("/console/my/keys").text
    ann.send("Dark", {"theme": "dark"})
    assert ann.url == "/console/my/keys"
    assert '<html lang="en" data-theme="dark">' in ann.text
    ann.send("Dark", {"theme": '"><script>', "next": "https://evil.example/"})
    assert ann.url.startswith("/console/realms/acme")
    assert "data-theme" not in ann.text


def test_the_accent_of_a_realm_is_a_style_sheet_of_its_own(app: Flask, ann: Surfer, make: Factory) -> None:
    from idp import realms

    make.do(lambda realm: realms.update_realm(realm, realms.RealmSettings.of(realm).changed({"brand_color": "#7a1fa2"})))
    (url,) = re.findall(r'href="(/console/accents/[^"]+)"', ann.open("/console/my/keys").text)
    sheet = ann.client.get(url)
    assert sheet.status_code == 200
    assert sheet.mimetype == "text/css"
    assert "--rg-accent:#7a1fa2" in sheet.text
    for wrong in ("ffff00.css", "7a1fa.css", "7A1FA2.css", "x;}.css"):
        assert ann.client.get(f"{url.rpartition('/')[0]}/{wrong}").status_code == 404


def test_every_icon_that_a_page_names_is_there() -> None:
    pages = "".join(path.read_text() for path in (CONSOLE / "templates").rglob("*.html"))
    named = set(re.findall(r'icon\("([a-z0-9-]+)"\)', pages)) | set(re.findall(r'sign="([a-z0-9-]+)"', pages))
    assert len(named) > 15
    assert all("<path" in icon(name) for name in named)


def test_the_mark_of_a_choice_is_seen_in_each_theme() -> None:
    sheet = design.stylesheet().decode()
    for theme in THEMES.values():
        colour = theme["muted"].removeprefix("#")
        assert f"stroke='%23{colour}'" in sheet
    marked = re.findall(r"([^{}]*)\{--bs-form-select-bg-img:", sheet)
    assert [each.strip() for each in marked] == [
        ":root .form-select",
        ":root:not([data-theme=light]) .form-select",
        ":root[data-theme=dark] .form-select",
    ], "on the field itself, where Bootstrap sets it too"
