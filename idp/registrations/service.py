"""Applications register themselves (RFC 7591, RFC 7592): with a token that an administrator has made, and never without."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select, update

from idp import applications, audit, clock, crypto
from idp.applications import Application, ApplicationSheet
from idp.authorizations import Authorization
from idp.db import db
from idp.errors import ConflictError, IdpError, InvalidValueError, Kind, NotFoundError
from idp.paging import Listing
from idp.realms import KnownRealm, Realm, get_realm
from idp.registrations.models import Registration, RegistrationToken, TokenState
from idp.registrations.sheet import RegistrationTokenSheet

USUAL_LIFE, LONGEST_LIFE = timedelta(days=7), timedelta(days=366)

ABANDONED_AFTER = timedelta(days=7)
"""How long an application that has registered itself may go unused before it is removed."""

FIRST_SECRET = "main"  # noqa: S105 (a name, no secret)

_MOST_REMOVED = 100
"""Abandoned applications that one round removes."""


class BadTokenError(IdpError):
    """A registration token, or a registration access token, is unknown, or does not work any more."""

    kind = Kind.UNAUTHENTICATED


class RegistrationOffError(IdpError):
    """Applications of the realm cannot register themselves."""

    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("Applications cannot register themselves here: turn it on in the settings first (registration).")


@dataclass(frozen=True, slots=True)
class Registered:
    """An application that has registered itself, with what is shown once."""

    application: Application
    access_token: str = field(repr=False)
    """With which it reads and changes itself."""
    secret: str = field(repr=False)
    """Empty for one that has none."""


def create_token(realm: Realm, sheet: RegistrationTokenSheet) -> tuple[RegistrationToken, str]:
    """Make a registration token; return it, and its value, which is shown once.

    :raises RegistrationOffError: the realm has registration turned off.
    :raises InvalidValueError: it would expire in the past, or after a year, or be for nothing.
    """
    if not realm.registration:
        raise RegistrationOffError
    now = clock.now()
    expires_at = sheet.expires_at or now + USUAL_LIFE
    if not now < expires_at <= now + LONGEST_LIFE:
        raise InvalidValueError("A registration token expires in the future, and within a year.", field="expires_at")
    for name in ("kinds", "scopes"):
        if not getattr(sheet, name):
            raise InvalidValueError(f"A registration token needs at least one of {name}.", field=name)
    plain = crypto.make_secret("it")
    row = RegistrationToken(
        realm_id=realm.id,
        description=sheet.description,
        public_part=crypto.public_part(plain),
        token_hash=_hash_token(plain),
        kinds=sorted(set(sheet.kinds)),
        scopes=list(sheet.scopes),
        limit=sheet.limit,
        expires_at=expires_at,
        created_by=audit.current_actor().name,
    )
    db.session.add(row)
    db.session.flush()
    audit.record(
        audit.Tag.REGISTRATION_TOKEN_CREATE,
        realm.name,
        f"registration-token:{row.uid}",
        kinds=row.kinds,
        scopes=row.scopes,
        limit=row.limit,
        expires_at=expires_at.isoformat(timespec="seconds"),
    )
    return row, plain


def revoke_token(realm: Realm, row: RegistrationToken) -> None:
    """End a registration token. The applications that it has registered stay.

    :raises ConflictError: it was revoked before.
    """
    if row.revoked_at is not None:
        raise ConflictError("This registration token was revoked before.")
    row.revoked_at = clock.now()
    audit.record(audit.Tag.REGISTRATION_TOKEN_REVOKE, realm.name, f"registration-token:{row.uid}", used=row.used)


def get_token(realm: Realm, uid: str) -> RegistrationToken:
    """Return a registration token.

    :raises NotFoundError: there is none.
    """
    query = select(RegistrationToken).where(RegistrationToken.realm_id == realm.id, RegistrationToken.uid == uid)
    row = db.session.scalar(query)
    if row is None:
        raise NotFoundError("There is no registration token with this uid (not found).")
    return row


def token_listing(realm: Realm) -> Listing:
    """Return the registration tokens of a realm, oldest first."""
    query = select(RegistrationToken).where(RegistrationToken.realm_id == realm.id)
    return Listing(query, RegistrationToken.id, {"creationTimestamp": RegistrationToken.created_at})


def find_token(realm: KnownRealm, plain: str) -> RegistrationToken:
    """Return the live registration token of this value.

    :raises BadTokenError: there is none.
    """
    row = None
    if crypto.is_well_formed(plain, "it"):
        query = select(RegistrationToken).where(
            RegistrationToken.token_hash == _hash_token(plain), RegistrationToken.realm_id == realm.id
        )
        row = db.session.scalar(query)
    if row is None or row.state(clock.now()) is not TokenState.LIVE:
        raise BadTokenError("The registration token is unknown, expired, used up or revoked. Ask an administrator for another.")
    return row


def register(realm: KnownRealm, token: RegistrationToken, sheet: ApplicationSheet, *, secret: bool) -> Registered:
    """Create an application that asks for itself; of several who use a token for the last time, one gets it.

    :param secret: whether it authenticates with a secret.
    :raises BadTokenError: the token was used up, or revoked, meanwhile.
    """
    claim = update(RegistrationToken).where(
        RegistrationToken.id == token.id,
        RegistrationToken.used < RegistrationToken.limit,
        RegistrationToken.revoked_at.is_(None),
        RegistrationToken.expires_at > clock.now(),
    )
    if db.session.execute(claim.values(used=RegistrationToken.used + 1)).rowcount != 1:  # type: ignore[attr-defined]
        raise BadTokenError("The registration token has just been used up. Ask an administrator for another.")
    row = get_realm(realm.name)
    application = applications.create_application(row, f"app-{secrets.token_hex(12)}", sheet)
    plain_secret = applications.add_secret(row, application, FIRST_SECRET)[1] if secret else ""
    access_token = crypto.make_secret("ra")
    db.session.add(Registration(application_id=application.id, token_id=token.id, access_hash=_hash_access(access_token)))
    return Registered(application, access_token, plain_secret)


def find_registered(realm: KnownRealm, client_id: str, access_token: str) -> tuple[Application, RegistrationToken]:
    """Return the application that a registration access token is of, and what it was registered with.

    :raises BadTokenError: it is another's, or the application is disabled (T80).
    """
    found = None
    if crypto.is_well_formed(access_token, "ra"):
        query = (
            select(Application, RegistrationToken)
            .join(Registration, Registration.application_id == Application.id)
            .join(RegistrationToken, RegistrationToken.id == Registration.token_id)
            .where(
                Registration.access_hash == _hash_access(access_token),
                Application.realm_id == realm.id,
                Application.name == client_id,
                Application.enabled,
            )
        )
        found = db.session.execute(query).one_or_none()
    if found is None:
        raise BadTokenError("The registration access token is not one of this application, or the application is disabled.")
    return found[0], found[1]


def has_secret(application: Application) -> bool:
    """Tell whether an application authenticates with a secret."""
    now = clock.now()
    return any(each.is_live(now) for each in applications.list_secrets(application))


def remove_abandoned() -> None:
    """Remove applications that have registered themselves and were never used."""
    used = select(Authorization.id).where(Authorization.application_id == Application.id).exists()
    query = (
        select(Application, Realm)
        .join(Registration, Registration.application_id == Application.id)
        .join(Realm, Realm.id == Application.realm_id)
        .where(Registration.created_at < clock.now() - ABANDONED_AFTER, Application.last_used_at.is_(None), ~used)
        .limit(_MOST_REMOVED)
    )
    for application, realm in db.session.execute(query).all():
        applications.delete_application(realm, application)


def _hash_token(plain: str) -> str:
    return crypto.keyed_hash(b"registration token", plain).hex()


def _hash_access(plain: str) -> str:
    return crypto.keyed_hash(b"registration access token", plain).hex()
