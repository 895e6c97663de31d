"""The parameter redirect_uri."""

from idp.applications import Kind, can_be_used, is_private, is_registered
from idp.oauth.authorize.request import AuthorizationRequest, UnsafeRequestError


def redirect_uri(request: AuthorizationRequest) -> None:
    """See that the application has registered it, byte for byte (RFC 9700 §4.1.3; R1).

    Left out it is the only one that is registered (RFC 6749 §3.1.2.3), which OpenID Connect does not allow (Core §3.1.2.1).
    """
    application = request.application
    unverified = request.text("redirect_uri")
    if not unverified and len(application.redirect_uris) == 1 and "openid" not in request.text("scope").split():
        unverified = next(iter(application.redirect_uris))
    registered = is_registered(application.redirect_uris, unverified) and "redirect_uri" not in request.unverified.repeated
    # what is registered was checked when it was; a scheme that the kind of before could have is not one of this kind
    if not registered or not can_be_used(unverified) or (is_private(unverified) and application.kind is not Kind.NATIVE):
        raise UnsafeRequestError("The redirect_uri is not one that the application has registered. Tell whoever sent you here.")
    request.redirect_uri = unverified
