"""Lists of the command line: whole by default, and never cut without a word."""

import importlib
import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from flask import Flask

from idp import access, apikeys, applications, users
from idp.cli import _COMMANDS, lists, main
from idp.db import commit
from idp.settings import Settings
from tests.factories import Factory

MANY = 7


@pytest.fixture(autouse=True)
def small_pages(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages so small that each list takes several."""
    monkeypatch.setattr(lists, "PAGE", 3)
    monkeypatch.setenv("IDP_DATA_DIR", str(settings.data_dir))


@pytest.fixture
def furnished(app: Flask, make: Factory) -> None:
    """Realm acme with more of everything than a page holds."""

    def fill(realm: Any) -> None:
        group = users.get_group(realm, "modellers")
        for number in range(MANY):
            application = applications.create_application(realm, f"app-{number}")
            user = users.create_user(realm, f"user-{number}@example.test")
            users.add_member(realm, group, user)
            users.create_group(realm, f"group-{number}")
            access.create_project(realm, f"project-{number}")
            access.create_role(realm, f"role-{number}")
            access.grant_role(realm, applications.holder_of(application), "viewer")
            apikeys.create_key(realm, users.holder_of(user), apikeys.ApiKeySheet(name=f"key-{number}"), hours=1, may_exceed=True)
        commit()

    make.do(fill)


def run(*arguments: str) -> tuple[str, str]:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def commands() -> list[list[str]]:
    """Return every command that lists."""
    found = []
    for name, target in _COMMANDS.items():
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if isinstance(command, click.Group) and "list" in command.commands:
            found.append([name, "list"])
    return found


WHOLE_BY_NATURE = [["keys", "list"], ["master-key", "list"]]
"""Few by nature: the keys of one realm, and of one file."""


def test_every_list_has_a_limit_and_none_by_default() -> None:
    assert len(commands()) >= 12
    for names in commands():
        if names in WHOLE_BY_NATURE:
            continue
        command: Any = main
        for name in names:
            command = command.get_command(click.Context(main), name)
        (limit,) = [each for each in command.params if each.name == "limit"]
        assert not isinstance(limit.default, int), names


@pytest.mark.parametrize(
    ("command", "least"),
    [
        (["applications", "list"], MANY + 2),
        (["users", "list"], MANY + 2),
        (["groups", "list"], MANY + 1),
        (["groups", "members", "modellers"], MANY + 1),
        (["projects", "list"], MANY + 2),
        (["roles", "list"], MANY + 6),
        (["grants", "list"], MANY + 7),
        (["api-keys", "list"], MANY),
        (["audit", "list"], 40),
    ],
)
def test_list_is_whole_and_a_part_of_it_says_that_it_is_one(furnished: None, command: list[str], least: int) -> None:
    command = [*command, "--realm", "acme"]
    text, said = run(*command, "--json")
    rows = json.loads(text)
    assert len(rows) >= least
    assert said == ""
    assert len({json.dumps(row, sort_keys=True) for row in rows}) == len(rows), "none comes twice"
    table, said = run(*command)
    assert len(table.splitlines()) >= least + 1
    assert said == ""
    text, said = run(*command, "--json", "--limit", "5")
    assert json.loads(text) == rows[:5] or command[0] == "audit", "what is read of the trail is noted in it"
    assert said.startswith("5 are shown, and there are more." if command[0] == "audit" else f"5 of {len(rows)} are shown.")
    text, said = run(*command, "--json", "--limit", "10000")
    assert (len(json.loads(text)) >= len(rows), said) == (True, "")


def test_pages_lead_on_from_each_other(furnished: None) -> None:
    first, said = run("applications", "list", "--realm", "acme", "--json", "--limit", "4")
    option, name = said.split("For the next ones, add ")[1].split(".")[0].split()
    rest, _ = run("applications", "list", "--realm", "acme", "--json", option, name)
    whole, _ = run("applications", "list", "--realm", "acme", "--json")
    assert json.loads(first) + json.loads(rest) == json.loads(whole)


def test_empty_list_is_a_sentence_or_an_empty_array() -> None:
    assert run("keysets", "list", "--realm", "acme") == ("There are no keysets. Create one with: idp keysets create\n", "")
    assert run("keysets", "list", "--realm", "acme", "--json") == ("[]\n", "")
    assert run("leases", "list", "--realm", "acme", "--json") == ("[]\n", "")
    assert run("sessions", "list", "--realm", "acme") == ("Nobody is signed in.\n", "")


def test_array_is_printed_as_ever(furnished: None, tmp_path: Path) -> None:
    text, _ = run("projects", "list", "--realm", "acme", "--json")
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"
