"""Access tokens made from what somebody presented: narrower ones for another audience (RFC 8693), and the gateway's own."""

from dataclasses import dataclass
from typing import Any

from idp import clock
from idp.applications import KnownApplication
from idp.crypto import random_id
from idp.errors import IdpError
from idp.jose import ID_TOKEN_SHOWN, Kind, unverified_kind
from idp.proofs import ANYBODYS, Binding, ProofError, check_binding
from idp.realms import KnownRealm
from idp.tokens.claim_list import EXCHANGED, UPSTREAM, Statement, Subject, acting
from idp.tokens.claims import close_claims, write_claims
from idp.tokens.inspect import actors_of, inspect_token, lineage_of
from idp.tokens.issue import access_token_type, signer_for
from idp.tokens.narrowing import ScopeError, TargetError, named_targets, projects_among, requested_scopes
from idp.tokens.token_roles import TokenRoles

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
    realm: KnownRealm, actor: KnownApplication, subject_token: str, *, scope: str, resource: str, audience: str, binding: Binding
) -> ExchangedToken:
    """Issue a narrower access token for another audience, in which `act` shows who acts (RFC 8693 §4.1).

    The subject token must have been made for the application that asks, or issued to it. The result lives no longer than
    that and than the client's own tokens, carries no role that it does not carry and its subject does not hold any more, and
    dies with it.

    :param actor: the application that asks, and has proved who it is.
    :param scope: `project:<name>` for each of the only projects to name; empty for all of the subject token's.
    :param resource: see `named_targets`: both may be empty if the application may address one target only.
    :param binding: what the request shows that it holds: the result is bound to that, and a subject token that is bound must be,
        to the same.
    :raises SubjectTokenError: the subject token will not do.
    :raises ScopeError: the scope is unknown, or exceeds the subject token.
    :raises TargetError: the application may not address the target.
    :raises TokenTooLargeError: it would not fit a header.
    """
    claims = inspect_token(realm, subject_token)
    if claims is None and unverified_kind(subject_token) is Kind.ID:
        raise SubjectTokenError(ID_TOKEN_SHOWN)
    if claims is None or not _is_for(actor, claims):
        raise SubjectTokenError("The subject token is not active, or was not made for the client that presents it.")
    _check_held(claims, binding)
    targets = named_targets(actor.audience, resource, audience) or (actor.audience if len(actor.audience) == 1 else ())
    # never for this server itself: whoever is handed a token would become its subject here
    if not targets or {realm.issuer, realm.general_audience} & set(targets):
        raise TargetError("The client is not allowed to address this target. Name one of its audiences in resource or audience.")
    scopes = requested_scopes(scope)
    projects = _narrowed(claims, projects_among(scopes))
    granted = " ".join(scopes)
    said = Statement(
        form=EXCHANGED,
        realm=realm,
        exchanged=claims,
        held=TokenRoles(claims["realm_access"], projects, claims["exp"]),
        audience=targets,
        party=actor.client_id,
        client_id=actor.client_id,
        actor=_acting(actor, claims.get("act")),
        origin=lineage_of(claims),
        credential=actor.credential,
        scope=granted,
    )
    now = clock.timestamp()
    expires = min(claims["exp"], now + actor.token_seconds)
    token, jti = _sign(actor, said, now, expires, binding)
    return ExchangedToken(token, expires - now, granted, jti)


def issue_upstream_token(realm: KnownRealm, subject: Subject, held: TokenRoles, *, audience: str, now: int, expires: int) -> str:
    """Issue the short token that the gateway hands to the API behind it.

    :param subject: who calls.
    :param held: the roles that count for the call.
    :param expires: seconds since 1970.
    :raises TokenTooLargeError: it would not fit a header.
    """
    said = Statement(
        form=UPSTREAM,
        realm=realm,
        subject=subject,
        held=held,
        audience=audience,
        party=GATEWAY_CLIENT,
        client_id=subject.client_id if isinstance(subject, KnownApplication) else GATEWAY_CLIENT,
    )
    return _sign(None, said, now, expires)[0]


def _is_for(actor: KnownApplication, claims: dict[str, Any]) -> bool:
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    return claims["client_id"] == actor.client_id or not actor.resources.isdisjoint(audience)


def _check_held(claims: dict[str, Any], binding: Binding) -> None:
    """See that who exchanges a bound token holds what it is bound to; what anybody can use may become bound by that.

    :raises SubjectTokenError: they do not.
    """
    try:
        if "cnf" in claims:
            check_binding(claims, binding)
    except ProofError as error:
        raise SubjectTokenError("The subject token is bound to a key that the request does not show.") from error


def _narrowed(claims: dict[str, Any], wanted: frozenset[str]) -> list[dict[str, Any]]:
    if not wanted <= {project["name"] for project in claims["projects"]}:
        raise ScopeError("The subject token carries no role on one of the requested projects.")
    return [project for project in claims["projects"] if not wanted or project["name"] in wanted]


def _acting(actor: KnownApplication, before: dict[str, Any] | None) -> dict[str, Any]:
    said = acting(actor, before)
    if sum(1 for _ in actors_of({"act": said})) > MOST_ACTORS:
        raise SubjectTokenError(f"The token has passed through {MOST_ACTORS} clients already, which is the limit.")
    return said


def _sign(
    application: KnownApplication | None, said: Statement, now: int, expires: int, binding: Binding = ANYBODYS
) -> tuple[str, str]:
    jti = random_id()
    typ = access_token_type(said.realm, application)
    text = close_claims(write_claims(said), now, expires, jti, binding)
    return signer_for(said.realm, application, now).sign(typ, text), jti
