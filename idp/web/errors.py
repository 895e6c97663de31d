"""Errors over HTTP: a status and a code for each kind, in whatever form an edge then gives them."""

import logging
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy.exc import DataError, IntegrityError
from werkzeug.exceptions import HTTPException

from idp.errors import ConflictError, IdpError, InvalidValueError, Kind, StorageUnavailableError, Words
from idp.outages import as_outage
from idp.proofs import ProofError
from idp.ratelimit import RateExceededError
from idp.telemetry import count, request_id
from idp.web.possession import challenge_of

SEALED = "The server cannot decrypt its stored data. The operator can find the reason in the log, and with idp doctor."
UNEXPECTED = "Something went wrong. Tell the operator this number: {reference}"
STORAGE = "The server cannot reach its database. Try again in a few seconds."

_log = logging.getLogger(__name__)


class Told(NamedTuple):
    """What a client is told of an error, whatever form its edge gives it."""

    status: int
    code: str
    message: str
    headers: dict[str, str]


ANSWERS: Mapping[Kind, tuple[int, str]] = {
    Kind.INVALID: (400, "InvalidRequest"),
    Kind.UNREADABLE_CREDENTIAL: (400, "InvalidRequest"),
    Kind.TOO_LARGE: (400, "InvalidRequest"),
    Kind.NO_CREDENTIAL: (401, "Unauthorized"),
    Kind.UNAUTHENTICATED: (401, "Unauthorized"),
    Kind.DENIED: (403, "Forbidden"),
    Kind.NOT_FOUND: (404, "ResourceNotFound"),
    Kind.CONFLICT: (409, "Conflict"),
    Kind.LENGTH_MISSING: (411, "InvalidRequest"),
    Kind.STALE: (412, "PreconditionFailed"),
    Kind.REUSED: (422, "IdempotencyKeyReused"),
    Kind.TOO_MANY: (429, "TooManyRequests"),
    Kind.NOT_SERVED: (501, "NotServed"),
    Kind.UNAVAILABLE: (503, "Unavailable"),
    Kind.DAMAGED: (503, "Unavailable"),
}
"""Status and code by kind. An edge whose contract has another status for a kind says so, and takes the others from here."""

_CHALLENGES = {
    Kind.NO_CREDENTIAL: "Bearer",  # RFC 6750 §3.1: without a credential, no error
    Kind.UNAUTHENTICATED: 'Bearer error="invalid_token"',
}

PLAIN = Words()


def classify(error: Exception, statuses: Mapping[Kind, int] = MappingProxyType({}), words: Words = PLAIN) -> Told:
    """Return what is told of any error. What is unexpected is logged by the edge, under its reference.

    :param statuses: of the kinds for which the edge has another status than `ANSWERS`.
    :param words: of the edge.
    """
    if isinstance(error, HTTPException):
        return _classify_http(error, words)
    known = error if isinstance(error, IdpError) else _of_storage(error)
    if known is None:
        return Told(500, "InternalError", words.translated("Something went wrong. Tell the operator the number in ref."), {})
    status, code = ANSWERS[known.kind]
    return Told(statuses.get(known.kind, status), known.code or code, _message(known, words), _headers(known))


def _of_storage(error: Exception) -> IdpError | None:
    """Return what an error of the database means to whoever has asked; None if it is unexpected."""
    match error:
        case IntegrityError():
            return ConflictError("Someone else has created the same at this moment. Check, and try again.")
        case DataError():
            return InvalidValueError("A value contains characters that cannot be stored.")
    outage = as_outage(error)
    return StorageUnavailableError(STORAGE, cause=outage.cause) if type(outage) is StorageUnavailableError else outage


def _message(error: IdpError, words: Words) -> str:
    if isinstance(error, StorageUnavailableError) and error.cause:
        _log.warning("the database cannot be used: %s", error.cause)
    if error.kind is Kind.DAMAGED:
        _log.error("%s", error)
        return words.translated(SEALED)
    return error.said(words)


def _headers(error: IdpError) -> dict[str, str]:
    if isinstance(error, RateExceededError):
        count("realmgate_rate_limited", 1, error.rate.name)
    if isinstance(error, ProofError):
        return challenge_of(error)
    challenge = _CHALLENGES.get(error.kind)
    if challenge is not None:
        return {"WWW-Authenticate": challenge}
    return {"Retry-After": str(error.retry_after)} if error.retry_after else {}


def _classify_http(error: HTTPException, words: Words) -> Told:
    headers = {name: value for name, value in error.get_headers() if name.lower() in {"allow", "retry-after"}}
    match error.code:
        case 404:
            return Told(404, "ResourceNotFound", words.translated("There is nothing at this URL (not found)."), headers)
        case 405:
            message = words.translated("This URL does not support this HTTP method; see the Allow header.")
            return Told(405, "MethodNotAllowed", message, headers)
    return Told(error.code or 500, "InvalidRequest", error.name, headers)


def log_unexpected(error: Exception) -> str:
    """Log an unexpected error, and return what the caller is told: the number to find it by, and nothing of it."""
    reference = request_id() or secrets.token_hex(8)
    _log.error("unexpected error %s", reference, exc_info=error)
    return UNEXPECTED.format(reference=reference)
