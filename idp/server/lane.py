"""The lane of requests that are usually answered from memory: one thread goes through them, one after the other.

Python runs one thread at a time. Sixteen threads with sixteen requests pass the interpreter on at each signature and each read,
and wait for it in no order. One that goes through a queue spares that. See docs/benchmarks.md for what it is worth.

Such a request may have to wait all the same, for the database say. Then another thread takes the place of its own: at once where
the wait is known beforehand (`step_aside`), and otherwise after a moment. So there are as many threads as it takes, and none of
them stops the lane.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from idp.telemetry import Loop

PATIENCE = 0.05
"""Seconds after which a thread that is still at the same request is replaced."""

Act = Callable[[], None]
"""Serves a request, and raises nothing."""


class _Turn:
    """The time for which a thread takes up requests."""

    __slots__ = ("since",)

    def __init__(self) -> None:
        self.since = float("inf")
        """Since when it has been at its request, on the steady clock; endless while it has none."""


class _Own(threading.local):
    turn: _Turn | None = None


class Lane:
    """Requests that wait to be taken up, and the thread that does."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Act] = SimpleQueue()
        self._own = _Own()
        self._turn = _Turn()
        self._lock = threading.Lock()
        """Around whose turn it is."""
        self._replace(self._turn)
        Loop("lane", PATIENCE, self._replace_if_late).start()

    def add(self, act: Act) -> None:
        """Have a request served."""
        self._waiting.put(act)

    def step_aside(self) -> None:
        """Say that this thread is about to wait: if it is the one that takes up requests, another does from now on."""
        if self._own.turn is self._turn:
            self._replace(self._turn)

    def _replace_if_late(self) -> None:
        turn = self._turn
        if time.monotonic() - turn.since > PATIENCE:
            self._replace(turn)

    def _replace(self, former: _Turn) -> None:
        """Give the turn to a new thread, unless that has happened already."""
        turn = _Turn()
        with self._lock, contextlib.suppress(RuntimeError):  # the process may have no more threads: the former one goes on then
            if self._turn is former:
                threading.Thread(target=self._work, args=(turn,), name="lane", daemon=True).start()
                self._turn = turn

    def _has_turn(self, turn: _Turn) -> bool:
        with self._lock:
            return self._turn is turn

    def _work(self, turn: _Turn) -> None:
        self._own.turn = turn
        while self._has_turn(turn):
            act = self._waiting.get()
            turn.since = time.monotonic()
            act()
            turn.since = float("inf")
