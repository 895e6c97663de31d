"""Parameters that are repeated."""

from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidRequestError


def each_once(request: AuthorizationRequest) -> None:
    """See that nothing was sent more than once (RFC 6749 §3.1; R26), but for resources (RFC 8707 §2)."""
    if request.unverified.repeated:
        raise InvalidRequestError("A parameter is repeated. Send each at most once.")
