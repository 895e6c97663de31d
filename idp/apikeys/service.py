"""The life cycle of an API key: created, shown once, restricted, rotated, deactivated, revoked, deleted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, and_, cast, false, or_, select

from idp import audit, clock, crypto, feed, vault
from idp.access import Frozen, Holder, HolderKind
from idp.apikeys.models import IS_NARROWED, ApiKey, KeyStatus
from idp.apikeys.policy import check_projects, check_roles, choose_expiry
from idp.apikeys.sheet import ApiKeySheet
from idp.applications import Application, few_applications_named
from idp.db import AfterColon, db, holds
from idp.errors import ConflictError, NotFoundError, Sentence
from idp.paging import Listing
from idp.realms import Realm, check_text
from idp.text_search import few_rows, is_one_of
from idp.users import User, few_users_named

MADE_WITH = "api-key:"
"""How `created_by` of a key begins that was made with another."""

MOST_KEYS = 1_000
"""Keys that one identity can have."""


@dataclass(frozen=True)
class NewKey:
    """A key that was just made, with the plain text that is shown only once."""

    key: ApiKey
    plain_key: str = field(repr=False)


def create_key(
    realm: Realm,
    owner: Holder,
    sheet: ApiKeySheet,
    *,
    hours: int | None = None,
    never: bool = False,
    may_exceed: bool = False,
    replaces: ApiKey | None = None,
    made_with: str = "",
    frozen: Frozen | None = None,
) -> NewKey:
    """Create a key for a user or an application.

    :param sheet: with the time that it expires at, or none.
    :param hours: its lifetime, instead; or `never`; by default what the organisation's policy says.
    :param may_exceed: whether who asks may exceed that policy.
    :param made_with: public part of the key that it is made with, if it is; it then dies with that one.
    :param frozen: what it carries at the most; None for all that its owner holds. See `access.freeze`.
    :raises LifetimeError: see `policy.choose_expiry`.
    :raises NotFoundError: there is no such role or project.
    :raises ConflictError: the owner has too many keys.
    """
    if made_with:
        _lock_maker(made_with)
    # one at a time for each owner: two at once could both see the last free place
    table: Any = User if owner.kind is HolderKind.USER else Application
    row = db.session.scalars(select(table).where(table.id == owner.id).with_for_update(key_share=True)).one()
    user, application = (row, None) if owner.kind is HolderKind.USER else (None, row)
    expiry = choose_expiry(
        realm, user.api_key_hours if user else None, hours=hours, at=sheet.expires_at, never=never, may_exceed=may_exceed
    )
    if len(list_keys(realm, owner=owner, limit=MOST_KEYS)) >= MOST_KEYS:
        raise ConflictError(f"{owner.name!r} has {MOST_KEYS} keys. Delete some first.")
    plain = crypto.make_secret("ak")
    pepper_id, secret_hash = vault.hash_secret(plain)
    key = ApiKey(
        realm_id=realm.id,
        user_id=user.id if user else None,
        application_id=application.id if application else None,
        public_part=crypto.public_part(plain),
        pepper_id=pepper_id,
        secret_hash=secret_hash,
        created_by=f"{MADE_WITH}{made_with}" if made_with else audit.current_actor().name,
        replaces_id=replaces.id if replaces else None,
        frozen=frozen,
        **_checked(realm, sheet).model_dump() | {"expires_at": expiry},
    )
    db.session.add(key)
    db.session.flush()
    record_act(audit.Tag.API_KEY_CREATE, realm, key, owner=str(owner), name=key.name, expires_at=text_of(expiry))
    return NewKey(key, plain)


def lock_key(key: ApiKey) -> None:
    """Bring a key up to date, and let nobody else change it, or make another with it, before the commit."""
    same = select(ApiKey).where(ApiKey.id == key.id)
    db.session.scalars(same.with_for_update(key_share=True).execution_options(populate_existing=True)).one()


def _lock_maker(public_part: str) -> None:
    maker = db.session.scalars(select(ApiKey).where(ApiKey.public_part == public_part)).one_or_none()
    if maker is not None:
        lock_key(maker)
    if maker is None or maker.status(clock.now()) is not KeyStatus.ACTIVE:
        raise ConflictError("The key that this one is created with no longer works.")


def update_key(realm: Realm, key: ApiKey, sheet: ApiKeySheet) -> None:
    """Update a key to what a sheet says.

    :raises ConflictError: it was revoked.
    """
    if key.revoked_at is not None:
        raise ConflictError(f"Key {key.public_part} was revoked permanently. Create another.")
    changed = _checked_changes(realm, sheet.differing(key))
    if not changed:
        return
    for name, value in changed.items():
        setattr(key, name, value)
    key.updated_at = clock.now()
    detail = {name: text_of(value) if isinstance(value, datetime) else value for name, value in changed.items()}
    record_act(audit.Tag.API_KEY_UPDATE, realm, key, **detail)


def revoke_key(realm: Realm, key: ApiKey, reason: str, tag: audit.Tag = audit.Tag.API_KEY_REVOKE) -> list[ApiKey]:
    """Revoke a key permanently, with every key created with it: whoever had it may have created them.

    Every worker refuses them, and the tokens they were exchanged for, within a second.

    :returns: the keys that were revoked.
    :raises ConflictError: it has already been revoked.
    """
    lock_key(key)
    if key.revoked_at is not None:
        raise ConflictError(f"Key {key.public_part} has already been revoked.")
    check_text("A reason", reason, 500, field="reason")
    revoked = [key]
    for each in revoked:  # grows while it is gone through
        lock_key(each)
        each.revoked_at = each.updated_at = clock.now()
        each.revoke_reason = reason
        home = realm if each.realm_id == realm.id else db.session.get_one(Realm, each.realm_id)  # an operator's key makes others
        record_act(tag, home, each, reason=reason, use_count=each.use_count)
        revoked += [child for child in _made_with(each) if child.revoked_at is None and child not in revoked]
    return revoked


def _made_with(key: ApiKey) -> Sequence[ApiKey]:
    return db.session.scalars(select(ApiKey).where(ApiKey.created_by == MADE_WITH + key.public_part)).all()


def change_public_part(key: ApiKey, public_part: str) -> None:
    """Let a key be told by another beginning. Keys that were made with it die with it as before."""
    for made in _made_with(key):
        made.created_by = MADE_WITH + public_part
    publish_key(key.realm_id, key.public_part)
    key.public_part = public_part


def delete_key(realm: Realm, key: ApiKey) -> None:
    """Delete a key; it no longer works and is no longer listed. Keys created with it are revoked, except the
    successor of one that has expired: deleting a replaced key is just tidying up.
    """
    lock_key(key)
    is_tidying_up = key.status(clock.now()) is KeyStatus.EXPIRED
    for child in _made_with(key):
        if child.revoked_at is None and not (is_tidying_up and child.replaces_id == key.id):
            revoke_key(realm, child, "made with a key that was deleted")
    record_act(audit.Tag.API_KEY_DELETE, realm, key, name=key.name, use_count=key.use_count)
    db.session.delete(key)


def get_key(realm: Realm, uid: str) -> ApiKey:
    """Return a key by its uid, or by its public part.

    :raises NotFoundError: there is none.
    """
    key = db.session.scalar(select(ApiKey).where(ApiKey.realm_id == realm.id, (ApiKey.uid == uid) | (ApiKey.public_part == uid)))
    if key is None:
        raise NotFoundError(Sentence("{Realm} has no API key {uid!r}.", realm=realm.name, uid=uid[:80]))
    return key


def list_keys(realm: Realm, *, owner: Holder | None = None, after: int = 0, limit: int | None = 50) -> Sequence[ApiKey]:
    """Return keys, oldest first: all of the realm, or of one owner.

    :param after: only those with a larger row number, for the next page.
    """
    query = key_listing(realm, owner=owner).query
    return db.session.scalars(query.where(ApiKey.id > after).order_by(ApiKey.id).limit(limit)).all()


def key_listing(
    realm: Realm,
    *,
    owner: Holder | None = None,
    containing: str = "",
    state: str = "",
    owned_by: str = "",
    role: str = "",
    project: str = "",
) -> Listing:
    """Return keys as a list in pages: all of the realm, or of one owner.

    :param containing: only those whose name, description or public part contains this, ignoring case.
    :param state: only those that are in this one, a `KeyStatus`; or that work and are `expiring` soon, or `unused` for
        long.
    :param owned_by: only those of owners whose name, or kind and name, contains this, ignoring case.
    :param role: only those that are for this role of their owner, among others.
    :param project: only those that are for this project, among others.
    """
    query = select(ApiKey).where(ApiKey.realm_id == realm.id)
    if owner is not None:
        column = ApiKey.user_id if owner.kind is HolderKind.USER else ApiKey.application_id
        query = query.where(column == owner.id)
    if containing:
        query = query.where(_contains(realm, containing))
    if state:
        query = query.where(_in_state(realm, state, clock.now()))
    if owned_by:
        query = query.where(_is_owned_by(realm, owned_by))
    for narrowed_to, name in ((ApiKey.roles, role), (ApiKey.projects, project)):
        if name:
            query = query.where(_if_few(realm, IS_NARROWED), cast(narrowed_to, String).contains(f'"{name}"', autoescape=True))
    fields = {
        "name": ApiKey.name,
        "uid": ApiKey.uid,
        "created": ApiKey.created_at,
        "used": ApiKey.last_used_at,
        "maker": AfterColon(ApiKey.created_by),
    }
    orders = {"name": ApiKey.name, "expires": ApiKey.expires_at, "used": ApiKey.last_used_at, "uses": ApiKey.use_count}
    return Listing(query, ApiKey.id, orders, fields=fields)


def _contains(realm: Realm, wanted: str) -> ColumnElement[bool]:
    """Return the condition that a key is the one that begins so; else, that its name, description or public part contains a text.

    Who looks for a key that was found somewhere knows its beginning: an index has that, whereas among a million keys a part of a
    text is not found in time.
    """
    same = ApiKey.public_part == wanted
    if db.session.scalar(select(ApiKey.id).where(ApiKey.realm_id == realm.id, same)) is not None:
        return same
    return or_(*(holds(column, wanted) for column in (ApiKey.name, ApiKey.description, ApiKey.public_part)))


def key_works(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a key works; see `ApiKey.status`."""
    return and_(_is_open(now), ApiKey.active.is_(True))


def _is_open(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a key is neither revoked nor expired."""
    return and_(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now))


def unused_since(time: datetime) -> ColumnElement[bool]:
    """Return the condition that a key was neither used nor made after a time, as the index of last uses can find it."""
    return or_(ApiKey.last_used_at < time, and_(ApiKey.last_used_at.is_(None), ApiKey.created_at < time))


def _if_few(realm: Realm, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a key is one of those of the realm that meet a condition, if an index of its own finds few.

    A database knows how many keys meet it in all, and not in this realm: it would look through a million, in the order of the
    list, for some that only others have.
    """
    ids = few_rows(select(ApiKey.id).where(ApiKey.realm_id == realm.id, condition).order_by(ApiKey.id))
    return condition if ids is None else and_(is_one_of(ApiKey.id, ids), condition)


def _in_state(realm: Realm, state: str, now: datetime) -> ColumnElement[bool]:
    """Return the condition that a key is in a state; see `ApiKey.status`."""
    works = key_works(now)
    match state:
        case KeyStatus.REVOKED:
            return _if_few(realm, ApiKey.revoked_at.is_not(None))
        case KeyStatus.EXPIRED:
            return and_(ApiKey.revoked_at.is_(None), ApiKey.expires_at <= now)
        case KeyStatus.INACTIVE:
            return and_(_is_open(now), _if_few(realm, ApiKey.active.is_(False)))
        case "expiring":
            return and_(works, ApiKey.expires_at < now + clock.SOON)
        case "unused":
            return and_(works, unused_since(now - clock.UNUSED))
    return works


def _is_owned_by(realm: Realm, named: str) -> ColumnElement[bool]:
    """Return the condition that a key belongs to somebody of whose name this is a part, or `user:` or `application:` with one."""
    kind, colon, name = named.partition(":")
    owners: tuple[tuple[HolderKind, Any, Any, Any], ...] = (
        (HolderKind.USER, User, ApiKey.user_id, few_users_named),
        (HolderKind.APPLICATION, Application, ApiKey.application_id, few_applications_named),
    )
    found = []
    for of, table, column, few_named in owners:
        if not colon or kind == of.value:
            wanted = name if colon else named
            ids = few_named(realm, wanted)
            many = select(table.id).where(table.realm_id == realm.id, holds(table.name, wanted))
            found.append(column.in_(many) if ids is None else is_one_of(column, ids))
    return or_(false(), *found)


def owners_of(keys: Sequence[ApiKey]) -> dict[int, Holder]:
    """Return who each of these keys belongs to, by the row numbers of the keys."""
    wanted = {key.user_id for key in keys if key.user_id is not None}, {key.application_id for key in keys if key.application_id}
    people = {user.id: user for user in db.session.scalars(select(User).where(User.id.in_(wanted[0])))}
    programs = {row.id: row for row in db.session.scalars(select(Application).where(Application.id.in_(wanted[1])))}
    return {
        key.id: _as_user(people[key.user_id]) if key.user_id is not None else _as_application(programs[key.application_id or 0])
        for key in keys
    }


def owner_of(key: ApiKey) -> Holder:
    """Return who the key belongs to."""
    if key.user_id is not None:
        return _as_user(db.session.get_one(User, key.user_id))
    return _as_application(db.session.get_one(Application, key.application_id))


def _as_user(user: User) -> Holder:
    return Holder(HolderKind.USER, user.id, user.name, user.uid)


def _as_application(application: Application) -> Holder:
    return Holder(HolderKind.APPLICATION, application.id, application.name, application.name)


def publish_key(realm_id: int, public_part: str) -> None:
    """Tell every worker that what it knows of a key is out of date, and that tokens which it was exchanged for may be over."""
    feed.publish("api-key", public_part)
    feed.publish("exchanged", f"{realm_id}/{public_part}")


def record_act(tag: audit.Tag, realm: Realm, key: ApiKey, **detail: Any) -> None:
    """Record an act on a key, and tell every worker of it."""
    audit.record(tag, realm.name, f"api-key:{key.public_part}", uid=key.uid, **detail)
    publish_key(key.realm_id, key.public_part)


def _checked_changes(realm: Realm, changed: dict[str, Any]) -> dict[str, Any]:
    """Return changes with roles and projects of the realm. What stays is not asked about: it may be gone since.

    :raises NotFoundError: there is no such role or project.
    """
    checks = {"roles": check_roles, "projects": check_projects}
    return {name: checks[name](realm, value) if name in checks else value for name, value in changed.items()}


def _checked(realm: Realm, sheet: ApiKeySheet) -> ApiKeySheet:
    """Return a sheet whose roles and projects are those of the realm.

    :raises NotFoundError: there is no such role or project.
    """
    return sheet.model_copy(update={"roles": check_roles(realm, sheet.roles), "projects": check_projects(realm, sheet.projects)})


def text_of(time: datetime | None) -> str | None:
    """Return a time as the audit trail holds it."""
    return None if time is None else time.isoformat(timespec="seconds")
