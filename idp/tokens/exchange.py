"""Access tokens made from what somebody presented: narrower ones for another audience (RFC 8693), and the gateway's own."""

from dataclasses import dataclass
from typing import Any

from idp import clock
from idp.applications import KnownApplication
from idp.crypto import random_id
from idp.errors import IdpError
from idp.realms import KnownRealm
from idp.tokens.claims import (
    LONGEST_CLAIMS,
    ScopeError,
    TargetError,
    TokenTooLargeError,
    open_json,
    projects_among,
    requested_scopes,
)
from idp.tokens.inspect import actors_of, inspect_token, lineage_of
from idp.tokens.issue import access_token_type, signer_for
from idp.verifier.kinds import ID_TOKEN_SHOWN, Kind, unverified_kind

MOST_ACTORS = 5
"""How many applications may stand one behind the other in `act`."""

GATEWAY_CLIENT = "urn:realmgate:gateway"
"""`client_id` of tokens that the gateway makes for the API behind it. No application can be called that."""


class SubjectTokenError(IdpError):
    """The subject token is none of this realm's, not active, or not the client's to exchange (RFC 8693 §2.2.2)."""


@dataclass(frozen=True, slots=True)
class ExchangedToken:
    """An access token that was just issued for another."""

    access_token: str
    expires_in: int
    """Seconds."""
    scope: str
    jti: str


def exchange_access_token(
    realm: KnownRealm, actor: KnownApplication, subject_token: str, *, scope: str, target: str
) -> ExchangedToken:
    """Issue a narrower access token for another audience, in which `act` shows who acts (RFC 8693 §4.1).

    The subject token must have been made for the application that asks, or issued to it. The result lives no longer than
    that, carries no role that it does not carry and its subject does not hold any more, and dies with it.

    :param actor: the application that asks, and has proved who it is.
    :param scope: `project:<name>` for each of the only projects to name; empty for all of the subject token's.
    :param target: the audience: one of those that the application may address; empty if it may address one only.
    :raises SubjectTokenError: the subject token will not do.
    :raises ScopeError: the scope is unknown, or exceeds the subject token.
    :raises TargetError: the application may not address the target.
    """
    claims = inspect_token(realm, subject_token)
    if claims is None and unverified_kind(subject_token) is Kind.ID:
        raise SubjectTokenError(ID_TOKEN_SHOWN)
    if claims is None or not _is_for(actor, claims):
        raise SubjectTokenError("The subject token is not active, or was not made for the client that presents it.")
    audience = target or (actor.audience[0] if len(actor.audience) == 1 else "")
    # never for this server itself: whoever is handed a token would become its subject here
    if audience not in actor.audience or audience in {realm.issuer, realm.general_audience}:
        raise TargetError("The client is not allowed to address this target. Name one of its audiences in resource or audience.")
    scopes = requested_scopes(scope)
    projects = _narrowed(claims, projects_among(scopes))
    granted = " ".join(scopes)
    narrowed: dict[str, Any] = {
        name: claims[name]
        for name in ("iss", "sub", "preferred_username", "realm_access", "sid", "auth_method", "limited")
        if name in claims
    }
    narrowed |= {
        "typ": "Bearer",
        "aud": audience,
        "azp": actor.client_id,
        "client_id": actor.client_id,
        "projects": projects,
        "act": _acting(actor, claims.get("act")),
        "origin": lineage_of(claims),
    }
    if granted:
        narrowed["scope"] = granted
    now = clock.timestamp()
    token, jti = _sign(realm, actor, narrowed, now, claims["exp"])
    return ExchangedToken(token, claims["exp"] - now, granted, jti)


def issue_upstream_token(realm: KnownRealm, identity: dict[str, Any], *, audience: str, now: int, expires: int) -> str:
    """Issue the short token that the gateway hands to the API behind it.

    :param identity: `sub`, `preferred_username`, `realm_access`, `projects` of who calls.
    :param expires: seconds since 1970.
    """
    claims = {"iss": realm.issuer, "typ": "Bearer", "client_id": GATEWAY_CLIENT, "azp": GATEWAY_CLIENT} | identity
    claims["aud"] = audience
    return _sign(realm, None, claims, now, expires)[0]


def _is_for(actor: KnownApplication, claims: dict[str, Any]) -> bool:
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    return claims["client_id"] == actor.client_id or not actor.resources.isdisjoint(audience)


def _narrowed(claims: dict[str, Any], wanted: frozenset[str]) -> list[dict[str, Any]]:
    if not wanted <= {project["name"] for project in claims["projects"]}:
        raise ScopeError("The subject token carries no role on one of the requested projects.")
    return [project for project in claims["projects"] if not wanted or project["name"] in wanted]


def _acting(actor: KnownApplication, before: dict[str, Any] | None) -> dict[str, Any]:
    acting: dict[str, Any] = {"sub": actor.uid, "client_id": actor.client_id}
    if before is not None:
        acting["act"] = before
    if sum(1 for _ in actors_of({"act": acting})) > MOST_ACTORS:
        raise SubjectTokenError(f"The token has passed through {MOST_ACTORS} clients already, which is the limit.")
    return acting


def _sign(
    realm: KnownRealm, application: KnownApplication | None, claims: dict[str, Any], now: int, expires: int
) -> tuple[str, str]:
    text = open_json(claims)
    if len(text) > LONGEST_CLAIMS:
        raise TokenTooLargeError("The roles do not fit in one token. Name the projects that are needed: scope=project:<name>.")
    jti = random_id()
    typ = access_token_type(realm, application)
    token = signer_for(realm, application, now).sign(typ, f'{text},"iat":{now},"nbf":{now},"exp":{expires},"jti":"{jti}"}}')
    return token, jti
