"""Issuing: the hot path of the server. In steady state it runs no SQL; two signatures are nearly all of its cost."""

import hashlib
from dataclasses import dataclass

from idp import clock, keys
from idp.applications import KnownApplication
from idp.crypto import b64url, random_id
from idp.errors import IdpError
from idp.realms import KnownRealm
from idp.settings import TOKEN_LIFETIME
from idp.tokens.claims import access_claims, narrow, profile_of

LONGEST_TOKEN = 8_000
"""Characters of an access token, so that it fits a header of 8 KB with the header's name and scheme."""


class TokenTooLargeError(IdpError):
    """The grants of the application do not fit a token."""


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What an application gets for its credentials."""

    access_token: str
    id_token: str
    """Empty unless `openid` was asked for."""
    scope: str
    jti: str


def issue_tokens(
    realm: KnownRealm, application: KnownApplication, *, scope: str = "", resource: str = "", audience: str = ""
) -> IssuedTokens:
    """Issue an access token, and with `openid` an ID token, for an application that has authenticated.

    The parameters are those of the token request, empty if absent; see `claims.narrow`. Both tokens live 36,000 seconds.

    :raises ScopeError: see `claims.narrow`.
    :raises TargetError: see `claims.narrow`.
    :raises TokenTooLargeError: the token would not fit a header.
    """
    now = clock.timestamp()
    profile = profile_of(realm, application, now)
    narrowing = narrow(application, profile, scope, resource, audience)
    signer = keys.key_ring(realm).signer(application.algorithm, now)

    jti = random_id()
    claims = access_claims(profile, narrowing)
    claims["iat"] = claims["nbf"] = now
    claims["exp"] = now + TOKEN_LIFETIME
    claims["jti"] = jti
    access_token = signer.sign("at+jwt", claims)
    if len(access_token) > LONGEST_TOKEN:
        raise TokenTooLargeError(
            f"The application has grants on {len(profile.project_names)} projects, which do not fit one token. "
            "Name those that are needed: scope=project:<name> project:<name>."
        )
    id_token = ""
    if narrowing.openid:
        claims = profile.id.copy()
        claims["iat"] = now
        claims["exp"] = now + TOKEN_LIFETIME
        claims["jti"] = random_id()
        claims["at_hash"] = at_hash(access_token)
        id_token = signer.sign("JWT", claims)
    return IssuedTokens(access_token, id_token, narrowing.scope, jti)


def at_hash(access_token: str) -> str:
    """Return the left half of the token's SHA-256, as RS256 and ES256 call for (OpenID Connect Core §3.1.3.6)."""
    return b64url(hashlib.sha256(access_token.encode()).digest()[:16]).decode()
