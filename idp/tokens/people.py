"""Tokens that an application gets for a person who has signed in to it (OpenID Connect Core §3.1.3)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from idp import clock
from idp.applications import KnownApplication, Origin
from idp.crypto import random_id
from idp.proofs import Binding
from idp.realms import KnownRealm
from idp.tokens.claim_list import PERSONS_ACCESS, PERSONS_ID, PERSONS_INFO, Form, Statement
from idp.tokens.claims import claims_of, close_claims, write_claims
from idp.tokens.issue import access_token_type, at_hash, signer_for
from idp.tokens.narrowing import persons_roles, persons_roles_left, persons_targets
from idp.tokens.token_roles import roles_for_token
from idp.users import KnownUser

ACR = "1"
"""How surely somebody is known who has signed in by a password (OpenID Connect Core §2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedInPerson:
    """Who has signed in, how, and what they let the application do."""

    user: KnownUser
    sid: str
    """The session of the browser; empty for a device."""
    auth_time: int
    """Seconds since 1970."""
    auth_method: str
    grant_id: str
    scopes: Sequence[str]
    resource: str = ""
    nonce: str = ""
    by_word_of: Origin | None = None
    """Who has let the application act for them, where that was not themselves."""
    named_in_id_token: Collection[str] = ()
    """Claims that were asked for by name."""
    named_in_userinfo: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class PersonsTokens:
    """What an application gets for a person."""

    access_token: str
    id_token: str
    """Empty unless `openid` was granted."""
    expires_in: int
    jti: str


def issue_for_person(
    realm: KnownRealm,
    application: KnownApplication,
    person: SignedInPerson,
    *,
    resource: str = "",
    until: float,
    binding: Binding,
) -> PersonsTokens:
    """Issue an access token, and with `openid` an ID token.

    :param resource: what the access token is for, where that was left open when the person signed in.
    :param until: when what they are issued for ends (seconds since 1970): they live no longer than that.
    :param binding: what the access token is bound to.
    :raises ScopeError: the person has no role on a project that was granted, any more.
    :raises TargetError: the application may not address the resource, any more.
    :raises TokenTooLargeError: the roles do not fit one token.
    """
    now = clock.timestamp()
    expires = int(min(now + realm.person_token_seconds, now + application.token_seconds, until))
    signer, jti = signer_for(realm, application, now), random_id()
    access = replace(
        _statement(realm, application, person, PERSONS_ACCESS),
        audience=persons_targets(realm, application, resource or person.resource) or application.audience,
        client_id=application.client_id,
        named=frozenset(person.named_in_userinfo),
    )
    claims = close_claims(write_claims(access), now, expires, jti, binding)
    access_token = signer.sign(access_token_type(realm, application), claims)
    id_token = ""
    if "openid" in person.scopes:
        said = write_claims(
            replace(
                _statement(realm, application, person, PERSONS_ID),
                nonce=person.nonce or None,
                named=frozenset(person.named_in_id_token),
            )
        )
        written = f'{said},"at_hash":"{at_hash(access_token)}"'
        id_token = signer.sign("JWT", close_claims(written, now, expires, random_id()))
    return PersonsTokens(access_token, id_token, expires - now, jti)


def tell_of_person(realm: KnownRealm, user: KnownUser, scope: str, named: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return what the scope of an access token tells of a person (OpenID Connect Core §5.3.2).

    :param named: claims that were asked for by name.
    """
    held = persons_roles_left(roles_for_token(user.held_roles, clock.timestamp()), scope.split())
    return claims_of(Statement(form=PERSONS_INFO, realm=realm, subject=user, held=held, audience="", scope=scope, named=named))


def _statement(realm: KnownRealm, application: KnownApplication, person: SignedInPerson, form: Form) -> Statement:
    held = persons_roles(roles_for_token(person.user.held_roles, clock.timestamp()), person.scopes)
    return Statement(
        form=form,
        realm=realm,
        subject=person.user,
        held=held,
        audience=application.client_id,
        party=application.client_id,
        scope=" ".join(person.scopes),
        sid=person.sid or None,
        auth_method=person.auth_method,
        auth_time=person.auth_time,
        acr=ACR if person.auth_method != "federation" else None,
        grant_id=person.grant_id,
        by_word_of=person.by_word_of,
        credential=application.credential,
    )
