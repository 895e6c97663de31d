"""`filterBy`: conditions such as `name=@bot,enabled==true`, all of which must hold; and the orders that go with them.

A contract has names of its own for what its lists are narrowed and put in order by. What they stand for is a `Term`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Boolean, Integer, false

from idp.db import UtcDateTime
from idp.errors import InvalidValueError
from idp.paging import Comparison, Listing

MOST_CONDITIONS = 10

_CONDITION = re.compile(r"([A-Za-z0-9]{1,40})(==|!=|<=|>=|=@|!@|=\^|=\$)([^,]{0,200})")

_COMPARISONS = {
    "==": Comparison.EQUAL,
    "!=": Comparison.UNEQUAL,
    "<=": Comparison.AT_MOST,
    ">=": Comparison.AT_LEAST,
    "=@": Comparison.CONTAINS,
    "!@": Comparison.LACKS,
    "=^": Comparison.BEGINS,
    "=$": Comparison.ENDS,
}
_OF_TEXTS = frozenset({Comparison.CONTAINS, Comparison.LACKS, Comparison.BEGINS, Comparison.ENDS})
_OF_EQUALS = frozenset({Comparison.EQUAL, Comparison.UNEQUAL})


@dataclass(frozen=True)
class Words:
    """A field that holds other words than the contract has for them."""

    field: str
    values: Callable[[str], Sequence[object]]
    """Returns what the field holds for a word of the contract."""
    text: str = ""
    """Field that is compared where it is not about being equal; empty for none."""


@dataclass(frozen=True)
class Same:
    """What is the same of all that is listed. Nothing compares with None, which stands for what does not exist here."""

    value: str | None = None


Term = str | Words | Same
"""A field of the list by name, or one of these."""


def words(field: str, known: Mapping[str, Sequence[object]]) -> Words:
    """Return a field whose values have these words in the contract."""
    return Words(field, lambda word: known.get(word, ()))


def filtered(listing: Listing, conditions: Sequence[str], terms: Mapping[str, Term]) -> Listing:
    """Return only what meets all conditions; values are bound, never part of the statement (T104).

    :raises InvalidValueError: a condition has another shape, or names something else.
    """
    conditions = [part.strip() for part in conditions if part.strip()]
    if len(conditions) > MOST_CONDITIONS:
        raise InvalidValueError(f"filterBy takes at most {MOST_CONDITIONS} conditions.")
    for part in conditions:
        match = _CONDITION.fullmatch(part)
        if match is None or match[1] not in terms:
            raise InvalidValueError(f"filterBy takes conditions such as name==x, of {', '.join(terms)}.")
        listing = narrowed(listing, terms[match[1]], _COMPARISONS[match[2]], match[3])
    return listing


def narrowed(listing: Listing, term: Term, comparison: Comparison, text: str) -> Listing:
    """Return only what stands so to the value that a text means.

    :raises InvalidValueError: the text means none, or the comparison makes no sense.
    """
    if isinstance(term, Same):
        return listing if _holds(term.value, comparison, text) else listing.where(false())
    if isinstance(term, Words):
        if comparison in _OF_EQUALS:
            return listing.narrowed(term.field, comparison, *term.values(text))
        if not term.text:
            raise InvalidValueError("This is compared with == and != only.")
        term = term.text
    return listing.narrowed(term, comparison, _value(listing.fields[term], comparison, text))


def order_of(name: str, terms: Mapping[str, Term]) -> str:
    """Return the order of a list that a name of the contract stands for; empty for the order of creation.

    :raises InvalidValueError: there is no such name.
    """
    if not name:
        return ""
    if name not in terms:
        raise InvalidValueError(f"sortBy takes one of {', '.join(terms)}.")
    term = terms[name]
    return term if isinstance(term, str) else (term.text or term.field) if isinstance(term, Words) else ""


def time_of(text: str) -> datetime:
    """Return the time that a text means (ISO 8601); without a zone it is in UTC.

    :raises InvalidValueError: it is none.
    """
    try:
        value = datetime.fromisoformat(text)
        value = (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).astimezone(UTC)
        return value + timedelta(seconds=1) - timedelta(seconds=1)  # the last second of all has no next one to compare with
    except (ValueError, OverflowError):
        raise InvalidValueError("A time is compared with one such as 2023-01-01T00:00:00Z.") from None


def _holds(value: str | None, comparison: Comparison, text: str) -> bool:
    """Tell whether a condition holds of what is the same of all."""
    if value is None:
        return comparison in {Comparison.UNEQUAL, Comparison.LACKS}
    tests: dict[Comparison, Callable[[str, str], bool]] = {
        Comparison.EQUAL: str.__eq__,
        Comparison.UNEQUAL: str.__ne__,
        Comparison.AT_MOST: str.__le__,
        Comparison.AT_LEAST: str.__ge__,
        Comparison.CONTAINS: str.__contains__,
        Comparison.LACKS: lambda whole, part: part not in whole,
        Comparison.BEGINS: str.startswith,
        Comparison.ENDS: str.endswith,
    }
    return tests[comparison](value, text)


def _value(field: Any, comparison: Comparison, text: str) -> object:
    kind = field.type
    if isinstance(kind, Boolean | Integer | UtcDateTime) and comparison in _OF_TEXTS:
        raise InvalidValueError("=@, !@, =^ and =$ are for texts.")
    if isinstance(kind, Boolean):
        if text.lower() not in {"true", "false"} or comparison not in _OF_EQUALS:
            raise InvalidValueError("A flag is compared by == and != with true or false.")
        return text.lower() == "true"
    if isinstance(kind, Integer):
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise InvalidValueError("A number is compared with a number.")
        return int(text)
    return time_of(text) if isinstance(kind, UtcDateTime) else text
