"""How long a request waits for the database altogether: each wait has a limit of its own, and all of them together have one.

A database that is slow, and not away, answers each statement in time, and a call that has twenty of them late. What a request has
waited is added up here; when that is too much, it is told to come again, as in an outage.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

LONGEST_CALL = 5.0
"""Seconds after which every call is answered, whatever the database does."""

MARGIN = 0.75
"""Seconds by which a wait ends late: it is looked at four times a second, and the server's own limit comes first."""

SLIGHT = 0.1
"""Seconds of a wait that do not count: a machine that is busy adds them to each, however quick the database is."""

LEAST = 1.0
"""Seconds that are left for any one statement, however long a request has waited before for others of its process."""


class SlowDatabaseError(PoolTimeoutError):
    """The request has waited for the database as long as it may."""


class _Patience(threading.local):
    left: float | None = None
    """Seconds that this thread may still wait; None for as long as each wait's own limit says."""
    since: float | None = None
    """When the wait that it is in has begun; None for none."""
    forgiven: float = 0.0
    """Seconds of what it has waited that were left out of account."""


_patience = _Patience()


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Bound what this thread waits for the database until the block ends: somebody waits for an answer."""
    before, _patience.left = (_patience.left, _patience.forgiven), LONGEST_CALL - MARGIN
    _patience.forgiven = 0.0
    try:
        yield
    finally:
        _patience.left, _patience.forgiven = before


def lift() -> None:
    """Let this thread wait as long as each wait's own limit says: what it does is known to take its time."""
    _patience.left = None


def left() -> float:
    """Return the seconds that this thread may still wait.

    :raises SlowDatabaseError: there are none.
    """
    found = _left()
    if found <= 0:
        raise SlowDatabaseError("the database answers too slowly")
    return found


def left_for_one() -> float:
    """Return the seconds for which this thread may wait at once.

    What it has waited for others before does not keep it from the next statement, which a database that is well answers soon.
    From one that does not answer, nobody waits for longer than a call may take altogether.

    :raises SlowDatabaseError: there are none.
    """
    left()
    return _left_for_one()


def _left_for_one() -> float:
    left = _left()
    return min(left, max(left - _patience.forgiven, LEAST))


def _left() -> float:
    if _patience.left is None:
        return float("inf")
    return _patience.left if _patience.since is None else _patience.left - (time.monotonic() - _patience.since)


def spend(seconds: float) -> None:
    """Count what this thread has waited. What it has waited within `waiting` is counted there."""
    if _patience.left is not None and _patience.since is None and seconds > SLIGHT:
        _patience.left -= seconds


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Count what is waited within the block.

    :raises SlowDatabaseError: there is no time left for it.
    """
    left()
    if _patience.since is not None:  # it is counted already
        yield
        return
    _patience.since = time.monotonic()
    try:
        yield
    finally:
        began, _patience.since = _patience.since, None
        spend(time.monotonic() - began)


@contextlib.contextmanager
def holding(lock: threading.Lock) -> Iterator[None]:
    """Hold a lock that others hold while they wait for the database; to wait for it counts as that does.

    :raises SlowDatabaseError: it was not given up in time.
    """
    with waiting():
        if not lock.acquire(timeout=min(left_for_one(), threading.TIMEOUT_MAX)):
            raise SlowDatabaseError("others have waited for the database for as long as this request may")
    try:
        yield
    finally:
        lock.release()


def forgive(seconds: float) -> None:
    """Leave out of account what this thread has waited for others of this process, and not for the database."""
    if _patience.since is not None:
        _patience.since += seconds
        _patience.forgiven += seconds


def count_statements(engine: Engine) -> None:
    """Have what statements of an engine take be counted, and none begin when there is no time left for it."""

    @event.listens_for(engine, "before_cursor_execute")
    def _begin(connection: Connection, *_: Any) -> None:
        left()
        note_left(connection.info)
        connection.info[_BEGAN] = time.monotonic()

    def _begin_to_end(connection: Connection) -> None:
        if not connection.invalidated:
            note_left(connection.info)
            connection.info[_BEGAN] = time.monotonic()

    for end in ("commit", "rollback"):
        event.listen(engine, end, _begin_to_end)

    @event.listens_for(engine, "after_cursor_execute")
    def _end(connection: Connection, *_: Any) -> None:
        spend(time.monotonic() - connection.info.pop(_BEGAN, float("inf")))

    @event.listens_for(engine, "checkin")
    def _give_back(_: Any, record: ConnectionPoolEntry) -> None:
        # where a transaction has ended before, for which there is no event of its own
        spend(time.monotonic() - record.info.pop(_BEGAN, float("inf")))


def note_left(info: dict[Any, Any]) -> None:
    """Note with a connection how long whoever uses it now may wait at once.

    :param info: what SQLAlchemy keeps with it.
    """
    info[_LEFT] = _left_for_one()


def left_for(info: dict[Any, Any]) -> float:
    """Return the seconds that whoever uses a connection could wait when that was noted last."""
    return float(info.get(_LEFT, float("inf")))


_LEFT, _BEGAN = "realmgate.left", "realmgate.began"
