"""Groups of users."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, or_, select

from idp import access, audit
from idp.access import Holder, HolderKind
from idp.db import db, holds, insert_if_new, is_meant
from idp.errors import NotFoundError, Sentence
from idp.paging import Listing
from idp.realms import Called, Realm, check_called, check_name, is_shown_as, publish_user, shown_name
from idp.users.models import Group, Membership, User
from idp.users.service import NOTHING
from idp.users.sheet import GroupSheet

NEW_GROUP = GroupSheet()
"""What a group is like of which nothing is said."""


def create_group(realm: Realm, name: str, sheet: GroupSheet = NEW_GROUP) -> Group:
    """Create a group without members. See `realms.called` for names that others have chosen.

    :raises ConflictError: the name is taken, or another group has this display name.
    """
    check_name("a group", name)
    shown = check_called(Group, "group", Called(name, sheet.display_name), realm.id)
    group = Group(realm_id=realm.id, name=name, **sheet.model_dump() | {"display_name": shown})
    db.session.add(group)
    db.session.flush()
    audit.record(audit.Tag.GROUP_CREATE, realm.name, f"group:{name}", uid=group.uid, **({"display_name": shown} if shown else {}))
    return group


def update_group(realm: Realm, group: Group, sheet: GroupSheet) -> None:
    """Change a group to what a sheet says.

    :raises ConflictError: another group has this name or display name.
    """
    shown = check_called(Group, "group", Called(group.name, sheet.display_name), realm.id, besides=group.id)
    changed = sheet.changed({"display_name": shown}).differing(group)
    for field, value in changed.items():
        setattr(group, field, value)
    if changed:
        db.session.flush()  # the time of the change too
        audit.record(audit.Tag.GROUP_UPDATE, realm.name, f"group:{group.name}", **changed)


def delete_group(realm: Realm, name: str) -> None:
    """Delete a group and its grants; its members remain, and lose the roles that they held through it."""
    group = get_group(realm, name)
    access.remove_all_grants(group_holder(group))
    db.session.execute(delete(Membership).where(Membership.group_id == group.id))
    db.session.delete(group)
    audit.record(audit.Tag.GROUP_DELETE, realm.name, f"group:{name}", uid=group.uid)
    publish_user(realm.name, "*")


def add_member(realm: Realm, group: Group, user: User) -> None:
    """Add a user to a group; nothing happens if they are a member already."""
    if insert_if_new(Membership, group_id=group.id, user_id=user.id):
        audit.record(audit.Tag.GROUP_UPDATE, realm.name, f"group:{group.name}", added=user.name)
        publish_user(realm.name, user.uid)


def remove_member(realm: Realm, group: Group, user: User) -> None:
    """Remove a user from a group.

    :raises NotFoundError: the user is not in it.
    """
    removal = delete(Membership).where(Membership.group_id == group.id, Membership.user_id == user.id)
    if not db.session.execute(removal).rowcount:  # type: ignore[attr-defined]
        raise NotFoundError(f"{user.name!r} is not in group {group.name!r}.").leading_to(
            "list members", realm=realm.name, within=group.name
        )
    audit.record(audit.Tag.GROUP_UPDATE, realm.name, f"group:{group.name}", removed=user.name)
    publish_user(realm.name, user.uid)


def get_group(realm: Realm, name: str) -> Group:
    """Return a group by name.

    :raises NotFoundError: there is none.
    """
    group = db.session.scalar(select(Group).where(Group.realm_id == realm.id, Group.name == name))
    if group is None:
        sentence = Sentence("{Realm} has no group {name!r}.", realm=realm.name, name=name[:80])
        raise NotFoundError(sentence).leading_to("list groups", realm=realm.name)
    return group


def list_groups(realm: Realm) -> Sequence[Group]:
    """Return the groups of a realm by name."""
    return db.session.scalars(select(Group).where(Group.realm_id == realm.id).order_by(Group.name)).all()


def group_listing(
    realm: Realm,
    *,
    containing: str = "",
    shown: str | None = None,
    shown_with: str = "",
    holding: Mapping[str, bool] = NOTHING,
    member: User | None = None,
    by_role: str = "",
) -> Listing:
    """Return groups as a list in pages.

    :param containing: only those whose name, description or display name contains this, ignoring case.
    :param shown: only the one with exactly this display name; None for all.
    :param shown_with: only those whose display name contains this, ignoring case.
    :param holding: only those that hold these roles on the realm, or do not.
    :param member: only those that this user is in.
    :param by_role: in the order `role`, those that hold this role on the realm come last.
    """
    query = select(Group).where(Group.realm_id == realm.id)
    if containing:
        columns = (Group.name, Group.display_name, Group.description)
        query = query.where(or_(*(holds(column, containing) for column in columns)))
    if shown is not None:
        query = query.where(is_shown_as(Group, shown))
    if shown_with:
        query = query.where(holds(shown_name(Group), shown_with))
    for role, held in holding.items():
        has = Group.id.in_(access.holders_of(realm, role, HolderKind.GROUP))
        query = query.where(has if held else ~has)
    if member is not None:
        query = query.where(Group.id.in_(select(Membership.group_id).where(Membership.user_id == member.id)))
    orders: dict[str, Any] = {"name": Group.name, "shown": shown_name(Group), "display_name": Group.display_name}
    if by_role:
        orders["role"] = Group.id.in_(access.holders_of(realm, by_role, HolderKind.GROUP))
    return Listing(query, Group.id, orders)


def find_group(realm: Realm, named: str) -> Group | None:
    """Return a group by uid or name, or None."""
    return db.session.scalar(select(Group).where(Group.realm_id == realm.id, is_meant(Group, named)))


def find_group_by_uid(realm: Realm, uid: str) -> Group | None:
    """Return a group by uid, or None."""
    return db.session.scalar(select(Group).where(Group.realm_id == realm.id, Group.uid == uid))


def member_listing(group: Group, every: Listing | None = None) -> Listing:
    """Return the users in a group as a list in pages.

    :param every: a list of users, such as `user_listing` returns it: only those that are in it, too.
    """
    query = select(User) if every is None else every.query
    query = query.join(Membership, Membership.user_id == User.id).where(Membership.group_id == group.id)
    return Listing(query, User.id, {"name": User.name} if every is None else every.orders)


class Member(NamedTuple):
    """A user in a group, as far as lists name them."""

    uid: str
    name: str


def first_members(group_ids: Collection[int], most: int) -> dict[int, tuple[list[Member], int]]:
    """Return of each of several groups its first members by name, and how many there are; by the row number of the group.

    :param most: how many are returned of each.
    """
    query = select(Membership.group_id, func.count(Membership.user_id)).where(Membership.group_id.in_(group_ids))
    counts: dict[int, int] = dict(iter(db.session.execute(query.group_by(Membership.group_id))))
    found: dict[int, tuple[list[Member], int]] = {group: ([], counts.get(group, 0)) for group in group_ids}
    whole = [group for group, count in counts.items() if count <= most]
    if whole:
        query_all = select(Membership.group_id, User.uid, User.name).join(User, User.id == Membership.user_id)
        for group, uid, name in db.session.execute(query_all.where(Membership.group_id.in_(whole)).order_by(User.name)):
            found[group][0].append(Member(uid, name))
    for group in counts.keys() - set(whole):
        found[group][0].extend(members_after(group, "", most))
    return found


def members_after(group_id: int, name: str, limit: int) -> list[Member]:
    """Return members of a group by name.

    :param name: of the last member before these; empty to begin.
    """
    query = select(User.uid, User.name).join(Membership, Membership.user_id == User.id).where(Membership.group_id == group_id)
    query = query.where(User.name > name) if name else query
    return [Member(*row) for row in db.session.execute(query.order_by(User.name).limit(limit))]


def list_members(group: Group) -> Sequence[User]:
    """Return the users in a group by name."""
    query = select(User).join(Membership, Membership.user_id == User.id).where(Membership.group_id == group.id)
    return db.session.scalars(query.order_by(User.name)).all()


def groups_of(user: User) -> Sequence[Group]:
    """Return the groups that a user is in, by name."""
    query = select(Group).join(Membership, Membership.group_id == Group.id).where(Membership.user_id == user.id)
    return db.session.scalars(query.order_by(Group.name)).all()


def groups_of_each(people: Iterable[User]) -> dict[int, list[Group]]:
    """Return the groups that each of several users is in, by name; by the row number of the user."""
    query = (
        select(Membership.user_id, Group)
        .join(Group, Group.id == Membership.group_id)
        .where(Membership.user_id.in_([user.id for user in people]))
        .order_by(Group.name)
    )
    found: dict[int, list[Group]] = {}
    for user_id, group in db.session.execute(query):
        found.setdefault(user_id, []).append(group)
    return found


def members_of_each(groups: Iterable[Group]) -> dict[int, list[User]]:
    """Return the users in each of several groups, by name; by the row number of the group."""
    query = (
        select(Membership.group_id, User)
        .join(User, User.id == Membership.user_id)
        .where(Membership.group_id.in_([group.id for group in groups]))
        .order_by(User.name)
    )
    found: dict[int, list[User]] = {}
    for group_id, user in db.session.execute(query):
        found.setdefault(group_id, []).append(user)
    return found


def group_holder(group: Group) -> Holder:
    """Return the group as a holder of roles."""
    return Holder(HolderKind.GROUP, group.id, group.name, group.uid)
