"""Ways past Flask's routing and request context, for the calls that come most often: one table of them, looked at first.

Each edge that has such a path says so where it registers its URLs, and answers with an `Answer`, or with Flask's `Response` where
something is wrong. See docs/benchmarks.md for what this is worth.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response

from idp.web.body import Environ

Headers = list[tuple[str, str]]


class Answer:
    """An answer that is complete as it is: bytes, and headers that nobody looks up again.

    A WSGI application like Flask's `Response`, which takes ten times as long to make and to send: it looks at each header, and
    for what is never there.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, body: bytes, headers: Headers, status: str = "200 OK") -> None:
        """Make an answer.

        :param headers: all but its length; a list of the answer's own.
        """
        self.body, self.headers, self.status = body, headers, status

    def __call__(self, _environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Send it."""
        start_response(self.status, [*self.headers, ("Content-Length", str(len(self.body)))])
        return [self.body]


AnyAnswer = Answer | Response


@dataclass(frozen=True)
class FastPath:
    """Requests that an edge answers by itself."""

    prefix: str
    """What their paths begin with."""
    endings: tuple[str, ...]
    """What their paths end with."""
    methods: frozenset[str]
    """Empty for all."""
    answer: Callable[[Environ], AnyAnswer | None]
    """Returns the answer, whatever happens; None for a request that Flask is to answer."""

    def is_of(self, path: str) -> bool:
        """Tell whether requests for a path are answered here."""
        return path.startswith(self.prefix) and path.endswith(self.endings)


class _Express:
    """WSGI middleware that answers what is in its table, and hands everything else on."""

    def __init__(self, app: Flask) -> None:
        self._app, self._next = app, app.wsgi_app
        self.paths: list[FastPath] = []

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request."""
        path = environ["PATH_INFO"]
        for each in self.paths:
            if each.is_of(path) and (not each.methods or environ["REQUEST_METHOD"] in each.methods):
                with self._app.app_context():
                    response = each.answer(environ)
                    if response is not None:
                        return response(environ, start_response)
        return self._next(environ, start_response)


def is_fast(app: Flask, path: str) -> bool:
    """Tell whether requests for a path are answered past Flask."""
    express: _Express = app.extensions["realmgate.express"]
    return any(each.is_of(path) for each in express.paths)


def add_fast_path(
    app: Flask, prefix: str, answer: Callable[[Environ], AnyAnswer | None], *methods: str, endings: tuple[str, ...] = ("",)
) -> None:
    """Have requests answered past Flask; see `FastPath`."""
    express: _Express | None = app.extensions.get("realmgate.express")
    if express is None:
        express = app.extensions["realmgate.express"] = _Express(app)
        app.wsgi_app = express  # type: ignore[method-assign]  # the way Flask documents for middleware
    express.paths.append(FastPath(prefix, endings, frozenset(methods), answer))
