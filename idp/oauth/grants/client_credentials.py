"""The client credentials grant (RFC 6749 §4.4)."""

from typing import Any

from idp import tokens
from idp.audit import Tag
from idp.oauth.client_auth import Client
from idp.oauth.errors import InvalidClientError, InvalidScopeError, InvalidTargetError
from idp.oauth.forms import Form
from idp.realms import KnownRealm


def client_credentials(realm: KnownRealm, client: Client | None, form: Form, _address: str) -> dict[str, Any]:
    """Issue an access token, and an ID token with `scope=openid`; no refresh token (RFC 6749 §4.4.3).

    :raises InvalidScopeError: see `tokens.issue_tokens`.
    :raises InvalidTargetError: see `tokens.issue_tokens`.
    """
    if client is None:  # the endpoint has seen to that; nobody else may forget it
        raise InvalidClientError(realm.name)
    issued = issue_for(realm, client, form, Tag.TOKEN_ISSUE)
    answer = {"access_token": issued.access_token, "expires_in": issued.expires_in, "token_type": client.binding.token_type}
    if issued.id_token:
        answer["id_token"] = issued.id_token
    if issued.scope:
        answer["scope"] = issued.scope
    return answer


def issue_for(realm: KnownRealm, client: Client, form: Form, tag: Tag) -> tokens.IssuedTokens:
    """Return the tokens of an application that has shown who it is, for the scope and target of a form.

    :param tag: how they were asked for, for the audit trail.
    :raises InvalidScopeError: see `tokens.issue_tokens`.
    :raises InvalidTargetError: see `tokens.issue_tokens`.
    """
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
        client.address,
        issued.jti,
        id_token=bool(issued.id_token),
        tag=tag,
        assertion=client.assertion,
    )
    return issued
