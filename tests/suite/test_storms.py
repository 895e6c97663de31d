"""What storms make of those who win, and that nobody is waited for who is gone."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import pytest

from tests.called import being_called
from tests.serving import Answer
from tests.storms import Call, Crowd, Storm

CALL = Call("GET", "/", b"", {})


@dataclass
class Answered:
    """A crowd of which one knows what it is answered."""

    statuses: Sequence[int]

    def rush(self, _call: Call, **_how: Any) -> list[Answer]:
        """Return it."""
        return [Answer(status, cast("Mapping[str, str]", {}), b"{}") for status in self.statuses]


@pytest.mark.parametrize(
    ("won", "busy", "is_right"), [(3, 0, True), (3, 5, True), (2, 5, True), (2, 0, False), (0, 5, False), (4, 5, False)]
)
def test_fewer_may_win_only_where_places_were_given_back(won: int, busy: int, *, is_right: bool) -> None:
    storm = Storm("passwords", lambda: CALL, 401, frozenset({429, 503}), winners=3, given_back=503)
    crowd = cast("Crowd", Answered([401] * won + [503] * busy + [429]))
    assert (storm.round(crowd) == []) == is_right


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_client_that_breaks_ends_the_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    with being_called(200) as place, closing(Crowd([f"http://127.0.0.1:{place.server_address[1]}"], size=3)) as crowd:
        monkeypatch.setattr(crowd._clients[1], "send", None)
        with pytest.raises(threading.BrokenBarrierError):
            crowd.rush(CALL)
    assert not any(thread.is_alive() for thread in crowd._threads)
