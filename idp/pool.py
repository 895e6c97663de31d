"""The connections of one process to the database: no more than so many, and no threads that wait for each other's."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from idp import patience
from idp.stuck import refuse_while_silent

FURTHER = 2
"""Connections that a thread may come to need besides its first: one to read what is to be remembered, one for a pepper in it."""


BEHIND = 4
"""Threads that may have connections at once of those that answer nobody: when the database is slow, all of them wait for it."""


class _Own(threading.local):
    is_behind: bool = False


_own = _Own()


@contextlib.contextmanager
def behind_others() -> Iterator[None]:
    """Leave most connections to others while the block lasts: nobody waits for what this thread does."""
    before, _own.is_behind = _own.is_behind, True
    try:
        yield
    finally:
        _own.is_behind = before


@dataclass
class PoolCounts:
    """What has become of those who wanted a connection, but for those who leave them to others."""

    waits: int = 0
    """How many had to wait for one."""
    timeouts: int = 0
    """How many have waited in vain."""
    seconds: float = 0.0
    """How long all of them have waited together."""


class BoundedPool(QueuePool):
    """A pool whose last connections are kept for threads that have one already.

    Those whom nobody waits for have few of them at once; see `behind_others`.

    A request that changes something reads what it remembers on a connection of its own, so that nothing uncommitted is
    remembered. Were all connections given to requests that have none, each would wait for another's until the time is over.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._out = 0
        self._held: Counter[int] = Counter()
        """By thread, how many it has."""
        self._behind: set[int] = set()
        """Threads that have connections and answer nobody."""
        self._takers: dict[ConnectionPoolEntry, int] = {}
        self._changed = threading.Condition()
        self._peak = 0
        self.counts = PoolCounts()
        self.before_waiting: Callable[[], None] = lambda: None
        """Called by each thread that is about to take a connection, for which it may have to wait, and then for answers."""

    def take_peak(self) -> int:
        """Return how many connections were in use at once, at most, since this was last asked."""
        with self._changed:
            peak, self._peak = self._peak, self._out
        return peak

    @property
    def opened(self) -> int:
        """How many connections are open, in use or not."""
        return self.size() + self.overflow()

    def renew(self) -> None:
        """Have each connection that was opened before now be replaced when it is next taken."""
        self._invalidate_time = time.time()

    def connect(self) -> PoolProxiedConnection:
        """Return a connection that was found to work, or is new: what that takes counts for who waits for it."""
        with patience.waiting():
            return super().connect()

    def _do_get(self) -> ConnectionPoolEntry:
        self.before_waiting()
        thread = threading.get_ident()
        refuse_while_silent()
        with self._changed:
            most = self.size() - max(0, FURTHER - self._held[thread])
            if not self._has_room(most, thread):
                self._wait_for_room(most, thread)
                refuse_while_silent()  # what there was to wait for, perhaps
            if _own.is_behind:
                self._behind.add(thread)
            self._out += 1
            self._peak = max(self._peak, self._out)
            self._held[thread] += 1
        try:
            entry = super()._do_get()
        except BaseException:
            self._leave(thread)
            raise
        self._takers[entry] = thread
        patience.note_left(entry.info)  # for the look at whether it still works
        return entry

    def _has_room(self, most: int, thread: int) -> bool:
        is_too_many = _own.is_behind and len(self._behind - {thread}) >= BEHIND
        return self._out < most and not is_too_many

    def _wait_for_room(self, most: int, thread: int) -> None:
        """Wait until fewer connections than that are in use, and few by threads that answer nobody where this is one.

        :raises PoolTimeoutError: they are not in time.
        """
        began = time.monotonic()
        in_time = self._changed.wait_for(lambda: self._has_room(most, thread), self._timeout)
        waited = time.monotonic() - began
        patience.forgive(waited)
        if not _own.is_behind:  # which is to wait, and hurts nobody
            self.counts.waits += 1
            self.counts.seconds += waited
            self.counts.timeouts += not in_time
        if not in_time:
            raise PoolTimeoutError(f"no connection within {waited:.1f} seconds: {self._out} of {self.size()} are in use")

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        try:
            super()._do_return_conn(record)
        finally:
            self._leave(self._takers.pop(record))

    def _leave(self, thread: int) -> None:
        with self._changed:
            self._out -= 1
            self._held[thread] -= 1
            if not self._held[thread]:
                del self._held[thread]
                self._behind.discard(thread)
            self._changed.notify_all()
