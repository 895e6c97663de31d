"""Who may change what roles mean and who is in which group. Nobody lends by either what they could not give."""

import math
from collections.abc import Collection

from idp import access, users
from idp.access import Role
from idp.callers.key_rules import held_by
from idp.callers.models import Caller, DeniedError
from idp.callers.people_rules import manageable_user
from idp.realms import Realm
from idp.users import Group, User


def make_role(caller: Caller, realm: Realm, name: str, description: str, permissions: Collection[str]) -> Role:
    """Make a role with permissions that the caller has.

    :raises DeniedError: the caller may not make roles, or has not all of these permissions.
    """
    caller.require("roles:write", realm=realm.name)
    access.check_permissions(permissions)
    _own(caller, realm, permissions)
    return access.create_role(realm, name, description, permissions)


def change_role(caller: Caller, realm: Realm, name: str, description: str, permissions: Collection[str]) -> None:
    """Change what a role says of itself, and what it permits.

    What a role gains, all who hold it are given, and what it loses, they lose: that takes what giving it to them without an
    end takes. For a role that nobody holds, the permissions themselves are enough.

    :raises DeniedError: the caller may not.
    """
    role = check_role(caller, realm, name)
    concerned = set(permissions) | set(role.permissions)
    _own(caller, realm, concerned)
    is_held = bool(access.page_of_grants(realm, role=name, limit=1))
    if is_held and not math.isinf(access.granting_until(caller.held_in(realm.name), concerned)):
        raise DeniedError(
            "This role is assigned: changing it requires all of its permissions, and grants:write, without an end date."
        )
    if description != role.description:
        access.describe_role(realm, name, description)
    if access.check_permissions(permissions) != role.permissions:
        access.set_permissions(realm, name, permissions)


def check_role(caller: Caller, realm: Realm, name: str) -> Role:
    """Return a role that the caller may change or delete.

    :raises DeniedError: the caller may not, or it permits more than the caller may do.
    """
    caller.require("roles:write", realm=realm.name)
    role = access.get_role(realm, name)
    _own(caller, realm, role.permissions)
    return role


def put_into_group(caller: Caller, realm: Realm, group: Group, uid: str) -> User:
    """Put a user into a group, who then holds what it holds.

    :raises DeniedError: the caller could not give that, or not manage this user.
    """
    user = manageable_user(caller, realm, uid)
    manageable_group(caller, realm, group)
    users.add_member(realm, group, user)
    return user


def take_out_of_group(caller: Caller, realm: Realm, group: Group, uid: str) -> User:
    """Take a user out of a group; see `put_into_group`."""
    user = manageable_user(caller, realm, uid)
    manageable_group(caller, realm, group)
    users.remove_member(realm, group, user)
    return user


def manageable_group(caller: Caller, realm: Realm, group: Group) -> Group:
    """Return a group that the caller may change and delete.

    :raises DeniedError: the caller may not, or it holds what the caller could not give.
    """
    caller.require("users:write", realm=realm.name)
    if not access.covers(caller.held_in(realm.name), held_by(users.group_holder(group))):
        raise DeniedError("This group holds roles that the caller could not assign: only a caller who could can change it.")
    return group


def _own(caller: Caller, realm: Realm, permissions: Collection[str]) -> None:
    missing = set(permissions) - access.permissions_on(caller.held_in(realm.name))
    if missing:
        raise DeniedError(
            f"A role can only be given permissions that the caller has, which these are not: {', '.join(sorted(missing))}."
        )
