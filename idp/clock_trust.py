"""Whether this machine's clock may decide what cannot be undone.

What has expired is removed, and keys are replaced, by the time of day. A clock that is ahead would make a revoked token active
again, let an assertion be used twice, and throw away what others still use. So the database is asked, whose clock all nodes
share; and since its clock may be this one, a clock that was set is not believed at once.
"""

import logging
import threading
import time
from datetime import datetime, timedelta

from sqlalchemy import func, select

from idp import clock, runtime
from idp.db import db, reading
from idp.errors import IdpError, Kind
from idp.feed import Change
from idp.settings import CLOCK_LEEWAY
from idp.telemetry import set_gauge

SECOND_LOOK = 3_600.0
"""Seconds from when a clock was set until what cannot be undone is done by it."""

NOTICED = 5.0
"""Seconds by which a clock must be set for the database to be asked again at once."""

LONGEST_REST = timedelta(hours=1)
"""How old the newest change may be at a start: after a longer rest, too, what has expired is looked at twice."""

_log = logging.getLogger(__name__)


class ClockError(IdpError):
    """The clock of this machine is not the database's."""

    kind, retry_after = Kind.UNAVAILABLE, 60


def check_clock() -> None:
    """See that this machine's clock is that of the database's machine, give or take what tokens are allowed.

    :raises ClockError: it is not.
    """
    offset, extensions = _offset(), runtime.current().extensions
    ahead = _seconds_ahead()
    set_gauge("realmgate_clock_ahead_seconds", ahead)
    extensions["clock-ahead"], extensions["clock-offset"] = ahead, offset
    recall_check()


def was_set() -> bool:
    """Tell whether this machine's clock was set since `check_clock` has asked last."""
    offset: float | None = runtime.current().extensions.get("clock-offset")
    return offset is not None and abs(_offset() - offset) > NOTICED


def recall_check() -> None:
    """Tell what the last `check_clock` has found; a worker has one every minute, at its start, and when its clock was set.

    :raises ClockError: that this machine's clock is not the database's.
    """
    ahead: float = runtime.current().extensions.get("clock-ahead", 0.0)
    if abs(ahead) > CLOCK_LEEWAY:
        where = "ahead of" if ahead > 0 else "behind"
        raise ClockError(
            f"This machine's clock is {abs(ahead):.0f} seconds {where} the database's, and at most {CLOCK_LEEWAY} are allowed. "
            "Nothing is removed and no key replaced by it. Set the clock, and keep it right by NTP."
        )


def _seconds_ahead() -> float:
    with reading() as session:
        if db.engine.dialect.name == "sqlite":
            return 0.0
        before = clock.now()
        theirs: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
        after = clock.now()
    # however long the question took: the answer is of some moment between
    return (before - theirs).total_seconds() if theirs < before else min((after - theirs).total_seconds(), 0.0)


class ClockWatch:
    """Watches whether this machine's clock is set while the server runs."""

    def __init__(self) -> None:
        """Begin with what the clock shows now."""
        self._lock = threading.Lock()
        self._offset = _first_offset[0] if _first_offset else _offset()
        self._believed_from = time.monotonic() + SECOND_LOOK if _has_rested() else 0.0

    def is_believed(self) -> bool:
        """Tell whether what has expired by this clock may be removed."""
        with self._lock:
            offset = _offset()
            if abs(offset - self._offset) > CLOCK_LEEWAY:
                self._believed_from = time.monotonic() + SECOND_LOOK
                _log.warning(
                    "this machine's clock was set by %+.0f s: for an hour nothing that has expired by it is removed",
                    offset - self._offset,
                )
            self._offset = offset
            return time.monotonic() >= self._believed_from


def is_believed() -> bool:
    """Tell whether what has expired by this machine's clock may be removed now, or only after a second look.

    :raises ClockError: it differs from the database's.
    """
    check_clock()
    return watch_clock().is_believed()


def watch_clock() -> ClockWatch:
    """Return what watches the clock, which begins with the first call."""
    extensions = runtime.current().extensions
    if "clock-watch" not in extensions:
        extensions.setdefault("clock-watch", ClockWatch())
    watch: ClockWatch = extensions["clock-watch"]
    return watch


_first_offset: list[float] = []


def remember_clock() -> None:
    """Have the workers that begin from now on, in the place of others too, go by the clock of now."""
    _first_offset[:] = [_offset()]


def _offset() -> float:
    """Return the time of day less the seconds since the machine has begun, asleep or not, which nobody sets."""
    steady = time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
    return clock.now().timestamp() - steady


def _has_rested() -> bool:
    with reading() as session:
        newest = session.scalar(select(func.max(Change.at)))
    return newest is not None and abs(clock.now() - newest) > LONGEST_REST
