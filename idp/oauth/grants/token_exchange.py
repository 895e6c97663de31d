"""Token exchange (RFC 8693): an API key for a session token, an access token for a narrower one, an assertion for one at all."""

from typing import Any

from idp import apikeys, tokens
from idp.apikeys import KeyExpiredError, KeyRefusedError
from idp.audit import Tag
from idp.oauth.client_auth import Client
from idp.oauth.errors import (
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    InvalidTargetError,
    SlowDownError,
)
from idp.oauth.forms import Form
from idp.oauth.grants.client_credentials import issue_for
from idp.oauth.grants.jwt_bearer import NOT_ADMITTED, admitted_client
from idp.proofs import ANYBODYS, Binding
from idp.ratelimit import RateExceededError
from idp.realms import KnownRealm

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
API_KEY = "urn:realmgate:params:oauth:token-type:api-key"
SESSION_TOKEN = "urn:realmgate:params:oauth:token-type:session-token"  # noqa: S105 (the name of a type)
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 (a type)

JWT, ID_TOKEN = "urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"
_ASSERTIONS = frozenset({JWT, ID_TOKEN})
"""Types of what a trusted issuer has signed: some clients call it an ID token, which it often is there."""


def token_exchange(realm: KnownRealm, client: Client | None, form: Form, address: str) -> dict[str, Any]:
    """Return the token that another one is exchanged for.

    The holder of a key needs no other credential; an authenticated application is named in `act`. Exchanging an access
    token requires an authenticated application.

    :raises InvalidRequestError: a parameter is missing or unknown, or the subject token is not valid (RFC 8693 §2.2.2).
    :raises InvalidTargetError: the client is not allowed to address the target.
    :raises InvalidScopeError: the scope is unknown, or exceeds the subject token.
    """
    # RFC 8693 §2.1: subject_token and subject_token_type are required.
    subject_token, subject_type = form.required("subject_token"), form.required("subject_token_type")
    if "actor_token" in form or "actor_token_type" in form:
        # RFC 8693 §2.1: an actor token comes with its type, and no type without one. Here the client itself is the actor.
        raise InvalidRequestError("The authenticated client is the actor. Leave out actor_token and actor_token_type.")
    if subject_type == API_KEY:
        return _exchange_key(realm, client, form, subject_token, address)
    if subject_type == ACCESS_TOKEN:
        return _exchange_access_token(realm, client, form, subject_token)
    if subject_type in _ASSERTIONS:
        return _exchange_assertion(realm, client, form)
    raise InvalidRequestError(f"subject_token_type must be {JWT}, {API_KEY} or {ACCESS_TOKEN}.")


def names_its_client(form: Form) -> bool:
    """Tell whether `client_id` only says which application is meant: what is exchanged shows who it is."""
    return form.text("subject_token_type") in _ASSERTIONS


def admit_to_exchange(realm: KnownRealm, client: Client | None, form: Form, address: str) -> Client | None:
    """Return the application that an assertion of a trusted issuer admits; of other subject tokens, who has authenticated.

    :raises InvalidRequestError: it admits none (RFC 8693 §2.2.2).
    """
    if not names_its_client(form):
        return client
    _check_requested(form, ACCESS_TOKEN)
    try:
        return admitted_client(realm, client, form, form.required("subject_token"), address)
    except InvalidClientError as error:
        raise InvalidRequestError(NOT_ADMITTED) from error


def _exchange_assertion(realm: KnownRealm, client: Client | None, form: Form) -> dict[str, Any]:
    """Return a token of the application that an assertion of a trusted issuer has admitted."""
    if client is None:
        raise InvalidClientError(realm.name)
    issued = issue_for(realm, client, form, Tag.TOKEN_EXCHANGE)
    return _answer(issued.access_token, ACCESS_TOKEN, issued.expires_in, issued.scope, client.binding)


def _exchange_key(realm: KnownRealm, client: Client | None, form: Form, plain_key: str, address: str) -> dict[str, Any]:
    _check_requested(form, SESSION_TOKEN)
    if form.text("resource") not in {"", realm.issuer} or form.text("audience") not in {"", realm.issuer}:
        raise InvalidTargetError("A session token is for the realm's issuer. Exchange an access token for other targets.")
    try:
        checked = apikeys.check_key(realm.runtime, plain_key, address, Tag.API_KEY_EXCHANGE)
        if checked.realm.name != realm.name:
            raise KeyRefusedError
        actor = tokens.acting(client.application) if client is not None else None
        credential = client.application.credential if client is not None else ""
        issued = apikeys.exchange_key(checked, scope=form.text("scope"), actor=actor, credential=credential)
    except (KeyRefusedError, KeyExpiredError) as error:
        raise InvalidRequestError(str(error)) from error
    except RateExceededError as error:
        raise SlowDownError(str(error), error.retry_after) from error
    except (tokens.ScopeError, tokens.TokenTooLargeError) as error:
        raise InvalidScopeError(str(error)) from error
    return _answer(issued.token, SESSION_TOKEN, issued.expires_in, issued.scope)


def _exchange_access_token(realm: KnownRealm, client: Client | None, form: Form, token: str) -> dict[str, Any]:
    _check_requested(form, ACCESS_TOKEN)
    if client is None:
        raise InvalidClientError(realm.name)
    asked = {name: form.text(name) for name in ("scope", "resource", "audience")}
    try:
        issued = tokens.exchange_access_token(realm, client.application, token, **asked, binding=client.binding)
    except tokens.SubjectTokenError as error:
        raise InvalidRequestError(str(error)) from error
    except tokens.TargetError as error:
        raise InvalidTargetError(str(error)) from error
    except (tokens.ScopeError, tokens.TokenTooLargeError) as error:
        raise InvalidScopeError(str(error)) from error
    tokens.usage(realm.runtime).issued(
        realm.name,
        client.application,
        client.secret,
        client.address,
        issued.jti,
        id_token=False,
        tag=Tag.TOKEN_EXCHANGE,
        assertion=client.assertion,
    )
    return _answer(issued.access_token, ACCESS_TOKEN, issued.expires_in, issued.scope, client.binding)


def _check_requested(form: Form, issued_type: str) -> None:
    if form.text("requested_token_type") not in {"", issued_type}:
        raise InvalidRequestError(f"requested_token_type must be {issued_type} for this subject token, or be left out.")


def _answer(token: str, issued_type: str, expires_in: int, scope: str, binding: Binding = ANYBODYS) -> dict[str, Any]:
    # RFC 8693 §2.2.1: issued_token_type is required, and so is expires_in in spirit: who asks must know when to ask again.
    answer = {
        "access_token": token,
        "issued_token_type": issued_type,
        "token_type": binding.token_type,
        "expires_in": expires_in,
    }
    return answer | ({"scope": scope} if scope else {})
