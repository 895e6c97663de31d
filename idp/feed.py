"""The change feed: how a worker keeps what it knows in memory without asking the database for each token.

Every act that alters what a token is made of writes, in its own transaction, a row that names what changed. A worker
confirms its memory at most 200 ms old before it serves from it: it asks whether anything was committed, reads the rows it
has not seen, and drops what they name and nothing else. No thread and no message has to arrive for that, so a worker that
was stopped or cut off cannot serve what is out of date: it confirms first, or refuses.
"""

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from flask import current_app
from sqlalchemy import Connection, Engine, delete, event, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp import clock, patience
from idp.db import Base, BigId, db, without_transaction
from idp.errors import StorageUnavailableError
from idp.outages import READ_ONLY, explain

CONFIRM_AFTER = 0.2
"""Seconds for which what is in memory is served without asking whether something changed."""

CONFIRM_AT_LAST = 0.8
"""Seconds after which a request waits for the confirmation, instead of leaving it to a neighbouring thread."""

LONGEST_WAIT = 4.0
"""Seconds from when a thread has begun to ask, for which others wait for its answer; see docs/operating.md."""

AWAY_AFTER = 1.0
"""Seconds without an answer after which the database counts as away for those who can do without it."""

AWAY_FOR = 1.0
"""Seconds after a failure for which it does."""

KEEP = timedelta(days=1)
"""How long rows of the feed are kept. A worker that missed more than that drops all it knows."""

Value = TypeVar("Value")


class ChangeClock(Base):
    """One row that counts changes. Taking a number locks it until the commit, so numbers appear in commit order."""

    __tablename__ = "change_clock"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(BigId)
    mark: Mapped[int] = mapped_column(BigId, server_default="0")
    """That of the last transaction that counted."""


class Change(Base):
    """One thing that changed: which kind of memory it concerns, and the key in it."""

    __tablename__ = "change"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    key: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)
    mark: Mapped[int] = mapped_column(BigId, server_default="0")
    """Chosen by chance for each transaction: numbers repeat after a fail-over to a server that had not yet heard of the last ones
    or after a restored backup, and marks do not."""


_COUNTED = select(func.max(ChangeClock.value), func.max(ChangeClock.mark))
_COUNTED_WHERE_WRITTEN = _COUNTED.add_columns(func.current_setting("transaction_read_only"))


def publish(kind: str, key: str, *, is_new: bool = False) -> None:
    """Tell every worker, once the current transaction is committed, that `key` of the `kind` memory is out of date.

    A key that ends in `*` names all keys with that beginning.

    :param is_new: whether the current transaction has made what the key names, so that nothing can hang on it yet.
    """
    db.session.info.setdefault("changes", {}).setdefault((kind, key), is_new)


_REACTIONS: dict[str, list[Callable[[Sequence[str]], None]]] = {}


def react(kind: str, act: Callable[[Sequence[str]], None]) -> None:
    """Have something done in the very transaction that publishes changes of a kind, before it commits.

    For what must not outlive what it hangs on, in a domain that the one that is changed does not know.

    :param act: takes the keys that were published, without those of what is new.
    """
    _REACTIONS.setdefault(kind, []).append(act)


@event.listens_for(Session, "before_commit")
def _write_changes(session: Session) -> None:
    """Write the published changes last, so that the lock on the counter is held as short as can be: not with a savepoint."""
    if session.in_nested_transaction() or not session.info.get("changes"):
        return
    session.flush()
    for kind, acts in _REACTIONS.items():
        keys = [key for (published, key), is_new in session.info["changes"].items() if published == kind and not is_new]
        for act in acts if keys else ():
            act(keys)
    session.flush()
    changes = session.info.pop("changes")
    mark = secrets.randbits(62)
    taken = update(ChangeClock).values(value=ChangeClock.value + len(changes), mark=mark).returning(ChangeClock.value)
    last = session.execute(taken).scalar_one()
    first = last - len(changes) + 1
    now = clock.now()
    rows = [{"id": first + n, "kind": kind, "key": key, "at": now, "mark": mark} for n, (kind, key) in enumerate(changes)]
    session.execute(insert(Change), rows)
    session.info["written"] = list(changes)


def forget_old_changes() -> None:
    """Remove rows that every worker has seen, or has been without for so long that it drops all it knows."""
    db.session.execute(delete(Change).where(Change.at < clock.now() - KEEP))


@event.listens_for(Session, "after_commit")
def _apply_here(session: Session) -> None:
    """Have this process itself forget at once what it has just changed: who asks it next reads what was written."""
    if session.in_nested_transaction():
        return  # a savepoint: nothing is committed yet
    changes = session.info.pop("written", None)
    if changes and "realmgate.feed" in current_app.extensions:
        current_app.extensions["realmgate.feed"].apply(changes)


@event.listens_for(Session, "after_rollback")
def _forget_changes(session: Session) -> None:
    if session.in_nested_transaction():
        return  # back to a savepoint: what was published before it is still to be written
    session.info.pop("changes", None)
    session.info.pop("written", None)


class Cache(Generic[Value]):
    """What a worker knows of one kind, by key. Bounded: the entries longest in it go first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[str, Value] = {}
        self._drops = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Value | None:
        """Return what is known of `key`, or None."""
        return self._entries.get(key)

    def load(self, key: str, loader: Callable[[], Value]) -> Value:
        """Call `loader` and keep its value, unless something was dropped while it read: then it may be out of date.

        None is not kept: asking for many things that do not exist fills nothing.
        """
        drops = self._drops
        value = loader()
        if value is not None:
            with self._lock:
                if drops == self._drops:
                    if len(self._entries) >= self._size:
                        self._entries.pop(next(iter(self._entries)))
                    self._entries[key] = value
        return value

    def drop(self, key: str) -> None:
        """Forget `key`, or every key with that beginning when it ends in `*`."""
        with self._lock:
            self._drops += 1
            if key.endswith("*"):
                self._entries = {each: value for each, value in self._entries.items() if not each.startswith(key[:-1])}
            else:
                self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._drops += 1
            self._entries = {}

    def __len__(self) -> int:
        return len(self._entries)


@dataclass
class FeedCounts:
    """What a feed has done since it began."""

    questions: int = 0
    """How often the database was asked."""
    failures: int = 0
    """How often it could not answer."""
    rows: int = 0
    """Rows that it has read and applied."""
    full_drops: int = 0
    """How often it has dropped everything, the first look included."""


class Feed:
    """A worker's caches, and the check that they are still true."""

    def __init__(self, engine: Engine, cache_size: int, *, on_break: Callable[[], None]) -> None:
        """Take an engine that has no other use.

        :param on_break: called when its connection is given up: what answers next may be another server.
        """
        self._engine = without_transaction(engine)
        self._on_break = on_break
        self._cache_size = cache_size
        self._caches: dict[str, Cache[Any]] = {}
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._data_version = -1
        self._cursor = -1
        self._mark: int | None = None
        self._row_mark: int | None = None
        self._confirmed = 0.0
        self._asking_since = 0.0
        self._failed_at, self._failure = float("-inf"), ""
        self.counts = FeedCounts()

    def cache(self, kind: str) -> Cache[Any]:
        """Return the memory of one kind, made at its first use."""
        found = self._caches.get(kind)
        return found if found is not None else self._caches.setdefault(kind, Cache(self._cache_size))

    def confirm(self) -> None:
        """See to it that nothing in memory is more than a second out of date.

        :raises StorageUnavailableError: the database cannot be asked, so nothing in memory may be served.
        """
        asked = time.monotonic()
        age = asked - self._confirmed
        if age < CONFIRM_AFTER:
            return
        with patience.waiting():
            if age >= CONFIRM_AT_LAST:
                self._wait_for_turn()
            elif not self._lock.acquire(blocking=False):
                return  # a neighbouring thread is asking already
            try:
                if time.monotonic() - self._confirmed >= CONFIRM_AFTER:
                    self._ask(asked, oldest=CONFIRM_AT_LAST)
            finally:
                self._lock.release()

    def confirm_now(self) -> None:
        """See to it that memory has all that was committed before this call. Threads that wait for that share one question.

        :raises StorageUnavailableError: the database cannot be asked.
        """
        asked = time.monotonic()
        with patience.waiting():
            self._wait_for_turn()
            try:
                if self._confirmed < asked:
                    self._ask(asked, oldest=0.0)
            finally:
                self._lock.release()

    def confirm_unless_away(self) -> float:
        """Confirm what is in memory, unless the database does not answer just now; return how many seconds old it is.

        One thread asks, and learns that it is away; the others hardly wait for that.
        """
        asked = time.monotonic()
        if asked - self._confirmed < CONFIRM_AFTER or asked - self._failed_at < AWAY_FOR:
            return asked - self._confirmed
        if self._lock.acquire(timeout=max(0.0, AWAY_AFTER - (asked - self._asking_since))):
            try:
                if self._confirmed < asked and self._failed_at < asked:
                    self._ask(asked, oldest=float("inf"))
            finally:
                self._lock.release()
        return time.monotonic() - self._confirmed

    def _wait_for_turn(self) -> None:
        """Wait for a neighbouring thread that is asking: while the database is known to be away, hardly.

        :raises StorageUnavailableError: it gets no answer.
        """
        left = LONGEST_WAIT - (time.monotonic() - self._asking_since) if self._failed_at < self._confirmed else 0.0
        if not self._lock.acquire(timeout=min(max(AWAY_AFTER, left), patience.left())):
            raise StorageUnavailableError(cause="the database does not answer")

    def _ask(self, asked: float, *, oldest: float) -> None:
        """Ask the database what has changed.

        :param oldest: seconds for which what is in memory may be unconfirmed, once it is known that there is no answer.
        """
        started = self._asking_since = time.monotonic()
        if self._failed_at > asked:  # the neighbour that was waited for had no luck
            raise StorageUnavailableError(cause=self._failure)
        self.counts.questions += 1
        try:
            self._catch_up()
        except (SQLAlchemyError, StorageUnavailableError) as error:
            self._give_up(error)
            if time.monotonic() - self._confirmed >= oldest:
                raise StorageUnavailableError(cause=self._failure) from error
        else:
            self._confirmed = started

    def expire(self) -> None:
        """Have the next `confirm` ask, however short ago the last one was: also when a neighbour is asking just now."""
        with self._lock:
            self._confirmed = min(self._confirmed, time.monotonic() - CONFIRM_AT_LAST)

    def close(self) -> None:
        """Give the connection back. The next `confirm` opens another."""
        with self._lock:
            self._disconnect()

    def _give_up(self, error: Exception) -> None:
        """Leave a connection that is of no use. What the next one leads to may be another server: all is read anew from that."""
        self._disconnect()
        self._cursor = -1
        self._on_break()
        self.counts.failures += 1
        self._failed_at, self._failure = time.monotonic(), explain(error)

    def _catch_up(self) -> None:
        if self._connection is None:
            self._connection = self._engine.connect()
            self._data_version = -1
        connection = self._connection
        if connection.dialect.name == "sqlite":
            version = _data_version(connection)
            if version == self._data_version:
                return
            self._data_version = version
            self._drop(connection, *connection.execute(_COUNTED).one())
            return
        with connection.begin():
            clock_value, mark, read_only = connection.execute(_COUNTED_WHERE_WRITTEN).one()
            if read_only == "on":  # a standby, or a primary that was set aside: changes are made elsewhere
                raise StorageUnavailableError(cause=READ_ONLY)
            self._drop(connection, clock_value, mark)

    def _drop(self, connection: Connection, clock_value: int | None, mark: int | None) -> None:
        """Read the rows not seen yet and drop what they name; everything unless they follow those that were seen."""
        clock_value = clock_value or 0
        if (clock_value, mark) == (self._cursor, self._mark):
            return
        since = self._cursor if self._cursor >= 0 else clock_value
        query = select(Change.id, Change.kind, Change.key, Change.mark).where(Change.id.between(since, clock_value))
        rows = connection.execute(query.order_by(Change.id)).all()
        marks = {row.id: row.mark for row in rows}
        news = [row for row in rows if row.id > self._cursor]
        if self._cursor < 0 or len(news) != clock_value - self._cursor or marks.get(self._cursor) != self._row_mark or not news:
            # the first look, rows already cleared away, a database restored from a backup, or a server that has not heard of all
            self.counts.full_drops += 1
            for cache in list(self._caches.values()):
                cache.clear()
        else:
            self.counts.rows += len(news)
            self.apply((row.kind, row.key) for row in news)
        self._cursor, self._mark, self._row_mark = clock_value, mark, marks.get(clock_value)

    def apply(self, changes: Iterable[tuple[str, str]]) -> None:
        """Drop what changes name, and nothing else."""
        for kind, key in changes:
            self.cache(kind).drop(key)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _data_version(connection: Connection) -> int:
    """Return what SQLite counts the commits of others with: asked past SQLAlchemy, which takes ten times as long for it."""
    try:
        version: int = connection.connection.driver_connection.execute("PRAGMA data_version").fetchone()[0]  # type: ignore[union-attr]
    except sqlite3.Error:
        version = connection.exec_driver_sql("PRAGMA data_version").scalar_one()  # or fails, as all that asks a database does
    return version
