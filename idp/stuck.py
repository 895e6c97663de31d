"""Statements that PostgreSQL does not answer, though its machine does: ended from this side.

Each transaction tells the server how long a statement may take, which is worth nothing once the server itself stands still: a
process that was stopped, a disk that hangs. The system below sees a connection that is well. So somebody watches here.
"""

import contextlib
import logging
import os
import socket
import threading
import time
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, event

LATER = 1.0
"""Seconds by which the server's own limit comes first: a lock that nobody gives up is another matter than an outage."""

_log = logging.getLogger(__name__)


class Watch:
    """Watches the statements on the connections of one engine."""

    def __init__(self, engine: Engine, seconds: float) -> None:
        """Begin to count statements. Nothing is ended but by `end_stuck_statements`.

        :param seconds: that the server gives one, unless `allow_seconds` says otherwise.
        """
        self._seconds = seconds
        self._lock = threading.Lock()
        self._notes: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()
        """What SQLAlchemy keeps with each connection: here, how many statements it has had, and how long one may take."""
        self._seen: WeakKeyDictionary[Any, tuple[int, float]] = WeakKeyDictionary()
        """Which statement each is at, and since when that is known."""
        event.listen(engine, "connect", self._note_connection, insert=True)
        event.listen(engine, "before_cursor_execute", self._note_statement)
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

    def end_stuck(self) -> int:
        """Cut the connections whose statement has been under way for too long, and return how many."""
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
            elif now - since >= info.get(_ALLOWED, self._seconds) + LATER:
                _cut(connection)
                self._seen.pop(connection, None)
                ended += 1
        return ended


_NUMBER, _ALLOWED = "realmgate.statements", "realmgate.seconds"

_watches: WeakSet[Watch] = WeakSet()


def _count(connection: Connection) -> None:
    if not connection.invalidated:  # one that is lost has nothing under way
        connection.info[_NUMBER] = connection.info.get(_NUMBER, 0) + 1


def allow_seconds(connection: Connection, seconds: int) -> None:
    """Let each statement of the transaction that is under way take longer than others may."""
    if connection.dialect.name == "postgresql":
        connection.info[_ALLOWED] = seconds
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{seconds}s'")


def end_stuck_statements() -> None:
    """Cut the connections of this process whose statement PostgreSQL does not answer; who waits for it learns of an outage."""
    ended = sum(watch.end_stuck() for watch in list(_watches))
    if ended:
        _log.warning("the database does not answer: %d connections were cut", ended)


def _is_busy(connection: Any) -> bool:
    from psycopg.pq import TransactionStatus  # noqa: PLC0415 (SQLite does without it)

    return bool(connection.pgconn.transaction_status == TransactionStatus.ACTIVE)


def _cut(connection: Any) -> None:
    """End the stream to the server, whatever thread waits for something from it. Closing is that thread's business."""
    with contextlib.suppress(Exception), socket.socket(fileno=os.dup(connection.pgconn.socket)) as stream:
        stream.shutdown(socket.SHUT_RDWR)
