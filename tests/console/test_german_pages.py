"""The pages in another language: no text of theirs stays English."""

import html
import re

import pytest
from flask import Flask

from idp import audit
from idp.db import commit
from idp.web.languages import language
from tests.console.surfing import Surfer
from tests.factories import Factory

BASE = "/console/realms/acme"


@pytest.fixture
def hanna(app: Flask, ann: Surfer) -> Surfer:
    """An administrator whose browser asks for German."""
    del app
    ann.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "de"
    return ann


def shown(page: str) -> set[str]:
    """Return the texts that a page shows, those of attributes for people too."""
    page = page.replace('<span class="visually-hidden">', "").split("<body", 1)[1]
    between = re.findall(r">([^<>]+)<", page) + re.findall(r'(?:aria-label|placeholder|title|data-label)="([^"]*)"', page)
    return {" ".join(html.unescape(each).split()) for each in between}


def english_in(page: str) -> set[str]:
    """Return the texts of a page that ought to be German."""
    translated = {english for english, german in language("de").said.items() if german and german != english}
    return shown(page) & translated


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "?span=month",
            "/users",
            "/users/bob@example.test",
            "/users/bob@example.test/delete",
            "/users/bob@example.test/disable",
        ),
        *(
            "/new-user",
            "/groups",
            "/groups/modellers",
            "/groups/modellers/delete",
            "/new-group",
            "/roles",
            "/roles/administrator",
        ),
        *("/new-role", "/projects", "/projects/vision", "/projects/vision/delete", "/new-project", "/access", "/access/give"),
        *("/access/give?holder=user:bob@example.test&role=researcher&project=vision", "/settings", "/signing-keys"),
        *("/access/take?holder=user:bob@example.test&role=researcher&project=vision", "/find", "/find?q=nobody-has-this"),
        "/nothing-here",
    ],
)
def test_nothing_that_has_a_translation_is_english(hanna: Surfer, make: Factory, path: str) -> None:
    make.user("bob@example.test", projects=(("vision", "researcher"),))
    make.user("robot", password=False)
    assert english_in(hanna.whole(f"{BASE}{path}")) == set()


@pytest.mark.parametrize("path", ["/sign-in", "/forgotten", "/first-start", "/sign-up", "/invitation/no-such-link"])
def test_neither_is_anything_before_somebody_has_signed_in(app: Flask, path: str) -> None:
    visitor = Surfer(app)
    visitor.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "de"
    assert english_in(visitor.open(f"/console{path}").text) == set()


def test_several_are_asked_about_and_told_of_in_german(hanna: Surfer, make: Factory) -> None:
    make.user("bob@example.test")
    make.user("robot", password=False)
    hanna.open(f"{BASE}/users").send("Sperren", {"picked": ["bob@example.test", "robot"], "act": "disable"})
    assert "<h1>2 Benutzer: Sperren</h1>" in hanna.text
    assert "2 Benutzer: Sperren?" in hanna.text
    assert english_in(hanna.text) == set()
    hanna.send("Sperren")
    assert "<h1>2 Benutzer gesperrt</h1>" in hanna.text
    assert "Erledigt: 2 gesperrt." in hanna.text
    assert english_in(hanna.text) == set()


def test_pages_and_acts_are_found_by_what_they_are_called_there(hanna: Surfer) -> None:
    assert f'href="{BASE}/roles"' in hanna.open(f"{BASE}/find?q=rollen&part=1").text
    assert f'href="{BASE}/new-group"' in hanna.open(f"{BASE}/find?q=neue gruppe&part=1").text


def test_hours_of_the_charts_are_those_of_the_reader(app: Flask, ann: Surfer) -> None:
    """Kathmandu is three quarters of an hour beside every full hour of UTC."""
    with app.app_context():
        audit.count_one(audit.Tag.TOKEN_ISSUE, "acme")
        commit()
    assert re.search(r'<th scope="row">\d\d:00</th>', ann.open(BASE).text)
    ann.client.set_cookie("realmgate-zone", "Asia/Kathmandu")
    assert re.search(r'<th scope="row">\d\d:45</th>', ann.open(BASE).text)
    assert not re.search(r'<th scope="row">\d\d:00</th>', ann.text)
