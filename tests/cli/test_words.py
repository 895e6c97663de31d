"""Domains speak no edge's language; the command line adds the command that leads on."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from idp.cli.words import _OPTIONS, _REMEDIES, _WORDS, worded
from idp.errors import InvalidMembersError, NotFoundError
from tests.serving import PROJECT

ABOVE = {"cli", "setup.py", "backup", "copying", "migrations", "settings", "master_keys"}
"""What only operators are told, at a terminal or in the log, before or beside everything that serves."""


def domains() -> list[Path]:
    return [path for path in (PROJECT / "idp").rglob("*.py") if path.relative_to(PROJECT / "idp").parts[0] not in ABOVE]


def sentences(tree: ast.AST) -> Iterator[str]:
    """Return the texts of a module that are no docstrings."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_no_sentence_but_the_command_lines_names_a_command() -> None:
    naming = {str(path): text for path in domains() for text in sentences(ast.parse(path.read_text())) if "`idp " in text}
    assert naming == {}


def test_command_line_has_words_for_all_that_leads_on() -> None:
    source = "".join(path.read_text() for path in domains())
    acts = set(re.findall(r'leading_to\(\s*f?"([^"]+)"', source))
    named = {act for act in acts if "{" not in act} | {"list roles", "list projects"}
    named -= {"delete personal tokens"}  # which are no business of the command line
    assert "list {noun}s" in acts
    assert named == set(_REMEDIES)


def test_fields_are_called_by_their_options() -> None:
    error = InvalidMembersError([("max_lease_seconds", "Use 1 to 5 seconds"), ("unheard_of", "Say something else")])
    assert worded(error) == "--max-lease: Use 1 to 5 seconds; --unheard-of: Say something else."


UNSEEN = {"", "display_name", "email", "reason", "seconds"}
"""Fields that are given nowhere at the command line, or under what `A name` is there."""


def named_fields() -> set[str]:
    """Return the fields that errors of domains are about."""
    found = set()
    for path in domains():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "field" and isinstance(node.value, ast.Constant):
                found.add(str(node.value.value))
    return found


def parameters(command: click.Command) -> set[str]:
    """Return all options and arguments of a command and of those below it."""
    if isinstance(command, click.Group):
        below = [command.get_command(click.Context(command), name) for name in command.list_commands(click.Context(command))]
        return {each for part in below if part is not None for each in parameters(part)}
    return {
        each.strip("[].")
        for one in command.get_params(click.Context(command))
        for each in (*one.opts, one.make_metavar(click.Context(command)))
    }


def test_what_errors_call_options_there_are() -> None:
    from idp.cli import main

    there = parameters(main) | {"The name"}
    assert {_WORDS.field(field) for field in named_fields() - UNSEEN} <= there
    assert set(_OPTIONS.values()) <= there


def test_fields_of_parts_are_called_by_the_option_of_the_whole() -> None:
    assert _WORDS.field("audience.1") == "--audience"


@pytest.mark.parametrize("act", _REMEDIES)
def test_what_leads_on_is_a_command_that_there_is(act: str) -> None:
    from idp.cli import main

    command = re.search(r"`idp ([^`]*)`", worded(NotFoundError("None.").leading_to(act, realm="acme", within="bot")))
    assert command is not None
    group: object = main
    for word in command[1].split(" --")[0].split():
        group = group.get_command(None, word) if hasattr(group, "get_command") else group  # type: ignore[arg-type]
        assert group is not None, act
