"""The JWT authorization grant (RFC 7523 §2.1): what a trusted issuer has signed, for tokens of the application that it admits."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from idp import authorizations, clock, federation, tokens
from idp.applications import Origin
from idp.audit import Tag
from idp.authorizations import BY_WORD, Beginning, RefusedError
from idp.db import commit, db, shared_now
from idp.jose import InvalidTokenError
from idp.oauth.client_auth import Client, admit, note_refusal, want_keys
from idp.oauth.errors import InvalidClientError, InvalidGrantError, InvalidScopeError, InvalidTargetError, UnauthorizedClientError
from idp.oauth.forms import Form
from idp.oauth.grants.client_credentials import client_credentials
from idp.oauth.limits import count_failure
from idp.oauth.people import answer_for, find_person
from idp.realms import KnownRealm
from idp.tokens import SignedInPerson

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_NOT_GRANTED = frozenset({"openid", "offline_access"})
"""Scopes of which nothing comes: who wants an ID token or to go on asks the sign-in server."""

NOT_ADMITTED = "The assertion is not valid, or no rule of a trusted issuer admits it."


def admit_by_assertion(realm: KnownRealm, client: Client | None, form: Form, address: str) -> Client | None:
    """Return the application that an assertion admits; who has authenticated, for a grant for a person.

    :raises InvalidGrantError: it admits none (RFC 7521 §4.1.1).
    """
    assertion = form.required("assertion")
    if _is_for_a_person(assertion):
        return client
    try:
        return admitted_client(realm, client, form, assertion, address)
    except InvalidClientError as error:
        raise InvalidGrantError(NOT_ADMITTED) from error


def jwt_bearer(realm: KnownRealm, client: Client | None, form: Form, address: str) -> dict[str, Any]:
    """Return the tokens of the application that an assertion has admitted, or of a person whom a grant is for."""
    assertion = form.required("assertion")
    if _is_for_a_person(assertion):
        return _for_person(realm, client, form, assertion)
    return client_credentials(realm, client, form, address)


def _is_for_a_person(assertion: str) -> bool:
    try:
        return federation.is_grant(assertion)
    except InvalidTokenError as error:
        raise InvalidGrantError(NOT_ADMITTED) from error


def _for_person(realm: KnownRealm, client: Client | None, form: Form, assertion: str) -> dict[str, Any]:
    """Return an access token for a person whom a trusted sign-in server has let an application act for.

    draft-ietf-oauth-identity-assertion-authz-grant: the application shows who it is, and asks there again to refresh.
    """
    if client is None:
        raise InvalidClientError(realm.name)
    application = client.application
    if application.kind.is_public or "authorization_code" not in application.grants:
        raise UnauthorizedClientError("The application may not act for people. Add authorization_code to its grants.")
    try:
        grant = federation.take_grant(realm, assertion, client_id=application.client_id)
    except federation.AssertionRefusedError as error:
        note_refusal(realm, error, application, client.address)
        count_failure(realm, application.client_id, client.address)
        want_keys(error)
        raise InvalidGrantError(NOT_ADMITTED) from error
    user = find_person(realm, grant.user_uid, begun_at=grant.auth_time, sid="")
    if user is None:
        raise InvalidGrantError("The person whom the grant is for cannot sign in here, or has signed out since.")
    wanted = form.text("scope").split() or grant.scopes
    scopes = [scope for scope in wanted if scope in grant.scopes and scope not in _NOT_GRANTED]
    try:
        scopes = tokens.persons_scopes(application, " ".join(scopes))
        tokens.persons_targets(realm, application, grant.resource)
    except tokens.ScopeError as error:
        raise InvalidScopeError(str(error)) from error
    except tokens.TargetError as error:
        raise InvalidTargetError(str(error)) from error
    ends = clock.timestamp() + min(realm.person_token_seconds, grant.issuer.token_seconds)
    beginning = Beginning(
        user_id=user.id,
        application_id=application.id,
        code_id=grant.code_id,
        session="",
        scope=" ".join(scopes),
        resource=grant.resource,
        named={},
        auth_time=datetime.fromtimestamp(grant.auth_time, UTC),
        auth_method=BY_WORD,
        is_refreshed=False,
        expires_at=datetime.fromtimestamp(ends, UTC),
        address=client.address,
        agreed_at=shared_now(),
        link_uid=grant.link_uid,
    )
    try:
        begun = authorizations.begin(realm, beginning)
    except RefusedError as error:
        raise InvalidGrantError("The grant has been used already.") from error
    if not federation.use_up_grant(realm, grant):
        db.session.rollback()
        raise InvalidGrantError("The grant has been used already.")
    if not federation.hold_link(grant.link_uid):
        db.session.rollback()
        raise InvalidGrantError("The grant is for somebody whom its subject stands for no more.")
    origin = Origin(grant.issuer.issuer, grant.subject)
    person = SignedInPerson(
        user=user,
        sid="",
        auth_time=int(grant.auth_time),
        auth_method=BY_WORD,
        grant_id=begun.uid,
        scopes=scopes,
        resource=grant.resource,
        by_word_of=origin,
    )
    client = replace(client, application=application.admitted_by(origin, application.token_seconds), assertion=grant.digest)
    answer = answer_for(realm, client, person, form, "", ends, Tag.TOKEN_EXCHANGE)
    commit()
    return answer


def admitted_client(realm: KnownRealm, client: Client | None, form: Form, assertion: str, address: str) -> Client:
    """Return the application that an assertion admits, once what that has used up is durable.

    :param client: who has authenticated besides, which then is that application; None for nobody.
    :raises InvalidClientError: it admits none, or another.
    :raises UnauthorizedClientError: the application gets no tokens for itself.
    """
    name = client.application.client_id if client is not None else form.text("client_id")
    admitted = admit(realm, assertion, name, address)
    if not admitted.application.gets_own_tokens:
        raise UnauthorizedClientError("The application may not get tokens for itself. Add client_credentials to its grants.")
    return admitted
