"""Who sees roles, and who changes what they mean. Nobody lends by one what they could not give."""

import math
from collections.abc import Collection

from idp import access
from idp.access import Role, RoleSheet
from idp.callers import DeniedError
from idp.errors import NotFoundError
from idp.rules.authority import Authority

READ, WRITE = "roles:read", "roles:write"


def check_listing(authority: Authority) -> None:
    """See that the caller may list roles.

    :raises DeniedError: they may not.
    """
    authority.require_somewhere(READ)


def visible(authority: Authority, named: str) -> Role:
    """Return a role, by uid or name, if the caller may see roles.

    :raises DeniedError: they may not.
    :raises NotFoundError: there is none.
    """
    check_listing(authority)
    return _named(authority, named)


def check_creating(authority: Authority) -> None:
    """See that the caller may make roles.

    :raises DeniedError: they may not.
    """
    authority.require(WRITE)


def create(authority: Authority, name: str, sheet: RoleSheet) -> Role:
    """Make a role with permissions that the caller has.

    :raises DeniedError: the caller may not make roles, or has not all of these permissions.
    """
    authority.require(WRITE)
    _own(authority, sheet.permissions)
    return access.create_role(authority.realm, name, sheet)


def update(authority: Authority, named: str, sheet: RoleSheet) -> None:
    """Change a role, by uid or name, to what a sheet says.

    What a role gains, all who hold it are given, and what it loses, they lose: that takes what giving it to them without an
    end takes. For a role that nobody holds, the permissions themselves are enough.

    :raises DeniedError: the caller may not.
    """
    role = manageable(authority, named)
    concerned = set(sheet.permissions) | set(role.permissions)
    _own(authority, concerned)
    is_held = bool(access.page_of_grants(authority.realm, role=role.name, limit=1))
    if is_held and not math.isinf(access.granting_until(authority.held, concerned)):
        raise DeniedError(
            "This role is assigned: changing it requires all of its permissions, and grants:write, without an end date."
        )
    access.update_role(authority.realm, role, sheet)


def manageable(authority: Authority, named: str) -> Role:
    """Return a role, by uid or name, that the caller may change or delete.

    :raises DeniedError: the caller may not, or it permits more than the caller may do.
    :raises NotFoundError: there is none.
    """
    authority.require(WRITE)
    role = _named(authority, named)
    _own(authority, role.permissions)
    return role


def _named(authority: Authority, named: str) -> Role:
    try:
        return access.get_role(authority.realm, access.find_role_name(authority.realm, named))
    except NotFoundError:
        raise NotFoundError("There is no role with this uid or name (not found).").leading_to(
            "list roles", realm=authority.realm.name
        ) from None


def _own(authority: Authority, permissions: Collection[str]) -> None:
    missing = set(permissions) - access.permissions_on(authority.held)
    if missing:
        raise DeniedError(
            f"A role can only be given permissions that the caller has, which these are not: {', '.join(sorted(missing))}."
        )
