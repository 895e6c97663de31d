"""Texts that users read keep to the field's standard words, and to the order in which English puts them."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import PROJECT

FORBIDDEN = {
    r"(?<!ere )\bis no (JSON|UTF-8|number|key|secret|token|URL|uid|setting|permission)\b": "is not ...",
    r"\b[Mm]ade by\b": "created by",
    r"\b([Gg]ive|[Gg]ives|[Gg]iving|[Tt]ake|[Tt]akes) (a|the) role\b": "assign, remove",
    r"\b[Tt]ak(e|es|en|ing) (it|them|the role|the cookie) away\b": "remove",
    r"\b([Mm]ake|[Mm]akes|[Mm]aking) (an?|the|another|the first) (\S+ )?"
    r"(application|administrator|key|API key|keyset|realm|organisation|group|user|role|project|secret|token)s?\b": "create",
    r"\b(is|are|be|been|was|were) lent\b|\blends?\b": "lease",
    r"\b([Mm]ail) address(es)?\b|\b(by|a) mail\b(?! server)": "email",
    r"\bfor who (has|holds|may|reads|is|can)\b|\b[Ww]ho (has|holds|may) .{3,40} (may|can)\b": "those who ...",
    r"\b(tokens|sessions|events|those) of before\b": "earlier ...",
    r"\bone a line\b|\b(tokens|calls|uses|times) a (second|minute)\b": "per line, per second",
    r"\bas of before\b|\bleft out,? stays\b|\bworks no longer\b|\bhave it said\b": "say it plainly",
    r"\b(goes|go|went|going) on working\b|\bgoes on where\b": "keeps working, continues",
    r"\b(sealed|seals|seal) anew\b|\b(written|read|made) anew\b": "again",
    r"\bfor good\b": "permanently",
    r"\b(session|lease|time) is over\b": "has ended, has expired",
    r"\bat the most\b": "at most",
    r"\bwithout a gap\b": "without an interruption",
    r"\bin whatever case\b": "ignoring case",
    r"\b[Nn]ame for people\b|\bbrought along\b|\bby hand\b": "display name, imported, manually",
}
"""What is not written, as a regular expression, and what is written instead."""

NOT_PROSE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def literals(path: Path) -> Iterator[str]:
    """Return the texts of a module that are not docstrings."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def helps(path: Path) -> Iterator[str]:
    """Return what `--help` says: the docstrings of functions that are commands or groups of them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and any(
            "command" in ast.dump(each) or "group" in ast.dump(each) for each in node.decorator_list
        ):
            yield ast.get_docstring(node) or ""


def summaries(path: Path) -> Iterator[str]:
    """Return the first lines of docstrings of public functions: the summaries of calls, in a module of the API."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield (ast.get_docstring(node) or "").partition("\n")[0]


@functools.cache
def texts() -> list[tuple[str, str]]:
    """Return every text that users read, with where it is, on one line."""
    return [(name, " ".join(text.split())) for name, text in _texts()]


def _texts() -> Iterator[tuple[str, str]]:
    idp = PROJECT / "idp"
    for path in sorted(idp.rglob("*")):
        name = str(path.relative_to(PROJECT))
        if path.suffix in {".html", ".txt"}:
            yield name, path.read_text()
        elif path.suffix == ".py" and "migrations" not in path.parts:
            yield from ((name, text) for text in literals(path))
            if "cli" in path.parts:
                yield from ((name, text) for text in helps(path))
            if path.parent == idp / "api":
                yield from ((name, text) for text in summaries(path))
    pages = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md")), *sorted((PROJECT / "realms").glob("*.toml"))]
    for path in pages:
        if path.name != "specifications.md":
            yield str(path.relative_to(PROJECT)), NOT_PROSE.sub("", path.read_text())


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_texts_use_the_usual_words(pattern: str) -> None:
    found = [f"{name}: {hit[0]}" for name, text in texts() for hit in re.finditer(pattern, text)]
    assert found == [], f"better: {FORBIDDEN[pattern]}"


def test_every_kind_of_text_is_read() -> None:
    read = {name for name, _ in texts()}
    for name in (
        "idp/console/render.py",
        "idp/mail/templates/invitation.txt",
        "idp/console/templates/console/parts.html",
        "README.md",
    ):
        assert name in read
    assert any("Create an application called NAME" in text for _, text in texts())
    assert any("Show who is calling." in text for _, text in texts())
