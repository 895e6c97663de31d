"""Several nodes on one database: how many they know there are, and what one of them does for all."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from idp import nodes
from idp.server.worker import Chores
from tests.conftest import FrozenClock
from tests.factories import Factory


@pytest.fixture(params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest) -> Iterator[Flask]:
    """An application on each kind of database, as one node after the other."""
    make: Factory = request.getfixturevalue("pg_make" if request.param == "postgresql" else "make")
    yield make.app
    nodes.begin_node()


def test_nodes_know_how_many_workers_there_are(served: Flask) -> None:
    with served.app_context():
        nodes.begin_node()
        assert [nodes.announce(2), nodes.announce(2)] == [2, 2], "both workers of one node say the same"
        nodes.begin_node()
        assert nodes.announce(4) == 6
        nodes.leave()
        nodes.begin_node()
        assert nodes.announce(1) == 3


def test_node_that_gives_no_sign_is_not_counted(served: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with served.app_context():
        nodes.begin_node()
        nodes.announce(8)
        nodes.begin_node()
        monkeypatch.setattr(nodes, "LIVES_FOR", nodes.timedelta(0))
        nodes.announce(1)
        assert nodes.announce(2) == 2, "never fewer than the ones here"


def test_one_of_many_gets_its_turn(served: Flask) -> None:
    got: list[bool] = []

    def ask() -> None:
        with served.app_context():
            got.append(nodes.take_turn("sweeping", 600))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 7 + [True]
    with served.app_context():
        assert nodes.take_turn("sweeping", 0), "somebody gets the next one"
        assert nodes.take_turn("dusting", 600), "and others do other things"


def test_turns_are_by_the_clock_that_nodes_share(pg_make: Any, frozen_clock: FrozenClock) -> None:
    with pg_make.app.app_context():
        assert nodes.take_turn("sweeping", 600)
        frozen_clock.advance(days=400)
        assert not nodes.take_turn("sweeping", 600)


@pytest.mark.parametrize(("workers", "seconds"), [(1, 1.0), (8, 1.0), (80, 10.0), (2_000, 30.0)])
def test_the_more_workers_there_are_the_less_often_each_looks_for_mail(
    app: Flask, monkeypatch: pytest.MonkeyPatch, workers: int, seconds: float
) -> None:
    chores = Chores(app)
    monkeypatch.setattr(nodes, "announce", lambda _: workers)
    with app.app_context():
        chores._announce()
    assert (chores._postman.every, chores._herald.every) == (seconds, seconds)
