"""The parameter client_id."""

from idp.applications import known_application
from idp.oauth.authorize.request import AuthorizationRequest, UnsafeRequestError


def client(request: AuthorizationRequest) -> None:
    """See that people can sign in to the application (RFC 6749 §4.1.2.1). One sentence, whether it exists or not."""
    unverified = request.text("client_id")
    found = known_application(request.realm, unverified) if "client_id" not in request.unverified.repeated else None
    if found is None or found.client_id != unverified or not found.enabled or "authorization_code" not in found.grants:
        raise UnsafeRequestError(
            "There is no application with this client_id that people can sign in to. Tell whoever sent you here."
        )
    request.application = found
