"""Errors as the clients of the contract look for them: a text under `error`, and under the first of `details`."""

import json

from flask import Response, request
from werkzeug.datastructures import Headers

from idp.callers import CredentialError
from idp.web.answers import NO_STORE
from idp.web.errors import classify, log_unexpected

TAKEN = "CONFIG035"
"""The code by which clients know that an organisation has signed up already."""


def answer_error(error: Exception) -> Response:
    """Return the answer to any error: a text under `error`, as the clients look for it."""
    status, code, message, headers = classify(error)
    if status == 500:
        message = log_unexpected(error)
    if isinstance(error, CredentialError):
        message = "Authentication failed: the credentials are wrong or over. Sign in again, or use another key."
    if status == 404 and "not found" not in message:
        message = f"{message} (not found)"
    known = TAKEN if status == 409 and request.path.startswith("/auth/v1/signup/") else code
    details = [{"error_code": known, "detail": message}]
    body = {"error": message, "status_code": status, "code": code, "detail": message, "details": details}
    return Response(json.dumps(body), status, Headers([*NO_STORE.items(), *headers.items()]), mimetype="application/json")
