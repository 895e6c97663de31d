"""Every word of a page comes from a catalogue: tried with a language that puts each text it is asked for into brackets."""

import html
import re
from collections.abc import Iterator, Mapping

import pytest
from flask import Flask

from idp.console import language as spoken
from idp.keysets import ENTITY_NAMES
from idp.web.languages import Language
from tests.catalogues import all_texts
from tests.console.surfing import Surfer
from tests.console.test_every_page import crawl, dump, furnished

__all__ = ["furnished"]

TEXTS = all_texts()

OURS = re.compile(r"⟦[^⟦⟧]*⟧")

DATA = re.compile(
    r"""<(code|pre|kbd|time|script|textarea|svg|title)\b.*?</\1>"""  # what is quoted; a title is the heading once more
    r"""|<option[^>]*>[^<]*</option>""",
    re.DOTALL,
)

NAMES = frozenset(
    re.findall(
        r"\w+",
        "Realmgate UTC CSV API JSON ID URL URLs SSO OIDC OAuth OpenID Connect curl Python Node Go Java Kubernetes GitHub Actions env Deutsch English "
        "NHI UID ProjectUid REALM GET HEAD POST PUT PATCH DELETE OPTIONS ES RS how list narrowed",
    )
)
"""Words that no language translates, and names of protocols; what is stored is nobody's to translate either."""


class _Bracketed(Mapping[str, str]):
    def __getitem__(self, english: str) -> str:
        if english not in TEXTS:
            raise KeyError(english)
        return f"⟦{english}⟧"

    def __iter__(self) -> Iterator[str]:
        return iter(each for each in TEXTS if isinstance(each, str))

    def __len__(self) -> int:
        return len(TEXTS)


class _Counted(Mapping[tuple[str, str], tuple[str, ...]]):
    def __getitem__(self, english: tuple[str, str]) -> tuple[str, ...]:
        if english not in TEXTS:
            raise KeyError(english)
        return tuple(f"⟦{each}⟧" for each in english)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(each for each in TEXTS if not isinstance(each, str))

    def __len__(self) -> int:
        return len(TEXTS)


@pytest.fixture
def brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    strange = Language("en", _Bracketed(), _Counted())
    monkeypatch.setattr(spoken, "choose_language", lambda _ui_locales: strange)


def untranslated(page: str) -> set[str]:
    """Return the words of a page that came from no catalogue."""
    while OURS.search(page):
        page = OURS.sub(" ", page)
    page = DATA.sub(" ", page)
    for name in sorted(ENTITY_NAMES.values(), key=len, reverse=True):
        page = page.replace(html.escape(name), " ")
    said = re.findall(r'\s(?:aria-label|placeholder|title|alt|data-label)="([^"]*)"', page)
    said.append(re.sub(r"<[^>]*>", " ", page))
    words = re.findall(r"[A-Za-z]{2,}(?:[-_.@:/][\w.@:/-]+)?", html.unescape(" ".join(said)))
    return {word for word in words if not re.search(r"[-_.@:/]", word) and word not in NAMES}


@pytest.mark.usefixtures("furnished", "brackets")
def test_every_word_of_every_page_comes_from_a_catalogue(app: Flask, ann: Surfer, operator: Surfer) -> None:
    found: dict[str, str] = {}
    pages = crawl(ann) | {url: operator.open(url).page for url in ("/console/organisations", "/console/organisations/new")}
    pages |= {url: Surfer(app).open(url).page for url in ("/console/sign-in", "/console/forgotten", "/console/sign-up")}
    for url, page in pages.items():
        if page.mimetype == "text/html":
            found |= dict.fromkeys(untranslated(page.text), url)
    with app.app_context():
        stored = set(re.findall(r"[A-Za-z]+", str(dump())))
    found = {word: url for word, url in found.items() if word not in stored}
    assert found == {}, "\n".join(f"{word}: {url}" for word, url in sorted(found.items()))
