"""The token endpoint's way past Flask's routing and request context, which cost a fifth of an ES256 answer.

Everything else of the endpoint is the same for whoever calls it; see docs/benchmarks.md for what this is worth.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from idp.protocol.cross_origin import answer
from idp.protocol.token import token
from idp.wire.body import Environ

_TOKEN_PATH = re.compile(r"/auth/realms/([^/]+)/protocol/openid-connect/token")


class TokenExpress:
    """WSGI middleware that answers POST requests to the token endpoint itself and hands everything else to Flask."""

    def __init__(self, app: Flask) -> None:
        self._app, self._flask = app, app.wsgi_app

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request."""
        match = _TOKEN_PATH.fullmatch(environ["PATH_INFO"])
        if match is None or environ["REQUEST_METHOD"] != "POST":
            return self._flask(environ, start_response)
        with self._app.app_context():
            realm = match[1]
            return answer(environ, realm, lambda: token(realm, environ))(environ, start_response)
