"""What is left of a token that was issued: is it active, what does it say, and revoking it."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select

from idp import audit, clock, keys
from idp.applications import KnownApplication, known_application
from idp.db import db, insert_if_new, reading
from idp.errors import IdpError
from idp.realms import SIGNING_ALGORITHMS, KnownRealm
from idp.settings import CLOCK_LEEWAY
from idp.tokens.claims import profile_of
from idp.tokens.models import RevokedToken
from idp.verifier.jose import InvalidTokenError, Key, OpenedToken, check_times, import_key, open_token


class ForeignTokenError(IdpError):
    """The token was issued to another application."""


class NotRevocableError(IdpError):
    """Tokens of this kind cannot be revoked."""


def _open(realm: KnownRealm, token: str, types: tuple[str, ...], *, late: float = 0) -> OpenedToken:
    """Open a token of this realm; raise InvalidTokenError when it is none, or no longer one.

    :param late: seconds past its end in which it is still opened.
    """
    now = clock.timestamp()
    published = keys.key_ring(realm).published(now)

    def find(kid: str | None, algorithm: str) -> list[Key]:
        return [import_key(key.public_jwk) for key in published if key.kid == kid and key.algorithm == algorithm]

    opened = open_token(token, keys=find, algorithms=SIGNING_ALGORITHMS, types=types)
    # another node may have issued it, by a clock that is ahead of this one's
    check_times(opened.claims, now, early=CLOCK_LEEWAY, late=late)
    if opened.claims.get("iss") != realm.issuer:
        raise InvalidTokenError("The token was issued by somebody else.")
    return opened


def inspect_token(realm: KnownRealm, token: str) -> dict[str, Any] | None:
    """Return the claims of an active access token of this realm, or None (RFC 7662 §2.2 and §4).

    Roles and projects are those that the token names *and* the application still holds.
    """
    try:
        claims = _open(realm, token, ("at+jwt",)).claims
    except InvalidTokenError:
        return None
    application = known_application(realm, claims["client_id"])
    if application is None or not application.enabled or application.uid != claims["sub"]:
        return None
    with reading() as session:
        revoked = select(RevokedToken.jti).where(RevokedToken.realm_id == realm.id, RevokedToken.jti == claims["jti"])
        if session.scalar(revoked) is not None:
            return None
    return _still_held(realm, application, claims)


def _still_held(realm: KnownRealm, application: KnownApplication, claims: dict[str, Any]) -> dict[str, Any]:
    """Leave out of the claims what the application has lost since."""
    held = profile_of(realm, application, clock.timestamp()).access
    roles = [role for role in claims["realm_access"]["roles"] if role in held["realm_access"]["roles"]]
    now_held = {project["uid"]: project["roles"] for project in held["projects"]}
    projects = [
        {**project, "roles": [role for role in project["roles"] if role in now_held[project["uid"]]]}
        for project in claims["projects"]
        if project["uid"] in now_held
    ]
    return claims | {
        "realm_access": {"roles": roles},
        "resource_access": {application.client_id: {"roles": roles}},
        "projects": [project for project in projects if project["roles"]],
    }


def revoke_token(realm: KnownRealm, token: str, *, by: KnownApplication) -> None:
    """Revoke an access token of the application that asks. An unknown or dead token is success (RFC 7009 §2.2).

    :raises ForeignTokenError: it was issued to another application, and is left alone (§2.1).
    :raises NotRevocableError: it is an ID token (§2.2.1).
    """
    try:
        opened = _open(realm, token, ("at+jwt", "jwt"), late=CLOCK_LEEWAY)
    except InvalidTokenError:
        return
    claims = opened.claims
    if claims["sub"] != by.uid:
        raise ForeignTokenError("The token was issued to another application.")
    if opened.header["typ"].lower() == "jwt":
        raise NotRevocableError("ID tokens cannot be revoked. Revoke the access token.")
    expires_at = datetime.fromtimestamp(claims["exp"] + 2 * CLOCK_LEEWAY, UTC)
    if insert_if_new(RevokedToken, realm_id=realm.id, jti=claims["jti"], expires_at=expires_at, revoked_at=clock.now()):
        audit.record(audit.Tag.TOKEN_REVOKE, realm.name, f"token:{claims['jti']}")


def forget_expired_revocations() -> None:
    """Remove revocations of tokens that have expired, and so are refused anyway."""
    db.session.execute(delete(RevokedToken).where(RevokedToken.expires_at < clock.now()))
