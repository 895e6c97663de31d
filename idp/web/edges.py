"""What an edge is: its URLs, the form of its errors, its limit and its name in what is measured, said once.

An edge that is not registered here answers errors in another's form, so none can do without; and none is registered without
saying how often one address may call it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from flask import Flask, Response, request

from idp.telemetry import name_area
from idp.web.body import Environ

ErrorAnswer = Callable[[Exception], Response]


class Limit(Enum):
    """How often one address may call what is below a prefix."""

    BY_RESOURCE = "by resource"
    """As often as `rate_api` says, for each first part of the path after the prefix."""
    ITS_OWN = "its own"
    """By limits of the edge itself, for what is shown: an application, a key, a form."""


@dataclass(frozen=True)
class Edge:
    """Part of the server that speaks to one kind of caller."""

    area: str
    """What it is called in metrics and traces."""
    prefixes: tuple[str, ...]
    """Beginnings of its paths; empty stands for all that no other edge has."""
    limit: Limit
    answer_error: ErrorAnswer
    """Returns the answer to any error, in the form that the callers of the edge read."""


def register_edge(app: Flask, edge: Edge) -> None:
    """Have an edge answer the errors below its prefixes, be limited, and be measured under its name."""
    edges: dict[str, Edge] = app.extensions.setdefault("realmgate.edges", {})
    if not edges:
        app.register_error_handler(Exception, _dispatch(edges))
    for prefix in edge.prefixes:
        edges[prefix] = edge
        name_area(prefix, edge.area)


def prefix_limited_by_resource(app: Flask, path: str) -> str | None:
    """Return the prefix of the edge that a path belongs to, if its calls are counted by resource; else None.

    Of several it is the shortest: what follows a longer one may be an id, which whoever calls chooses.
    """
    edges: dict[str, Edge] = app.extensions["realmgate.edges"]
    if edges[_longest(edges, path)].limit is not Limit.BY_RESOURCE:
        return None
    limited = (prefix for prefix in edges if path.startswith(prefix) and edges[prefix].limit is Limit.BY_RESOURCE)
    return min(limited, key=len)


def answer_in_place(app: Flask, environ: Environ, error: Exception) -> Response:
    """Return what the edge answers to an error that comes before its own code does."""
    with app.request_context(environ):
        return _dispatch(app.extensions["realmgate.edges"])(error)


def _dispatch(edges: dict[str, Edge]) -> ErrorAnswer:
    def dispatch(error: Exception) -> Response:
        return edges[_longest(edges, request.path)].answer_error(error)

    return dispatch


def _longest(edges: dict[str, Edge], path: str) -> str:
    return max((prefix for prefix in edges if path.startswith(prefix)), key=len)
