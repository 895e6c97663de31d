"""Errors as pages: what happened, and what to do."""

from flask import Response, g, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from idp.console.browser import StaleFormError, keep_session
from idp.console.forms import PageWords
from idp.console.language import current_language, say
from idp.console.render import render
from idp.db import db, only_read
from idp.sessions import SessionOverError
from idp.users import LinkError
from idp.web.credentials import ForeignOriginError
from idp.web.errors import classify, log_unexpected

_TITLES = {
    400: "Invalid request",
    401: "Invalid request",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    411: "Invalid request",
    413: "Too large",
    429: "Too many attempts",
    503: "The server is busy",
}


def answer_error(error: Exception) -> Response:
    """Return the page for any error."""
    if isinstance(error, HTTPException) and error.response is not None:
        return error.response  # type: ignore[return-value]  # made by ourselves
    status, message, headers = _classify(error)
    shown = {
        "title": say(_TITLES.get(status, "Something went wrong")),
        "message": message,
        "is_foreign": isinstance(error, StaleFormError | ForeignOriginError),
        "is_link": isinstance(error, LinkError),
    }
    return keep_session(Response(_render(shown), status, headers, mimetype="text/html"))


def _render(shown: dict[str, object]) -> str:
    """Return the page; without the frame of who has signed in, if that cannot be read now."""
    try:
        db.session.rollback()
        only_read()  # a page that says that the database is busy must not wait for it
        return render("console/error.html", **shown)
    except SQLAlchemyError:
        g.pop("visit", None)
        return render("console/error.html", **shown)


def _classify(error: Exception) -> tuple[int, str, dict[str, str]]:
    if isinstance(error, StaleFormError | SessionOverError):
        return 403, error.said(PageWords()), {}
    if isinstance(error, ForeignOriginError):
        return 403, say("This form was not sent from a page of the console at its own address. Nothing was changed."), {}
    status, _, message, headers = classify(error, words=PageWords())
    if status == 500:
        message = current_language().plain(log_unexpected(error))
    if status == 404 and request.method == "GET" and isinstance(error, HTTPException):
        message = say("There is no page at this address. It may be mistyped, or what it showed has been deleted.")
    headers.pop("WWW-Authenticate", None)
    return status, message, headers
