"""The parameter dpop_jkt."""

import re

from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidRequestError

_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
"""A SHA-256, as base64url."""


def dpop_jkt(request: AuthorizationRequest) -> None:
    """See that it is the thumbprint of a key, which the code is bound to then (RFC 9449 §10)."""
    asked = request.text("dpop_jkt")
    if asked and not _THUMBPRINT.fullmatch(asked):
        raise InvalidRequestError("dpop_jkt must be the SHA-256 thumbprint of a key, as base64url (RFC 9449).")
    request.key_thumbprint = asked
