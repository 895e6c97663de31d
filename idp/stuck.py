"""Statements that PostgreSQL does not answer, though its machine does: ended from this side.

Each transaction tells the server how long a statement may take, which is worth nothing once the server itself stands still: a
process that was stopped, a disk that hangs. The system below sees a connection that is well. So somebody watches here.

Once nothing answers any more, nobody waits for that anew: who wants a connection is refused at once, and one at a time tries.
Each wait is shorter than what a caller is promised (`patience.LONGEST_CALL`), and so are all waits of a call together: see there.
"""

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from idp import patience

LATER = 0.25
"""Seconds by which the server's own limit comes first: a lock that nobody gives up is another matter than an outage."""

LOOK_EVERY = 0.25
"""Seconds between two looks for statements that the server does not answer."""

SILENCE = 1.0
"""Seconds without any answer from which on a server that does not answer one counts as silent; and from which on an attempt to
connect to it that fails was not refused, but ignored."""

REST = 1.0
"""Seconds between two attempts to connect to a silent server."""

_log = logging.getLogger(__name__)


class SilentServerError(PoolTimeoutError):
    """The server answers nothing just now, and another try would be to wait in vain."""


class _Silence:
    """Whether the server that this process uses is silent."""

    def __init__(self) -> None:
        self._trying = threading.Lock()
        self.is_silent, self._again_at = False, 0.0
        self.answered_at = 0.0
        """When it has last answered a statement, of whichever connection."""

    def begin(self) -> None:
        """Note that it gave no answer."""
        self.is_silent, self._again_at = True, time.monotonic() + REST

    def refuse(self) -> None:
        """Let only those go on who may get an answer, or are the one to try.

        :raises SilentServerError: this thread is none of them.
        """
        if self.is_silent and (time.monotonic() < self._again_at or self._trying.locked()):
            raise SilentServerError("the server does not answer")

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """Connect within this: while the server is silent, one thread at a time, and from time to time."""
        self.refuse()
        began, is_trial = time.monotonic(), self.is_silent
        if is_trial and not self._trying.acquire(blocking=False):
            raise SilentServerError("the server does not answer")
        try:
            yield
            self.is_silent = False
        except Exception:
            if is_trial or time.monotonic() - began >= SILENCE:
                self.begin()
            raise
        finally:
            if is_trial:
                self._trying.release()


_silence = _Silence()
refuse_while_silent, connecting = _silence.refuse, _silence.connecting


class Watch:
    """Watches the statements on the connections of one engine."""

    def __init__(self, engine: Engine, seconds: float, renew: Callable[[], None]) -> None:
        """Begin to count statements. Nothing is ended but by `end_stuck_statements`.

        :param seconds: that the server gives one, unless `allow_seconds` says otherwise.
        :param renew: has the connections that are idle replaced before they are used.
        """
        self._seconds, self._renew = seconds, renew
        self._lock = threading.Lock()
        self._notes: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()
        """What SQLAlchemy keeps with each connection: here, how many statements it has had, and how long one may take."""
        self._seen: WeakKeyDictionary[Any, tuple[int, float]] = WeakKeyDictionary()
        """Which statement each is at, and since when that is known."""
        event.listen(engine, "connect", self._note_connection, insert=True)
        event.listen(engine, "before_cursor_execute", self._note_statement)
        event.listen(engine, "after_cursor_execute", self._note_answer)
        for name in ("commit", "rollback"):
            event.listen(engine, name, _count)
        event.listen(engine, "begin", lambda connection: connection.info.pop(_ALLOWED, None))
        _watches.add(self)

    def _note_connection(self, connection: Any, record: Any) -> None:
        with self._lock:
            self._notes[connection] = record.info

    @staticmethod
    def _note_statement(connection: Connection, *_: Any) -> None:
        _count(connection)

    @staticmethod
    def _note_answer(*_: Any) -> None:
        _silence.answered_at = time.monotonic()

    def end_stuck(self, *, is_silent: bool) -> int:
        """Cut the connections whose statement has been under way for too long, and return how many.

        :param is_silent: whether the server is known to answer nothing: then no statement is allowed more than the others.
        """
        with self._lock:
            noted = list(self._notes.items())
        now, ended = time.monotonic(), 0
        for connection, info in noted:
            if not _is_busy(connection):
                self._seen.pop(connection, None)
                continue
            number = info.get(_NUMBER, 0)
            known, since = self._seen.setdefault(connection, (number, now))
            if known != number:
                self._seen[connection] = (number, now)
            elif now - since >= self._seconds_for(info, is_silent=is_silent) + LATER:
                if now - _silence.answered_at >= SILENCE:  # before the one that waits, and those who wait for it, try again
                    _silence.begin()
                    self._renew()
                _cut(connection)
                self._seen.pop(connection, None)
                ended += 1
        return ended

    def _seconds_for(self, info: dict[Any, Any], *, is_silent: bool) -> float:
        """Return how long the latest statement of a connection may take."""
        allowed = self._seconds if is_silent else float(info.get(_ALLOWED, self._seconds))
        return min(allowed, patience.left_for(info))


_NUMBER, _ALLOWED = "realmgate.statements", "realmgate.seconds"

_watches: WeakSet[Watch] = WeakSet()


def _count(connection: Connection) -> None:
    if not connection.invalidated:  # one that is lost has nothing under way
        connection.info[_NUMBER] = connection.info.get(_NUMBER, 0) + 1


def allow_seconds(connection: Connection, seconds: int) -> None:
    """Let each statement of the transaction that is under way take longer than others may."""
    if connection.dialect.name == "postgresql":
        patience.lift()
        connection.info[_ALLOWED] = seconds
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{seconds}s'")


def end_stuck_statements() -> None:
    """Cut the connections of this process whose statement PostgreSQL does not answer; who waits for it learns of an outage."""
    watches = list(_watches)
    ended = sum(watch.end_stuck(is_silent=False) for watch in watches)
    if ended and _silence.is_silent:
        ended += sum(watch.end_stuck(is_silent=True) for watch in watches)
    if ended:
        _log.warning("the database does not answer: %d connections were cut", ended)


def _is_busy(connection: Any) -> bool:
    from psycopg.pq import TransactionStatus  # noqa: PLC0415 (SQLite does without it)

    return bool(connection.pgconn.transaction_status == TransactionStatus.ACTIVE)


def _cut(connection: Any) -> None:
    """End the stream to the server, whatever thread waits for something from it. Closing is that thread's business."""
    with contextlib.suppress(Exception), socket.socket(fileno=os.dup(connection.pgconn.socket)) as stream:
        stream.shutdown(socket.SHUT_RDWR)
