"""What every request passes first: waiting for its body, then for a place among the active requests.

A request that waits for its body costs an idle thread and holds up nobody. Only as many as there are places are at work at the
same time; the next ones wait for a moment, and are then told to try again later.
"""

from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

from flask import Flask

from idp.errors import OverloadedError
from idp.networks import plain_address
from idp.server.late_bodies import HEADERS, TEXT, LateBodies
from idp.telemetry import count
from idp.web.body import Environ, receive_body, tells_its_end
from idp.web.edges import answer_in_place

WsgiApp = Callable[[Environ, Any], Iterable[bytes]]

CONNECTIONS = 1_024
"""Connections that one worker has open at once, each with a thread that can wait for a body. Most of those are never begun."""

WAIT_FOR_PLACE = 3.0
"""Seconds that a request waits for a place."""

_HEALTH = "/health/"


class Front:
    """WSGI middleware around everything else."""

    def __init__(self, app: WsgiApp, flask: Flask, late_bodies: LateBodies, *, places: int) -> None:
        """Wrap an application.

        :param flask: what answers errors.
        :param places: how many requests are at work at once.
        """
        self._app, self._flask, self._late_bodies = app, flask, late_bodies
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(places):
            self._places.put(None)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve a request."""
        environ["REMOTE_ADDR"] = plain_address(environ["REMOTE_ADDR"])
        if "CONTENT_LENGTH" in environ or tells_its_end(environ):
            wait = self._late_bodies.begin(environ["REMOTE_ADDR"])
            try:
                receive_body(environ)
            finally:
                was_answered = self._late_bodies.end(wait)
            if was_answered:  # this goes nowhere, unless the body has come just when it was answered
                start_response("408 Request Timeout", HEADERS)
                return [TEXT.encode()]
        if environ["PATH_INFO"].startswith(_HEALTH):
            return self._app(environ, start_response)  # whoever asks how it goes is told, however busy it is
        try:
            self._places.get(timeout=WAIT_FOR_PLACE)
        except Empty:
            count("realmgate_overload")
            return answer_in_place(self._flask, environ, OverloadedError())(environ, start_response)
        try:
            return self._app(environ, start_response)
        finally:
            self._places.put(None)
