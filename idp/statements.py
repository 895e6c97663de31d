"""What is seen of statements to the database: in the log those that take long, in a trace all of a request.

Both have the text of a statement, in which values have placeholders, and never the values.
"""

import logging
import threading
import time
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from idp.telemetry import add_span, count

LONGEST_TEXT = 2_000
"""Characters of a statement that are shown."""

_BEGAN = "_realmgate_began"

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())  # commands have no log, and are not to print this


class _Commit(threading.local):
    """The commit that a thread is at: when it has begun, and on which engine."""

    began: float = 0.0
    watched: "_Watched | None" = None


_commit = _Commit()


class _Watched:
    """The statements of one engine."""

    def __init__(self, engine: Engine, seconds: float) -> None:
        self._system = engine.dialect.name
        self._seconds = seconds
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)
        event.listen(engine, "handle_error", self._fail)
        event.listen(engine, "commit", self._begin_commit)

    def note(self, statement: str, seconds: float, error: BaseException | None = None) -> None:
        """Note a statement that has ended just now."""
        text = " ".join(statement[: 2 * LONGEST_TEXT].split())[:LONGEST_TEXT]
        name = text.partition(" ")[0].rstrip(";")
        add_span(name, seconds, {"db.system.name": self._system, "db.query.text": text}, error)
        if 0 < self._seconds <= seconds:
            count("realmgate_slow_statements")
            values = {"statement": text, "seconds": round(seconds, 3)}
            _log.warning("a statement took %.3f s: %s", seconds, name, extra={"values": values})

    @staticmethod
    def _begin(_connection: Connection, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:  # noqa: FBT001 (SQLAlchemy's)
        setattr(context, _BEGAN, time.perf_counter())

    def _end(self, _connection: Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:  # noqa: FBT001 (SQLAlchemy's)
        self.note(statement, time.perf_counter() - getattr(context, _BEGAN))

    def _fail(self, context: ExceptionContext) -> None:
        began = getattr(context.execution_context, _BEGAN, None)
        if began is not None and context.statement is not None:
            self.note(context.statement, time.perf_counter() - began, context.original_exception)

    def _begin_commit(self, _connection: Connection) -> None:
        _commit.began, _commit.watched = time.perf_counter(), self


def watch_statements(engine: Engine, seconds: float) -> None:
    """Have the statements of an engine be seen.

    :param seconds: from which on a statement is logged; 0 for none.
    """
    _Watched(engine, seconds)


def end_commit() -> None:
    """Note the commit that this thread has just made, if it has made one. SQLAlchemy tells only of its beginning."""
    watched, _commit.watched = _commit.watched, None
    if watched is not None:
        watched.note("COMMIT", time.perf_counter() - _commit.began)
