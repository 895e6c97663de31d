"""The nodes that serve one database: how many there are, and what one of their workers does for all.

Both go by the database's clock, which they share. SQLite has one node only, whose clock it is.
"""

import mmap
import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from idp.db import Base, SharedNow, commit, db
from idp.errors import IdpError

ANNOUNCE_EVERY = 20
"""Seconds between two signs of life of a worker's node."""

LIVES_FOR = timedelta(seconds=70)
"""How long after its last sign of life a node counts."""


class Node(Base):
    """A running server: one that gave a sign of life, and has not said that it ends."""

    __tablename__ = "node"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    workers: Mapped[int]
    seen_at: Mapped[datetime] = mapped_column(index=True)


class Turn(Base):
    """When something that one worker does for all was last begun."""

    __tablename__ = "turn"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    begun_at: Mapped[datetime]


class SchemaFloor(Base):
    """The oldest schema whose version works on this database, so that its nodes may serve it too; one row."""

    __tablename__ = "schema_floor"

    oldest: Mapped[str] = mapped_column(String(32), primary_key=True)


_this_node: list[str] = []
_told_to_end: list[mmap.mmap] = []
"""One byte of memory that the first process of a node shares with those that it forks."""


def begin_node() -> None:
    """Have the workers that begin from now on be those of one node."""
    _this_node[:] = [str(uuid.uuid4())]
    _told_to_end[:] = [mmap.mmap(-1, 1)]


def announce_end() -> None:
    """Say in all processes of this node that it has been told to end.

    A node that ends at once closes connections that a proxy has just opened, and what was sent on them is lost. So one with a
    `stop_delay` says first that it is not ready, and goes on answering until nobody asks it any more.
    """
    for shared in _told_to_end:
        shared[0] = 1


def check_going_on() -> None:
    """Return unless this node has been told to end.

    :raises IdpError: it has.
    """
    if any(shared[0] for shared in _told_to_end):
        raise IdpError("the server was told to end")


def announce(workers: int) -> int:
    """Give this node's sign of life, and commit; return how many workers there are on all nodes.

    :param workers: how many there are on this one.
    """
    if not _this_node:
        begin_node()
    now = SharedNow()
    statement = _insert(Node).values(id=_this_node[0], workers=workers, seen_at=now)
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=[Node.id],
            set_={"workers": workers, "seen_at": now},
            where=Node.seen_at < _ago(timedelta(seconds=ANNOUNCE_EVERY / 2)),  # another worker of this node has just done it
        )
    )
    db.session.execute(delete(Node).where(Node.seen_at < _ago(LIVES_FOR)))
    count: int = db.session.scalar(select(func.coalesce(func.sum(Node.workers), 0))) or 0
    commit()
    return max(count, workers)


def leave() -> None:
    """Say that this node ends, and commit. Workers of it that go on say so themselves the next time."""
    if _this_node:
        db.session.execute(delete(Node).where(Node.id == _this_node[0]))
        commit()


def take_turn(name: str, every: float) -> bool:
    """Claim something that one worker is to do for all, and commit. One statement decides.

    :param every: seconds for which nobody else gets it.
    """
    now = SharedNow()
    statement = (
        _insert(Turn)
        .values(name=name, begun_at=now)
        .on_conflict_do_update(
            index_elements=[Turn.name], set_={"begun_at": now}, where=Turn.begun_at <= _ago(timedelta(seconds=every))
        )
        .returning(Turn.name)
    )
    is_ours = db.session.execute(statement).first() is not None
    commit()
    return is_ours


def _insert(table: type[Base]) -> Any:
    return postgresql.insert(table) if db.engine.dialect.name == "postgresql" else sqlite.insert(table)


def _ago(time: timedelta) -> SharedNow:
    return SharedNow(-time.total_seconds())
