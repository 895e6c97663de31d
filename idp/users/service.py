"""The life cycle of users."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, delete, func, select, update

from idp import access, audit, clock, mail
from idp.access import Holder, HolderKind, Project
from idp.db import AfterColon, db, holds, is_meant, shared_now
from idp.errors import ConflictError, InvalidValueError, NotFoundError, Sentence
from idp.paging import Listing
from idp.realms import Realm, publish_user
from idp.text_search import TextSearch
from idp.users.models import Group, LinkPurpose, Membership, OneTimeLink, User, UserKind
from idp.users.names import canonical, check_user_name
from idp.users.recipients import MailKind, may_mail, name_in_mails, owns_address
from idp.users.sheet import UserSheet

FIELDS: dict[str, Any] = {
    "name": User.name,
    "uid": User.uid,
    "email": User.email,
    "enabled": User.enabled,
    "created": User.created_at,
    "updated": User.updated_at,
    "used": User.last_sign_in_at,
    "maker": AfterColon(User.created_by),
}
"""What lists of users can be narrowed and put in order by."""
NOTHING: Mapping[str, Any] = MappingProxyType({})

NEW_USER = UserSheet()
"""What a user is like of whom nothing is said."""

_NAMES = (User.name, User.first_name, User.last_name)
_SEARCH = TextSearch(User, columns=_NAMES, always=_NAMES, fts5="user_account_text")

_TEXTS = {"name": User.name, "email": User.email, "first_name": User.first_name, "last_name": User.last_name}
_TIMES = {"created_at": User.created_at, "updated_at": User.updated_at, "last_sign_in_at": User.last_sign_in_at}


def create_user(
    realm: Realm,
    name: str,
    kind: UserKind = UserKind.PERSON,
    sheet: UserSheet = NEW_USER,
    *,
    password_hash: str = "",
) -> User:
    """Create a user, without roles or groups.

    :param name: the email address of a person, or the name of a machine user.
    :param sheet: without an email address, a person gets emails at the one that they sign in with.
    :param password_hash: see `Seat.hash`; empty for a person who is to be invited, and for machine users.
    :raises ConflictError: the name is taken.
    :raises InvalidValueError: the name is not usable.
    """
    canonical_name = check_user_name(kind, name)
    if kind is UserKind.MACHINE and password_hash:
        raise InvalidValueError("A machine user has no password: give it API keys.")
    if db.session.scalar(_by_name(realm, canonical_name)) is not None:
        sentence = Sentence("{Realm} already has a user {name!r}.", realm=realm.name, name=canonical_name)
        raise ConflictError(sentence, field="name")
    fields = sheet.model_dump()
    if kind is UserKind.PERSON and not sheet.email:
        fields["email"] = name.strip()
    user = User(
        realm_id=realm.id,
        kind=kind.value,
        name=canonical_name,
        password_hash=password_hash,
        password_changed_at=shared_now() if password_hash else None,
        created_by=audit.current_actor().name,
        **fields,
    )
    db.session.add(user)
    db.session.flush()
    audit.record(audit.Tag.USER_CREATE, realm.name, f"user:{user.name}", uid=user.uid, kind=kind.value)
    publish_user(realm.name, user.uid, is_new=True)
    return user


def update_user(realm: Realm, user: User, sheet: UserSheet) -> None:
    """Update a user to what a sheet says. Disabling one ends its sessions."""
    changed = sheet.differing(user)
    if not changed:
        return
    if "email" in changed:
        tell_former_address(realm, user, changed["email"])
    for key, value in changed.items():
        setattr(user, key, value)
    if changed.get("enabled") is False:
        user.signed_out_at = shared_now()
    if changed.get("enabled") is False or "email" in changed:
        void_links(user)  # an open one went to the old address
    if "email" in changed:
        user.email_limited = user.email_verified = False  # that was about the address of before
    user.updated_at = clock.now()
    audit.record(audit.Tag.USER_UPDATE, realm.name, f"user:{user.name}", uid=user.uid, **changed)
    publish_user(realm.name, user.uid)


def limit_address(user: User, *, limited: bool) -> None:
    """Say whether the mail address of a user was chosen by somebody who could not give everything; see `User.email_limited`.

    Part of the change that gave it the address, and told with it.
    """
    user.email_limited = limited


def delete_user(realm: Realm, user: User) -> None:
    """Delete a user and everything that is theirs: grants, sessions, keys, tokens. Its `sub` is never reused."""
    access.remove_all_grants(holder_of(user))
    void_links(user)
    db.session.delete(user)
    db.session.flush()
    audit.record(audit.Tag.USER_DELETE, realm.name, f"user:{user.name}", uid=user.uid)
    publish_user(realm.name, user.uid)


def set_password(realm: Realm, user: User, password_hash: str, tag: audit.Tag) -> None:
    """Set a new password for a user. Ends every session that began before, and every open link.

    :param tag: how it came to that: PASSWORD_CHANGE, PASSWORD_RESET, or USER_ACTIVATE.
    """
    now = shared_now()
    user.password_hash = password_hash
    user.password_changed_at = user.signed_out_at = user.updated_at = now
    void_links(user)
    audit.record(tag, realm.name, f"user:{user.name}", uid=user.uid)
    if user.email and tag is not audit.Tag.USER_ACTIVATE and may_mail(MailKind.PASSWORD_CHANGED, user):
        values = {"organisation": realm.name, "name": name_in_mails(user), "changed": f"{now:%Y-%m-%d %H:%M} UTC"}
        occasion = f"password-changed:{user.uid}:{now.timestamp()}"
        mail.enqueue(realm.name, occasion, "password-changed", user.email, useful_until=None, **values)
    publish_user(realm.name, user.uid)


def tell_former_address(realm: Realm, user: User, address: str) -> None:
    """Tell the address of before that another has taken its place. Part of the change, and before it.

    One that nobody has verified may be a stranger's, or a slip: it is told nothing of the account.
    """
    if not user.email or not (user.email_verified or owns_address(user)) or not may_mail(MailKind.ADDRESS_CHANGED, user):
        return
    now = clock.now()
    values = {"organisation": realm.name, "name": name_in_mails(user), "changed": f"{now:%Y-%m-%d %H:%M} UTC"}
    occasion = f"address-changed:{user.uid}:{now.timestamp()}"
    values["address"] = _hint(address) or "none"
    mail.enqueue(realm.name, occasion, "address-changed", user.email, useful_until=None, **values)


def _hint(address: str) -> str:
    """Return what the address of before is told of the new one: enough to know one's own."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}…{at}{domain}" if address else ""


def void_links(user: User, purpose: LinkPurpose | None = None) -> None:
    """Invalidate every open one-time link of a user, or those for one purpose; what has not been sent of them is not sent."""
    open_links = (OneTimeLink.user_id == user.id) & OneTimeLink.used_at.is_(None)
    if purpose is not None:
        open_links &= OneTimeLink.purpose == purpose.value
    voided = db.session.execute(
        update(OneTimeLink).where(open_links).values(used_at=clock.now()).returning(OneTimeLink.purpose, OneTimeLink.public_part)
    ).all()
    if voided:
        mail.withdraw(LinkPurpose(made_for).occasion(public_part) for made_for, public_part in voided)


def sign_out_everywhere(realm: Realm, user: User) -> None:
    """End every session of a user."""
    user.signed_out_at = shared_now()
    audit.record(audit.Tag.SESSION_END, realm.name, f"user:{user.name}", uid=user.uid, all=True)
    publish_user(realm.name, user.uid)


def get_user(realm: Realm, named: str) -> User:
    """Return a user by uid or name.

    :raises NotFoundError: there is none.
    """
    return _found(realm, find_user(realm, named), named)


def get_user_by_name(realm: Realm, name: str) -> User:
    """Return a user by what it is called, where that is all that is known of it, such as in a realm file.

    :raises NotFoundError: there is none.
    """
    return _found(realm, find_user_by_name(realm, name), name)


def _found(realm: Realm, user: User | None, named: str) -> User:
    if user is None:
        sentence = Sentence("{Realm} has no user {name!r}.", realm=realm.name, name=named[:80])
        raise NotFoundError(sentence).leading_to("list users", realm=realm.name)
    return user


def lock_user(user_id: int) -> User | None:
    """Return a user as it is now, and let nobody else change it before the commit; None if it is gone."""
    return db.session.scalar(
        select(User).where(User.id == user_id).with_for_update(key_share=True).execution_options(populate_existing=True)
    )


def change_password(realm: Realm, uid: str, old_hash: str, new_hash: str) -> bool:
    """Replace a password whose hash is still `old_hash`; tell whether it was."""
    found = find_user_by_uid(realm, uid)
    user = lock_user(found.id) if found is not None else None
    if user is None or user.password_hash != old_hash or not user.enabled:
        return False
    set_password(realm, user, new_hash, audit.Tag.PASSWORD_CHANGE)
    return True


def find_user(realm: Realm, named: str) -> User | None:
    """Return a user by uid or name, or None."""
    return db.session.scalar(select(User).where(User.realm_id == realm.id, is_meant(User, canonical(named))))


def find_user_by_name(realm: Realm, name: str) -> User | None:
    """Return a user by name, or None."""
    return db.session.scalar(_by_name(realm, canonical(name)))


def uid_of(user_id: int) -> str:
    """Return the uid of a user by row number; empty if there is none."""
    return db.session.scalar(select(User.uid).where(User.id == user_id)) or ""


def find_user_by_uid(realm: Realm, uid: str) -> User | None:
    """Return a user by uid, or None."""
    return db.session.scalar(select(User).where(User.realm_id == realm.id, User.uid == uid))


def find_user_by_number(realm: Realm, number: int) -> User | None:
    """Return a user by row number, for contracts with numeric ids; None if there is none."""
    found = db.session.get(User, number) if 0 < number < 2**31 else None
    return found if found is not None and found.realm_id == realm.id else None


def list_users(realm: Realm, *, after: str = "", containing: str = "", limit: int | None = None) -> Sequence[User]:
    """Return users by name.

    :param after: only those whose name comes after this, for the next page.
    :param containing: only those whose name, first or last name contains this, ignoring case.
    """
    query = user_listing(realm, containing=containing).query
    return db.session.scalars(query.where(User.name > after).order_by(User.name).limit(limit)).all()


def find_realm_of(uid: str) -> Realm | None:
    """Return the realm that a user belongs to, or None."""
    return db.session.scalar(select(Realm).join(User, User.realm_id == Realm.id).where(User.uid == uid))


def few_users_named(realm: Realm, containing: str) -> list[int] | None:
    """Return the row numbers of the users of whose name this is a part, in whatever case; None for too many of them."""
    return _SEARCH.few(realm.id, containing, User.name)


def user_listing(
    realm: Realm,
    *,
    containing: str = "",
    kind: UserKind | None = None,
    enabled: bool | None = None,
    project: Project | None = None,
    named: str | None = None,
    group: Group | None = None,
    parts: Mapping[str, str] = NOTHING,
    times: Mapping[str, tuple[datetime, datetime]] = NOTHING,
    holding: Mapping[str, bool] = NOTHING,
    by_role: str = "",
    on_project: str = "",
    in_group: str = "",
    unseen_since: datetime | None = None,
) -> Listing:
    """Return users as a list in pages.

    :param containing: only those whose name, first or last name contains this, ignoring case.
    :param kind: only people, or machine users.
    :param enabled: only those that are enabled, or that are not.
    :param project: only those that hold a role on this project themselves.
    :param named: only the one of this name; None for all.
    :param group: only those that are in this group.
    :param parts: only those whose `name`, `email`, `first_name` or `last_name` contains this, ignoring case.
    :param times: only those whose `created_at`, `updated_at` or `last_sign_in_at` is not before the first time, and before the
        second.
    :param holding: only those that hold these roles on the realm themselves, or do not.
    :param by_role: in the order `role`, those that hold this role on the realm themselves come last.
    :param on_project: only those that hold a role on the project of this name themselves.
    :param in_group: only the members of the group of this name.
    :param unseen_since: only people who were made before this, and have not signed in since.
    """
    query = select(User).where(User.realm_id == realm.id)
    if containing:
        query = query.where(_SEARCH.containing(realm.id, containing))
    if kind is not None:
        query = query.where(User.kind == kind.value)
    if enabled is not None:
        query = query.where(User.enabled.is_(enabled))
    on_projects = [project.name if project is not None else on_project]
    members = select(Membership.user_id).join(Group, Group.id == Membership.group_id)
    members = members.where(Group.realm_id == realm.id, Group.name == in_group)
    seen = func.coalesce(User.last_sign_in_at, User.created_at)
    conditions: list[tuple[object, Any]] = [
        (project is not None or on_project, User.id.in_(access.holders_on(realm, on_projects, HolderKind.USER))),
        (in_group, User.id.in_(members)),
        (unseen_since, and_(User.kind == UserKind.PERSON.value, seen < (unseen_since or clock.now()))),
    ]
    query = query.where(*(condition for asked, condition in conditions if asked))
    if named is not None:
        query = query.where(User.name == canonical(named))
    if group is not None:
        query = query.where(User.id.in_(select(Membership.user_id).where(Membership.group_id == group.id)))
    for name, part in parts.items():
        query = query.where(holds(_TEXTS[name], part))
    for name, (begin, end) in times.items():
        query = query.where(_TIMES[name] >= begin, _TIMES[name] < end)
    for role, held in holding.items():
        has = User.id.in_(access.holders_of(realm, role, HolderKind.USER))
        query = query.where(has if held else ~has)
    orders: dict[str, Any] = {**_TEXTS, **_TIMES, "enabled": User.enabled}
    if by_role:
        orders["role"] = User.id.in_(access.holders_of(realm, by_role, HolderKind.USER))
    return Listing(query, User.id, orders, fields=FIELDS)


def shown_name() -> ColumnElement[str]:
    """Return what users are shown as, for conditions: first and last name, or the name that they sign in with."""
    full = func.trim(User.first_name + " " + User.last_name)
    return case((full == "", User.name), else_=full)


def holder_of(user: User) -> Holder:
    """Return the user as a holder of roles."""
    return Holder(HolderKind.USER, user.id, user.name, user.uid)


def forget_old_links(before: datetime) -> None:
    """Remove links that expired before this time."""
    db.session.execute(delete(OneTimeLink).where(OneTimeLink.expires_at < before))


def _by_name(realm: Realm, name: str) -> Select[User]:
    return select(User).where(User.realm_id == realm.id, User.name == name)
