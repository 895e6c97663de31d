"""The bearer token of a request, and what to answer when it will not do (RFC 6750 §2.1 and §3)."""

import re
from collections.abc import Collection, Sequence

from idp.jose import PROOF_ALGORITHMS
from idp.verifier.keyset import KeySetUnavailableError
from idp.verifier.recall import RecallUnavailableError
from idp.verifier.verifier import Identity

_DPOP = re.compile(r"[Dd][Pp][Oo][Pp] +([A-Za-z0-9\-._~+/]+=*)")
_CREDENTIALS = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9\-._~+/]+=*)")


class RefusalError(Exception):
    """An answer that ends the request: a status, an error code (empty when nothing was presented), a sentence."""

    def __init__(self, status: int, error: str, description: str, *, by_proof: bool = False) -> None:
        """Take the answer, and whether a proof of a key is missing or wrong (RFC 9449 §7.1)."""
        super().__init__(description)
        self.status, self.error, self.description, self.by_proof = status, error, description, by_proof

    @property
    def challenge(self) -> str:
        """Value of `WWW-Authenticate`; bare when the request carried no token at all (RFC 6750 §3.1)."""
        if self.by_proof:
            algorithms = " ".join(PROOF_ALGORITHMS)
            return f'DPoP error="{self.error}", error_description="{self.description}", algs="{algorithms}"'
        return f'Bearer error="{self.error}", error_description="{self.description}"' if self.error else "Bearer"


def bearer_token(authorization: Sequence[str]) -> str:
    """Return the one bearer token of a request.

    :param authorization: the values of all its `Authorization` headers.
    :raises RefusalError: none, several, or another form than one b64token.
    """
    if not authorization:
        raise RefusalError(401, "", "This call needs an access token in the Authorization header.")
    match = _CREDENTIALS.fullmatch(authorization[0])
    if len(authorization) > 1 or match is None:
        raise RefusalError(400, "invalid_request", "Send one Authorization header with Bearer, a space and the token.")
    return match[1]


def dpop_token(authorization: Sequence[str]) -> str | None:
    """Return the token of a request that sends it as DPoP (RFC 9449 §7.1); None for any other request."""
    match = _DPOP.fullmatch(authorization[0]) if len(authorization) == 1 else None
    return match[1] if match is not None else None


def unavailable(error: KeySetUnavailableError) -> RefusalError:
    """Return what to answer where no token can be checked just now."""
    if isinstance(error, RecallUnavailableError):
        return RefusalError(503, "temporarily_unavailable", "It is not known which tokens were taken back.")
    return RefusalError(503, "temporarily_unavailable", "No keys to verify tokens with.")


def is_preflight(method: str, origin: object, asked: object) -> bool:
    """Tell whether a request is what a browser sends, without any credential, before a call to another origin (Fetch, CORS).

    :param origin: its header `Origin`, or None.
    :param asked: its header `Access-Control-Request-Method`, or None.
    """
    return method == "OPTIONS" and origin is not None and asked is not None


def require_roles(identity: Identity, roles: Collection[str], project: str | None) -> None:
    """Check that the caller holds one of the roles, on the realm or on a project.

    :raises RefusalError: it holds none of them.
    """
    if roles and not any(identity.has_role(role, project) for role in roles):
        where = "on this project" if project is not None else "on the realm"
        raise RefusalError(403, "insufficient_scope", f"This call needs the role {' or '.join(sorted(roles))} {where}.")
