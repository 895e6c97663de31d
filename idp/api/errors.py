"""Errors of the API: `{"code", "message", "ref", "details"}`."""

import json
import secrets
from typing import Any

from flask import Response

from idp.errors import IdpError, InvalidValueError, Kind, Remedy, Words
from idp.telemetry import request_id
from idp.web.answers import NO_STORE
from idp.web.errors import classify, log_unexpected


class PreconditionFailedError(IdpError):
    """Somebody else has changed it since it was read (RFC 9110 §13.1.1)."""

    kind = Kind.STALE

    def __init__(self) -> None:
        super().__init__("It has changed since you read it. Read it again, and apply your change to the current version.")


class KeyReusedError(IdpError):
    """The key was used for something else."""

    kind = Kind.REUSED

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was already sent with a different body. Use a new key for each thing to create.")


_MEMBERS = {"email": "emailId", "expires_at": "expiry", "owner": "spec.userUid"}
"""What fields of domains are called in bodies, where that is not the same in other letters."""


_REMEDIES = {"delete personal tokens": "Delete some: DELETE /v1/personalTokens/<id>."}
"""The call that leads on, by what an error says would; see `errors.Remedy`."""


class _MemberWords(Words):
    """Fields are members of bodies."""

    def field(self, name: str) -> str:
        """Return the name that bodies have a field under."""
        first, *others = name.split("_")
        return _MEMBERS.get(name) or first + "".join(other.capitalize() for other in others)

    def leading_on(self, remedy: Remedy) -> str:
        """Return the call that leads on."""
        return _REMEDIES.get(remedy.act, "")


_WORDS = _MemberWords()


def answer_error(error: Exception) -> Response:
    """Return the answer to any error."""
    status, code, message, headers = classify(error, words=_WORDS)
    if status == 500:
        message = log_unexpected(error)
    reference = message.rpartition(" ")[2] if status == 500 else request_id() or secrets.token_hex(8)
    details: dict[str, Any] = {}
    if isinstance(error, InvalidValueError) and error.named(_WORDS):
        details["members"] = [{"member": member, "problem": problem} for member, problem in error.named(_WORDS)]
    body: dict[str, Any] = {"code": code, "message": message, "ref": reference, "details": details}
    return Response(json.dumps(body), status, NO_STORE | headers, mimetype="application/json")
