"""The parameter scope."""

from idp import tokens
from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidScopeError


def scope(request: AuthorizationRequest) -> None:
    """See what is asked for (RFC 6749 §3.3). Left out it is nothing but to know that somebody has signed in."""
    try:
        request.scopes = tokens.persons_scopes(request.application, request.text("scope"))
    except tokens.ScopeError as error:
        raise InvalidScopeError(str(error)) from error
