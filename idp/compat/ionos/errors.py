"""Errors as the contract has them, at both of its prefixes."""

import json

from flask import Response
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException

from idp.api.errors import NO_STORE, classify, log_unexpected

UNAUTHORIZED = "315"
"""The one error code that the contract publishes."""


def answer_error(error: Exception) -> Response:
    """Return the answer to any error in the contract's form."""
    status, _, message, headers = classify(error)
    if status == 500:
        message = log_unexpected(error)
    if status in {400, 409} and not isinstance(error, HTTPException):
        status = 422
    code = UNAUTHORIZED if status == 401 else str(status)
    text = f"Unauthorized. {message}" if status == 401 else message
    body = {"httpStatus": status, "messages": [{"errorCode": code, "message": text}]}
    response = Response(json.dumps(body), status, Headers([*NO_STORE.items(), *headers.items()]), mimetype="application/json")
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="tokens", charset="UTF-8"'
    return response
