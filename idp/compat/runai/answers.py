"""What the calls of Run:ai's contract share: lists by `filterBy`, `sortBy` and the rest, and errors."""

import json
from collections.abc import Mapping
from typing import Any

from flask import Response, request
from werkzeug.datastructures import Headers

from idp.callers import DeniedError
from idp.compat.calls import cut
from idp.compat.filters import Term, filtered, order_of
from idp.compat.parameters import argument, arguments
from idp.db import after_colon
from idp.errors import InvalidValueError
from idp.oauth import ProtocolError
from idp.paging import Listing
from idp.web.answers import NO_STORE
from idp.web.errors import classify, log_unexpected

LISTED = ("sortBy", "sortOrder", "limit", "offset")
"""Parameters of lists that come once."""

CONDITIONS = ("filterBy",)
"""Parameters of lists that come several times, or once with commas."""

Shape = dict[str, Any]


def narrowed_by_conditions(listing: Listing, terms: Mapping[str, Term]) -> Listing:
    """Return only what `filterBy` asks for."""
    return filtered(listing, arguments("filterBy"), terms)


def page(listing: Listing, terms: Mapping[str, Term], *, default: int) -> tuple[list[Any], int, int, int]:
    """Return the rows that `filterBy`, `sortBy`, `sortOrder`, `limit` and `offset` ask for, how many there are in all, and the
    last two as numbers.
    """
    order = order_of(argument("sortBy"), terms)
    direction = argument("sortOrder", "asc").lower()
    if direction not in {"asc", "desc"}:
        raise InvalidValueError("sortOrder takes asc or desc.")
    down = "-" if direction == "desc" else ""
    return cut(narrowed_by_conditions(listing, terms), f"{down}{order}", default=default)


def flag_argument(name: str) -> bool:
    """Return a flag of the URL; false when it is left out.

    :raises InvalidValueError: it is none.
    """
    text = argument(name, "false").lower()
    if text not in {"true", "false"}:
        raise InvalidValueError(f"{name} takes true or false.")
    return text == "true"


def maker(actor: str) -> str:
    """Return what the contract calls whoever has made something: the name alone."""
    return after_colon(actor)


def answer_error(error: Exception) -> Response:
    """Return the answer to any error: `{"code", "message"}`."""
    if isinstance(error, ProtocolError):
        status, message, headers = error.status, error.description, error.headers()
    else:
        status, _, message, headers = classify(error)
    if status == 500:
        message = log_unexpected(error)
    if status == 401 and request.path.rstrip("/").endswith("/token"):
        status, headers = 400, {}  # the contract knows no 401 at its token call
    if isinstance(error, DeniedError):
        message = f"You do not have sufficient permissions. {message}"
    return _error(status, message, headers)


def not_served(**_parts: Any) -> Response:
    """Say that a call that the vendor publishes is not served here."""
    return _error(501, "This call of the contract is not served here: docs/compatible-apis.md lists those that are.", {})


def _error(status: int, message: str, headers: Mapping[str, str]) -> Response:
    body = json.dumps({"code": status, "message": message})
    return Response(body, status, Headers([*NO_STORE.items(), *headers.items()]), mimetype="application/json")
