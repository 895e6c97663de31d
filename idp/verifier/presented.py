"""What a request shows, and what it is answered, where tokens may be bound to a key (RFC 9449 §7)."""

from collections.abc import Sequence

from idp.jose import InvalidTokenError
from idp.verifier.bearer import RefusalError, bearer_token, dpop_token
from idp.verifier.possession import Shown, UnprovenTokenError


def shown_in(
    authorization: Sequence[str], proofs: Sequence[str], *, method: str, public_url: str, path: str
) -> tuple[str, Shown]:
    """Return the token of a request, and what it shows beside it.

    :param authorization: the values of all its `Authorization` headers.
    :param proofs: the values of all its `DPoP` headers.
    :param public_url: scheme and host under which clients know this API. What the request says of that itself counts for nothing.
    :raises RefusalError: no token, several, or one in another form.
    """
    token = dpop_token(authorization)
    if token is None:
        return bearer_token(authorization), Shown()
    if not public_url:
        raise RefusalError(401, "invalid_token", "This API takes no DPoP tokens: it has not been told its public URL.")
    return token, Shown(proof=",".join(proofs), method=method, url=f"{public_url}{path}")


def refusal_of(error: InvalidTokenError) -> RefusalError:
    """Return the answer to a token that is refused."""
    if isinstance(error, UnprovenTokenError):
        return RefusalError(401, error.error, str(error), by_proof=error.by_key)
    return RefusalError(401, "invalid_token", str(error))
