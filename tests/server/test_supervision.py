"""Workers that die young are replaced later and later, whatever else dies meanwhile."""

import threading
import time
from typing import Any

from idp.server.supervision import LONGEST_PAUSE, PatientServer


class Dead:
    """A worker that has just been born, and died."""

    def __init__(self) -> None:
        self.birth = time.monotonic()


def server() -> Any:
    made = PatientServer("idp.server.worker:load", interface="wsgi", workers=2, has_answered=lambda: True, stop_delay=0)
    made.wrks = [Dead(), Dead()]
    return made


def test_pauses_grow_for_who_dies_young_and_begin_anew_for_who_has_lived() -> None:
    made = server()
    assert [made._pause(0) for _ in range(4)] == [0, 0.25, 0.5, 1]
    assert made._pause(1) == 0, "each place has its own"
    assert max(made._pause(0) for _ in range(10)) == LONGEST_PAUSE
    made.wrks[0].birth -= 600
    assert made._pause(0) == 0


def test_pause_outlasts_the_death_of_another_and_forgets_it_not() -> None:
    made = server()
    began = time.monotonic()
    threading.Timer(0.05, made.main_loop_interrupt.set).start()
    made.interrupt_children.append(1)
    made._wait(0.3)
    assert time.monotonic() - began >= 0.3
    assert made.main_loop_interrupt.is_set(), "it is looked at afterwards"


def test_signal_ends_the_pause() -> None:
    made = server()
    threading.Timer(0.05, made.signal_handler_interrupt).start()
    made._wait(600)
    assert made.interrupt_signal
    assert made.main_loop_interrupt.is_set()
