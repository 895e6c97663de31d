"""The parameter resource."""

from idp import tokens
from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidTargetError


def resource(request: AuthorizationRequest) -> None:
    """See that the application may address it (RFC 8707 §2)."""
    try:
        asked = tokens.persons_targets(request.realm, request.application, request.text("resource"))
    except tokens.TargetError as error:
        raise InvalidTargetError(str(error)) from error
    request.resource = " ".join(asked)
