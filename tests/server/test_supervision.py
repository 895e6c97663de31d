"""Workers that die young are replaced later and later, whatever else dies meanwhile."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from idp.server.supervision import ANSWERS_FROM, LEFT_WAITING, LONGEST_PAUSE, LONGEST_PAUSE_OF_ALL, PatientServer


class Worker:
    """A worker that has just been born."""

    def __init__(self) -> None:
        self.birth, self.alive = time.monotonic(), True

    def is_alive(self) -> bool:
        return self.alive


class Watched(PatientServer):
    """Begins no processes, and notes where it would."""

    def begin(self, *places: int) -> list[int]:
        """Note that workers have died, as the main loop does; return where others begin at once."""
        for place in places:
            self.wrks[place].alive = False
        found: list[int] = self._take_due(list(places))
        for place in found:
            del self._due[place]
            self.wrks[place] = Worker()
        return found


def server() -> Any:
    made = Watched("idp.server.worker:load", interface="wsgi", workers=2, has_answered=lambda: True, stop_delay=0)
    made.wrks = [Worker(), Worker()]
    return made


def test_pauses_grow_for_who_dies_young_and_begin_anew_for_who_has_lived() -> None:
    made = server()
    assert [made._pause(0) for _ in range(4)] == [0, 0.25, 0.5, 1]
    assert made._pause(1) == 0, "each place has its own"
    assert max(made._pause(0) for _ in range(10)) == LONGEST_PAUSE
    made.wrks[0].birth -= 600
    assert made._pause(0) == 0


def test_others_do_not_wait_for_the_pause_of_one() -> None:
    made = server()
    made._died_young[0] = 8
    assert made.begin(0) == []
    assert made.begin(1) == [1]
    assert 0 in made._due


def test_place_is_looked_at_again_when_its_pause_is_over() -> None:
    made = server()
    made._died_young[0] = 1
    assert made.begin(0) == []
    assert made.main_loop_interrupt.wait(60)
    assert made.interrupt_children == [0]
    made._due[0] = time.monotonic()
    assert made.begin(0) == [0]
    assert made._died_young[0] == 2, "it has not died once more"


def test_reminder_that_comes_late_ends_nobody() -> None:
    made = server()
    assert made._take_due([0]) == []
    assert (made._due, made._died_young) == ({}, {})


def test_while_nobody_is_left_none_waits_for_long() -> None:
    made = server()
    made._died_young = {0: 9, 1: 9}
    began = time.monotonic()
    assert made.begin(0) == []
    assert made._due[0] >= began + LONGEST_PAUSE, "another answers"
    assert made.begin(1) == []
    assert max(made._due.values()) <= time.monotonic() + LONGEST_PAUSE_OF_ALL


def test_nothing_begins_after_the_signal_to_end() -> None:
    made = server()
    made._due[0] = 0.0
    made.signal_handler_interrupt()
    made._remind(0)
    assert made.interrupt_children == []


def test_callers_of_a_dead_worker_are_left_to_those_that_listen_as_soon_as_one_does() -> None:
    made, left, listens = server(), [], False

    def leave_to(others: list[int], place: int) -> bool:
        left.append((others, place))
        return listens and bool(others)

    made._listeners = SimpleNamespace(leave_to=leave_to, refuse=pytest.fail)
    made._died_young = {0: 9, 1: 9}
    assert made.begin(0) == []
    assert left == [([1], 0)]
    assert made.main_loop_interrupt.wait(60), "the other has not listened yet"
    assert made.interrupt_children == [0]
    listens = True
    assert made.begin(0) == []
    assert left == [([1], 0)] * 2
    assert made._reminders == {0: made._due[0]}, "nobody has to look before it is time for the next one"
    assert made.begin(1) == []
    assert left[2:] == [([], 0), ([], 1)], "the last one's stays open"


def test_callers_are_refused_where_worker_after_worker_dies() -> None:
    made, refused = server(), []
    made._listeners = SimpleNamespace(leave_to=lambda *_: False, refuse=refused.append)
    assert made.begin(0, 1) == [0, 1]
    for place in made._waiting_since:
        made._waiting_since[place] -= LEFT_WAITING
    assert refused == []
    made.wrks[1].birth -= ANSWERS_FROM
    made.begin(0, 1)
    assert refused == [0], "the other has lived, and may have answered"
