"""What Granian calls for each request: waits for its body, and has it served.

A request that waits for its body costs an idle thread and holds up nobody. Granian would have it answered by that thread, too,
and as soon as it returns. Here whoever has the answer hands it over: another thread, where requests share one (`lane.py`), or the
watch, where a body is late.
"""

import logging
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from granian.server import Server
from granian.wsgi import ResponseIterWrap

from idp.networks import plain_address
from idp.server.lane import Lane
from idp.server.late_bodies import LateBodies, Protocol
from idp.web.body import Environ, receive_body, tells_its_end

WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_log = logging.getLogger(__name__)

_SAME_FOR_ALL: Environ = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}
"""What WSGI wants to know beside the request (PEP 3333). Unlike Granian's, it has nothing of the environment of the process."""


class Reception:
    """Takes requests from Granian."""

    def __init__(self, app: WsgiApp, late_bodies: LateBodies, lane: Lane, goes_there: Callable[[str], bool]) -> None:
        """Begin.

        :param app: what answers.
        :param goes_there: tells by its path whether a request goes into the lane. Others have their thread for themselves.
        """
        self._app, self._late_bodies, self._lane, self._goes_there = app, late_bodies, lane, goes_there

    def __call__(self, protocol: Protocol, scope: Environ) -> None:
        """Have a request served.

        :param protocol: takes the answer, from whichever thread.
        :param scope: what is known of the request.
        """
        environ = _SAME_FOR_ALL | scope
        environ["REMOTE_ADDR"] = plain_address(environ["REMOTE_ADDR"])
        if ("CONTENT_LENGTH" in environ or tells_its_end(environ)) and not self._receive_body(protocol, environ):
            return
        serve = partial(_serve, self._app, protocol, environ)
        if self._goes_there(environ["PATH_INFO"]):
            self._lane.add(serve)
        else:
            serve()

    def _receive_body(self, protocol: Protocol, environ: Environ) -> bool:
        """Wait for the body, and tell whether it came before the request was answered as late."""
        wait = self._late_bodies.begin(protocol, environ["REMOTE_ADDR"])
        try:
            receive_body(environ)
        finally:
            was_answered = self._late_bodies.end(wait)
        return not was_answered


def _serve(app: WsgiApp, protocol: Protocol, environ: Environ) -> None:
    """Call the application, and hand over what it answers (PEP 3333)."""
    status, headers = 500, []

    def start_response(line: str, given: list[tuple[str, str]], _error: Any = None) -> None:
        nonlocal status, headers
        status, headers = int(line[:3]), given

    try:
        answer = app(environ, start_response)
        if isinstance(answer, list):
            protocol.response_bytes(status, headers, b"".join(answer))
        else:
            protocol.response_iter(status, headers, ResponseIterWrap(answer))  # type: ignore[no-untyped-call]  # Granian's
    except Exception:  # noqa: BLE001 (the thread has others to serve)
        _log.exception("a request could not be answered")
        protocol.response_bytes(500, [], b"")


def replace_granians_runner() -> None:
    """Have Granian call what it is given with each request as it has it. It has no setting for that.

    :raises RuntimeError: it is another Granian than this was written for.
    """
    module, name = sys.modules[Server.__module__], "_wsgi_call_wrap"
    if not hasattr(module, name):
        raise RuntimeError("This release of Granian is not known. Install the one that requirements/ names.")
    setattr(module, name, lambda reception, *_: reception)
