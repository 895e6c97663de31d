"""The languages of the pages: a catalogue each in `locale/`, so that another language is another file.

English is what stands in the templates and in the code. A catalogue has each text of the pages, and of what domains say to
people; `tests/catalogues.py` finds them all, and brings a catalogue into step with them.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

from babel import Locale
from babel.dates import format_timedelta
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from flask import request
from markupsafe import Markup

ENGLISH = "en"


def _english_form(count: int) -> int:
    return int(count != 1)


@dataclass(frozen=True, slots=True)
class Language:
    """A language, with what it says for the English."""

    code: str
    """As HTML and `ui_locales` have it (BCP 47)."""
    said: Mapping[str, str] = field(default_factory=dict, repr=False)
    counted: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, repr=False)
    """Texts with a number in them, by what the English says of one and of several."""
    form_of: Callable[[int], int] = field(default=_english_form, repr=False)
    """Which form of a text goes with a number."""
    _shapes: "list[_Shape]" = field(default_factory=list, repr=False)

    @property
    def name(self) -> str:
        """What it calls itself, such as "Deutsch"."""
        return str(Locale.parse(self.code).get_display_name()).capitalize()

    def say(self, english: str, **values: Any) -> Markup:
        """Return a text of a page. It may have markup of its own; its values are escaped."""
        return Markup(self.said.get(english) or english).format(**values)  # noqa: S704 (a text of ours, not of whoever asks)

    def fill(self, english: str, values: Mapping[str, Any]) -> str:
        """Return a text without markup, with values in its gaps."""
        said = self.said.get(english) or english
        return said.format_map(values) if values else said

    def count(self, one: str, several: str, count: int, **values: Any) -> str:
        """Return a text with a number in it, in the gap `{count}`.

        :param one: what the English says of one.
        :param several: of any other number.
        """
        forms = self.counted.get((one, several)) or (one, several)
        return forms[self.form_of(count)].format(count=self.number(count), **values)

    def number(self, value: float) -> str:
        """Write a number so that it can be read."""
        return f"{value:,}" if self.code == ENGLISH else str(format_decimal(value, locale=self.code))

    def plain(self, english: str) -> str:
        """Return a sentence of a domain, without markup.

        It may have values in it already: it is found by its shape then.
        """
        found = self.said.get(english)
        if found or not self.said:
            return found or english
        for shape in self._known_shapes():
            values = shape.values_in(english)
            if values is not None:
                inner = {name: self._part(value) for name, value in values.items() if name == "error"}
                return shape.said.format_map(values | inner)
        return english

    def _part(self, english: str) -> str:
        """Return a sentence that stands in another, such as what is wrong with a key. It may have lost its period there."""
        return self.said.get(english) or self.said.get(f"{english}.", "").removesuffix(".") or english

    def _known_shapes(self) -> "list[_Shape]":
        """Return the shapes of sentences with gaps, the most definite first."""
        if not self._shapes:
            found = sorted(((_letters(english), english) for english in self.said if _has_gaps(english)), reverse=True)
            self._shapes.extend(_shape(english, self.said[english]) for letters, english in found if letters > 2)
        return self._shapes

    def days(self, number: int) -> str:
        """Return a time in days, such as "30 days"."""
        return str(format_timedelta(timedelta(days=number), granularity="day", threshold=math.inf, locale=self.code))


def _pieces(text: str) -> Iterator[tuple[str, str | None]]:
    for literal, name, _spec, _conversion in Formatter().parse(text):
        yield literal, name


def _has_gaps(text: str) -> bool:
    """Tell whether a text has gaps to be filled, and not braces of its own, such as those of JSON."""
    try:
        names = [name for _literal, name in _pieces(text) if name is not None]
    except ValueError:
        return False
    return bool(names) and all(map(str.isidentifier, names))


def _letters(text: str) -> int:
    return sum(character.isalpha() for literal, _name in _pieces(text) for character in literal)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a text with gaps looks like when they are filled, and what is said for it then."""

    begin: str
    """What stands before the first gap."""
    gaps: tuple[tuple[str, str], ...]
    """The gaps: the name of each, and what follows it."""
    said: str

    def values_in(self, text: str) -> dict[str, str] | None:
        """Return what fills the gaps in a text, each as little as can be; None for a text of another shape.

        It goes through the text once, whoever has written what stands in it.
        """
        if not text.startswith(self.begin) or not text.endswith(self.gaps[-1][1]):
            return None
        found, place = dict[str, str](), len(self.begin)
        for number, (name, following) in enumerate(self.gaps, 1):
            end = len(text) - len(following) if number == len(self.gaps) else text.find(following, place + 1)
            if end <= place or found.setdefault(name, text[place:end]) != text[place:end]:
                return None
            place = end + len(following)
        return found


def _shape(english: str, said: str) -> _Shape:
    begin, gaps = "", list[tuple[str, str]]()
    for literal, name in _pieces(english):
        if gaps:
            gaps[-1] = (gaps[-1][0], gaps[-1][1] + literal)
        else:
            begin += literal
        if name is not None:
            gaps.append((name, ""))
    return _Shape(begin, tuple(gaps), _written(said))


def _written(text: str) -> str:
    """Return a text whose values are taken as they stand: what was filled in has been quoted already."""
    return re.sub(r"(\{\w+)![rs]\}", r"\1}", text)


@cache
def codes() -> tuple[str, ...]:
    """Return the codes of all languages, English first."""
    found = [each.name.partition(".") for each in (files("idp.web") / "locale").iterdir()]
    return (ENGLISH, *sorted(code for code, _dot, kind in found if kind == "po"))


@cache
def language(code: str) -> Language:
    """Return a language. Its catalogue is read when it is first spoken: most servers need one or two.

    :param code: one of `codes()`.
    """
    if code == ENGLISH:
        return Language(ENGLISH)
    with (files("idp.web") / "locale" / f"{code}.po").open("rb") as catalogue:
        read = read_po(catalogue)
    said, counted = {}, {}
    for entry in read:
        if not entry.id or entry.fuzzy:
            continue
        if isinstance(entry.id, str):
            if entry.string:
                said[entry.id] = str(entry.string)
        elif entry.string and all(entry.string):
            counted[(entry.id[0], entry.id[1])] = tuple(map(str, entry.string))
    return Language(code, said, counted, _form_of(read.plural_expr))


def _form_of(expression: str) -> Callable[[int], int]:
    """Return the function that a catalogue's header has for its forms of numbers."""
    from gettext import c2py  # noqa: PLC0415 (needed with a catalogue only)

    form: Callable[[int], int] = c2py(expression)
    return form


def choose_language(ui_locales: str = "") -> Language:
    """Return the first language that there is of those that the application asks for, or else that the browser does.

    :param ui_locales: the parameter (OpenID Connect Core §3.1.2.1), or a choice of the visitor's own; in order of preference.
    """
    known = codes()
    for wanted in ui_locales.split():
        code = wanted.lower().partition("-")[0]
        if code in known:
            return language(code)
    # not Werkzeug's best match, which passes over de-AT when the browser names English in second place
    accepted = [value.lower().partition("-")[0] for value, quality in request.accept_languages if quality]
    return language(next((code for code in accepted if code in known), ENGLISH))
