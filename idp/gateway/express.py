"""The gateway's way past Flask's routing: a proxy asks for each request, and waits for the answer."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from idp.gateway.check import check
from idp.wire.body import Environ

PREFIX = "/gateway/check/"


class GatewayExpress:
    """WSGI middleware that answers checks itself, whatever their method, and hands everything else on."""

    def __init__(self, app: Flask) -> None:
        self._app, self._next = app, app.wsgi_app

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request."""
        if not environ["PATH_INFO"].startswith(PREFIX):
            return self._next(environ, start_response)
        with self._app.app_context():
            return check(environ)(environ, start_response)
