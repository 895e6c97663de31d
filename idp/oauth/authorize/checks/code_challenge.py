"""The parameters code_challenge and code_challenge_method."""

import re

from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidRequestError

CHALLENGE_METHODS = ("S256",)
"""How a challenge may be made; discovery is made from this."""

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
"""A SHA-256, as base64url."""


def code_challenge(request: AuthorizationRequest) -> None:
    """See that the code will be of use to nobody but who has asked for it (RFC 7636 §4.3; R3, R5): whoever the client is."""
    # RFC 7636 §4.3: without a method it is plain, which is not served
    if request.text("code_challenge_method") not in CHALLENGE_METHODS or not _CHALLENGE.fullmatch(request.text("code_challenge")):
        raise InvalidRequestError("Send a code_challenge with code_challenge_method=S256 (RFC 7636).")
    request.challenge = request.text("code_challenge")
