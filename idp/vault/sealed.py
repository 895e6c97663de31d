"""Where sealed values stand in the database, and sealing them anew when the master key is replaced."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, bindparam, func, update
from sqlalchemy.orm import InstrumentedAttribute

from idp import feed, runtime
from idp.crypto import DamagedError, MasterKeyError
from idp.db import commit, db, reading

BATCH = 500
"""Rows of one transaction: short enough that nobody notices that they wait for it."""


@dataclass(frozen=True)
class SealedColumn:
    """A column that holds sealed values."""

    column: InstrumentedAttribute[str]
    query: Select[*tuple[Any, ...]]
    """Selects the row's key, the sealed value, and what its context is made of."""
    context: Callable[..., str]
    changed: tuple[str, str] | None
    """Kind and key to publish when values were sealed anew: what workers hold in memory is out of date."""

    @property
    def key(self) -> InstrumentedAttribute[Any]:
        """The primary key of the table."""
        name = next(iter(self.column.class_.__table__.primary_key)).name
        found: InstrumentedAttribute[Any] = getattr(self.column.class_, name)
        return found

    def under(self, key_id: str) -> Any:
        """Return the condition that a value is sealed under a master key."""
        return self.column.startswith(f"v1.{key_id}.", autoescape=True)

    def not_under(self, key_id: str) -> Any:
        """Return the condition that there is a value, and that it is sealed under another master key."""
        return (self.column != "") & ~self.under(key_id)


_COLUMNS: list[SealedColumn] = []


def register_sealed(
    column: InstrumentedAttribute[str],
    query: Select[*tuple[Any, ...]],
    context: Callable[..., str],
    *,
    changed: tuple[str, str] | None = None,
) -> None:
    """Make a column known as one that holds sealed values. Every such column must be: the master key depends on it."""
    _COLUMNS.append(SealedColumn(column, query, context, changed))


def sealed_columns() -> list[SealedColumn]:
    """Return all columns that hold sealed values."""
    return list(_COLUMNS)


@dataclass
class Rewrapping:
    """How far sealing anew has come."""

    total: int = 0
    done: int = 0
    damaged: list[str] = field(default_factory=list)
    """What does not open, and stays as it is."""


def count_not_under(key_id: str) -> int:
    """Return how many values are sealed under another master key than this."""
    return _count(lambda each: each.not_under(key_id))


def count_under(key_id: str) -> int:
    """Return how many values are sealed under a master key."""
    return _count(lambda each: each.under(key_id))


def _count(which: Callable[[SealedColumn], Any]) -> int:
    with reading() as session:
        counting = (
            each.query.with_only_columns(func.count(), maintain_column_froms=True).where(which(each)) for each in _COLUMNS
        )
        return sum(session.scalar(query) or 0 for query in counting)


def rewrap() -> Iterator[Rewrapping]:
    """Seal everything anew that is not sealed under the current master key, a batch at a time.

    Each batch is a short transaction, so servers go on as they were; whatever ends this, the rest stays under its old key and
    the next call goes on there. A value that somebody changes meanwhile is left to them: they seal under the current key.

    :returns: how far it has come, after each batch.
    """
    keys = runtime.current().master_keys
    keys.refresh()
    state = Rewrapping(total=count_not_under(keys.current))
    yield state
    for each in _COLUMNS:
        last: Any = None
        while (last := _rewrap_batch(each, last, state)) is not None:
            yield state


def try_all() -> Iterator[Rewrapping]:
    """Open every sealed value there is, and change nothing.

    :returns: how far it has come, after each batch.
    """
    state = Rewrapping(total=_count(lambda each: each.column != ""))
    yield state
    for each in _COLUMNS:
        query = each.query.where(each.column != "").order_by(each.key).limit(BATCH)
        last: Any = None
        with reading() as session:
            while rows := session.execute(query if last is None else query.where(each.key > last)).all():
                for key, sealed, *parts in rows:
                    last = key
                    context = each.context(*parts)
                    try:
                        runtime.current().master_keys.open(sealed, context=context)
                    except (DamagedError, MasterKeyError):
                        state.damaged.append(context)
                state.done += len(rows)
                yield state


def _rewrap_batch(sealed: SealedColumn, after: Any, state: Rewrapping) -> Any:
    """Seal a batch anew, and return the key of its last row; None if there is no more."""
    keys = runtime.current().master_keys
    query = sealed.query.where(sealed.not_under(keys.current)).order_by(sealed.key).limit(BATCH)
    with reading() as session:
        rows = session.execute(query if after is None else query.where(sealed.key > after)).all()
    if not rows:
        return None
    changes = []
    for key, old, *parts in rows:
        context = sealed.context(*parts)
        try:
            changes.append({"row": key, "old": old, "new": keys.seal(keys.open(old, context=context), context=context)})
        except (DamagedError, MasterKeyError):
            state.damaged.append(context)
    if changes:
        change = update(sealed.column.class_).where(sealed.key == bindparam("row"), sealed.column == bindparam("old"))
        db.session.connection().execute(change.values({sealed.column: bindparam("new")}), changes)
        if sealed.changed is not None:
            feed.publish(*sealed.changed)
        commit()
    state.done += len(rows)
    return rows[-1][0]
