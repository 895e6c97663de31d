"""How long parameters may be."""

from idp.oauth.authorize.request import LONGEST_VALUE, AuthorizationRequest
from idp.oauth.errors import InvalidRequestError

_LONGEST_NONCE = 1_000
"""It comes back in the ID token."""


def lengths(request: AuthorizationRequest) -> None:
    """See that nothing is longer than what an answer can carry."""
    if any(len(value) > LONGEST_VALUE for value in request.unverified.values.values()):
        raise InvalidRequestError(f"A parameter is longer than {LONGEST_VALUE} characters.")
    if len(request.text("nonce")) > _LONGEST_NONCE:
        raise InvalidRequestError(f"nonce is longer than {_LONGEST_NONCE} characters.")
