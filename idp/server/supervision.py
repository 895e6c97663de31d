"""Replacing workers that have died: at once, and later and later while they die young."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from math import inf
from typing import Any

from granian.server import Server

from idp import nodes
from idp.server.announce import notify_service_manager
from idp.server.listening import Listeners
from idp.telemetry import count_watching

YOUNG = 60.0
"""Seconds: a worker that dies sooner is counted with the one before it, and not as a mishap of its own."""

LONGEST_PAUSE = 15.0
"""Seconds between two tries to begin a worker, at the most."""

LONGEST_PAUSE_OF_ALL = 1.0
"""The same while no worker is left: then nobody answers, and whatever they have died of may have passed."""

LOOK_AGAIN = 0.25
"""Seconds between two looks at whether another worker listens, to which the callers of one that has died can be left."""

LEFT_WAITING = 5.0
"""Seconds for which callers are left waiting where worker after worker dies before it has answered: then they are refused, and a
proxy asks another node."""

ANSWERS_FROM = 1.0
"""Age in seconds from which a worker is taken to have answered who waited: one begins within some tenths of a second."""

_log = logging.getLogger(__name__)


def _end_at_once() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


class PatientServer(Server):  # type: ignore[misc,valid-type]  # which one it is, Granian decides by the interpreter
    """Granian's server, which would end itself when one worker dies twice within seconds. This one stays.

    Only while no worker has ever answered does it end, as what keeps all of them from beginning will not pass by itself.
    """

    _ssp: Any
    _shd: Any
    _listeners: Listeners | None = None

    def __init__(self, *arguments: Any, has_answered: Callable[[], bool], stop_delay: float, **options: Any) -> None:
        """Take what Granian's takes.

        :param has_answered: tells whether a worker has ever answered a request.
        :param stop_delay: for how many seconds the workers go on once the server was told to end.
        """
        super().__init__(*arguments, **options)
        # a worker that is told to end while it loads is to end: the handler that it inherits would only note it
        os.register_at_fork(after_in_child=self._become_worker)
        self._has_answered, self._stop_delay = has_answered, stop_delay
        self._signals = 0
        self._died_young: dict[int, int] = {}
        self._due: dict[int, float] = {}
        """When the next worker begins in a place whose worker has died, on the steady clock."""
        self._reminders: dict[int, float] = {}
        """When such a place is looked at next."""
        self._waiting_since: dict[int, float] = {}
        """Since when no worker of a place has lived long enough to answer, on the same clock."""

    def _become_worker(self) -> None:
        _end_at_once()
        if self._listeners is not None:
            self._listeners.keep_own()

    def _init_shared_socket(self) -> None:
        super()._init_shared_socket()
        if self._ssp is not None:  # on Linux; elsewhere one socket listens for all of them
            self._listeners, self._ssp = Listeners(self._ssp), None

    def _drop_shared_socket(self) -> None:
        super()._drop_shared_socket()
        if self._listeners is not None:
            self._listeners.close_all()

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any) -> Any:
        if self._listeners is not None:
            self._shd = self._listeners.take(idx)
        return super()._spawn_worker(idx, target, callback_loader)

    def signal_handler_interrupt(self, *arguments: Any, **options: Any) -> None:
        """Take the signal to end; a second one means at once."""
        self._signals += 1
        super().signal_handler_interrupt(*arguments, **options)

    def shutdown(self, exit_code: int = 0) -> None:
        """End, and say so first: what is in hand is answered, which may take as long as a stop may."""
        nodes.announce_end()
        notify_service_manager("STOPPING=1\nSTATUS=Answering what is in hand.")
        end = time.monotonic() + self._stop_delay
        while self._signals == 1 and (left := end - time.monotonic()) > 0:
            self.main_loop_interrupt.clear()
            self._leave_dead()  # nobody is begun in their place any more
            if self._signals == 1:
                self.main_loop_interrupt.wait(left)
        super().shutdown(exit_code)

    def _respawn_workers(self, workers: Iterable[int], spawn_target: Any, target_loader: Any, delay: float = 0) -> None:
        """Begin workers in the place of others: those that have died, or without harm of all (with a delay).

        Where one is to wait, this is called with its place again when it is time; others that die meanwhile wait for nobody.
        """
        places = list(workers)
        if not delay and self._has_answered():
            places = self._take_due(places)
        for place in places:
            self._due.pop(place, None)
        super()._respawn_workers(places, spawn_target, target_loader, delay)
        if self._has_answered():
            self.respawned_wrks.clear()  # by which Granian finds that a worker has died twice

    def _take_due(self, places: Iterable[int]) -> list[int]:
        """Note the places whose workers have died, and return those where it is time for the next one."""
        now = time.monotonic()
        for place in places:
            # one that lives was begun between a reminder's look and its word
            if place not in self._due and not self.wrks[place].is_alive():
                self._due[place] = now + self._pause(place)
                if now - self.wrks[place].birth > ANSWERS_FROM:
                    self._waiting_since.pop(place, None)
        if not any(worker.is_alive() for worker in self.wrks):
            self._due = {place: min(due, now + LONGEST_PAUSE_OF_ALL) for place, due in self._due.items()}
        held = self._leave_dead()
        for place, due in self._due.items():
            if due > now:
                self._look_again(place, min(due, now + LOOK_AGAIN) if place in held else due)
        return [place for place, due in self._due.items() if due <= now]

    def _leave_dead(self) -> list[int]:
        """Leave the callers of workers that have died to those that listen; return the places where they go on waiting.

        Who has waited in vain for long is refused.
        """
        if self._listeners is None:
            return []
        living = [place for place, worker in enumerate(self.wrks) if worker.is_alive()]
        dead = [place for place in range(len(self.wrks)) if place not in living]
        now = time.monotonic()
        for place in dead:
            if now - self._waiting_since.setdefault(place, now) > LEFT_WAITING:
                self._listeners.refuse(place)
        return [place for place in dead if not self._listeners.leave_to(living, place)]

    def _look_again(self, place: int, at: float) -> None:
        """Have a place be looked at again at a time on the steady clock, or before."""
        if at < self._reminders.get(place, inf):
            self._reminders[place] = at
            waiting = threading.Timer(at - time.monotonic(), self._remind, [place])
            waiting.daemon = True
            waiting.start()

    def _remind(self, place: int) -> None:
        """Have a place be looked at again, unless a worker has begun in it meanwhile, or none is to begin any more."""
        self._reminders.pop(place, None)
        if place in self._due and not self.interrupt_signal:
            self.interrupt_children.append(place)
            self.main_loop_interrupt.set()

    def _pause(self, place: int) -> float:
        """Return for how long to wait before a worker begins in a place, and say that the last one there has died."""
        age = time.monotonic() - self.wrks[place].birth
        deaths = self._died_young.get(place, 0) + 1 if age < YOUNG else 1
        self._died_young[place] = deaths
        pause = 0.0 if deaths == 1 else min(0.25 * 2 ** (deaths - 2), LONGEST_PAUSE)
        count_watching("realmgate_worker_deaths")
        _log.warning("a worker has ended after %.1f s; the next one begins in %g s", age, pause)
        return pause
