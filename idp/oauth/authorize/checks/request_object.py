"""The parameters request, request_uri and registration, which are refused."""

from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import RequestNotSupportedError, RequestUriNotSupportedError


def request_object(request: AuthorizationRequest) -> None:
    """Refuse request objects (OpenID Connect Core §6, RFC 9101): parameters can be pushed instead."""
    if request.text("request"):
        raise RequestNotSupportedError("The parameter request is not supported. Push the parameters instead (RFC 9126).")
    if request.text("request_uri"):
        raise RequestUriNotSupportedError(
            "request_uri is supported for requests that were pushed to this server only (RFC 9126)."
        )
