"""The life of an API key: made, shown once, narrowed, rotated, deactivated, revoked, deleted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from idp import audit, clock, crypto, feed, vault
from idp.access import Holder, HolderKind
from idp.apikeys.models import ApiKey, KeyStatus
from idp.apikeys.policy import check_addresses, check_per_minute, check_projects, check_roles, choose_expiry
from idp.applications import Application
from idp.db import db
from idp.errors import ConflictError, InvalidValueError, NotFoundError
from idp.realms import Realm, check_text
from idp.users import User

QUIET_AFTER = timedelta(hours=24)
"""A key that was replaced and has not been used for so long is called quiet: nobody will miss it."""

MOST_KEYS = 1_000
"""Keys that one identity can have."""


@dataclass(frozen=True)
class NewKey:
    """A key that was just made, with the plain text that is shown now or never."""

    key: ApiKey
    plain_key: str = field(repr=False)


def create_key(
    realm: Realm,
    owner: Holder,
    name: str,
    *,
    hours: int | None = None,
    expires_at: datetime | None = None,
    never: bool = False,
    may_exceed: bool = False,
    replaces: ApiKey | None = None,
    **fields: Any,
) -> NewKey:
    """Make a key for a user or an application.

    :param name: what it is told by; several keys may have the same.
    :param hours: how long it lives; or `expires_at`; or `never`; by default what the organisation's policy says.
    :param may_exceed: whether who asks may exceed that policy.
    :param fields: `description`, `roles`, `projects`, `addresses`, `rate_per_minute`.
    :raises LifetimeError: see `policy.choose_expiry`.
    :raises InvalidValueError: a field has no usable value.
    :raises ConflictError: the owner has too many keys.
    """
    if not name or len(name) > 64:
        raise InvalidValueError("A key takes a name of 1 to 64 characters.")
    check_text("A name", name, 64)
    user = db.session.get_one(User, owner.id) if owner.kind is HolderKind.USER else None
    application = db.session.get_one(Application, owner.id) if owner.kind is HolderKind.APPLICATION else None
    expiry = choose_expiry(
        realm, user.api_key_hours if user else None, hours=hours, at=expires_at, never=never, may_exceed=may_exceed
    )
    if len(list_keys(realm, owner=owner, limit=MOST_KEYS)) >= MOST_KEYS:
        raise ConflictError(f"{owner.name!r} has {MOST_KEYS} keys. Delete some first.")
    plain = crypto.make_secret("ak")
    pepper_id, secret_hash = vault.hash_secret(plain)
    key = ApiKey(
        realm_id=realm.id,
        user_id=user.id if user else None,
        application_id=application.id if application else None,
        name=name,
        public_part=crypto.public_part(plain),
        pepper_id=pepper_id,
        secret_hash=secret_hash,
        expires_at=expiry,
        created_by=audit.current_actor().name,
        replaces_id=replaces.id if replaces else None,
        **_checked(realm, fields),
    )
    db.session.add(key)
    db.session.flush()
    _record(audit.Tag.API_KEY_CREATE, realm, key, owner=str(owner), name=name, expires_at=_text(expiry))
    return NewKey(key, plain)


def update_key(realm: Realm, key: ApiKey, **fields: Any) -> None:
    """Change a key: `name`, `active`, `expires_at`, and the fields of `create_key`.

    :raises ConflictError: it was revoked.
    """
    if key.revoked_at is not None:
        raise ConflictError(f"Key {key.public_part} was revoked for good. Make another.")
    changed = {name: value for name, value in _checked(realm, fields).items() if getattr(key, name) != value}
    if not changed:
        return
    for name, value in changed.items():
        setattr(key, name, value)
    key.updated_at = clock.now()
    detail = {name: _text(value) if isinstance(value, datetime) else value for name, value in changed.items()}
    _record(audit.Tag.API_KEY_UPDATE, realm, key, **detail)


def revoke_key(realm: Realm, key: ApiKey, reason: str, tag: audit.Tag = audit.Tag.API_KEY_REVOKE) -> None:
    """End a key for good; every worker refuses it, and the tokens it was exchanged for, within a second.

    :raises ConflictError: it was revoked before.
    """
    if key.revoked_at is not None:
        raise ConflictError(f"Key {key.public_part} was revoked before.")
    key.revoked_at = key.updated_at = clock.now()
    key.revoke_reason = check_text("A reason", reason, 500)
    _record(tag, realm, key, reason=reason, use_count=key.use_count)


def delete_key(realm: Realm, key: ApiKey) -> None:
    """Remove a key; it works no longer, and is listed no longer."""
    _record(audit.Tag.API_KEY_DELETE, realm, key, name=key.name, use_count=key.use_count)
    db.session.delete(key)


def rotate_key(
    realm: Realm, key: ApiKey, *, overlap: timedelta, hours: int | None = None, may_exceed: bool = False
) -> NewKey:  # fmt: skip
    """Make a key like another, to replace it. Both work for the overlap; then the old one expires.

    :param overlap: as the holder likes; the old key never outlives its own expiry.
    :param hours: how long the new key lives; by default as long as the old one was made for, or the policy allows.
    :raises ConflictError: the key does not work any more, or is replaced already.
    """
    now = clock.this_second()
    if key.status(now) is not KeyStatus.ACTIVE:
        raise ConflictError(f"Key {key.public_part} is {key.status(now).value}. Make a new one instead.")
    if successor_of(key) is not None:
        raise ConflictError(f"Key {key.public_part} has been replaced already.")
    if not timedelta(0) <= overlap <= timedelta(days=365):
        raise InvalidValueError("An overlap takes 0 to 8760 hours.")
    owner = owner_of(key)
    never = hours is None and key.expires_at is None and may_exceed
    if hours is None and key.expires_at is not None:
        user = db.session.get(User, key.user_id) if key.user_id else None
        limit = max(realm.api_key_hours, (user.api_key_hours if user else None) or 0)
        hours = max(1, round((key.expires_at - key.created_at).total_seconds() / 3600))
        hours = hours if may_exceed else min(hours, limit)
    kept = ("description", "roles", "projects", "addresses", "rate_per_minute")
    new = create_key(
        realm, owner, key.name, hours=hours, never=never, may_exceed=may_exceed, replaces=key,
        **{name: getattr(key, name) for name in kept},
    )  # fmt: skip
    ends = now + overlap
    key.expires_at = ends if key.expires_at is None else min(ends, key.expires_at)
    key.updated_at = now
    _record(audit.Tag.API_KEY_ROTATE, realm, key, successor=new.key.uid, until=_text(key.expires_at))
    return new


def successor_of(key: ApiKey) -> ApiKey | None:
    """Return the key that replaces this one, if there is one."""
    return db.session.scalar(select(ApiKey).where(ApiKey.replaces_id == key.id).order_by(ApiKey.id.desc()).limit(1))


def quiet_since(key: ApiKey, now: datetime) -> datetime | None:
    """Return since when a key that was replaced has not been used, once that is long enough to call it quiet."""
    since = key.last_used_at or key.created_at
    return since if now - since >= QUIET_AFTER else None


def get_key(realm: Realm, uid: str) -> ApiKey:
    """Return a key by its uid, or by its public part.

    :raises NotFoundError: there is none.
    """
    key = db.session.scalar(select(ApiKey).where(ApiKey.realm_id == realm.id, (ApiKey.uid == uid) | (ApiKey.public_part == uid)))
    if key is None:
        raise NotFoundError(f"Realm {realm.name!r} has no API key {uid[:80]!r}.")
    return key


def list_keys(realm: Realm, *, owner: Holder | None = None, after: int = 0, limit: int | None = 50) -> Sequence[ApiKey]:
    """Return keys, oldest first: all of the realm, or of one owner.

    :param after: only those with a larger row number, to page on.
    """
    query = select(ApiKey).where(ApiKey.realm_id == realm.id, ApiKey.id > after)
    if owner is not None:
        column = ApiKey.user_id if owner.kind is HolderKind.USER else ApiKey.application_id
        query = query.where(column == owner.id)
    return db.session.scalars(query.order_by(ApiKey.id).limit(limit)).all()


def owner_of(key: ApiKey) -> Holder:
    """Return who the key belongs to."""
    if key.user_id is not None:
        user = db.session.get_one(User, key.user_id)
        return Holder(HolderKind.USER, user.id, user.name, user.uid)
    application = db.session.get_one(Application, key.application_id)
    return Holder(HolderKind.APPLICATION, application.id, application.name, application.name)


def publish_key(public_part: str) -> None:
    """Tell every worker that what it knows of a key is out of date."""
    feed.publish("api-key", public_part)


def _record(tag: audit.Tag, realm: Realm, key: ApiKey, **detail: Any) -> None:
    audit.record(tag, realm.name, f"api-key:{key.public_part}", uid=key.uid, **detail)
    publish_key(key.public_part)


def _checked(realm: Realm, fields: dict[str, Any]) -> dict[str, Any]:
    checked = dict(fields)
    for name, check in {
        "description": lambda text: check_text("A description", text, 500),
        "name": lambda text: check_text("A name", text, 64),
        "roles": lambda roles: check_roles(realm, roles),
        "projects": lambda projects: check_projects(realm, projects),
        "addresses": check_addresses,
        "rate_per_minute": check_per_minute,
    }.items():
        if name in checked:
            checked[name] = check(checked[name])  # type: ignore[operator]
    return checked


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds")
