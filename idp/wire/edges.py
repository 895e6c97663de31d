"""Which edge answers an error: the one whose URL it is."""

from collections.abc import Callable

from flask import Flask, Response, request

from idp.wire.body import Environ

ErrorAnswer = Callable[[Exception], Response]


def answer_errors(app: Flask, prefix: str, answer: ErrorAnswer) -> None:
    """Have errors below a URL prefix answered in the form of its edge; an empty prefix stands for all the others."""
    edges: dict[str, ErrorAnswer] = app.extensions.setdefault("realmgate.edges", {})
    if not edges:
        app.register_error_handler(Exception, _dispatch(edges))
    edges[prefix] = answer


def answer_in_place(app: Flask, environ: Environ, error: Exception) -> Response:
    """Return what the edge answers to an error that comes before its own code does."""
    with app.request_context(environ):
        return _dispatch(app.extensions["realmgate.edges"])(error)


def _dispatch(edges: dict[str, ErrorAnswer]) -> ErrorAnswer:
    def dispatch(error: Exception) -> Response:
        longest = max((prefix for prefix in edges if request.path.startswith(prefix)), key=len)
        return edges[longest](error)

    return dispatch
