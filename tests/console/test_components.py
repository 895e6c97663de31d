"""The page of all components: on a developer's machine, and nowhere else."""

import re

import pytest
from flask import Flask

from idp.app import close_app, create_app
from idp.console import design
from idp.console.components import is_development
from idp.settings import Settings
from tests.console.surfing import Surfer
from tests.factories import Factory
from tests.serving import PROJECT

PARTS = PROJECT / "idp" / "console" / "templates" / "console" / "parts.html"
OF_ONE_THING = {"token", "grants", "holder_link", "key_state", "keys", "leases", "rule_state"}
"""Macros that show the things of a realm."""


def test_it_shows_every_component_and_colour(ann: Surfer) -> None:
    text = ann.open("/console/design").text
    assert ann.status == 200
    for name in design.DAY:
        assert f"<code>{name}</code>" in text
    pairs = len(design.READ_ON) + len(design.SEEN_ON)
    assert len(re.findall(r"</svg> \d+\.\d</span>", text)) == 2 * pairs
    assert "too low" not in text
    shown = "".join(path.read_text() for path in (PARTS.parent / "design").glob("*.html"))
    macros = set(re.findall(r"\{% macro ([a-z]\w*)\(", PARTS.read_text())) - OF_ONE_THING
    assert {name for name in macros if f"ui.{name}(" not in shown} <= {"field", "pages", "party", "said_by_script", "snippets"}, (
        "within others"
    )


def test_nothing_on_it_does_anything(ann: Surfer) -> None:
    ann.open("/console/design").send("Save", {"name": "x"})
    assert (ann.status, ann.url) == (200, "/console/design")


def test_it_asks_who_somebody_is(app: Flask) -> None:
    assert Surfer(app).open("/console/design").url == "/console/sign-in"


@pytest.mark.parametrize(
    "url", ["https://id.example.com", "http://id.example.com", "https://localhost:8443", "http://10.0.0.7:8080"]
)
def test_a_server_that_others_reach_has_no_such_page(settings: Settings, url: str) -> None:
    app = create_app(settings.model_copy(update={"public_url": url}))
    Factory(app).user(roles=("administrator",))
    page = app.test_client().get("/console/design")
    assert (page.status_code, "There is no page at this address." in page.text) == (404, True)
    close_app(app)


@pytest.mark.parametrize(
    ("url", "is_one"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://localhost", True),
        ("http://[::1]:8080", True),
        ("http://localhost.example.com", False),
        ("http://0.0.0.0:8080", False),
        ("https://127.0.0.1", False),
    ],
)
def test_development_is_plain_http_to_oneself(url: str, is_one: bool) -> None:
    assert is_development(url) is is_one
