"""The languages of the pages: a catalogue each in `locale/`, so that another language is another file.

English is what stands in the templates. What a catalogue lacks, such as a sentence of a domain with numbers in it, stays English.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from babel.dates import format_timedelta
from babel.messages.pofile import read_po
from flask import request
from markupsafe import Markup

ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class Language:
    """A language, with what it says for the English."""

    code: str
    """As HTML and `ui_locales` have it (BCP 47)."""
    said: Mapping[str, str] = field(default_factory=dict, repr=False)

    def say(self, english: str, **values: Any) -> Markup:
        """Return a text of a page. It may have markup of its own; its values are escaped."""
        return Markup(self.said.get(english) or english).format(**values)  # noqa: S704 (a text of ours, not of whoever asks)

    def plain(self, english: str) -> str:
        """Return a sentence of a domain, without markup."""
        return self.said.get(english) or english

    def days(self, number: int) -> str:
        """Return a time in days, such as "30 days"."""
        return str(format_timedelta(timedelta(days=number), granularity="day", threshold=math.inf, locale=self.code))


@cache
def languages() -> Mapping[str, Language]:
    """Return all languages by their codes."""
    found = {ENGLISH: Language(ENGLISH)}
    for file in sorted((files("idp.web") / "locale").iterdir(), key=lambda each: each.name):
        code, dot, kind = file.name.partition(".")
        if dot and kind == "po":
            with file.open("rb") as catalogue:
                entries = {str(entry.id): str(entry.string) for entry in read_po(catalogue) if entry.id and not entry.fuzzy}
            found[code] = Language(code, entries)
    return found


def choose_language(ui_locales: str = "") -> Language:
    """Return the first language that there is of those that the application asks for, or else that the browser does.

    :param ui_locales: the parameter (OpenID Connect Core §3.1.2.1), in order of preference.
    """
    known = languages()
    for wanted in ui_locales.split():
        code = wanted.lower().partition("-")[0]
        if code in known:
            return known[code]
    code = request.accept_languages.best_match(list(known), ENGLISH)
    return known[str(code).partition("-")[0]]
