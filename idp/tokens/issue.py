"""Issuing: the hot path of the server. In steady state it runs no SQL; two signatures are nearly all of its cost."""

import hashlib
from dataclasses import dataclass

from idp import clock, keys
from idp.applications import KnownApplication
from idp.crypto import b64url, random_id
from idp.proofs import ANYBODYS, Binding
from idp.realms import KnownRealm
from idp.telemetry import span
from idp.tokens.claims import template_for


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What an application gets for its credentials."""

    access_token: str
    id_token: str
    """Empty unless `openid` was asked for."""
    scope: str
    jti: str
    expires_in: int
    """Seconds."""


def issue_tokens(
    realm: KnownRealm,
    application: KnownApplication,
    *,
    scope: str = "",
    resource: str = "",
    audience: str = "",
    binding: Binding = ANYBODYS,
) -> IssuedTokens:
    """Issue an access token, and with `openid` an ID token, for an application that has authenticated.

    The parameters are those of the token request, empty if absent; see `claims.narrow`. Both tokens live equally long.

    :param binding: what the access token is bound to.
    :raises ScopeError: see `claims.narrow`.
    :raises TargetError: see `claims.narrow`.
    :raises TokenTooLargeError: the token would not fit a header.
    """
    now = clock.timestamp()
    with span("make claims"):
        template = template_for(realm, application, now, scope=scope, resource=resource, audience=audience)
        signer = signer_for(realm, application, now)
    lifetime = application.token_seconds
    times = f'"iat":{now},"nbf":{now},"exp":{now + lifetime}'

    jti = random_id()
    access_token = signer.sign(access_token_type(realm, application), f'{template.access},{times},"jti":"{jti}"{binding.claim}}}')
    id_token = ""
    if template.id:
        hashed = at_hash(access_token)
        id_token = signer.sign("JWT", f'{template.id},{times},"jti":"{random_id()}","at_hash":"{hashed}"}}')
    return IssuedTokens(access_token, id_token, template.scope, jti, lifetime)


def check_request(realm: KnownRealm, application: KnownApplication, *, scope: str, resource: str, audience: str) -> None:
    """Raise what `issue_tokens` would raise for what is asked, and issue nothing; the work is remembered for it."""
    now = clock.timestamp()
    template_for(realm, application, now, scope=scope, resource=resource, audience=audience)
    signer_for(realm, application, now)


def signer_for(realm: KnownRealm, application: KnownApplication | None, now: int) -> keys.Signer:
    """Return what signs the tokens of an application; of none, those of the realm itself."""
    algorithm = application.algorithm if application is not None else ""
    return keys.key_ring(realm).signer(algorithm or realm.signing_algorithm, now)


def access_token_type(realm: KnownRealm, application: KnownApplication | None) -> str:
    """Return the header `typ` of an application's access tokens; of none, of those that the realm itself makes."""
    own = application.access_token_type if application is not None else ""
    return own or realm.access_token_type


def at_hash(access_token: str) -> str:
    """Return the left half of the token's SHA-256, as RS256 and ES256 call for (OpenID Connect Core §3.1.3.6)."""
    return b64url(hashlib.sha256(access_token.encode()).digest()[:16]).decode()
