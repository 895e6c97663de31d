"""What every request passes once its body has come: a place among the active ones.

Only as many as there are places are at work at the same time; the next ones wait for a moment, and are then told to try again
later.
"""

from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

from flask import Flask

from idp import patience
from idp.errors import OverloadedError
from idp.telemetry import count
from idp.web.body import Environ
from idp.web.edges import answer_in_place
from idp.web.places import GIVE_BACK

WsgiApp = Callable[[Environ, Any], Iterable[bytes]]

CONNECTIONS = 1_024
"""Connections that one worker has open at once, each with a thread that can wait for a body. Most of those are never begun."""

WAIT_FOR_PLACE = 3.0
"""Seconds that a request waits for a place."""

_HEALTH = "/health/"


class Front:
    """WSGI middleware around everything else."""

    def __init__(self, app: WsgiApp, flask: Flask, *, places: int, before_waiting: Callable[[], None]) -> None:
        """Wrap an application.

        :param flask: what answers errors.
        :param places: how many requests are at work at once.
        :param before_waiting: called by a thread that is about to wait for a place.
        """
        self._app, self._flask, self._before_waiting = app, flask, before_waiting
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(places):
            self._places.put(None)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve a request."""
        if environ["PATH_INFO"].startswith(_HEALTH):
            return self._app(environ, start_response)  # whoever asks how it goes is told, however busy it is
        try:
            self._take_place()
        except Empty:
            count("realmgate_overload")
            return answer_in_place(self._flask, environ, OverloadedError())(environ, start_response)
        held = [None]

        def give_back() -> None:
            if held:
                self._places.put(held.pop())

        environ[GIVE_BACK] = give_back
        try:
            with patience.answering():  # what is made while it is sent is made after this
                return self._app(environ, start_response)
        finally:
            give_back()

    def _take_place(self) -> None:
        """Take a place.

        :raises Empty: there was none in time.
        """
        try:
            self._places.get_nowait()
        except Empty:
            self._before_waiting()
            self._places.get(timeout=WAIT_FOR_PLACE)
