"""Turns of calling servers of strangers: one that is slow holds up nobody but those who ask the same.

Each host is called once at a time, and all of them so many at a time. Where all places are taken and somebody waits, whoever has
had theirs for long enough loses it. So neither one host nor many of them keep others out.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from idp.outbound import Call


class NoTurnError(Exception):
    """It was nobody's turn within the time that there was."""


@dataclass(frozen=True, slots=True)
class _Turn:
    began: float
    call: Call


class Turns:
    """The turns of one process."""

    def __init__(self, places: int, kept_for: float) -> None:
        """Begin with none.

        :param places: calls at a time. As many again may be ending: to look a name up cannot be cut off.
        :param kept_for: seconds after which a call ends if somebody waits.
        """
        self._places, self._kept_for = places, kept_for
        self._changed = threading.Condition()
        self._running: dict[str, _Turn] = {}
        """By host, in the order in which they began."""

    @contextlib.contextmanager
    def of(self, host: str, *, wait: float) -> Iterator[Call]:
        """Wait for a turn of a host, and keep it for as long as the context lasts.

        :param wait: seconds to wait at the most.
        :returns: the call to make, which others may end.
        :raises NoTurnError: there was none.
        """
        call, ends = Call(), time.monotonic() + wait
        with self._changed:
            while not self._begin(host, call):
                left = ends - time.monotonic()
                if left <= 0:
                    raise NoTurnError
                self._changed.wait(min(left, self._until_one_is_over(host)))
        try:
            yield call
        finally:
            with self._changed:
                del self._running[host]
                self._changed.notify_all()

    def _begin(self, host: str, call: Call) -> bool:
        if host in self._running:
            return False
        inside = self._inside()
        if len(inside) >= self._places:
            if self._until_one_is_over(host) > 0:
                return False
            inside[0].call.end()
        self._running[host] = _Turn(time.monotonic(), call)
        return True

    def _inside(self) -> list[_Turn]:
        return [each for each in self._running.values() if not each.call.is_over]

    def _until_one_is_over(self, host: str) -> float:
        """Return in how many seconds somebody can lose their place; endless where one has to end by itself."""
        if host in self._running or len(self._running) >= 2 * self._places:
            return float(threading.TIMEOUT_MAX)
        return self._inside()[0].began + self._kept_for - time.monotonic()
