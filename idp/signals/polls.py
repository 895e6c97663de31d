"""Receivers that wait for the next event (RFC 8936 §2.4)."""

import contextlib
import itertools
import threading
from collections.abc import Iterator

from sqlalchemy import Engine, func, select

from idp.db import db, without_transaction
from idp.long_polls import Waiting
from idp.runtime import Runtime
from idp.signals.models import SignalEvent

MOST_LOOKED_AT = 1_000
"""Streams that one question asks for: databases have a limit for that."""


class Newest:
    """The newest events of the streams that somebody waits at, as of the last look. One request waits at each: the last one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = without_transaction(engine)
        self._numbers: dict[int, int] = {}
        self._turns: dict[int, int] = {}
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self.waiting = Waiting(self._look, "signals")

    @contextlib.contextmanager
    def turn(self, stream_id: int) -> Iterator[int]:
        """Have the turn to wait at a stream, taken from whoever has it; give its number."""
        with self._lock:
            turn = self._turns[stream_id] = next(self._count)
            self._numbers.setdefault(stream_id, 0)
        try:
            yield turn
        finally:
            with self._lock:
                if self._turns.get(stream_id) == turn:
                    del self._turns[stream_id], self._numbers[stream_id]

    def of(self, stream_id: int) -> int:
        """Return the number of the newest event of a stream, as far as that was looked at."""
        return self._numbers.get(stream_id, 0)

    def await_news(self, stream_id: int, turn: int, seen: int, seconds: float) -> bool:
        """Wait until a stream has an event that it had not; tell whether to look at what there is.

        :param seen: number of the newest event, taken before it was looked at what there is.
        """

        def has_news() -> bool:
            return self.of(stream_id) != seen or self._turns.get(stream_id) != turn

        return self.waiting.wait(has_news, seconds) and self._turns.get(stream_id) == turn

    def _look(self) -> None:
        waited_at = list(self._numbers)[:MOST_LOOKED_AT]
        query = select(SignalEvent.stream_id, func.max(SignalEvent.id)).group_by(SignalEvent.stream_id)
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(SignalEvent.stream_id.in_(waited_at))).all()
        with self._lock:
            for stream_id, number in rows:
                if stream_id in self._numbers:
                    self._numbers[stream_id] = number


def newest(process: Runtime) -> Newest:
    """Return what a process knows of the newest events."""
    found: Newest | None = process.extensions.get("signals-newest")
    return found if found is not None else process.extensions.setdefault("signals-newest", Newest(db.engine))
