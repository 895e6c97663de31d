"""Forms: fields with labels, kept as they were typed until what they ask for is done, and safe against each other."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import wtforms
from flask import g
from sqlalchemy.exc import DataError, IntegrityError
from werkzeug.datastructures import MultiDict
from wtforms import validators
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # younger than the stubs

from idp.console.browser import current_draft, current_visit
from idp.console.language import count_of, current_language, say
from idp.console.names import nearest
from idp.console.zones import ZONE, reader_zone, shown_time, typed_zone, zone_named
from idp.db import commit, db
from idp.errors import IdpError, InvalidMembersError, Remedy, Words
from idp.web.errors import classify
from idp.web.posted import Posted

SEEN = "seen"
"""Hidden field: what was stored when the form was opened."""


class Form(wtforms.Form):
    """A form. What its values may be, the domains decide: a refusal of theirs is shown above the fields."""

    class Meta(wtforms.Form.Meta):  # type: ignore[misc]  # the library's, which has no types
        """In the language of the page."""

        @property
        def locales(self) -> list[str]:
            """What the library's own sentences are in."""
            return [current_language().code]

    problem = ""
    status = 200
    seen = ""

    def __init__(self, posted: Posted | None, stored: dict[str, Any] | None = None, **options: Any) -> None:
        """Take what was typed, or for a form that has not been sent what is stored.

        :param stored: what is stored now, by the names of the fields, when the form changes something.
        """
        restored = self._restored() if posted is None else None
        typed = posted if restored is None else restored
        if typed is not None:
            g.typed_zone = zone_named(typed.get(ZONE, ""))
        super().__init__(formdata=typed, data=stored, **options)
        self.is_sent, self.is_restored = posted is not None, restored is not None
        self.conflicts: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        if stored is not None:
            self.seen = _digest(stored) if restored is None else restored.get(SEEN, "")
            if posted is not None and posted.get(SEEN, "") != self.seen:
                self.conflicts = {
                    name: value for name, value in stored.items() if name in self._fields and value != self._fields[name].data
                }
                self.refuse(
                    say("Someone else has changed this in the meantime. Below is what you typed and what is stored now."), 409
                )

    @classmethod
    def _restored(cls) -> Posted | None:
        """Return what was typed into this form, of those of the page, before its session was over."""
        draft = current_draft()
        if draft is None or not any(hasattr(cls, name.partition("-")[0]) for name, _ in draft.pairs if name != SEEN):
            return None
        return MultiDict(draft.pairs)

    def do(self, act: Callable[[], None]) -> bool:
        """Do what the form asks for, if it was sent and can be read, and commit it; tell whether it was done.

        What a domain refuses is undone and shown, and what was typed stays.
        """
        if not self.is_sent or self.problem:
            return False
        if not self.validate():
            self.refuse(say("Some fields are not valid."), 400)
            return False
        try:
            act()
            commit()
        except (IdpError, IntegrityError, DataError) as error:
            db.session.rollback()
            status, _, message, headers = classify(error, words=_FormWords(self))
            self.refuse(message, status)
            self._mark(error)
            self.headers = {name: value for name, value in headers.items() if name != "WWW-Authenticate"}
            return False
        return True

    def _mark(self, error: Exception) -> None:
        """Mark the fields that a refusal is about."""
        problems = {error.field: say("See above.")} if isinstance(error, IdpError) else {}
        if isinstance(error, InvalidMembersError):
            plain = current_language().plain
            problems = {where: f"{plain(problem).removesuffix('.')}." for where, problem in error.members}
        for name, problem in problems.items():
            found = self.found(name)
            if found is not None:
                found.errors = [*found.errors, problem]

    def found(self, name: str) -> wtforms.Field | None:
        """Return the field of the form for a field of a domain, or for what that is a part of; None if there is none."""
        field: wtforms.Field | None = self._fields.get(name) or self._fields.get(name.partition(".")[0])
        return field

    def refuse(self, problem: str, status: int) -> None:
        """Say why nothing was done."""
        self.problem, self.status = problem, status


class PageWords(Words):
    """What people call things, in the language of the page."""

    @property
    def realm(self) -> str:  # type: ignore[override]  # in another language with each page
        """What a realm is called."""
        return say("organisation")

    @property
    def a_realm(self) -> str:  # type: ignore[override]  # the same
        """What any of them is called."""
        return say("an organisation")

    def translated(self, english: str) -> str:
        """Return a sentence in the language of the page."""
        return current_language().plain(english)

    def named_realm(self, name: str) -> str:
        """Return what stands for one of them."""
        return f"{self.realm} {name}"

    def leading_on(self, remedy: Remedy) -> str:
        """Return what to do on these pages."""
        return say({"delete personal tokens": "Delete some, in the list of yours."}.get(remedy.act, ""))


class _FormWords(PageWords):
    """Fields are those of a form, and called what stands beside them."""

    def __init__(self, form: Form) -> None:
        self._form = form

    def leading_on(self, remedy: Remedy) -> str:
        """Return what was perhaps meant by a name that nothing has, of the names that the page lets its user see."""
        visit = current_visit()
        near = nearest(visit, remedy.act, list(_texts(self._form.data))) if visit is not None else ""
        return say("Did you mean {name}?", name=near) if near else super().leading_on(remedy)

    def field(self, name: str) -> str:
        """Return the label of a field."""
        found = self._form.found(name)
        return say(str(found.label.text)) if found is not None else name


def _texts(data: Any) -> Iterator[str]:
    """Go through the texts that were typed into a form, those of rows within it too."""
    for value in data.values() if isinstance(data, dict) else data:
        if isinstance(value, dict | list):
            yield from _texts(value)
        elif isinstance(value, str) and value:
            yield value


class LinesField(wtforms.TextAreaField):
    """Several values, one per line."""

    data: Any
    hint = "One per line."

    def __init__(self, label: str = "", description: str = "", **options: Any) -> None:
        super().__init__(label, [validators.Optional()], description=description, **options)

    def _value(self) -> str:
        return "\n".join(self.data or [])

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take the lines that are not empty."""
        text = valuelist[0] if valuelist else ""
        self.data = [line.strip() for line in text.splitlines() if line.strip()]


class NamesField(LinesField):
    """Several names, one per line; with a script, each is chosen from suggestions and stands by itself."""

    is_of_lines_without_script = True
    """Whether its hint is for pages without a script."""

    def __init__(self, label: str = "", description: str = "", *, kind: str, **options: Any) -> None:
        """Take the field's terms.

        :param kind: what is named, such as `role`; see `names.KINDS`.
        """
        suggested = {"data-suggest": kind, "data-many": "yes", "spellcheck": "false"}
        super().__init__(label, description, render_kw=suggested, **options)


class NumberField(wtforms.IntegerField):
    """A whole number of a length that somebody could mean."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take a number of up to ten digits."""
        if valuelist and len(valuelist[0].strip()) > 10:
            self.data = None
            raise ValueError(say("Use a number of at most ten digits."))
        super().process_formdata(valuelist)


UNITS = {
    "second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400, "year": 365 * 86_400,
}  # fmt: skip # a table
_LENGTH = re.compile(r"(\d{1,10})\s*([^\W\d]*)")
_SHORT = {
    "s": "second",
    "sec": "second",
    "secs": "second",
    "m": "minute",
    "min": "minute",
    "mins": "minute",
    "h": "hour",
    "hr": "hour",
    "hrs": "hour",
    "d": "day",
    "w": "week",
    "y": "year",
}


class DurationField(wtforms.StringField):
    """A length of time as people write it, such as `90 days`; its data is a whole number of a unit, as it is stored."""

    data: Any

    def __init__(self, label: str, rules: list[Any] | None = None, *, unit: str, description: str = "", **options: Any) -> None:
        """Take the field's terms.

        :param unit: what is stored, such as `hour`; a number that is typed without a unit is of these, too.
        """
        self._unit = unit
        super().__init__(label, rules, description=description, **options)

    def __call__(self, **attributes: Any) -> Any:
        """Show the field; while it is empty, with lengths of time as they may be written."""
        return super().__call__(**{"placeholder": say("90 days, 12 hours or 15 minutes")} | attributes)

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data is None else length_of_time(self.data * UNITS[self._unit])

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read a length of time.

        :raises ValueError: it is none, or no whole number of the unit.
        """
        typed = valuelist[0].strip() if valuelist else ""
        self.data = None
        if not typed:
            return
        match = _LENGTH.fullmatch(typed)
        unit = _units().get(match[2].lower() or self._unit) if match is not None else None
        if match is None or unit is None:
            raise ValueError(say("Write a length of time, such as 90 days, 12 hours or 15 minutes."))
        seconds = int(match[1]) * unit
        if seconds % UNITS[self._unit]:
            units = count_of(2, self._unit).removeprefix("2").strip()
            raise ValueError(say("Write a length of time in whole {units}, or in longer ones.", units=units))
        self.data = seconds // UNITS[self._unit]


def _units() -> dict[str, int]:
    """Return the lengths of units by what they are called: in short, in English, and in the language of the page."""
    known = {short: UNITS[unit] for short, unit in _SHORT.items()}
    for unit, seconds in UNITS.items():
        known |= {unit: seconds, f"{unit}s": seconds}
        known |= {count_of(count, unit).removeprefix(str(count)).strip().lower(): seconds for count in (1, 2)}
    return known


def length_of_time(seconds: int) -> str:
    """Return a length of time in the longest unit that it is a whole number of, such as `90 days`."""
    for unit in ("year", "day", "hour", "minute"):
        if seconds and seconds % UNITS[unit] == 0:
            return _plain_count(seconds // UNITS[unit], unit)
    return _plain_count(seconds, "second")


def _plain_count(count: int, unit: str) -> str:
    """Return a number of units, with nothing between the digits, so that it can be read again."""
    return count_of(count, unit).replace(current_language().number(count), str(count))


class TimeField(wtforms.DateTimeLocalField):
    """A time to the minute, shown in the reader's zone and read in the zone that it was shown in; None for none."""

    def __init__(self, label: str, **options: Any) -> None:
        super().__init__(label, [validators.Optional()], format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], **options)

    def _value(self) -> str:
        if self.raw_data and (self.data is None or typed_zone() == reader_zone()):
            return str(self.raw_data[0])
        return shown_time(self.data, self.format[0]) if self.data else ""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read a time."""
        super().process_formdata(valuelist)
        if isinstance(self.data, datetime):
            self.data = self.data.replace(tzinfo=typed_zone()).astimezone(UTC)


class ChecksField(wtforms.SelectMultipleField):
    """Several of a list of choices, each with a box of its own."""


class _Said:
    """A constant that is said in the language of the page when it is shown."""

    def __init__(self, english: str) -> None:
        self._english = english

    def __str__(self) -> str:
        return say(self._english)


def choices(values: Iterable[str], labels: Mapping[str, str] | None = None) -> list[Any]:
    """Return what a field lets people choose from.

    :param labels: how a value is called, where that is not what it is.
    """
    called = labels or {}
    return [SelectChoice(str(value), _Said(called[value]) if value in called else str(value)) for value in values]


CHOOSE = "Choose"
"""What a list of choices shows before one is chosen."""


def choice(label: str, *, required: bool = True) -> wtforms.SelectField:
    """Return a field for one of several choices, none of which is chosen beforehand; the page sets them, the empty one first."""
    rule = validators.InputRequired("Choose one.") if required else validators.Optional()
    return wtforms.SelectField(label, [rule])


class NameField(wtforms.StringField):
    """The name of a realm, a role, a project, a group, an application, a secret."""

    hint = "A lower-case letter, then lower-case letters, digits, - and _."


def name_field(meaning: str = "") -> wtforms.StringField:
    """Return the field for a name.

    :param meaning: says what the name is for, if that has to be said. What names look like is said after it.
    """
    rules: list[Any] = [validators.Length(max=64), validators.InputRequired()]
    return NameField("Name", rules, description=meaning, filters=[_stripped])


def text(label: str, description: str = "", *, required: bool = False, longest: int = 500, **options: Any) -> wtforms.StringField:
    """Return a field for one line."""
    rules: list[Any] = [validators.Length(max=longest), validators.InputRequired() if required else validators.Optional()]
    return wtforms.StringField(label, rules, description=description, filters=[_stripped], **options)


def password(label: str, description: str = "", autocomplete: str = "current-password") -> wtforms.PasswordField:
    """Return a field whose value is never sent back."""
    return wtforms.PasswordField(
        label, [validators.InputRequired()], description=description, render_kw={"autocomplete": autocomplete}
    )


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _digest(stored: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(stored, sort_keys=True, default=str).encode()).hexdigest()[:32]
