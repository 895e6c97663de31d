"""Lists as Palette's clients ask for them: `filters=metadata.name=ci`, `orderBy=metadata.name=1`, `fields=metadata.uid`."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from sqlalchemy import and_, func, or_

from idp.api.pages import PageQuery
from idp.api.schemas import Schema
from idp.db import holds
from idp.errors import InvalidValueError
from idp.paging import Listing

_ORDER = re.compile(r"metadata\.(name|creationTimestamp)=(-?)1")


def _plain_order(value: Any) -> Any:
    """Return the order that is asked for in the way of Palette as this API writes it."""
    match = _ORDER.fullmatch(value) if isinstance(value, str) else None
    return match[2] + match[1] if match is not None else value


Order = Annotated[Literal["name", "-name", "creationTimestamp", "-creationTimestamp"], BeforeValidator(_plain_order)]
"""In which order a list comes."""


class FilterQuery(PageQuery):
    """Which part of a list is asked for, with conditions."""

    filters: str = Field(
        default="",
        max_length=2_000,
        description="Conditions such as `metadata.name=ci`, joined by `AND` and `OR` without blanks.",
    )
    fields: str = Field(default="", max_length=2_000, description="Taken, for clients that send it: items come whole.")


class TextFilter(Schema):
    """Conditions on a text, all of which must hold."""

    eq: str | None = Field(default=None, max_length=300)
    ne: str | None = Field(default=None, max_length=300)
    contains: str | None = Field(default=None, max_length=300)
    beginsWith: str | None = Field(default=None, max_length=300)
    ignoreCase: bool = False


def matching(filters: Iterable[tuple[TextFilter | None, Any]]) -> list[Any]:
    """Return the conditions that columns meet what is asked of them."""
    return [condition for asked, column in filters if asked is not None for condition in _conditions(asked, column)]


def _conditions(asked: TextFilter, column: Any) -> list[Any]:
    def plain(text: str) -> Any:
        return func.lower(text) if asked.ignoreCase else text

    left = func.lower(column) if asked.ignoreCase else column
    found = []
    if asked.eq is not None:
        found.append(left == plain(asked.eq))
    if asked.ne is not None:
        found.append(left != plain(asked.ne))
    if asked.contains is not None:
        found.append(holds(column, asked.contains) if asked.ignoreCase else column.contains(asked.contains, autoescape=True))
    if asked.beginsWith is not None:
        begin = asked.beginsWith
        found.append(func.substr(left, 1, len(begin)) == plain(begin))
    return found


def filtered(listing: Listing, text: str, columns: Mapping[str, Any]) -> Listing:
    """Return a list with the conditions of `filters`, of which AND binds tighter than OR.

    :param columns: what can be asked for, by its place in a resource.
    :raises InvalidValueError: a condition has another form, or names something else.
    """
    if not text:
        return listing
    named = "|".join(re.escape(name) for name in columns)
    # a value may hold the letters AND: they join conditions only where another one follows
    either = [
        and_(*(_condition(part, columns) for part in re.split(f"AND(?=(?:{named})=)", each)))
        for each in re.split(f"OR(?=(?:{named})=)", text)
    ]
    return listing.where(or_(*either))


def _condition(text: str, columns: Mapping[str, Any]) -> Any:
    name, equals, value = text.partition("=")
    if not equals or name not in columns:
        raise InvalidValueError(f"filters takes conditions such as metadata.name=x, of {', '.join(columns)}.")
    return columns[name] == value
