"""Who may make, see and change which API keys. A key acts as its owner, so these rules keep anybody from growing by one."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from idp import apikeys, applications, users
from idp.access import Frozen, Holder, HolderKind
from idp.apikeys import ApiKey, ApiKeySheet, NewKey
from idp.callers import Caller, CredentialKind, DeniedError
from idp.db import db
from idp.errors import NotFoundError, Sentence
from idp.rules.authority import Authority
from idp.rules.delegation import covers, frozen_for, refuse_admitted
from idp.users import KnownUser

READ, WRITE = "api-keys:read", "api-keys:write"

_SIGNED_IN = frozenset({CredentialKind.SESSION, CredentialKind.PASSWORD})


@dataclass(frozen=True)
class NewApiKey:
    """What a new key is to be, and how long it is to live: until the sheet's time, for some hours, or for ever."""

    sheet: ApiKeySheet = field(default_factory=ApiKeySheet)
    hours: int | None = None
    never: bool = False


def create(authority: Authority, owner_uid: str | None, wish: NewApiKey) -> NewKey:
    """Make a key for the caller, or for somebody else.

    For somebody else it takes `api-keys:write` and every permission that they have. A key that is made with a key carries
    no more than that one and ends no later; one that is made with any other token than a sign-in's is not one's own.

    :param owner_uid: uid of the user or application; None for the caller.
    :raises DeniedError: the caller may not.
    :raises NotFoundError: there is no such user or application.
    """
    _refuse_delegated(authority)
    may_exceed = can_exceed_limits(authority)
    if owner_uid is None or owner_uid == authority.caller.subject.uid:
        owner = _own(authority)
        sheet, frozen = _inherited(authority.caller, wish.sheet)
    else:
        owner = _other(authority, owner_uid)
        sheet, frozen = _inherited(authority.caller, wish.sheet)
        frozen = frozen_for(authority, owner, frozen)
    limit = _end_of_own_key(authority.caller)
    if limit is not None:
        if sheet.expires_at is None and wish.hours is None and not wish.never:
            sheet = sheet.changed({"expires_at": limit})
        may_exceed = may_exceed or sheet.expires_at == limit
    new = apikeys.create_key(
        authority.realm,
        owner,
        sheet,
        hours=wish.hours,
        never=wish.never,
        may_exceed=may_exceed,
        frozen=frozen,
        made_with=authority.caller.key,
    )
    if limit is not None and (new.key.expires_at is None or new.key.expires_at > limit):
        raise DeniedError(f"A key cannot create one that outlives it: choose an expiry up to {limit:%Y-%m-%dT%H:%M:%SZ}.")
    return new


def rotate(authority: Authority, uid: str, *, overlap: timedelta, hours: int | None) -> NewKey:
    """Rotate a key that the caller may change; with the key itself, it lives as long as it was made for, or the policy says."""
    key = writable(authority, uid)
    frozen = _frozen_anew(authority, key)
    may_exceed = can_exceed_limits(authority) and not authority.caller.key
    new = apikeys.rotate_key(
        authority.realm, key, overlap=overlap, hours=hours, may_exceed=may_exceed, made_with=authority.caller.key, frozen=frozen
    )
    limit = _end_of_own_key(authority.caller)
    if limit is not None and not is_own(authority.caller, key) and (new.key.expires_at is None or new.key.expires_at > limit):
        raise DeniedError(
            f"A key cannot rotate another's into one that outlives it: choose an expiry up to {limit:%Y-%m-%dT%H:%M:%SZ}."
        )
    return new


def renew(authority: Authority, uid: str) -> NewKey:
    """Give a key that the caller may change another secret; it stays the key that it is. See `rotate_key` for the rules."""
    key = writable(authority, uid)
    frozen = _frozen_anew(authority, key)
    if not is_own(authority.caller, key):
        check_change(authority, key)
    return apikeys.renew_secret(authority.realm, key, frozen=frozen)


def _frozen_anew(authority: Authority, key: ApiKey) -> Frozen | None:
    """Return what limits a key whose secret the caller gets to see: for somebody else's, that takes what making it takes.

    :raises DeniedError: the caller may not.
    """
    if is_own(authority.caller, key):
        return key.frozen
    owner = apikeys.owner_of(key)
    _cover(authority, owner)
    _refuse_narrowed(authority.caller)
    return frozen_for(authority, owner, key.frozen)


def _refuse_narrowed(caller: Caller) -> None:
    """See that a key that is limited in any way makes no successor to another's, which would not be.

    :raises DeniedError: it is.
    """
    own = db.session.scalar(select(ApiKey).where(ApiKey.public_part == caller.key)) if caller.key else None
    if own is not None and (own.frozen is not None or own.roles or own.projects or own.addresses or own.rate_per_minute):
        raise DeniedError("A restricted key cannot rotate the keys of others. Sign in, or use a key without limits.")


def can_exceed_limits(authority: Authority) -> bool:
    """Tell whether the caller may give keys a longer life than the organisation and the user's setting allow."""
    return authority.can(WRITE)


def sees_all(authority: Authority) -> bool:
    """Tell whether the caller may see the keys of everybody."""
    return authority.can(READ)


def can_change(authority: Authority, key: ApiKey) -> bool:
    """Tell whether to offer a change of a key; `writable` decides."""
    return is_own(authority.caller, key) or authority.can(WRITE)


def check_listing(authority: Authority) -> None:
    """See that the caller may list the keys of everybody.

    :raises DeniedError: they may not.
    """
    authority.require(READ)


def check_listing_of(authority: Authority, uid: str) -> None:
    """See that the caller may list the keys of a user or an application.

    :raises DeniedError: they may not.
    """
    if not authority.is_self(uid):
        authority.require(READ)


def check_creating_for_others(authority: Authority) -> None:
    """See that the caller may make keys for others.

    :raises DeniedError: they may not.
    """
    authority.require(WRITE)


def visible(authority: Authority, uid: str) -> ApiKey:
    """Return a key that the caller may see; any other is not there (T73).

    :raises NotFoundError: there is none that the caller may see.
    """
    key = apikeys.get_key(authority.realm, uid)
    if not is_own(authority.caller, key) and not authority.can(READ):
        raise NotFoundError(Sentence("{Realm} has no API key {uid!r}.", realm=authority.realm.name, uid=uid[:80]))
    return key


def writable(authority: Authority, uid: str) -> ApiKey:
    """Return a key that the caller may change.

    :raises NotFoundError: there is none that the caller may see.
    :raises DeniedError: the caller may see it, and may not change it.
    """
    key = visible(authority, uid)
    _refuse_delegated(authority)
    if not is_own(authority.caller, key):
        authority.require(WRITE)
    elif not (
        authority.caller.kind in _SIGNED_IN
        or (authority.caller.kind is CredentialKind.API_KEY and authority.caller.key == key.public_part)
        # who may change everybody's keys may change one's own with whatever shows it
        or authority.can(WRITE)
    ):
        raise DeniedError("Your own keys can be changed after signing in, or each by itself, but not by a token or another key.")
    return key


def _refuse_delegated(authority: Authority) -> None:
    """See that an application that somebody has signed in to, or that an issuer vouches for, makes no key that outlives that.

    :raises DeniedError: one calls.
    """
    if authority.caller.is_delegated:
        raise DeniedError("An application that somebody has signed in to cannot make or change API keys. Sign in here.")
    refuse_admitted(authority)


def check_change(authority: Authority, key: ApiKey) -> None:
    """See that a change to a key's narrowing or life is made by somebody who has signed in, or could make such a key.

    :raises DeniedError: it is made with the key itself, or for somebody who has more permissions.
    """
    if authority.caller.key:
        raise DeniedError("A key cannot be changed by a key. Sign in, or ask an administrator.")
    if not is_own(authority.caller, key):
        _cover(authority, apikeys.owner_of(key))


def set_active(authority: Authority, uid: str, *, active: bool) -> None:
    """Deactivate a key, or activate it again; to activate somebody else's takes what making it takes."""
    key = writable(authority, uid)
    if active and not is_own(authority.caller, key):
        _cover(authority, apikeys.owner_of(key))
    apikeys.update_key(authority.realm, key, ApiKeySheet.of(key).changed({"active": active}))


def is_own(caller: Caller, key: ApiKey) -> bool:
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


def _own(authority: Authority) -> Holder:
    if authority.realm.name != authority.caller.realm.name:
        sentence = Sentence("Name the owner of the key in {field}: the caller is not of this organisation.")
        raise DeniedError(sentence, field="owner")
    if authority.caller.kind not in _SIGNED_IN | {CredentialKind.API_KEY}:
        raise DeniedError("A token cannot create a key for its own holder, which would outlive it. Sign in, or use a key.")
    return own_holder(authority.caller)


def _other(authority: Authority, uid: str) -> Holder:
    authority.require(WRITE)
    user = users.find_user_by_uid(authority.realm, uid)
    if user is not None:
        owner = users.holder_of(user)
    else:
        application = applications.find_application_by_uid(authority.realm, uid)
        if application is None:
            raise NotFoundError("There is no user and no application with this uid (not found).")
        owner = applications.holder_of(application)
    _cover(authority, owner)
    return owner


def _cover(authority: Authority, owner: Holder) -> None:
    if not covers(authority, owner):
        raise DeniedError("A key acts as its owner: handing one out requires every permission that the owner has.")


def _inherited(caller: Caller, sheet: ApiKeySheet) -> tuple[ApiKeySheet, Frozen | None]:
    """Return the narrowing of a key that is made with a key: at least that key's own; and what that one carries at the most."""
    if not caller.key:
        return sheet, None
    own = db.session.scalars(select(ApiKey).where(ApiKey.public_part == caller.key)).one()
    narrowed: dict[str, Any] = {}
    for name in ("roles", "projects", "addresses"):
        limit: list[str] = getattr(own, name)
        narrowed[name] = getattr(sheet, name) or list(limit)
        if limit and not set(narrowed[name]) <= set(limit):
            raise DeniedError(f"A key that is restricted to some {name} can create keys only for these.")
    rate = sheet.rate_per_minute or own.rate_per_minute
    if own.rate_per_minute and rate and rate > own.rate_per_minute:
        raise DeniedError("A key cannot make one with a higher rate than its own.")
    return sheet.changed(narrowed | {"rate_per_minute": rate}), own.frozen


def _end_of_own_key(caller: Caller) -> datetime | None:
    key = db.session.scalar(select(ApiKey).where(ApiKey.public_part == caller.key)) if caller.key else None
    return key.expires_at if key is not None else None
