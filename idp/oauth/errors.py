"""One class for each error code of the protocol, and the one place where an error becomes an answer."""

import json
import logging
import secrets
from typing import ClassVar

from flask import Response
from werkzeug.exceptions import HTTPException

from idp.errors import IdpError, Kind, StorageFullError
from idp.outages import as_outage, explain
from idp.proofs import ProofError
from idp.ratelimit import Rate, RateExceededError, rate_headers
from idp.telemetry import count, request_id
from idp.web.possession import challenge_of

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""What every answer of these endpoints says about caching, unless it is public (RFC 6749 §5.1)."""

_AWAY = "The server cannot reach its database. Try again in a few seconds."

_log = logging.getLogger(__name__)


class ProtocolError(Exception):
    """An error that a client is told (RFC 6749 §5.2). The description is a constant, and never holds what was sent.

    The one exception is the name of an unknown scope, which the RFC's grammar keeps to printable ASCII.
    """

    error: ClassVar[str]
    status: ClassVar[int] = 400

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description

    def headers(self) -> dict[str, str]:
        """Return further headers of the answer."""
        return {}


class InvalidRequestError(ProtocolError):
    """The request is malformed (RFC 6749 §5.2)."""

    error = "invalid_request"


class UnsupportedMediaTypeError(InvalidRequestError):
    """The body is not form-encoded (RFC 9110 §15.5.16)."""

    status = 415


class LengthRequiredError(InvalidRequestError):
    """The body comes without its length (RFC 9110 §15.5.12)."""

    status = 411


class InvalidClientError(ProtocolError):
    """The client could not be authenticated. One text for every cause, so that nothing can be told from it."""

    error = "invalid_client"
    status = 401

    def __init__(self, realm: str) -> None:
        super().__init__(
            "The client could not be authenticated. Check the realm, the client_id, and that the credential is still valid."
        )
        self._realm = realm

    def headers(self) -> dict[str, str]:
        """Return the challenge (RFC 6749 §5.2, RFC 7617 §2)."""
        return {"WWW-Authenticate": f'Basic realm="{self._realm}", charset="UTF-8"'}


class InvalidGrantError(ProtocolError):
    """The grant belongs to another client (RFC 6749 §5.2)."""

    error = "invalid_grant"


class UnauthorizedClientError(ProtocolError):
    """The client may not use this grant (RFC 6749 §5.2)."""

    error = "unauthorized_client"


class UnsupportedResponseTypeError(ProtocolError):
    """Another response than a code was asked for (RFC 6749 §4.1.2.1)."""

    error = "unsupported_response_type"


class PersonDeniedError(ProtocolError):
    """The person has refused (RFC 6749 §4.1.2.1)."""

    error = "access_denied"


class LoginRequiredError(ProtocolError):
    """The person would have to sign in, and no page may be shown (OpenID Connect Core §3.1.2.6)."""

    error = "login_required"


class ConsentRequiredError(ProtocolError):
    """The person would have to agree, and no page may be shown (OpenID Connect Core §3.1.2.6)."""

    error = "consent_required"


class RequestNotSupportedError(ProtocolError):
    """The parameter request is not supported (OpenID Connect Core §3.1.2.6)."""

    error = "request_not_supported"


class RequestUriNotSupportedError(ProtocolError):
    """The parameter request_uri is supported for pushed requests only (OpenID Connect Core §3.1.2.6)."""

    error = "request_uri_not_supported"


class InvalidRequestUriError(ProtocolError):
    """There is no such pushed request, or it is over (RFC 9101 §7)."""

    error = "invalid_request_uri"


class AuthorizationPendingError(ProtocolError):
    """Nobody has decided yet about a device (RFC 8628 §3.5)."""

    error = "authorization_pending"


class DeviceTooFastError(ProtocolError):
    """The device asks too often (RFC 8628 §3.5)."""

    error = "slow_down"


class ExpiredDeviceCodeError(ProtocolError):
    """The device code has expired (RFC 8628 §3.5)."""

    error = "expired_token"


class UnsupportedGrantTypeError(ProtocolError):
    """The grant type is not supported (RFC 6749 §5.2)."""

    error = "unsupported_grant_type"


class InvalidScopeError(ProtocolError):
    """The scope is unknown, malformed, or exceeds what the client has (RFC 6749 §5.2)."""

    error = "invalid_scope"


class InvalidTargetError(ProtocolError):
    """The client is not allowed to address the resource or audience (RFC 8707 §2)."""

    error = "invalid_target"


class UnsupportedTokenTypeError(ProtocolError):
    """Tokens of this kind cannot be revoked (RFC 7009 §2.2.1)."""

    error = "unsupported_token_type"


class AccessDeniedError(ProtocolError):
    """The realm is disabled, or does not offer this."""

    error = "access_denied"
    status = 403


class InvalidClientMetadataError(ProtocolError):
    """What an application says of itself is not usable (RFC 7591 §3.2.2)."""

    error = "invalid_client_metadata"


class InvalidRedirectUriError(ProtocolError):
    """A redirect URI of an application that registers itself is not usable (RFC 7591 §3.2.2)."""

    error = "invalid_redirect_uri"


class InvalidDpopProofError(ProtocolError):
    """A proof of possession is not right, or missing (RFC 9449 §5)."""

    error = "invalid_dpop_proof"


class UseDpopNonceError(ProtocolError):
    """A proof of possession lacks the nonce that it should have (RFC 9449 §8)."""

    error = "use_dpop_nonce"

    def __init__(self, description: str, nonce: str) -> None:
        super().__init__(description)
        self._nonce = nonce

    def headers(self) -> dict[str, str]:
        """Return the nonce to try again with."""
        return {"DPoP-Nonce": self._nonce}


class InvalidTokenError(ProtocolError):
    """The bearer token is missing or not accepted (RFC 6750 §3.1)."""

    error = "invalid_token"
    status = 401

    def __init__(self, *, is_shown: bool, sentence: str = "") -> None:
        super().__init__(sentence or "Send an active access token of this realm: Authorization: Bearer <token>.")
        self._challenge = 'Bearer error="invalid_token"' if is_shown else "Bearer"

    def headers(self) -> dict[str, str]:
        """Return the challenge, which names no error where nothing was shown."""
        return {"WWW-Authenticate": self._challenge}


class UnprovenTokenError(InvalidTokenError):
    """The request does not hold what its token is bound to (RFC 9449 §7.1, RFC 8705 §3)."""

    def __init__(self, cause: ProofError) -> None:
        super().__init__(is_shown=True, sentence=str(cause))
        self.error = cause.error  # type: ignore[misc]  # one of several, which its cause knows
        self._headers = challenge_of(cause)

    def headers(self) -> dict[str, str]:
        """Return the challenge, and the nonce if one is missing."""
        return self._headers


class InsufficientScopeError(ProtocolError):
    """The token lacks the required scope (RFC 6750 §3.1)."""

    error = "insufficient_scope"
    status = 403

    def __init__(self, scope: str = "openid") -> None:
        super().__init__(f"The token was issued without the scope {scope}. Request one with it.")
        self._scope = scope

    def headers(self) -> dict[str, str]:
        """Return the challenge, with the scope that is missing."""
        return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{self._scope}"'}


class UnknownRealmError(ProtocolError):
    """There is no such realm."""

    error = "invalid_request"
    status = 404

    def __init__(self) -> None:
        super().__init__("There is no such realm. Check the name in the URL: /auth/realms/<realm>/...")


class NothingThereError(ProtocolError):
    """What a request is about is not there, or not for whoever asks."""

    error = "invalid_request"
    status = 404


class ConflictingRequestError(ProtocolError):
    """A request does not go together with what is there."""

    error = "invalid_request"
    status = 409


class SlowDownError(ProtocolError):
    """The rate limit of a credential is exceeded (RFC 6585 §4)."""

    error = "slow_down"
    status = 429

    def __init__(self, description: str, retry_after: int, rate: Rate | None = None) -> None:
        super().__init__(description)
        self._retry_after, self._rate = retry_after, rate

    def headers(self) -> dict[str, str]:
        """Return the headers that say when to try again."""
        rate = self._rate
        return {"Retry-After": str(self._retry_after)} | (rate_headers(rate, 0, self._retry_after) if rate is not None else {})


class TemporarilyUnavailableError(ProtocolError):
    """The database does not answer, or the realm cannot sign (RFC 7009 §2.2.1)."""

    error = "temporarily_unavailable"
    status = 503

    def headers(self) -> dict[str, str]:
        """Return the headers that say when to try again."""
        return {"Retry-After": "5"}


def render(error: ProtocolError) -> Response:
    """Return the error as an answer: JSON, and never to be cached."""
    count("realmgate_protocol_errors", 1, error.error)
    body = json.dumps({"error": error.error, "error_description": error.description})
    return Response(body, error.status, NO_STORE | error.headers(), mimetype="application/json")


def answer_error(error: Exception) -> Response:
    """Return the answer to any error."""
    known = _of_protocol(error)
    if known is not None:
        return render(known)
    return _http_error(error) if isinstance(error, HTTPException) else _unexpected(error)


def _of_protocol(error: Exception) -> ProtocolError | None:
    """Return what an error is in the protocol; None if it is none that may come out of an endpoint."""
    match error:
        case ProtocolError():
            return error
        case _ if (outage := as_outage(error)) is not None:
            _log.warning("the database cannot be used: %s", explain(outage))
            is_full = isinstance(outage, StorageFullError)
            return TemporarilyUnavailableError(str(outage) if is_full else _AWAY)
        case RateExceededError():
            count("realmgate_rate_limited", 1, error.rate.name)
            return SlowDownError(str(error), error.retry_after, error.rate)
        case IdpError(kind=Kind.TOO_MANY):
            return SlowDownError(str(error), error.retry_after)
        case IdpError(kind=Kind.UNAVAILABLE):
            _log.error("cannot answer: %s", error)
            return TemporarilyUnavailableError(str(error))
    return None


def _http_error(error: HTTPException) -> Response:
    """Keep status and headers (`Allow` of a 405, say) of werkzeug's error, and give it the protocol's body."""
    descriptions = {
        404: "There is nothing at this URL. /auth/realms/<realm>/.well-known/openid-configuration lists the endpoints.",
        405: "This endpoint does not support this HTTP method; see the Allow header.",
    }
    code = error.code or 500
    body = json.dumps({"error": "invalid_request", "error_description": descriptions.get(code, error.name)})
    response = Response(body, code, NO_STORE, mimetype="application/json")
    for name, value in error.get_headers():
        if name.lower() in {"allow", "retry-after", "location"}:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    """Tell the caller a reference number and nothing else; the cause goes to the log under that number."""
    reference = request_id() or secrets.token_hex(8)
    _log.error("unexpected error %s", reference, exc_info=error)
    body = json.dumps(
        {
            "error": "server_error",
            "error_description": f"Something went wrong. Tell the operator this number: {reference}",
        }
    )
    return Response(body, 500, NO_STORE, mimetype="application/json")
