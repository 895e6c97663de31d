"""What is left of a token that was issued: is it active, what does it say, and revoking it."""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select

from idp import access, audit, clock, feed, keys, recall
from idp.access import HeldRole
from idp.algorithms import SIGNING_ALGORITHMS
from idp.applications import KnownApplication, known_application
from idp.authorizations import known_authorization
from idp.db import db, insert_if_new, reading
from idp.errors import IdpError
from idp.jose import InvalidTokenError, Key, Kind, OpenedToken, check_times, import_key, kind_of, open_token, types_of
from idp.realms import KnownRealm
from idp.settings import CLOCK_LEEWAY
from idp.tokens.claim_list import SERVICE_ACCOUNT, Subject
from idp.tokens.models import RevokedToken
from idp.tokens.token_roles import roles_for_token
from idp.users import KnownUser, known_user


class ForeignTokenError(IdpError):
    """The token was issued to another application."""


class NotRevocableError(IdpError):
    """Tokens of this kind cannot be revoked."""


def open_token_of(realm: KnownRealm, token: str, kinds: Collection[Kind], *, late: float = 0) -> OpenedToken:
    """Open a token that this realm signed. Whether it was revoked since is not looked at.

    :param kinds: what it may be.
    :raises InvalidTokenError: it is none, or no longer one.
    :param late: seconds past its end in which it is still opened.
    """
    now = clock.timestamp()
    published = keys.key_ring(realm).published(now)

    def find(kid: str | None, algorithm: str) -> list[Key]:
        return [import_key(key.public_jwk) for key in published if key.kid == kid and key.algorithm == algorithm]

    opened = open_token(token, keys=find, algorithms=SIGNING_ALGORITHMS, types=types_of(kinds))
    if kind_of(opened) not in kinds:
        raise InvalidTokenError("The token is not of the kind expected here.")
    # another node may have issued it, by a clock that is ahead of this one's
    check_times(opened.claims, now, early=CLOCK_LEEWAY, late=late)
    if opened.claims.get("iss") != realm.issuer:
        raise InvalidTokenError("The token was issued by another issuer.")
    return opened


def inspect_token(realm: KnownRealm, token: str) -> dict[str, Any] | None:
    """Return the claims of an active access token of this realm, or None (RFC 7662 §2.2 and §4).

    Roles and projects are those that the token names *and* the application still holds. What was revoked before this counts.
    """
    realm.runtime.feed.confirm_now()
    try:
        claims = open_token_of(realm, token, {Kind.ACCESS}).claims
    except InvalidTokenError:
        return None
    subject = live_subject(realm, claims)
    if subject is None or is_revoked(realm, claims):
        return None
    return still_held(access.limited_to(claims.get("limited"), subject.held_roles), claims)


def actors_of(claims: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return all who have acted on the way to a token, the last one first (RFC 8693 §4.1)."""
    actor = claims.get("act")
    while actor is not None:
        yield actor
        actor = actor.get("act")


def live_subject(realm: KnownRealm, claims: dict[str, Any]) -> Subject | None:
    """Return whose token it is, unless that user or application, or one of those who acted on the way, is gone or disabled.

    :param claims: those of a token of this realm that was opened.
    """
    for actor in actors_of(claims):
        application = known_application(realm, actor["client_id"])
        if application is None or not application.enabled or application.uid != actor["sub"]:
            return None
    name: str = "" if "grant_id" in claims else claims["preferred_username"]
    subject: Subject | None
    if name.startswith(SERVICE_ACCOUNT):
        subject = known_application(realm, name.removeprefix(SERVICE_ACCOUNT))
    else:
        subject = known_user(realm, claims["sub"])
    if subject is None or not subject.enabled or subject.uid != claims["sub"]:
        return None
    return subject if _is_still_authorized(realm, subject, claims) else None


def _is_still_authorized(realm: KnownRealm, subject: Subject, claims: dict[str, Any]) -> bool:
    """Tell whether a person's token at an application still stands for something: their sign-in there, and the application."""
    if "grant_id" not in claims:
        return True
    found = known_authorization(realm, claims["grant_id"])
    application = known_application(realm, found.client_id) if found is not None else None
    if found is None or application is None or not isinstance(subject, KnownUser):
        return False
    is_its_own = application.enabled and application.uid == found.application_uid
    return is_its_own and found.user_id == subject.id and found.lives_after(subject.signed_out_at)


def is_revoked(realm: KnownRealm, claims: dict[str, Any]) -> bool:
    """Tell whether a token, or one of those that it was exchanged for on the way, was revoked.

    What a rule or an issuer has admitted that admits nobody any more is revoked with it.

    That it was not is remembered, so another worker may take up to a second to learn of a revocation. Whose answers are compared
    with a revocation's has the memory confirmed first (`Feed.confirm_now`).
    """
    if is_before_restore(realm, claims) or recall.is_withdrawn(realm, claims):
        return True
    cache = realm.runtime.feed.cache("token")
    for jti in lineage_of(claims):
        key = f"{realm.name}/{jti}"
        if cache.get(key) is None and cache.load(key, lambda jti=jti: _unless_revoked(realm, jti)) is None:  # type: ignore[misc]
            return True
    return False


def is_before_restore(realm: KnownRealm, claims: dict[str, Any]) -> bool:
    """Tell whether a token is of before a backup was put back: whether it was revoked since, nobody knows any more."""
    return bool(claims["iat"] < realm.tokens_from)


def lineage_of(claims: dict[str, Any]) -> list[str]:
    """Return the ids of a token and of all that it was exchanged for, one after the other: each of them counts."""
    origin = claims.get("origin", [])
    return [claims["jti"], *([origin] if isinstance(origin, str) else origin)]  # a text is what older versions wrote


def _unless_revoked(realm: KnownRealm, jti: str) -> bool | None:
    with reading() as session:
        revoked = select(RevokedToken.jti).where(RevokedToken.realm_id == realm.id, RevokedToken.jti == jti)
        return None if session.scalar(revoked) is not None else True


def still_held(held: Iterable[HeldRole], claims: dict[str, Any]) -> dict[str, Any]:
    """Leave out of the claims what is not held any more."""
    now_held = roles_for_token(held, clock.timestamp())
    on_realm = _common(claims["realm_access"], now_held.on_realm)
    by_project = {project["uid"]: project for project in now_held.projects}
    projects = [
        {"uid": project["uid"], "name": project["name"], **_common(project, by_project[project["uid"]])}
        for project in claims["projects"]
        if project["uid"] in by_project
    ]
    access = dict.fromkeys(claims.get("resource_access", ()), on_realm)
    return claims | {
        "realm_access": on_realm,
        "projects": [project for project in projects if project["roles"]],
        **({"resource_access": access} if access else {}),
    }


def _common(carried: dict[str, Any], held: dict[str, Any]) -> dict[str, Any]:
    """Return the roles that a token names and that are held, with their ends as of now."""
    roles = [role for role in carried["roles"] if role in held["roles"]]
    ends = {role: end for role, end in held.get("ends", {}).items() if role in roles}
    return {"roles": roles, **({"ends": ends} if ends else {})}


def revoke_token(realm: KnownRealm, token: str, *, by: KnownApplication) -> None:
    """Revoke an access token of the application that asks. An unknown or dead token is success (RFC 7009 §2.2).

    :raises ForeignTokenError: it was issued to another application, and is left alone (§2.1).
    :raises NotRevocableError: it is an ID token (§2.2.1).
    """
    try:
        opened = open_token_of(realm, token, {Kind.ACCESS, Kind.ID}, late=CLOCK_LEEWAY)
    except InvalidTokenError:
        return
    claims = opened.claims
    if claims.get("client_id", claims["azp"]) != by.client_id or claims["azp"] != by.client_id:
        raise ForeignTokenError("The token was issued to another application.")
    if kind_of(opened) is Kind.ID:
        raise NotRevocableError("ID tokens cannot be revoked. Revoke the access token.")
    write_revocation(realm, claims)


def write_revocation(realm: KnownRealm, claims: dict[str, Any]) -> None:
    """Note that a token of this realm is revoked; every worker learns of it within a second."""
    expires_at = datetime.fromtimestamp(claims["exp"] + 2 * CLOCK_LEEWAY, UTC)
    if insert_if_new(RevokedToken, realm_id=realm.id, jti=claims["jti"], expires_at=expires_at, revoked_at=clock.now()):
        audit.record(audit.Tag.TOKEN_REVOKE, realm.name, f"token:{claims['jti']}")
        feed.publish("token", f"{realm.name}/{claims['jti']}")


def forget_expired_revocations() -> None:
    """Remove revocations of tokens that have expired, and so are refused anyway."""
    db.session.execute(delete(RevokedToken).where(RevokedToken.expires_at < clock.now()))
