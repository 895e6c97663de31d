"""The palette: one call finds pages, acts and things, of those that one may see."""

import re

import pytest
from flask import Flask

from idp import access
from idp.access import PERMISSIONS
from tests.console.surfing import Surfer
from tests.factories import Factory

FIND = "/console/realms/acme/find"


def links(surfer: Surfer) -> dict[str, str]:
    found = re.findall(r'<a class="menu-item" href="([^"]+)">.*?</svg> ([^<]+?)\s*<', surfer.text, re.DOTALL)
    return {title: url for url, title in found}


def test_everything_is_found_by_a_part_of_its_name(ann: Surfer, make: Factory) -> None:
    make.application("vision-bot", roles=())
    make.user("vivian@example.test")
    key = make.key("ann@example.test", name="video-key")
    found = links(ann.open(f"{FIND}?part=1&q=VI"))
    assert found["vision-bot"].endswith("/applications/vision-bot")
    assert "/users/" in found["vivian@example.test"]
    assert found["video-key"].endswith(key.uid)
    assert found["vision"].endswith("/projects/vision")
    assert found["Access review"].endswith("/access")
    assert "<html" not in ann.text
    assert links(ann.open(f"{FIND}?part=1&q=new+app")) == {"New application": "/console/realms/acme/new-application"}


def test_without_a_script_it_is_a_page(ann: Surfer) -> None:
    ann.open(f"{FIND}?q=zzz<b>")
    assert ann.status == 200
    assert "<h1>Search</h1>" in ann.text
    assert "Nothing has “zzz&lt;b&gt;” in its name." in ann.text


def test_nobody_finds_what_they_may_not_see(app: Flask, make: Factory) -> None:
    make.application("vision-bot", roles=(), projects=("vision",))
    make.application("speech-bot", roles=(), projects=("speech",))
    make.user("eve@example.test", roles=(), projects=(("vision", "researcher"),))
    make.user("nobody@example.test", roles=())
    eve = Surfer(app).sign_in("eve@example.test")
    found = links(eve.open(f"{FIND}?part=1&q=bot"))
    assert "speech-bot" not in found
    assert "New application" not in links(eve.open(f"{FIND}?part=1"))
    nobody = Surfer(app).sign_in("nobody@example.test")
    for kind in ("user", "holder", "owner", "project", "role"):
        assert nobody.open(f"/console/realms/acme/suggest?kind={kind}&q=").page.json == []
    assert nobody.open(f"{FIND}?part=1&q=bot").text.count("menu-item") == 0


FEDERATION = {
    "New trusted issuer": "/new-issuer",
    "New federation rule": "/new-federation-rule",
    "New protected API": "/new-api",
    "Explain an assertion": "/explain",
}


@pytest.mark.parametrize(
    ("permissions", "offered"),
    [
        ([], set()),
        (["realm:read"], set()),
        (["realm:read", "applications:read"], {"Explain an assertion"}),
        (["applications:write"], {"New federation rule"}),
        (["realm:write"], {"New protected API"}),
        (sorted(PERMISSIONS), set(FEDERATION)),
    ],
)
def test_acts_about_issuers_and_apis_are_offered_to_who_may_do_them(
    app: Flask, make: Factory, permissions: list[str], offered: set[str]
) -> None:
    make.do(lambda realm: access.create_role(realm, "some", access.RoleSheet(permissions=permissions)))
    make.user("eve@example.test", roles=("some",))
    eve = Surfer(app).sign_in("eve@example.test")
    found = {title: url for title, url in links(eve.open(f"{FIND}?part=1")).items() if title in FEDERATION}
    assert found == {title: f"/console/realms/acme{FEDERATION[title]}" for title in offered}
    for title, end in FEDERATION.items():
        assert (eve.open(f"/console/realms/acme{end}").status == 200) == (title in offered), title


def test_names_are_suggested(ann: Surfer, make: Factory) -> None:
    make.application("vision-bot", roles=())

    def ask(kind: str, text: str) -> list[str]:
        found: list[str] = ann.open(f"/console/realms/acme/suggest?kind={kind}&q={text}").page.json  # type: ignore[assignment]
        return found

    assert ask("holder", "application:vis") == ["application:vision-bot"]
    assert "ann@example.test" in ask("user", "ann")
    assert ask("project", "visi") == ["vision"]
    assert ask("role", "view") == ["viewer"]
    assert ask("everything", "") == []
