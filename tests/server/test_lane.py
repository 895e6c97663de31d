"""The lane: one thread goes through the requests, and no request that waits stops the others."""

import threading

import pytest

from idp.server import lane
from idp.server.lane import Lane
from tests.serving import PATIENCE, wait_until


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread counts as late."""
    monkeypatch.setattr(lane, "PATIENCE", 3_600.0)


def count_threads() -> int:
    return sum(thread.name == "lane" and thread.is_alive() for thread in threading.enumerate())


def go_on_while_one_waits(own: Lane, *, aside: bool) -> None:
    """See that what comes after a request that waits is served meanwhile."""
    may_end, is_at_it, is_over = threading.Event(), threading.Event(), threading.Event()
    served: list[int] = []

    def wait() -> None:
        is_at_it.set()
        if aside:
            own.step_aside()
        assert may_end.wait(PATIENCE)
        is_over.set()

    own.add(wait)
    assert is_at_it.wait(PATIENCE)
    for number in range(100):
        own.add(lambda number=number: served.append(number))  # type: ignore[misc]  # a closure over each number
    wait_until(lambda: len(served) == 100, "the others to be served")
    assert served == list(range(100)), "one after the other, as they came"
    assert not is_over.is_set()
    may_end.set()
    assert is_over.wait(PATIENCE)


@pytest.mark.usefixtures("patient")
def test_request_that_is_about_to_wait_leaves_the_lane_at_once() -> None:
    before, own = count_threads(), Lane()
    for _ in range(20):
        go_on_while_one_waits(own, aside=True)
    # the thread that goes through them, and the one that looks whether it gets on
    wait_until(lambda: count_threads() == before + 2, "the end of the threads that were replaced")


def test_request_that_waits_without_a_word_is_left_behind_after_a_moment() -> None:
    go_on_while_one_waits(Lane(), aside=False)


@pytest.mark.usefixtures("patient")
def test_without_another_thread_the_lane_goes_on_with_the_one_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    own, served = Lane(), threading.Event()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def ask_in_vain() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            own.step_aside()

    own.add(ask_in_vain)
    own.add(served.set)
    assert served.wait(PATIENCE)


def test_threads_outside_the_lane_step_aside_for_nobody() -> None:
    own, before = Lane(), count_threads()
    own.step_aside()
    assert count_threads() == before
