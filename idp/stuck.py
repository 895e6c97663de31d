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

from sqlalchemy import Engine, event

_log = logging.getLogger(__name__)


class Watch:
    """Watches the statements on the connections of one engine."""

    def __init__(self, engine: Engine, patience: float) -> None:
        """Begin to count statements. Nothing is ended but by `end_stuck_statements`.

        :param patience: seconds that one may take.
        """
        self._patience = patience
        self._lock = threading.Lock()
        self._statements: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        """How many each connection has had."""
        self._seen: WeakKeyDictionary[Any, tuple[int, float]] = WeakKeyDictionary()
        """Which statement each is at, and since when that is known."""
        event.listen(engine, "connect", self._note_connection)
        event.listen(engine, "before_cursor_execute", self._note_statement)
        _watches.add(self)

    def _note_connection(self, connection: Any, _record: Any) -> None:
        with self._lock:
            self._statements[connection] = 0

    def _note_statement(self, _connection: Any, cursor: Any, *_: Any) -> None:
        connection = cursor.connection
        self._statements[connection] = self._statements.get(connection, 0) + 1

    def end_stuck(self) -> int:
        """Cut the connections whose statement has been under way for too long, and return how many."""
        with self._lock:
            counted = list(self._statements.items())
        now, ended = time.monotonic(), 0
        for connection, number in counted:
            if not _is_busy(connection):
                self._seen.pop(connection, None)
                continue
            known, since = self._seen.setdefault(connection, (number, now))
            if known != number:
                self._seen[connection] = (number, now)
            elif now - since >= self._patience:
                _cut(connection)
                self._seen.pop(connection, None)
                ended += 1
        return ended


_watches: WeakSet[Watch] = WeakSet()


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
