"""Lists: searched, narrowed, put in order, paged and chosen from, in one way for everything that there is to list.

A page is the rows after a place, or before one, so that it costs the same however far down the list. What somebody has made of
a list stands in its URL, and can be sent to somebody else.
"""

import base64
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import request

from idp.console.urls import page_url
from idp.errors import InvalidValueError
from idp.paging import MOST_COUNTED, Listing

PAGE = 50
SIZES = (25, PAGE)
"""Rows that a page can have: of names as long as they may be, more would be more than 100 KB."""

BATCH = 1_000
"""Rows of a file that are read at once."""

LONGEST = 200
"""Characters of what is searched for."""

FORMAT = "as"
"""Parameter of a URL that asks for another form of a list than its page."""

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column:
    """A column of a list."""

    name: str
    title: str
    order: str = ""
    """The order of the listing that it stands for; empty if the list cannot be put in order by it."""
    newest_first: bool = False
    """Whether the order begins with the largest: with times and numbers, that is what is looked for."""
    hidden: bool = False
    """Whether it is shown only to those who choose it."""
    is_number: bool = False
    is_time: bool = False
    """Whether it says how far off a time is; what begins with the newest does so anyway, unless it is a number."""
    is_code: bool = False
    """Whether it shows the beginnings of secrets, which are all of one length."""
    plain: Callable[[Any], object] | None = None
    """Returns the value of a row for a file; by default, its attribute of the name of the column."""
    among: Callable[[Sequence[Any]], Sequence[object]] | None = None
    """Returns the values of many rows for a file, where they have to be looked for."""

    @property
    def shape(self) -> str:
        """The class that gives it the width it needs; empty for a share of what the others leave."""
        if self.is_number:
            return "number"
        if self.is_time or self.newest_first:
            return "when"
        if self.is_code:
            return "code-column"
        return "state-column" if self.name == "state" else ""

    def values(self, rows: Sequence[Any]) -> Sequence[object]:
        """Return the plain values of rows."""
        if self.among is not None:
            return self.among(rows)
        return [getattr(row, self.name) if self.plain is None else self.plain(row) for row in rows]


@dataclass(frozen=True)
class Filter:
    """Something that a list can be narrowed by."""

    name: str
    label: str
    choices: Mapping[str, str] = field(default_factory=dict)
    """What can be chosen, with what it is called; nothing for a text that is typed."""
    hint: str = ""
    suggest: str = ""
    """Names of what are suggested while it is typed; see `names.KINDS`."""


@dataclass(frozen=True)
class Act:
    """Something that can be done to several rows at once."""

    name: str
    title: str
    is_danger: bool = False


@dataclass(frozen=True)
class Asked:
    """What somebody wants to see of a list, from the URL of the page."""

    search: str
    filters: Mapping[str, str]
    order: str
    descending: bool
    size: int
    columns: Sequence[str]

    def __getitem__(self, name: str) -> str:
        """Return what a filter is set to; empty for nothing."""
        return self.filters[name]

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is left out."""
        return bool(self.search or any(self.filters.values()))


@dataclass(frozen=True)
class ListView:
    """A list as it is described: its columns, and what it can be narrowed by."""

    title: str
    columns: Sequence[Column]
    search: str = ""
    """What can be searched for, such as "Name or description"; empty for nothing."""
    filters: Sequence[Filter] = ()
    order: str = ""
    """The order that it has if no other is chosen; empty for the order of creation."""
    newest_first: bool = False
    acts: Sequence[Act] = ()
    sizes: Sequence[int] = SIZES
    """How many rows a page can have; the last is how many it has, if nothing else is asked for."""
    key: Callable[[Any], str] = field(default=lambda row: str(row.name))
    """What names a row in a form."""

    def with_choices(self, **choices: Mapping[str, str]) -> "ListView":
        """Return the list with what there is to choose from at some of its filters."""
        filters = [replace(each, choices=choices[each.name]) if each.name in choices else each for each in self.filters]
        return replace(self, filters=filters)

    def asked(self) -> Asked:
        """Read from the URL what somebody wants to see; what makes no sense is left out."""
        given = request.args
        filters = {}
        for each in self.filters:
            value = given.get(each.name, "")[:LONGEST].strip()
            filters[each.name] = value if not each.choices or value in each.choices else ""
        orders = {column.order for column in self.columns if column.order}
        wanted = given.get("sort", "")
        order, descending = (
            (wanted.removeprefix("-"), wanted.startswith("-"))
            if wanted.removeprefix("-") in orders
            else (self.order, self.newest_first)
        )
        size = given.get("size", "")
        names = [column.name for column in self.columns]
        chosen = [name for name in names if name in given.getlist("columns")]
        return Asked(
            search=given.get("search", "")[:LONGEST].strip() if self.search else "",
            filters=filters,
            order=order,
            descending=descending,
            size=int(size) if size in {str(each) for each in self.sizes} else self.sizes[-1],
            columns=chosen or [column.name for column in self.columns if not column.hidden],
        )

    def shown(self, asked: Asked) -> list[Column]:
        """Return the columns that somebody wants to see."""
        return [column for column in self.columns if column.name in asked.columns]

    def page(self, listing: Listing, asked: Asked, *, acts: bool = True) -> "ListPage":
        """Return the page of a list that was asked for.

        :param listing: narrowed by what was asked for.
        :param acts: whether the caller may do to several rows what the list knows.
        """
        before = request.args.get("before", "")
        place = _place(before or request.args.get("after", ""))
        backwards = bool(before)
        rows = listing.take(asked.order, descending=asked.descending != backwards, after=place, limit=asked.size + 1)
        has_more = len(rows) > asked.size
        rows = rows[: asked.size]
        if backwards:
            rows.reverse()

        def at(row: Any) -> str:
            return _token(listing.place(asked.order, row))

        number = request.args.get("from", "")
        first = int(number) if place is not None and number.isascii() and number.isdigit() and len(number) < 10 else 1
        is_begin = place is None or (backwards and not has_more)  # a page before it may be shorter than asked for
        if is_begin:
            first = 1
        has_next = (has_more or backwards) if rows else False
        # what is shown to its end has been counted by that: a search that finds little need not go through everything again
        total = listing.count(most=MOST_COUNTED + 1) if has_next else first + len(rows) - 1 if rows or place is not None else 0
        return ListPage(
            view=self,
            asked=asked,
            rows=rows,
            first=first,
            total=max(min(total, MOST_COUNTED), first + len(rows) - 1) if total >= 0 else -1,
            has_more_than_counted=has_next and total > MOST_COUNTED,
            previous="" if is_begin or not rows else here(before=at(rows[0]), after=None, **{"from": max(first - asked.size, 1)}),
            next=here(after=at(rows[-1]), before=None, **{"from": first + len(rows)}) if has_next else "",
            acts=self.acts if acts else (),
        )


@dataclass(frozen=True)
class ListPage:
    """A page of a list, for its template."""

    view: ListView
    asked: Asked
    rows: Sequence[Any]
    first: int
    """Number of the first row in the list, from 1."""
    total: int
    """Of the rows of the list, up to `MOST_COUNTED`; -1 where they are not counted."""
    has_more_than_counted: bool
    previous: str
    next: str
    """URLs of the pages before and after; empty for none."""
    acts: Sequence[Act]

    @property
    def columns(self) -> list[Column]:
        """The columns that are shown."""
        return self.view.shown(self.asked)

    @property
    def sizes(self) -> Sequence[int]:
        """How many rows a page can have."""
        return self.view.sizes

    @property
    def last(self) -> int:
        """Number of the last row that is shown."""
        return self.first + len(self.rows) - 1

    def sort_url(self, column: Column) -> str:
        """Return the URL of the list in the order of a column; turned round, if it is in that order already."""
        turned = not self.asked.descending if self.asked.order == column.order else column.newest_first
        return here(sort=("-" if turned else "") + column.order, **_FIRST)

    def sorted_by(self, column: Column) -> str:
        """Return how the list is in order by a column, as ARIA has it; empty for not."""
        if not column.order or column.order != self.asked.order:
            return ""
        return "descending" if self.asked.descending else "ascending"

    def without(self, name: str) -> str:
        """Return the URL of the list without a filter."""
        return here(**{name: None}, **_FIRST)

    @property
    def export(self) -> str:
        """The URL of the list as a file, all pages of it."""
        return here(**{FORMAT: "csv"}, **_FIRST)

    @property
    def this_page(self) -> str:
        """The URL of this page, which takes what is picked on it."""
        return here()

    @property
    def cleared(self) -> str:
        """The URL of the whole list."""
        return page_url(request.path)


_FIRST: Mapping[str, None] = {"after": None, "before": None, "from": None}
"""What is left out of a URL to begin with the first page."""


def here(**changes: Any) -> str:
    """Return the URL of this page with other parameters; None takes one away."""
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in {*changes, "done"} and value]
    kept += [(name, str(value)) for name, value in changes.items() if value is not None]
    return page_url(f"{request.path}?{urlencode(kept)}" if kept else request.path)


def _token(place: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def _place(token: str) -> list[Any] | None:
    """Return the place in a list that a URL names; None for its beginning.

    :raises InvalidValueError: it is none.
    """
    if not token:
        return None
    try:
        place = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except ValueError:
        place = None
    if not isinstance(place, list) or not place or len(place) > 2 or not all(map(_is_value, place)):
        raise InvalidValueError("This list has no such page. Start with its first one.")
    return place


def _is_value(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) == {"time"} and isinstance(value["time"], str)
    return value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**63)


def one_page(found: Sequence[Row], place: Callable[[Row], Any], size: int = PAGE) -> tuple[Sequence[Row], str]:
    """Return the rows of a page, and where the next page begins (empty if there is none).

    :param found: one more than a page, if there are so many.
    """
    rows = found[:size]
    return rows, str(place(rows[-1])) if len(found) > size else ""


def file_pieces(
    fetch: Callable[[Any], Sequence[Any]],
    write: Callable[[Any], str],
    *,
    first: str = "",
    most: float = math.inf,
    place: Callable[[Any], Any] = lambda row: row.id,
) -> Iterator[str]:
    """Return the pieces of a file, for `web.downloads.download`: one for each batch of rows.

    :param fetch: takes the place of the last row that was read (None at the beginning), and returns the next `BATCH`, or what is
        left.
    :param write: makes a row's line.
    :param first: what the file begins with.
    :param most: rows after which it ends.
    :param place: returns the place of a row; by default its number.
    """
    text, last, count = first, None, 0
    while True:
        rows = fetch(last)
        text += "".join(write(row) for row in rows)
        count, is_last = count + len(rows), len(rows) < BATCH
        last = None if is_last else place(rows[-1])
        del rows
        yield text
        if is_last or count >= most:
            return
        text = ""


def after_number() -> int | None:
    """Return the row number after which the page that is asked for begins; None for the first page.

    :raises InvalidValueError: it is no number.
    """
    value = request.args.get("after", "")
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise InvalidValueError("This list has no such page. Start with its first one.")
    return int(value)
