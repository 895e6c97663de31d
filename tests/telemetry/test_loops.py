"""Threads beside the requests: nothing that goes wrong ends them, and one that ends all the same is noticed."""

import threading

import pytest
from flask.testing import FlaskClient

from idp.telemetry import Loop, dead_loops
from tests.serving import wait_until


def test_round_that_fails_is_followed_by_the_next() -> None:
    done = threading.Event()
    rounds = []

    def act() -> None:
        rounds.append(1)
        if len(rounds) == 1:
            raise OSError(24, "Too many open files")
        done.set()

    loop = Loop("failing", 0.01, act)
    loop.start()
    wait_until(done.is_set, "a second round")
    assert dead_loops() == []
    loop.finish(patience=5)
    assert not loop.is_dead, "one that was asked to end is not dead"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_ends_unasked_makes_the_server_unready(client: FlaskClient) -> None:
    assert client.get("/health/ready").json["checks"]["threads"] == "UP"

    def act() -> None:
        raise SystemExit

    loop = Loop("dying", 0.01, act)
    loop.start()
    try:
        wait_until(lambda: loop.is_dead, "the end of the thread")
        answer = client.get("/health/ready")
        assert (answer.status_code, answer.json) == (
            503,
            {"status": "DOWN", "checks": {"database": "UP", "clock": "UP", "threads": "DOWN", "serving": "UP"}},
        )
    finally:
        loop.finish(patience=0)
    assert client.get("/health/ready").status_code == 200
