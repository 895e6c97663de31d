"""Threads that do something again and again, for as long as the process lives, and the question whether they still do."""

import contextlib
import logging
import os
import threading
from collections.abc import Callable

from idp.telemetry.metrics import set_gauge

_log = logging.getLogger(__name__)


class Loop:
    """A thread that acts again and again. Nothing that goes wrong in a round ends it.

    If it ends all the same, without having been asked to, `dead_loops` names it: `/health/ready` and a metric go by that.
    """

    def __init__(self, name: str, every: float, act: Callable[[], object]) -> None:
        """Take what is to be done.

        :param every: seconds between two rounds.
        """
        self.name = name
        self.every = every
        """May be changed; what it waits for at the moment is not."""
        self._act = act
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        _loops[self.name] = self
        self._thread.start()

    def finish(self, patience: float) -> None:
        """Ask it to end, and wait some seconds for the round that it is at."""
        self._stop.set()
        _loops.pop(self.name, None)
        self._thread.join(timeout=patience)

    @property
    def is_dead(self) -> bool:
        """Whether it has ended without having been asked to."""
        return not self._thread.is_alive() and not self._stop.is_set()

    def _run(self) -> None:
        while not self._stop.wait(self.every):
            try:
                self._act()
                set_gauge("realmgate_background_threads_dead", len(dead_loops()))
            except Exception:  # noqa: BLE001 (the thread must live on)
                with contextlib.suppress(Exception):
                    _log.exception("a round of %s failed; the next one is tried as ever", self.name)


_loops: dict[str, Loop] = {}
"""Those of this process that have begun and were not asked to end."""

os.register_at_fork(after_in_child=_loops.clear)  # threads stay behind in the process that has begun them


def dead_loops() -> list[str]:
    """Return the names of the threads of this process that have ended without having been asked to."""
    return [loop.name for loop in list(_loops.values()) if loop.is_dead]
