"""Which edge answers an error: the one whose URL it is."""

from collections.abc import Callable

from flask import Flask, Response, request

ErrorAnswer = Callable[[Exception], Response]


def answer_errors(app: Flask, prefix: str, answer: ErrorAnswer) -> None:
    """Have errors below a URL prefix answered in the form of its edge; an empty prefix stands for all the others."""
    edges: dict[str, ErrorAnswer] = app.extensions.setdefault("realmgate.edges", {})
    if not edges:
        app.register_error_handler(Exception, _dispatch(edges))
    edges[prefix] = answer


def _dispatch(edges: dict[str, ErrorAnswer]) -> ErrorAnswer:
    def dispatch(error: Exception) -> Response:
        longest = max((prefix for prefix in edges if request.path.startswith(prefix)), key=len)
        return edges[longest](error)

    return dispatch
