"""The client credentials grant (RFC 6749 §4.4)."""

from typing import Any

from idp import tokens
from idp.oauth.client_auth import Client
from idp.oauth.errors import InvalidClientError, InvalidScopeError, InvalidTargetError
from idp.oauth.forms import Form
from idp.realms import KnownRealm


def client_credentials(realm: KnownRealm, client: Client | None, form: Form, address: str) -> dict[str, Any]:
    """Issue an access token, and an ID token with `scope=openid`; no refresh token (RFC 6749 §4.4.3).

    :raises InvalidScopeError: see `tokens.issue_tokens`.
    :raises InvalidTargetError: see `tokens.issue_tokens`.
    """
    if client is None:  # the endpoint has seen to that; nobody else may forget it
        raise InvalidClientError(realm.name)
    asked = {name: form.text(name) for name in ("scope", "resource", "audience")}
    try:
        tokens.check_request(realm, client.application, **asked)
        client.use_up_secret(realm)
        issued = tokens.issue_tokens(realm, client.application, **asked, binding=client.binding)
    except (tokens.ScopeError, tokens.TokenTooLargeError) as error:
        raise InvalidScopeError(str(error)) from error
    except tokens.TargetError as error:
        raise InvalidTargetError(str(error)) from error
    tokens.usage(realm.runtime).issued(
        realm.name,
        client.application,
        client.secret,
        address,
        issued.jti,
        id_token=bool(issued.id_token),
        assertion=client.assertion,
    )
    answer = {"access_token": issued.access_token, "expires_in": issued.expires_in, "token_type": client.binding.token_type}
    if issued.id_token:
        answer["id_token"] = issued.id_token
    if issued.scope:
        answer["scope"] = issued.scope
    return answer
