"""The parameter response_type."""

from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidRequestError, UnsupportedResponseTypeError

RESPONSE_TYPES = ("code",)
"""What can be asked for; discovery is made from this. No token travels through the browser (RFC 9700 §2.1.2; R7)."""


def response_type(request: AuthorizationRequest) -> None:
    """See that a code is asked for (RFC 6749 §4.1.1)."""
    asked = request.text("response_type")
    if not asked:
        raise InvalidRequestError("The parameter response_type is missing.")
    if asked not in RESPONSE_TYPES:
        raise UnsupportedResponseTypeError("response_type must be code.")
