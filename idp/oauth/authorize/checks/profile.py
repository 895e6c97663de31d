"""What the security profile of the application adds."""

from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidRequestError


def profile(request: AuthorizationRequest) -> None:
    """See that a request of FAPI 2.0 says where people go. All else it asks for, the other checks ask of everybody, or of it."""
    if request.application.is_fapi and not request.text("redirect_uri"):
        raise InvalidRequestError("By the profile fapi2, redirect_uri must be sent.")
