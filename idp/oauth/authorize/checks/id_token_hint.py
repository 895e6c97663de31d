"""The parameter id_token_hint."""

from idp.jose import InvalidTokenError
from idp.oauth.authorize.request import AuthorizationRequest
from idp.oauth.errors import InvalidRequestError
from idp.oauth.hints import open_hint


def id_token_hint(request: AuthorizationRequest) -> None:
    """See who is meant to have signed in (OpenID Connect Core §3.1.2.1; R76)."""
    shown = request.text("id_token_hint")
    if not shown:
        return
    try:
        hint = open_hint(request.realm, shown)
    except InvalidTokenError as error:
        raise InvalidRequestError("id_token_hint is no ID token of this issuer.") from error
    if hint.client_id != request.application.client_id:
        raise InvalidRequestError("id_token_hint was issued to another application.")
    request.hinted_subject = hint.subject
