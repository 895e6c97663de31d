"""Applications register themselves (RFC 7591, RFC 7592): with a token that an administrator has made, and never without."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import delete, func, select, update

from idp import access, applications, audit, clock, crypto
from idp.access import HolderKind
from idp.applications import Application, ApplicationSheet, UsedAssertion
from idp.authorizations import Authorization, forget_consents
from idp.db import Base, db
from idp.errors import ConflictError, IdpError, InvalidValueError, Kind, NotFoundError
from idp.paging import Listing
from idp.realms import KnownRealm, Realm, lock_realm
from idp.registrations.models import Registration, RegistrationToken, TokenState
from idp.registrations.sheet import RegistrationTokenSheet

USUAL_LIFE, LONGEST_LIFE = timedelta(days=7), timedelta(days=366)

ABANDONED_AFTER = timedelta(days=7)
"""How long an application that has registered itself may go unused before it is removed."""

FIRST_SECRET = "main"  # noqa: S105 (a name, no secret)

WITH_SECRET = "client_secret"  # noqa: S105 (how the methods begin)

MOST_WITH_ORIGINS = 200
"""Applications of a realm with web origins that have registered themselves; administrators need places, too."""

_TOLD_TO_PEOPLE = ("display_name", "redirect_uris", "backchannel_logout_uri")
"""What people have agreed to, beside the scopes."""

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


@dataclass(frozen=True, slots=True)
class OwnMaster:
    """An application that looks after itself."""

    application: Application
    token: RegistrationToken
    registration: Registration


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


def register(realm: KnownRealm, token: RegistrationToken, sheet: ApplicationSheet, method: str) -> Registered:
    """Create an application that asks for itself; of several who use a token for the last time, one gets it.

    :param method: how it authenticates, as the protocol names it.
    :raises BadTokenError: the token was used up, or revoked, meanwhile.
    :raises ConflictError: no more applications may be read by pages of their own.
    """
    row = _lock(realm)
    _leave_origins(row, sheet)
    claim = update(RegistrationToken).where(
        RegistrationToken.id == token.id,
        RegistrationToken.used < RegistrationToken.limit,
        RegistrationToken.revoked_at.is_(None),
        RegistrationToken.expires_at > clock.now(),
    )
    if db.session.execute(claim.values(used=RegistrationToken.used + 1)).rowcount != 1:  # type: ignore[attr-defined]
        raise BadTokenError("The registration token has just been used up. Ask an administrator for another.")
    application = applications.create_application(row, f"app-{secrets.token_hex(12)}", sheet)
    secret = applications.add_secret(row, application, FIRST_SECRET)[1] if method.startswith(WITH_SECRET) else ""
    access_token = crypto.make_secret("ra")
    db.session.add(
        Registration(
            application_id=application.id,
            token_id=token.id,
            method=method,
            seen_at=application.updated_at,
            access_hash=_hash_access(access_token),
        )
    )
    db.session.flush()
    return Registered(application, access_token, secret)


def find_registered(realm: KnownRealm, client_id: str, access_token: str) -> OwnMaster:
    """Return the application that a registration access token is of, locked until the commit.

    It works for as long as the application is as it has made itself: once an administrator has changed it, disabled it (T80),
    retired its secret, or given it roles, it is theirs to look after.

    :raises BadTokenError: it is another's, or works no more.
    """
    _lock(realm)
    row = None
    if crypto.is_well_formed(access_token, "ra"):
        row = db.session.scalar(select(Registration).where(Registration.access_hash == _hash_access(access_token)))
    application = db.session.get(Application, row.application_id, populate_existing=True) if row is not None else None
    if row is None or application is None or application.realm_id != realm.id or application.name != client_id:
        raise BadTokenError("The registration access token is not one of this application.")
    if not _is_own_master(application, row):
        raise BadTokenError("The application is disabled, or looked after by an administrator by now.")
    return OwnMaster(application, db.session.get_one(RegistrationToken, row.token_id), row)


def replace(realm: KnownRealm, own: OwnMaster, sheet: ApplicationSheet) -> None:
    """Set what an application says of itself anew. People are asked again if it goes by another name, or to another place.

    :raises ConflictError: no more applications may be read by pages of their own.
    """
    application, row = own.application, _lock(realm)
    if not application.web_origins:
        _leave_origins(row, sheet)
    before = [getattr(application, name) for name in _TOLD_TO_PEOPLE]
    applications.update_application(row, application, sheet)
    if [getattr(application, name) for name in _TOLD_TO_PEOPLE] != before:
        forget_consents(application.id)
    own.registration.seen_at = application.updated_at


def remove(realm: KnownRealm, own: OwnMaster) -> None:
    """Remove an application that asks for that itself."""
    applications.delete_application(_lock(realm), own.application)


def _lock(realm: KnownRealm) -> Realm:
    """Return the realm, in which from here on nobody else makes, changes or removes anything before the commit."""
    row = lock_realm(realm.name)
    if row is None:
        raise BadTokenError("The registration token does not work any more.")
    return row


def _leave_origins(realm: Realm, sheet: ApplicationSheet) -> None:
    """See that strangers do not take all the places of applications with web origins.

    :raises ConflictError: they have as many as they may.
    """
    if not sheet.web_origins:
        return
    query = (
        select(func.count(Registration.id))
        .join(Application, Application.id == Registration.application_id)
        .where(Application.realm_id == realm.id, applications.HAS_ORIGINS)
    )
    if (db.session.scalar(query) or 0) >= MOST_WITH_ORIGINS:
        raise ConflictError("Too many applications of the kind browser have registered themselves here.")


def _is_own_master(application: Application, row: Registration) -> bool:
    """Tell whether an application is as it has made itself."""
    now = clock.now()
    has_secret = any(each.is_live(now) for each in applications.list_secrets(application))
    has_grants = bool(access.read_held_roles(db.session(), HolderKind.APPLICATION, application.id))
    return (
        application.enabled
        and application.updated_at == row.seen_at
        and has_secret is row.method.startswith(WITH_SECRET)
        and not has_grants
    )


def remove_abandoned() -> None:
    """Remove applications that have registered themselves, are as they were then, and were never used."""
    due = (
        select(Registration.id)
        .join(Application, Application.id == Registration.application_id)
        .where(Registration.created_at < clock.now() - ABANDONED_AFTER, Application.last_used_at.is_(None))
        .order_by(Registration.id)
        .limit(_MOST_REMOVED)
    )
    for number in db.session.scalars(due).all():
        query = select(Registration).where(Registration.id == number).with_for_update(skip_locked=True)
        row = db.session.scalar(query)
        application = db.session.get(Application, row.application_id) if row is not None else None
        if row is not None and application is not None and _is_own_master(application, row) and not _is_used(application):
            applications.delete_application(db.session.get_one(Realm, application.realm_id), application)
            db.session.flush()


def _is_used(application: Application) -> bool:
    """Tell whether anybody has ever signed in to an application, or anything was done with what it has."""
    keys = Base.metadata.tables["api_key"]
    if any(each.last_used_at is not None for each in applications.list_secrets(application)):
        return True
    queries = (
        select(Authorization.id).where(Authorization.application_id == application.id),
        select(UsedAssertion.jti_hash).where(UsedAssertion.application_id == application.id),
        select(keys.c.id).where(keys.c.application_id == application.id),
    )
    return any(db.session.execute(query.limit(1)).first() is not None for query in queries)


def end_all() -> int:
    """Revoke every registration token, and have no application look after itself any more; return how many tokens that were."""
    live = update(RegistrationToken).where(RegistrationToken.revoked_at.is_(None)).values(revoked_at=clock.now())
    db.session.execute(delete(Registration))
    return int(db.session.execute(live).rowcount)  # type: ignore[attr-defined]


def _hash_token(plain: str) -> str:
    return crypto.keyed_hash(b"registration token", plain).hex()


def _hash_access(plain: str) -> str:
    return crypto.keyed_hash(b"registration access token", plain).hex()
