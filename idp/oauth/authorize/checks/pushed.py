"""Whether the request must have been pushed."""

from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidRequestError


def pushed(request: AuthorizationRequest) -> None:
    """See that it was, where the application or its realm asks for that (RFC 9126 §5 and §6; R103)."""
    if not request.pushed and (request.application.pushes_requests or request.realm.pushes_requests):
        raise InvalidRequestError("This application has to push its authorization requests (RFC 9126).")
