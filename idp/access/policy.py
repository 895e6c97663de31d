"""Who may do what on this server: permissions, and the one place where they are checked.

A role is a named set of permissions. Held on the realm, it counts everywhere in it; held on a project, it counts there.
"""

from collections.abc import Collection, Iterable, Sequence

from idp import clock
from idp.access.held import HeldRole
from idp.errors import InvalidValueError

PERMISSIONS = {
    "realm:read": "View the settings of the organisation.",
    "realm:write": "Update the settings of the organisation.",
    "roles:read": "View roles.",
    "roles:write": "Create, update and delete roles, up to one's own permissions.",
    "projects:read": "View projects.",
    "projects:write": "Create, update and delete projects.",
    "grants:read": "View who holds which role.",
    "grants:write": "Assign and remove roles, up to one's own permissions.",
    "applications:read": "View applications and the details of their secrets, never the secrets.",
    "applications:write": "Create, update and delete applications and their secrets.",
    "users:read": "View people, machine users and groups.",
    "users:write": "Create, invite, update, disable and delete users and groups.",
    "api-keys:read": "View the API keys of others.",
    "api-keys:write": "Create API keys for others, even beyond the limits, and update, rotate and revoke them.",
    "sessions:read": "View the sessions of others.",
    "sessions:write": "End the sessions of others.",
    "personal-tokens:read": "View the personal tokens of others.",
    "personal-tokens:write": "Delete the personal tokens of others.",
    "keysets:read": "View keysets and who leases them, never their values.",
    "keysets:write": "Create, update, replace and delete keysets, and end their leases.",
    "keysets:lease": "Lease keysets with their values, as an application.",
    "keys:read": "View signing keys and their dates.",
    "keys:write": "Rotate and revoke signing keys.",
    "audit:read": "Read the audit trail.",
    "signals:receive": "Receive security events of the organisation, as an application.",
}
"""Every permission, `<resource>:<verb>`, with what it allows."""

STRONG = frozenset(
    {"grants:write", "roles:write", "applications:write", "users:write", "realm:write", "keys:write", "api-keys:write"}
)
"""Permissions by which their holder comes to act as others, or changes what everybody relies on; see `is_strong`."""

READING = frozenset(permission for permission in PERMISSIONS if permission.endswith(":read"))


def check_permissions(permissions: Collection[str]) -> list[str]:
    """Return permissions in order, each once.

    :raises InvalidValueError: there is no such permission.
    """
    for permission in permissions:
        if permission not in PERMISSIONS:
            raise InvalidValueError(
                f"{permission[:80]!r} is not a permission. There are: {', '.join(PERMISSIONS)}.", field="permissions"
            )
    return sorted(set(permissions))


def is_strong(permissions: Collection[str], project: str = "") -> bool:
    """Tell whether a role with these permissions is one to ask about before it is given.

    :param project: name of the project that it is given on, beyond which it does not reach; empty for the whole realm.
    """
    return not project and not STRONG.isdisjoint(permissions)


def permissions_on(held: Iterable[HeldRole], project: str = "") -> frozenset[str]:
    """Return what roles that are held now permit, on the whole realm, or on the project that is named."""
    now = clock.timestamp()
    permitted = [each.permissions for each in held if now < each.until and (not each.project or each.project == project)]
    return frozenset().union(*permitted)


def may(held: Iterable[HeldRole], permission: str, project: str = "") -> bool:
    """Tell whether roles permit something. Every check of every edge ends here.

    :param project: name of the project that it is about; empty when it is about the realm.
    """
    if permission not in PERMISSIONS:
        raise ValueError(f"{permission!r} is not a permission")
    return permission in permissions_on(held, project)


def granting_until(held: Sequence[HeldRole], permissions: Collection[str], project: str = "") -> float:
    """Return until when roles permit assigning a role with these permissions (to oneself, too); 0 if they do not.

    Nobody can assign more than they hold, nor for longer: so nobody gets, in any indirect way, what they could not assign
    themselves. Infinite without an end (seconds since 1970).
    """
    now = clock.timestamp()
    for end in sorted({each.until for each in held if now < each.until}, reverse=True):
        own = permissions_on([each for each in held if each.until >= end], project)
        if "grants:write" in own and own.issuperset(permissions):
            return end
    return 0


def may_grant(held: Sequence[HeldRole], permissions: Collection[str], project: str = "") -> bool:
    """Tell whether roles permit assigning a role with these permissions now."""
    return granting_until(held, permissions, project) > 0


def covers(held: Sequence[HeldRole], others: Iterable[HeldRole]) -> bool:
    """Tell whether whoever holds `held` has each of `others`, for as long, or could assign it to themselves.

    Handing out somebody's credential means being able to act as them: this is required for it. Roles without permissions here
    count too, since they mean something to other APIs.
    """
    now = clock.timestamp()
    return all(
        _held_as_long(held, each) or granting_until(held, each.permissions, each.project) >= each.until
        for each in others
        if now < each.until
    )


def _held_as_long(held: Sequence[HeldRole], other: HeldRole) -> bool:
    """Tell whether the same role is held there for as long. A key that is frozen may carry less than the role permits now."""
    return any(
        own.role == other.role
        and own.project in {"", other.project}
        and own.until >= other.until
        and own.permissions >= other.permissions
        for own in held
    )


_OF_WORKERS = frozenset({"projects:read"})
"""What programs that only work in projects are permitted."""


def administers(held: Iterable[HeldRole]) -> bool:
    """Tell whether somebody is permitted more at this server than to see the projects that they work in."""
    return any(each.permissions - _OF_WORKERS for each in held)
