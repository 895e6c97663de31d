"""Lists in pages: the rows after a place in an order, so that a page costs the same wherever it is, and inserts move nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, false, func, not_, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from idp.db import db, holds
from idp.errors import InvalidValueError

_NO_PAGE = "This list has no such page. Start with its first one."

MOST_COUNTED = 10_000
"""Rows that are counted where it is enough to know that there are more."""

Column = InstrumentedAttribute[Any]
Field = SQLColumnExpression[Any]


class Comparison(Enum):
    """How a field of a row stands to a value."""

    EQUAL = "equal"
    UNEQUAL = "unequal"
    AT_MOST = "at most"
    AT_LEAST = "at least"
    CONTAINS = "contains"
    LACKS = "lacks"
    BEGINS = "begins"
    ENDS = "ends"


@dataclass(frozen=True)
class Listing:
    """What can be listed: a query, and by what it can be put in order. The rows' own numbers are the order of creation."""

    query: Select[*tuple[Any, ...]]
    id: Column
    orders: Mapping[str, Column]
    """Further orders by name, each by a column that tells rows apart well enough to page on."""

    counted: bool = True
    """Whether counting is worth its time."""

    branches: Sequence[ColumnElement[bool]] = ()
    """Conditions of which each row meets one, and each of which an index serves in the order of the list: as many rows as are
    wanted are looked for along each. A database that is told all of them at once would read and sort every row there is."""

    fields: Mapping[str, Field] = field(default_factory=dict)
    """What it can be narrowed by, and what `skip` can put it in order by besides."""

    def narrowed(self, name: str, comparison: Comparison, *values: object) -> "Listing":
        """Return only the rows of which a field stands so to a value; to one of them, for EQUAL, and to each, for UNEQUAL.

        Times count as they are shown: to the second.
        """
        column = self.fields[name]
        if comparison is Comparison.UNEQUAL:
            equal = (_compared(column, Comparison.EQUAL, value) for value in values)
            return self.where(or_(column.is_(None), not_(or_(false(), *equal))))
        return self.where(or_(false(), *(_compared(column, comparison, value) for value in values)))

    def searched(self, text: str, *names: str) -> "Listing":
        """Return only the rows of which one of these fields contains a text, in whatever case."""
        found = (holds(self.fields[name], text) for name in names)
        return self.where(or_(*found)) if text else self

    def where(self, *conditions: ColumnElement[bool]) -> "Listing":
        """Return only the rows that meet these conditions."""
        return replace(self, query=self.query.where(*conditions))

    def count(self, most: int | None = None) -> int:
        """Return how many rows there are in all; -1 where they are not counted.

        :param most: where counting ends, for who need not know how many more there are.
        """
        if not self.counted:
            return -1
        query = self.query.where(or_(*self.branches)) if self.branches else self.query
        return count_up_to(most, query.with_only_columns(self.id).order_by(None))

    def take(self, order: str, *, descending: bool, after: Sequence[Any] | None, limit: int) -> list[Any]:
        """Return rows in an order, as the query returns them.

        :param order: name of one of the orders; any other for the order of creation.
        :param after: place of the last row before these, as `place` returns it; None to begin.
        """
        column = self.orders.get(order)
        keys = [self.id] if column is None else [column, self.id]
        query = self.query
        if after is not None:
            query = query.where(_behind(keys, _place(keys, after), descending=descending))
        rows = db.session.execute(self._first(query, keys, limit, descending=descending)).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def skip(self, order: str, *, descending: bool, offset: int, limit: int) -> list[Any]:
        """Return rows by their number in an order, for contracts that ask so; `take` finds its place faster.

        :param order: name of one of the orders or fields; any other for the order of creation.
        """
        column = self.orders.get(order, self.fields.get(order))
        keys = [self.id] if column is None else [column, self.id]
        ordered = self._first(self.query, keys, offset + limit, descending=descending)
        rows = db.session.execute(ordered.offset(offset).limit(limit)).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def _first(
        self, query: Select[*tuple[Any, ...]], keys: Sequence[Field], limit: int, *, descending: bool
    ) -> Select[*tuple[Any, ...]]:
        """Return the query of the first rows of a query, in the order of these keys, by way of the branches."""
        order = [_ordered(key, descending=descending) for key in keys]

        def along(branch: ColumnElement[bool]) -> Select[Any]:
            rows = query.where(branch).with_only_columns(self.id).order_by(None).order_by(*order).limit(limit).subquery()
            return select(rows.c[self.id.key])

        if len(self.branches) == 1:
            query = query.where(self.branches[0])
        elif self.branches:
            found = union_all(*map(along, self.branches))
            # by their numbers alone: with the conditions at hand a database may walk through all rows that meet those
            query = select(*(each["expr"] for each in query.column_descriptions)).where(self.id.in_(found))
        return query.order_by(None).order_by(*order).limit(limit)

    def place(self, order: str, row: Any) -> list[Any]:
        """Return the place of a row in an order, as JSON values."""
        entity = row[0] if isinstance(row, tuple) else row
        column = self.orders.get(order)
        values = [getattr(entity, key.key) for key in ([self.id] if column is None else [column, self.id])]
        # nothing comes before everything, see `_ordered`
        return [{"time": value.isoformat()} if isinstance(value, datetime) else value for value in values]


def count_up_to(most: int | None, query: Select[Any]) -> int:
    """Return how many rows a query finds, up to a number; all of them for None."""
    return db.session.scalar(select(func.count()).select_from(query.limit(most).subquery())) or 0


def _place(keys: Sequence[Column], after: Sequence[Any]) -> list[Any]:
    """Return a place in an order, as `Listing.place` made it, as values of the columns.

    :raises InvalidValueError: it is of another order, or of none.
    """
    try:
        place = [datetime.fromisoformat(value["time"]) if isinstance(value, dict) else value for value in after]
        fits = [value is None or isinstance(value, key.type.python_type) for key, value in zip(keys, place, strict=True)]
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise InvalidValueError(_NO_PAGE) from error
    if not all(fits) or place[-1] is None:
        raise InvalidValueError(_NO_PAGE)
    return place


def _ordered(key: Field, *, descending: bool) -> Any:
    """Return an order by a column, in which nothing counts as less than everything, in every database."""
    if not getattr(key, "nullable", False):
        return key.desc() if descending else key
    return key.desc().nulls_last() if descending else key.asc().nulls_first()


def _behind(keys: list[Column], after: Sequence[Any], *, descending: bool) -> Any:
    """Return the condition that a row comes after a place, written so that an index on the first column serves it."""

    def beyond(key: Column, value: Any) -> Any:
        return key < value if descending else key > value

    if len(keys) == 1:
        return beyond(keys[0], after[0])
    if after[0] is None:
        rest = and_(keys[0].is_(None), beyond(keys[1], after[1]))
        return rest if descending else or_(keys[0].is_not(None), rest)
    first = keys[0] <= after[0] if descending else keys[0] >= after[0]
    found = first & (beyond(keys[0], after[0]) | beyond(keys[1], after[1]))
    return or_(found, keys[0].is_(None)) if descending and getattr(keys[0], "nullable", False) else found


def _compared(column: Field, comparison: Comparison, value: object) -> ColumnElement[bool]:
    if isinstance(value, datetime):
        return _compared_time(column, comparison, value)
    match comparison:
        case Comparison.AT_MOST:
            found = column <= value
        case Comparison.AT_LEAST:
            found = column >= value
        case Comparison.CONTAINS:
            found = column.contains(value, autoescape=True)
        case Comparison.LACKS:
            found = ~func.coalesce(column, "").contains(value, autoescape=True)
        case Comparison.BEGINS:
            found = column.startswith(value, autoescape=True)
        case Comparison.ENDS:
            found = column.endswith(value, autoescape=True)
        case _:
            found = column == value
    return found


def _compared_time(column: Field, comparison: Comparison, value: datetime) -> ColumnElement[bool]:
    """Compare with a time as it is shown, which leaves out fractions of a second.

    :raises ValueError: times are not compared so.
    """
    floor = value.replace(microsecond=0)
    first, beyond = (floor if floor == value else floor + timedelta(seconds=1)), floor + timedelta(seconds=1)
    match comparison:
        case Comparison.AT_MOST:
            return column < beyond
        case Comparison.AT_LEAST:
            return column >= first
        case Comparison.EQUAL:
            return and_(column >= first, column < beyond)
    raise ValueError("Times are equal, later or earlier.")
