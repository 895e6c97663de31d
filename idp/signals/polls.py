"""Receivers that wait for the next event (RFC 8936 §2.4)."""

from sqlalchemy import Engine, func, select

from idp.db import db
from idp.long_polls import Waiting
from idp.runtime import Runtime
from idp.signals.models import SignalEvent


class Newest:
    """The newest events of the streams that somebody waits at, as of the last look."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbers: dict[int, int] = {}
        self.waiting = Waiting(self._look, "signals")

    def of(self, stream_id: int) -> int:
        """Return the number of the newest event of a stream; 0 where none was seen yet."""
        return self._numbers.setdefault(stream_id, 0)

    def await_news(self, stream_id: int, newest: int, seconds: float) -> bool:
        """Wait until a stream has an event that it had not; tell whether that was waited for at all.

        :param newest: the number of the newest event before it was looked at what there is.
        """
        return self.waiting.wait(lambda: self._numbers.get(stream_id, 0) > newest, seconds)

    def _look(self) -> None:
        query = select(SignalEvent.stream_id, func.max(SignalEvent.id)).group_by(SignalEvent.stream_id)
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(SignalEvent.stream_id.in_(list(self._numbers))))
            for stream_id, number in rows:
                self._numbers[stream_id] = number


def newest(process: Runtime) -> Newest:
    """Return what a process knows of the newest events."""
    found: Newest | None = process.extensions.get("signals-newest")
    return found if found is not None else process.extensions.setdefault("signals-newest", Newest(db.engine))
