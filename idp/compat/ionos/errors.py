"""Errors as the contract has them, at both of its prefixes."""

import json

from flask import Response
from werkzeug.datastructures import Headers

from idp.errors import Kind, Remedy, Words
from idp.web.answers import NO_STORE
from idp.web.errors import classify, log_unexpected

UNAUTHORIZED = "315"
"""The one error code that the contract publishes."""

_FIELDS = {"seconds": "ttl", "first_name": "firstname", "last_name": "lastname"}

_STATUSES = dict.fromkeys((Kind.INVALID, Kind.UNREADABLE_CREDENTIAL, Kind.TOO_LARGE, Kind.CONFLICT), 422)


_REMEDIES = {
    "delete personal tokens": "Delete some: DELETE /auth/v1/tokens?criteria=EXPIRED, or one by DELETE /auth/v1/tokens/<id>.",
}


class _Words(Words):
    """What the contract calls things."""

    def field(self, name: str) -> str:
        """Return the parameter or member that gives a field."""
        return _FIELDS.get(name, name)

    def leading_on(self, remedy: Remedy) -> str:
        """Return the call of the contract that leads on."""
        return _REMEDIES.get(remedy.act, "")


_WORDS = _Words()


def answer_error(error: Exception) -> Response:
    """Return the answer to any error in the contract's form."""
    status, _, message, headers = classify(error, _STATUSES, _WORDS)
    if status == 500:
        message = log_unexpected(error)
    code = UNAUTHORIZED if status == 401 else str(status)
    text = f"Unauthorized. {message}" if status == 401 else message
    body = {"httpStatus": status, "messages": [{"errorCode": code, "message": text}]}
    response = Response(json.dumps(body), status, Headers([*NO_STORE.items(), *headers.items()]), mimetype="application/json")
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="tokens", charset="UTF-8"'
    return response
