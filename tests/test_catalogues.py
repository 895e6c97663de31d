"""The catalogues have all that people are told, and nothing that they are told is said past them."""

import ast
import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from jinja2 import Environment, nodes

from idp.oauth.errors import UnknownRealmError
from idp.sign_in import device, words
from idp.web.languages import codes
from tests import catalogues
from tests.catalogues import PAGES, Text, all_texts, read, reads_like_a_text

TEMPLATES = [path for folder in PAGES for path in sorted(folder.rglob("*.html")) if path.parent.name != "design"]
CONSOLE = PAGES[0]

NAMES = {
    "CSV",
    "env",
    "ProjectUid",
    "REALM",
    "Realmgate",
    "UID",
    "UTC",
    "light dark",
    "uid",
    "no role",
    "other method",
    "other path",
}
"""What stands in a page in any language; what a browser is told of colours, and verdicts that nobody is shown."""

SEEN = re.compile(r'\b(?:alt|aria-label|aria-description|data-label|placeholder|title)="([^"]*)"')
"""Attributes that people are shown, or read out."""


def entries(code: str) -> Iterator[tuple[Text, str, str]]:
    """Go through a catalogue: what is looked up, and each English text with what is said for it."""
    for entry in read(code):
        if entry.id:
            forms = [entry.string] if isinstance(entry.id, str) else entry.string
            several = [entry.id] if isinstance(entry.id, str) else [entry.id[0], *[entry.id[1]] * (len(forms) - 1)]
            yield from (
                (entry.id if isinstance(entry.id, str) else tuple(entry.id), *each) for each in zip(several, forms, strict=True)
            )


def gaps(text: str) -> list[tuple[str, str | None]]:
    return sorted((name, conversion) for _text, name, _spec, conversion in Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("code", codes()[1:])
def test_catalogue_has_all_that_is_said_and_nothing_besides(code: str) -> None:
    had = {text for text, _english, _said in entries(code)}
    assert all_texts() - had == set(), "run `python -m tests.catalogues`, and translate what it adds"
    assert had - all_texts() == set(), "run `python -m tests.catalogues`, which takes out what is no longer said"


@pytest.mark.parametrize("code", codes()[1:])
def test_nothing_is_without_a_translation(code: str) -> None:
    assert [english for _text, english, said in entries(code) if not said.strip()] == []


@pytest.mark.parametrize("code", codes()[1:])
def test_translations_have_the_gaps_of_the_english(code: str) -> None:
    for text, english, said in entries(code):
        wanted = gaps(english)
        assert all(name.isidentifier() for name, _conversion in wanted), english
        if not isinstance(text, str) and gaps(said) != wanted:  # of one thing, the number may be left out
            assert english == text[0], said
            wanted = [each for each in wanted if each[0] != "count"]
        assert gaps(said) == wanted, said


@pytest.mark.parametrize("code", codes()[1:])
@pytest.mark.parametrize("mark", [r"</?[a-z]+(?: [^<>]*)?>", r"`[^`]*`"])
def test_translations_have_the_markup_of_the_english(code: str, mark: str) -> None:
    for _text, english, said in entries(code):
        assert sorted(re.findall(mark, said)) == sorted(re.findall(mark, english)), said


@pytest.mark.parametrize("code", codes()[1:])
def test_translations_begin_and_end_as_the_english_does(code: str) -> None:
    for _text, english, said in entries(code):
        assert re.findall(r"^\s|\s$", said) == re.findall(r"^\s|\s$", english), said
        assert said.endswith(".") == english.endswith("."), said


@pytest.mark.parametrize("code", codes()[1:])
def test_catalogue_is_as_the_tool_writes_it(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = shutil.copy(catalogues.LOCALE / f"{code}.po", tmp_path)
    monkeypatch.setattr(catalogues, "LOCALE", tmp_path)
    assert catalogues.bring_into_step(code) == []
    monkeypatch.undo()
    assert Path(kept).read_bytes() == (catalogues.LOCALE / f"{code}.po").read_bytes()


@pytest.mark.parametrize("code", codes()[1:])
def test_tool_adds_what_is_new_and_takes_out_what_is_not_said(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Path(shutil.copy(catalogues.LOCALE / f"{code}.po", tmp_path))
    monkeypatch.setattr(catalogues, "LOCALE", tmp_path)
    texts = (all_texts() - {"Help"}) | {"A new one, {name}", ("{count} new one", "{count} new ones")}
    monkeypatch.setattr(catalogues, "all_texts", lambda: texts)
    assert catalogues.bring_into_step(code) == ["A new one, {name}", ("{count} new one", "{count} new ones")]
    assert {text for text, _english, _said in entries(code)} == texts
    assert 'msgid "Help"\n' not in kept.read_text()


def test_texts_are_found_wherever_they_are_said() -> None:
    found = all_texts()
    assert {*words._SCOPES.values(), *words._CLAIMS.values(), device._UNKNOWN, device._DECIDED, str(UnknownRealmError())} <= found
    assert {wish for wish, _values in words.meaning_of_scopes(["project:vision"], ())} <= found
    assert {"Sign in", "Audit trail", ("{count} API key", "{count} API keys"), "no end"} <= found, "of a template"
    assert {"Manage keys", "organisation", ("in {count} day", "in {count} days"), ("{count} week", "{count} weeks")} <= found, (
        "of a page"
    )
    assert {"Redirect URIs", "{value} is out of range: use {least} to {most} hours"} <= found, "of a sheet"
    assert {"The time has passed.", "Key {public_part} has already been revoked."} <= found, "of a domain"
    assert "{what} must be one line of at most {longest} printable characters." in found, "and has a name there"
    assert {"View roles.", "expired", "Works in the projects it is granted."} <= found, "of a table"
    assert not {"Cookie", "takes at most 50 values, each once.", "a member is repeated"} & found


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(PAGES[0].parent)))
def test_no_word_of_a_page_stands_outside_of_the_catalogues(path: Path) -> None:
    left = re.sub(r"(?s)\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", " ", path.read_text())
    seen = [*SEEN.findall(left), re.sub(r"(?s)<!--.*?-->|<(code|kbd|pre|script)\b.*?</\1>|<.*?>", " ", left)]
    assert set(re.findall(r"(?<![\w&-])[A-Za-z]{2,}(?![\w-])", html.unescape(" ".join(seen)))) - NAMES == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(PAGES[0].parent)))
def test_no_text_of_an_expression_stands_outside_of_the_catalogues(path: Path) -> None:
    tree = Environment(autoescape=True).parse(path.read_text())
    said = {id(each) for call in calls(tree, "_", "plural") for each in call.find_all(nodes.Const)}
    said |= {
        id(each)
        for found in tree.find_all(nodes.Filter)
        if found.name in {"count_of", "when", "ago"}
        for each in found.find_all(nodes.Const)
    }
    left = [each.value for each in tree.find_all(nodes.Const) if id(each) not in said and reads_like_a_text(each.value)]
    assert set(left) - NAMES == set()


def calls(tree: nodes.Template, *names: str) -> Iterator[nodes.Call]:
    return (each for each in tree.find_all(nodes.Call) if isinstance(each.node, nodes.Name) and each.node.name in names)


@pytest.mark.parametrize(
    "path", [path for path in TEMPLATES if CONSOLE in path.parents], ids=lambda path: str(path.relative_to(CONSOLE))
)
def test_what_a_template_says_is_a_constant(path: Path) -> None:
    tree = Environment(autoescape=True).parse(path.read_text())
    for call in [*calls(tree, "_"), *calls(tree, "plural")]:
        texts = call.args[: 1 if call.node.name == "_" else 2]
        assert all(isinstance(each, nodes.Const) and isinstance(each.value, str) for each in texts), call.lineno
        assert not any(each.value != each.value.strip() for each in texts), "a text has no space around it"


@pytest.mark.parametrize("path", sorted(CONSOLE.rglob("*.py")), ids=lambda path: path.name)
def test_no_sentence_of_the_console_is_put_together_past_the_catalogues(path: Path) -> None:
    """Errors may be: they are found again by what they look like."""
    texts = all_texts()
    found = [
        f"{node.lineno}: {each.value}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr) and catalogues._with_gaps(node) not in texts | catalogues.NO_TEXTS
        for each in node.values
        if isinstance(each, ast.Constant) and re.search(r"(?<!<)\b[A-Za-z]{2,},? [A-Za-z]{2,}\b(?!=)", each.value)
    ]
    assert found == [], "see `say` of idp/console/language.py"
