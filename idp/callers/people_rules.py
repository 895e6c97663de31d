"""Who may manage which people, and give them what. Nobody manages somebody who may do more than they may themselves."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from idp import access, clock, users
from idp.access import Holder
from idp.callers.key_rules import frozen_for, held_by
from idp.callers.models import Caller, DeniedError
from idp.errors import NotFoundError
from idp.realms import Realm
from idp.users import Group, User


def manageable_user(caller: Caller, realm: Realm, uid: str) -> User:
    """Return a user whom the caller may invite, change, disable or delete.

    :raises NotFoundError: there is none.
    :raises DeniedError: the caller may not.
    """
    caller.require("users:write", realm=realm.name)
    user = visible_user(caller, realm, uid)
    if not access.covers(caller.held_in(realm.name), held_by(users.holder_of(user))):
        raise DeniedError(
            "This user has permissions that the caller does not have: only a caller with all of them can manage the user."
        )
    return user


def change_user(caller: Caller, realm: Realm, uid: str, **fields: Any) -> User:
    """Change a user whom the caller may manage; see `users.update_user` for the fields.

    Whoever chooses where somebody's one-time codes go could come to act as them: so the address is limited as a key is that is
    made for somebody else.

    :raises NotFoundError: there is none.
    :raises DeniedError: the caller may not.
    """
    user = manageable_user(caller, realm, uid)
    before = user.email
    users.update_user(realm, user, **fields)
    if user.email != before:
        users.limit_address(user, limited=frozen_for(caller, realm, users.holder_of(user)) is not None)
    return user


def visible_user(caller: Caller, realm: Realm, uid: str) -> User:
    """Return a user whom the caller may see; any other is not there (T73).

    :raises NotFoundError: there is none that the caller may see.
    """
    user = users.find_user_by_uid(realm, uid)
    is_self = user is not None and user.uid == caller.subject.uid
    # who gives roles on a project must be able to see to whom
    if user is None or not (is_self or caller.may_somewhere("users:read", realm=realm.name)):
        raise NotFoundError("There is no user with this uid (not found).")
    return user


def visible_group(caller: Caller, realm: Realm, named: str) -> Group:
    """Return a group that the caller may see, by uid or name; any other is not there (T73).

    :raises NotFoundError: there is none.
    """
    group = users.find_group(realm, named)
    if group is None or not caller.may_somewhere("users:read", realm=realm.name):
        raise NotFoundError("There is no group with this uid or name (not found).")
    return group


def readable_projects(caller: Caller, realm: Realm, permission: str) -> list[str] | None:
    """Return the names of the only projects of which the caller may see something; None for all, and the realm itself.

    :raises DeniedError: there is none.
    """
    if caller.may(permission, realm=realm.name):
        return None
    held = {each.project for each in caller.held_in(realm.name) if each.project}
    names = sorted(name for name in held if caller.may(permission, realm=realm.name, project=name))
    if not names:
        caller.require(permission, realm=realm.name)
    return names


def set_roles(caller: Caller, realm: Realm, holder: Holder, roles: Sequence[str], *, project: str = "") -> None:
    """Let somebody hold exactly these roles on the realm, or on a project: give what is missing, take what is too much.

    What is given ends when the giver could not give it any more.

    :raises DeniedError: the caller may not give or take one of them.
    :raises NotFoundError: there is no such role or project.
    """
    caller.require("grants:write", realm=realm.name, project=project)
    wanted = {access.get_role(realm, role).name for role in roles}
    now = clock.now()
    held = {
        grant.role.name
        for grant in access.list_grants(realm, holder=holder)
        if (grant.project.name if grant.project else "") == project and (grant.until is None or now < grant.until)
    }
    for role in sorted(wanted ^ held):
        if role in wanted:
            give_role(caller, realm, holder, role, project=project)
        else:
            take_role(caller, realm, holder, role, project=project)


def give_role(
    caller: Caller, realm: Realm, holder: Holder, role: str, *, project: str = "", until: datetime | None = None
) -> datetime | None:
    """Give somebody a role on the realm, or on a project, or give it another end.

    :param until: its end; None for none. It ends no later than the giver could give it.
    :returns: when it ends.
    :raises DeniedError: the caller may not give it, or it is held for longer than that.
    :raises NotFoundError: there is no such role or project.
    """
    end = _check_grant(caller, realm, role, project)
    _check_held(realm, holder, role, project, end)
    latest = None if math.isinf(end) else datetime.fromtimestamp(end, UTC)
    ends = min((time for time in (until, latest) if time is not None), default=None)
    access.grant_role(realm, holder, role, project=project or None, until=ends)
    return ends


def take_role(caller: Caller, realm: Realm, holder: Holder, role: str, *, project: str = "") -> None:
    """Take a role from somebody.

    :raises DeniedError: the caller could not give it either, or not for so long.
    :raises NotFoundError: there is no such role or project, or it is not held.
    """
    check_taking(caller, realm, holder, role, project=project)
    access.remove_grant(realm, holder, role, project=project or None)


def check_taking(caller: Caller, realm: Realm, holder: Holder, role: str, *, project: str = "") -> None:
    """See whether the caller may take a role from somebody.

    :raises DeniedError: the caller could not give it either, or not for so long.
    :raises NotFoundError: there is no such role or project.
    """
    _check_held(realm, holder, role, project, _check_grant(caller, realm, role, project))


def _check_grant(caller: Caller, realm: Realm, role: str, project: str) -> float:
    """Return until when the caller may give or take a role (seconds since 1970).

    :raises DeniedError: not now.
    """
    caller.require("grants:write", realm=realm.name, project=project)
    permissions = access.get_role(realm, role).permissions
    end = access.granting_until(caller.held_in(realm.name), permissions, project)
    if not end:
        where = f"project {project}" if project else f"realm {realm.name}"
        raise DeniedError(
            f"The caller cannot assign or remove role {role!r} on {where}: it permits more than the caller can do there."
        )
    return end


def _check_held(realm: Realm, holder: Holder, role: str, project: str, end: float) -> None:
    """See that what is held already is held for no longer than the caller could give it.

    Otherwise somebody whose own role ends could shorten another's until it is no more than their own, and then manage them.

    :raises DeniedError: it is held for longer.
    """
    grant = access.find_grant(realm, holder, role, project=project or None)
    if grant is not None and (grant.until.timestamp() if grant.until is not None else math.inf) > end:
        raise DeniedError(
            f"{holder.name!r} holds role {role!r} for longer than the caller could assign it: the caller cannot change that."
        )
