"""How long parameters may be."""

from idp.oauth.authorize.request import LONGEST_VALUE, AuthorizationRequest
from idp.oauth.errors import InvalidRequestError

_LONGEST_NONCE = 1_000
"""It comes back in the ID token."""

_LONGEST_HINT = 8_000
"""As long as the longest ID token."""


def lengths(request: AuthorizationRequest) -> None:
    """See that nothing is longer than what an answer can carry."""
    longest = {"id_token_hint": _LONGEST_HINT}
    if any(len(value) > longest.get(name, LONGEST_VALUE) for name, value in request.unverified.values.items()):
        raise InvalidRequestError(f"A parameter is longer than {LONGEST_VALUE} characters.")
    if len(request.text("nonce")) > _LONGEST_NONCE:
        raise InvalidRequestError(f"nonce is longer than {_LONGEST_NONCE} characters.")
