"""Lists in pages: the rows after a place in an order, so that a page costs the same wherever it is, and inserts move nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from idp.db import db

Column = InstrumentedAttribute[Any]


@dataclass(frozen=True)
class Listing:
    """What can be listed: a query, and by what it can be put in order. The rows' own numbers are the order of creation."""

    query: Select[*tuple[Any, ...]]
    id: Column
    orders: Mapping[str, Column]
    """Further orders by name, each by a column that tells rows apart well enough to page on."""

    counted: bool = True
    """Whether counting is worth its time."""

    def where(self, *conditions: Any) -> "Listing":
        """Return the list of those rows that meet further conditions."""
        return replace(self, query=self.query.where(*conditions))

    def count(self) -> int:
        """Return how many rows there are in all; -1 where they are not counted."""
        if not self.counted:
            return -1
        rows = self.query.with_only_columns(self.id).order_by(None).subquery()
        return db.session.scalar(select(func.count()).select_from(rows)) or 0

    def take(self, order: str, *, descending: bool, after: Sequence[Any] | None, limit: int) -> list[Any]:
        """Return rows in an order, as the query returns them.

        :param order: name of one of the orders; any other for the order of creation.
        :param after: place of the last row before these, as `place` returns it; None to begin.
        """
        column = self.orders.get(order)
        keys = [self.id] if column is None else [column, self.id]
        query = self.query.order_by(None).order_by(*((key.desc() if descending else key) for key in keys)).limit(limit)
        if after is not None:
            query = query.where(_behind(keys, after, descending=descending))
        rows = db.session.execute(query).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def skip(self, order: str, *, descending: bool, offset: int, limit: int) -> list[Any]:
        """Return rows by their number in an order, for contracts that ask so; `take` finds its place faster."""
        column = self.orders.get(order)
        keys = [self.id] if column is None else [column, self.id]
        ordered = self.query.order_by(None).order_by(*((key.desc() if descending else key) for key in keys))
        rows = db.session.execute(ordered.offset(offset).limit(limit)).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def place(self, order: str, row: Any) -> list[Any]:
        """Return the place of a row in an order."""
        entity = row[0] if isinstance(row, tuple) else row
        column = self.orders.get(order)
        return [getattr(entity, key.key) for key in ([self.id] if column is None else [column, self.id])]


def _behind(keys: list[Column], after: Sequence[Any], *, descending: bool) -> Any:
    """Return the condition that a row comes after a place, written so that an index on the first column serves it."""

    def beyond(key: Column, value: Any) -> Any:
        return key < value if descending else key > value

    if len(keys) == 1:
        return beyond(keys[0], after[0])
    first = keys[0] <= after[0] if descending else keys[0] >= after[0]
    return first & (beyond(keys[0], after[0]) | beyond(keys[1], after[1]))
