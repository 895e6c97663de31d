"""Errors of the API: `{"code", "message", "ref", "details"}`, one table from what domains raise to what callers read."""

import json
import logging
import secrets
from typing import Any

from flask import Response
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

from idp.apikeys import KeyExpiredError, KeyRefusedError, LifetimeError
from idp.callers import CredentialError, DeniedError, FirstSecretError, NoCredentialError
from idp.crypto import DamagedError, MasterKeyError
from idp.errors import (
    ConflictError,
    IdpError,
    InvalidMembersError,
    InvalidValueError,
    NotFoundError,
    NotServedError,
    OverloadedError,
    StorageUnavailableError,
)
from idp.keys import SigningKeyMissingError
from idp.keysets import KeysetDamagedError, NotLentError, TooManyLeasesError
from idp.organisations import SignUpClosedError
from idp.outages import explain, is_unavailable
from idp.personal_tokens import TokenLimitError
from idp.ratelimit import RateExceededError, TooManyAttemptsError
from idp.sessions import SessionOverError
from idp.telemetry import count, request_id
from idp.tokens import ScopeError, TokenTooLargeError
from idp.users import BusyError, LinkError, SignInError
from idp.wire.body import BodyError, LengthMissingError
from idp.wire.credentials import ForeignOriginError, MalformedCredentialError
from idp.wire.transport import UnprotectedError

NO_STORE = {"Cache-Control": "no-store", "Vary": "Cookie, Authorization, apiKey"}

_log = logging.getLogger(__name__)


class PreconditionFailedError(IdpError):
    """Somebody else has changed it since it was read (RFC 9110 §13.1.1)."""

    def __init__(self) -> None:
        super().__init__("It has changed since you read it. Read it again, and apply your change to the current version.")


class KeyReusedError(IdpError):
    """The key was used for something else."""

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was already sent with a different body. Use a new key for each thing to create.")


_TABLE: tuple[tuple[type[Exception], int, str], ...] = (
    (CredentialError, 401, "Unauthorized"),
    (SignInError, 401, "Unauthorized"),
    (SessionOverError, 401, "Unauthorized"),
    (KeyExpiredError, 401, "ApiKeyExpired"),
    (KeyRefusedError, 401, "Unauthorized"),
    (LinkError, 401, "Unauthorized"),
    (FirstSecretError, 401, "Unauthorized"),
    (DeniedError, 403, "Forbidden"),
    (ForeignOriginError, 403, "Forbidden"),
    (SignUpClosedError, 403, "Forbidden"),
    (NotLentError, 403, "Forbidden"),
    (UnprotectedError, 403, "HttpsRequired"),
    (LifetimeError, 403, "LifetimeExceeded"),
    (TokenLimitError, 403, "TokenLimitReached"),
    (MalformedCredentialError, 400, "InvalidRequest"),
    (LengthMissingError, 411, "InvalidRequest"),
    (BodyError, 400, "InvalidRequest"),
    (ScopeError, 400, "InvalidRequest"),
    (TokenTooLargeError, 400, "InvalidRequest"),
    (InvalidValueError, 400, "InvalidRequest"),
    (NotFoundError, 404, "ResourceNotFound"),
    (KeysetDamagedError, 409, "KeysetDamaged"),
    (ConflictError, 409, "Conflict"),
    (PreconditionFailedError, 412, "PreconditionFailed"),
    (KeyReusedError, 422, "IdempotencyKeyReused"),
    (TooManyAttemptsError, 429, "TooManyRequests"),
    (TooManyLeasesError, 429, "TooManyLeases"),
    (RateExceededError, 429, "TooManyRequests"),
    (NotServedError, 501, "NotServed"),
    (BusyError, 503, "Unavailable"),
    (OverloadedError, 503, "Unavailable"),
    (StorageUnavailableError, 503, "Unavailable"),
    (SigningKeyMissingError, 503, "Unavailable"),
)

SEALED = "The server cannot decrypt its stored data. The operator can find the reason in the log, and with idp doctor."
STORAGE = "The server cannot reach its database. Try again in a few seconds."


def classify(error: Exception) -> tuple[int, str, str, dict[str, str]]:
    """Return status, code, message and further headers for any error. What is unexpected is logged under its reference."""
    if isinstance(error, SQLAlchemyError):
        return _classify_storage(error)
    if isinstance(error, MasterKeyError | DamagedError):
        _log.error("%s", error)
        return 503, "Unavailable", SEALED, {"Retry-After": "5"}
    if isinstance(error, StorageUnavailableError) and error.cause:
        _log.warning("the database cannot be used: %s", error.cause)
    for kind, status, code in _TABLE:
        if isinstance(error, kind):
            return status, code, str(error), _headers(error, status)
    if isinstance(error, HTTPException):
        return _classify_http(error)
    if isinstance(error, IdpError):
        return 400, "InvalidRequest", str(error), {}
    return 500, "InternalError", "Something went wrong. Tell the operator the number in ref.", {}


def _classify_storage(error: SQLAlchemyError) -> tuple[int, str, str, dict[str, str]]:
    if isinstance(error, IntegrityError):
        return 409, "Conflict", "Someone else has created the same at this moment. Check, and try again.", {}
    if isinstance(error, DataError):
        return 400, "InvalidRequest", "A value contains characters that cannot be stored.", {}
    if is_unavailable(error):
        _log.warning("the database cannot be used: %s", explain(error))
        return 503, "Unavailable", STORAGE, {"Retry-After": "5"}
    return 500, "InternalError", "", {}


def _classify_http(error: HTTPException) -> tuple[int, str, str, dict[str, str]]:
    headers = {name: value for name, value in error.get_headers() if name.lower() in {"allow", "retry-after"}}
    match error.code:
        case 404:
            return 404, "ResourceNotFound", "There is nothing at this URL (not found).", headers
        case 405:
            return 405, "MethodNotAllowed", "This URL does not support this HTTP method; see the Allow header.", headers
    return error.code or 500, "InvalidRequest", error.name, headers


def _member(field: str) -> str:
    """Return a field of a domain by the name that bodies have it under."""
    first, *others = field.split("_")
    return first + "".join(other.capitalize() for other in others)


def _headers(error: Exception, status: int) -> dict[str, str]:
    if isinstance(error, NoCredentialError):
        return {"WWW-Authenticate": "Bearer"}  # RFC 6750 §3.1: without a credential, no error
    if status == 401:
        return {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    if isinstance(error, RateExceededError):
        count("realmgate_rate_limited", 1, error.rate.name)
    if status == 429:
        return {"Retry-After": str(getattr(error, "retry_after", 1))}
    return {"Retry-After": "5"} if status == 503 else {}


def log_unexpected(error: Exception) -> str:
    """Log an unexpected error, and return what the caller is told: the number to find it by, and nothing of it."""
    reference = request_id() or secrets.token_hex(8)
    _log.error("unexpected error %s", reference, exc_info=error)
    return f"Something went wrong. Tell the operator this number: {reference}"


def answer_error(error: Exception) -> Response:
    """Return the answer to any error."""
    status, code, message, headers = classify(error)
    if status == 500:
        message = log_unexpected(error)
    reference = message.rpartition(" ")[2] if status == 500 else request_id() or secrets.token_hex(8)
    details: dict[str, Any] = {}
    if isinstance(error, InvalidMembersError):
        details["members"] = [{"member": _member(where), "problem": problem} for where, problem in error.members]
    body: dict[str, Any] = {"code": code, "message": message, "ref": reference, "details": details}
    return Response(json.dumps(body), status, NO_STORE | headers, mimetype="application/json")
