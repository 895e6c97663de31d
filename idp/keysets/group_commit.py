"""Group commit: what several threads want to be written at the same moment is one transaction, and one wait for the disk."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from idp import patience

Entry = TypeVar("Entry")
Result = TypeVar("Result")

MOST_AT_ONCE = 100
"""Entries of one transaction."""


class _Waiting(Generic[Entry, Result]):
    """What a thread wants to be written, and what became of it."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.result: Result | None = None
        self.error: Exception | None = None
        self.is_done = False
        self.is_given_up = False


class GroupCommit(Generic[Entry, Result]):
    """A line in which threads wait to write. Whoever comes to the front writes for all who wait behind."""

    def __init__(self, write: Callable[[Sequence[Entry]], Sequence[Result]]) -> None:
        """Take what writes entries in one transaction, and returns what became of each once that is committed."""
        self._write = write
        self._line: deque[_Waiting[Entry, Result]] = deque()
        self._front = threading.Lock()

    def write(self, entry: Entry) -> Result:
        """Return what became of an entry, when it is committed.

        :raises SlowDatabaseError: it was not written in time. It is not written later either, unless that is under way.
        :raises Exception: whatever the transaction ended with: nothing of it was stored.
        """
        own: _Waiting[Entry, Result] = _Waiting(entry)
        self._line.append(own)
        try:
            with patience.holding(self._front):
                while not own.is_done:
                    self._write_line()
        except patience.SlowDatabaseError:
            own.is_given_up = True
            raise
        if own.error is not None:
            raise own.error
        assert own.result is not None
        return own.result

    def _write_line(self) -> None:
        """Write the first entries of the line, and with them or with the next ones the caller's own."""
        first = [self._line.popleft() for _ in range(min(len(self._line), MOST_AT_ONCE))]
        waiting = [each for each in first if not each.is_given_up]
        if not waiting:
            return
        try:
            for each, result in zip(waiting, self._write([each.entry for each in waiting]), strict=True):
                each.result = result
        except Exception as error:  # noqa: BLE001 (each thread raises it for itself)
            for each in waiting:
                each.error = error
        finally:
            for each in waiting:
                if each.result is None and each.error is None:  # the thread that wrote is being ended
                    each.error = RuntimeError("what was to be written together was interrupted")
                each.is_done = True
