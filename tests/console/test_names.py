"""What was perhaps meant by a name that nothing has, of what its user may see; and fields that suggest names."""

import re

import pytest
from flask import Flask

from idp import access, users
from tests.console.surfing import Surfer
from tests.factories import Factory

BASE = "/console/realms/acme"
MEANT = re.compile(r"Did you mean ([^?<]+)\?")


def meant(surfer: Surfer) -> list[str]:
    return MEANT.findall(surfer.text)


@pytest.mark.parametrize(
    ("url", "button", "typed", "near"),
    [
        ("access/give", "Assign", {"holder": "bob@exmaple.test", "role": "viewer"}, "bob@example.test"),
        ("access/give", "Assign", {"holder": "application:cibot", "role": "viewer"}, "ci-bot"),
        ("access/give", "Assign", {"holder": "group:modelers", "role": "viewer"}, "modellers"),
        ("access/give", "Assign", {"holder": "bob@example.test", "role": "viewer", "project": "vison"}, "vision"),
        ("groups/modellers", "Add", {"user": "bob@example.tset"}, "bob@example.test"),
        ("api-keys/new", "Create", {"owner": "bob@example.tes", "name": "ci"}, "bob@example.test"),
        ("api-keys/new", "Create", {"owner": "bob@example.test", "name": "ci", "roles": "veiwer"}, "viewer"),
        ("api-keys/new", "Create", {"owner": "application:ci-bto", "name": "ci"}, "ci-bot"),
        ("new-api", "Create", {"name": "billing", "audience": "x", "rules-0-path": "/", "rules-0-methods": "GET",
                               "rules-0-roles": "reseacher"}, "researcher"),
    ],
)  # fmt: skip # a table
def test_what_was_perhaps_meant_is_said(
    ann: Surfer, make: Factory, url: str, button: str, typed: dict[str, str], near: str
) -> None:
    make.user("bob@example.test", roles=())
    make.application(roles=())
    ann.open(f"{BASE}/{url}").send(button, typed)
    assert ann.status in {400, 404}, ann.text
    assert meant(ann) == [near]


def test_what_is_far_from_everything_has_no_near_match(ann: Surfer) -> None:
    ann.open(f"{BASE}/access/give").send("Assign", {"holder": "zzzz@nowhere.test", "role": "viewer"})
    assert meant(ann) == []
    assert "no user with this" in ann.text


def test_a_near_match_is_found_among_many(ann: Surfer, make: Factory) -> None:
    make.do(lambda realm: [users.create_user(realm, f"robot-{number:04}", users.UserKind.MACHINE) for number in range(700)])
    make.do(lambda realm: users.create_user(realm, "labelling-robot", users.UserKind.MACHINE))
    ann.open(f"{BASE}/access/give").send("Assign", {"holder": "labeling-robot", "role": "viewer"})
    assert meant(ann) == ["labelling-robot"]


def test_nobody_is_told_a_name_that_they_may_not_see(app: Flask, make: Factory) -> None:
    make.application("speech-bot", roles=(), projects=("speech",))
    make.user("eve@example.test", roles=(), projects=(("vision", "project-administrator"),))
    eve = Surfer(app).sign_in("eve@example.test")
    eve.open(f"{BASE}/access/give?project=vision").send("Assign", {"holder": "application:speech-bto", "role": "viewer"})
    assert eve.status in {400, 403, 404}
    assert "speech-bot" not in eve.text


def test_every_kind_of_name_is_suggested_to_who_may_see_it(app: Flask, ann: Surfer, make: Factory) -> None:
    make.application(roles=())
    make.do(lambda realm: access.create_role(realm, "vi-role"))

    def ask(surfer: Surfer, kind: str, text: str) -> object:
        return surfer.open(f"{BASE}/suggest?kind={kind}&q={text}").page.json

    assert ask(ann, "role", "vi-") == ["vi-role"]
    assert ask(ann, "project", "visi") == ["vision"]
    assert ask(ann, "group", "modell") == ["modellers"]
    assert ask(ann, "application", "ci-b") == ["ci-bot"]
    assert ask(ann, "owner", "application:ci-b") == ["application:ci-bot"]
    assert ask(ann, "holder", "ci-b") == ["application:ci-bot"]
    assert ask(ann, "nonsense", "") == []
    make.user("nobody@example.test", roles=())
    nobody = Surfer(app).sign_in("nobody@example.test")
    for kind in ("role", "project", "group", "application", "owner", "holder", "user", "keyset"):
        assert ask(nobody, kind, "") == []


def test_fields_for_names_are_boxes_without_a_script(ann: Surfer) -> None:
    ann.open("/console/my/keys/new")
    for name, kind in (("roles", "role"), ("projects", "project")):
        (box,) = re.findall(rf'<textarea[^>]*name="{name}"[^>]*>', ann.text)
        assert f'data-suggest="{kind}"' in box
        assert 'data-many="yes"' in box
    (box,) = re.findall(r'<textarea[^>]*name="addresses"[^>]*>', ann.text)
    assert "data-suggest" not in box, "what is no name of a thing stays as it was"
