"""Who may make, see and change which API keys. A key acts as its owner, so these rules keep anybody from growing by one."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from idp import access, apikeys, applications, clock, users
from idp.access import Frozen, HeldRole, Holder, HolderKind
from idp.apikeys import ApiKey, NewKey
from idp.callers.models import Caller, CredentialKind, DeniedError
from idp.db import db
from idp.errors import NotFoundError
from idp.realms import Realm
from idp.users import KnownUser, User

_SIGNED_IN = frozenset({CredentialKind.SESSION, CredentialKind.PASSWORD})


@dataclass(frozen=True)
class KeyWish:
    """What a new key is to be; None leaves it to the rules."""

    name: str = "key"
    description: str = ""
    hours: int | None = None
    expires_at: datetime | None = None
    never: bool = False
    roles: list[str] | None = None
    projects: list[str] | None = None
    addresses: list[str] | None = None
    rate_per_minute: int | None = None


def make_key(caller: Caller, realm: Realm, owner_uid: str | None, wish: KeyWish) -> NewKey:
    """Make a key for the caller, or for somebody else.

    For somebody else it takes `api-keys:write` and every permission that they have. A key that is made with a key carries
    no more than that one and ends no later; one that is made with any other token than a sign-in's is not one's own.

    :param owner_uid: uid of the user or application; None for the caller.
    :raises DeniedError: the caller may not.
    :raises NotFoundError: there is no such user or application.
    """
    may_exceed = may_exceed_limits(caller, realm)
    expires_at, hours = wish.expires_at, wish.hours
    if owner_uid is None or owner_uid == caller.subject.uid:
        owner = _own(caller, realm)
        terms = _inherited(caller, wish)
    else:
        owner = _other(caller, realm, owner_uid)
        terms = _inherited(caller, wish)
        terms["frozen"] = frozen_for(caller, realm, owner, terms["frozen"])
    limit = _end_of_own_key(caller)
    if limit is not None:
        if expires_at is None and hours is None and not wish.never:
            expires_at = limit
        may_exceed = may_exceed or expires_at == limit
    new = apikeys.create_key(
        realm, owner, wish.name, hours=hours, expires_at=expires_at, never=wish.never, may_exceed=may_exceed,
        made_with=caller.key, description=wish.description, **terms,
    )  # fmt: skip
    if limit is not None and (new.key.expires_at is None or new.key.expires_at > limit):
        raise DeniedError(f"A key cannot create one that outlives it: choose an expiry up to {limit:%Y-%m-%dT%H:%M:%SZ}.")
    return new


def rotate_key(caller: Caller, realm: Realm, uid: str, *, overlap: timedelta, hours: int | None) -> NewKey:
    """Rotate a key that the caller may change; with the key itself, it lives as long as it was made for, or the policy says."""
    key = writable_key(caller, realm, uid)
    frozen = _frozen_anew(caller, realm, key)
    may_exceed = may_exceed_limits(caller, realm) and not caller.key
    new = apikeys.rotate_key(realm, key, overlap=overlap, hours=hours, may_exceed=may_exceed, made_with=caller.key, frozen=frozen)
    limit = _end_of_own_key(caller)
    if limit is not None and not is_own_key(caller, key) and (new.key.expires_at is None or new.key.expires_at > limit):
        raise DeniedError(
            f"A key cannot rotate another's into one that outlives it: choose an expiry up to {limit:%Y-%m-%dT%H:%M:%SZ}."
        )
    return new


def renew_key(caller: Caller, realm: Realm, uid: str) -> NewKey:
    """Give a key that the caller may change another secret; it stays the key that it is. See `rotate_key` for the rules."""
    key = writable_key(caller, realm, uid)
    frozen = _frozen_anew(caller, realm, key)
    if not is_own_key(caller, key):
        check_change(caller, realm, key)
    return apikeys.renew_secret(realm, key, frozen=frozen)


def _frozen_anew(caller: Caller, realm: Realm, key: ApiKey) -> Frozen | None:
    """Return what limits a key whose secret the caller gets to see: for somebody else's, that takes what making it takes.

    :raises DeniedError: the caller may not.
    """
    if is_own_key(caller, key):
        return key.frozen
    owner = apikeys.owner_of(key)
    _cover(caller, realm, owner)
    _refuse_narrowed(caller)
    return frozen_for(caller, realm, owner, key.frozen)


def _refuse_narrowed(caller: Caller) -> None:
    """See that a key that is limited in any way makes no successor to another's, which would not be.

    :raises DeniedError: it is.
    """
    own = db.session.scalar(select(ApiKey).where(ApiKey.public_part == caller.key)) if caller.key else None
    if own is not None and (own.frozen is not None or own.roles or own.projects or own.addresses or own.rate_per_minute):
        raise DeniedError("A restricted key cannot rotate the keys of others. Sign in, or use a key without limits.")


def may_exceed_limits(caller: Caller, realm: Realm) -> bool:
    """Tell whether the caller may give keys a longer life than the organisation and the user's setting allow."""
    return caller.may("api-keys:write", realm=realm.name)


def readable_key(caller: Caller, realm: Realm, uid: str) -> ApiKey:
    """Return a key that the caller may see; any other is not there (T73).

    :raises NotFoundError: there is none that the caller may see.
    """
    key = apikeys.get_key(realm, uid)
    if not is_own_key(caller, key) and not caller.may("api-keys:read", realm=realm.name):
        raise NotFoundError(f"Realm {realm.name!r} has no API key {uid[:80]!r}.")
    return key


def writable_key(caller: Caller, realm: Realm, uid: str) -> ApiKey:
    """Return a key that the caller may change.

    :raises NotFoundError: there is none that the caller may see.
    :raises DeniedError: the caller may see it, and may not change it.
    """
    key = readable_key(caller, realm, uid)
    if not is_own_key(caller, key):
        caller.require("api-keys:write", realm=realm.name)
    elif not (
        caller.kind in _SIGNED_IN
        or (caller.kind is CredentialKind.API_KEY and caller.key == key.public_part)
        # who may change everybody's keys may change one's own with whatever shows it
        or caller.may("api-keys:write", realm=realm.name)
    ):
        raise DeniedError("Your own keys can be changed after signing in, or each by itself, but not by a token or another key.")
    return key


def check_change(caller: Caller, realm: Realm, key: ApiKey) -> None:
    """See that a change to a key's narrowing or life is made by somebody who has signed in, or could make such a key.

    :raises DeniedError: it is made with the key itself, or for somebody who has more permissions.
    """
    if caller.key:
        raise DeniedError("A key cannot be changed by a key. Sign in, or ask an administrator.")
    if not is_own_key(caller, key):
        _cover(caller, realm, apikeys.owner_of(key))


def set_key_active(caller: Caller, realm: Realm, uid: str, *, active: bool) -> None:
    """Deactivate a key, or activate it again; to activate somebody else's takes what making it takes."""
    key = writable_key(caller, realm, uid)
    if active and not is_own_key(caller, key):
        _cover(caller, realm, apikeys.owner_of(key))
    apikeys.update_key(realm, key, active=active)


def is_own_key(caller: Caller, key: ApiKey) -> bool:
    """Tell whether a key is the caller's own."""
    if isinstance(caller.subject, KnownUser):
        return key.user_id == caller.subject.id
    return key.application_id == caller.subject.id


def own_holder(caller: Caller) -> Holder:
    """Return the caller as an owner of keys."""
    subject = caller.subject
    if isinstance(subject, KnownUser):
        return Holder(HolderKind.USER, subject.id, subject.name, subject.uid)
    return Holder(HolderKind.APPLICATION, subject.id, subject.client_id, subject.client_id)


def held_by(holder: Holder) -> list[HeldRole]:
    """Return what somebody holds, as the database has it now."""
    groups: list[int] = []
    if holder.kind is HolderKind.USER:
        groups = [group.id for group in users.groups_of(db.session.get_one(User, holder.id))]
    return access.read_held_roles(db.session(), holder.kind, holder.id, groups)


def _own(caller: Caller, realm: Realm) -> Holder:
    if realm.name != caller.realm.name:
        raise DeniedError("Name the owner of the key in spec.userUid: the caller is not of this organisation.")
    if caller.kind not in _SIGNED_IN | {CredentialKind.API_KEY}:
        raise DeniedError("A token cannot create a key for its own holder, which would outlive it. Sign in, or use a key.")
    return own_holder(caller)


def _other(caller: Caller, realm: Realm, uid: str) -> Holder:
    caller.require("api-keys:write", realm=realm.name)
    user = users.find_user_by_uid(realm, uid)
    if user is not None:
        owner = users.holder_of(user)
    else:
        application = applications.find_application_by_uid(realm, uid)
        if application is None:
            raise NotFoundError("There is no user and no application with this uid (not found).")
        owner = applications.holder_of(application)
    _cover(caller, realm, owner)
    return owner


def _cover(caller: Caller, realm: Realm, owner: Holder) -> None:
    if not access.covers(caller.held_in(realm.name), held_by(owner)):
        raise DeniedError("A key acts as its owner: handing one out requires every permission that the owner has.")


def _terms(wish: KeyWish) -> dict[str, Any]:
    return {
        "roles": wish.roles or [],
        "projects": wish.projects or [],
        "addresses": wish.addresses or [],
        "rate_per_minute": wish.rate_per_minute,
        "frozen": None,
    }


def frozen_for(caller: Caller, realm: Realm, owner: Holder, before: Frozen | None = None) -> Frozen | None:
    """Return what a credential carries at the most which the caller makes for somebody else.

    It carries what its owner holds now, and no longer than now: should they be given more later, or their roles permit more,
    whoever has made the credential has not. Who could give everything, for good, has no need of it to grow by, and makes
    credentials without such a limit.

    :param before: what limits it already; None for nothing.
    """
    if math.isinf(access.granting_until(caller.held_in(realm.name), access.PERMISSIONS)):
        return before
    return access.freeze(access.within(before, held_by(owner)), clock.timestamp())


def _inherited(caller: Caller, wish: KeyWish) -> dict[str, Any]:
    """Return the narrowing of a key that is made with a key: at least that key's own."""
    terms = _terms(wish)
    if not caller.key:
        return terms
    own = db.session.scalars(select(ApiKey).where(ApiKey.public_part == caller.key)).one()
    terms["frozen"] = own.frozen
    for name in ("roles", "projects", "addresses"):
        limit: list[str] = getattr(own, name)
        terms[name] = terms[name] or list(limit)
        if limit and not set(terms[name]) <= set(limit):
            raise DeniedError(f"A key that is restricted to some {name} can create keys only for these.")
    terms["rate_per_minute"] = terms["rate_per_minute"] or own.rate_per_minute
    if own.rate_per_minute and terms["rate_per_minute"] > own.rate_per_minute:
        raise DeniedError("A key cannot make one with a higher rate than its own.")
    return terms


def _end_of_own_key(caller: Caller) -> datetime | None:
    key = db.session.scalar(select(ApiKey).where(ApiKey.public_part == caller.key)) if caller.key else None
    return key.expires_at if key is not None else None
