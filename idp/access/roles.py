"""Roles: created, listed, described, deleted; and those that every realm has."""

from collections.abc import Collection, Sequence

from sqlalchemy import select

from idp import audit
from idp.access.models import Grant, Role
from idp.access.named import (
    create_named,
    find_by_number,
    find_by_uid,
    find_meant,
    get_named,
    listing_of,
    not_found,
    refuse_if_held,
)
from idp.access.policy import PERMISSIONS, READING
from idp.access.sheets import RoleSheet
from idp.db import db
from idp.errors import ConflictError
from idp.paging import Listing
from idp.realms import Realm, publish_application, publish_user

NEW_ROLE = RoleSheet()
"""What a role is like of which nothing is said."""

BUILT_IN_ROLES: dict[str, tuple[str, frozenset[str]]] = {
    "administrator": ("Manages settings, people, applications and credentials of the realm.", frozenset(PERMISSIONS)),
    "auditor": ("Reads everything of the realm, and changes nothing.", READING),
    "editor": (
        "Manages projects and what is in them.",
        frozenset({"projects:read", "projects:write", "roles:read", "grants:read", "applications:read", "users:read"}),
    ),
    "project-administrator": (
        "Decides who works in the projects it is granted.",
        frozenset(
            {"projects:read", "projects:write", "roles:read", "grants:read", "grants:write", "applications:read", "users:read"}
        ),
    ),
    "researcher": ("Works in the projects it is granted.", frozenset({"projects:read"})),
    "viewer": ("Reads, and changes nothing.", frozenset({"projects:read"})),
}
"""Roles that every realm has from the start and that cannot be deleted: what they say of themselves, and permissions."""


def create_built_in_roles(realm: Realm) -> None:
    """Create the built-in roles of a new realm."""
    for name, (description, permissions) in BUILT_IN_ROLES.items():
        db.session.add(
            Role(realm_id=realm.id, name=name, description=description, built_in=True, permissions=sorted(permissions))
        )


def create_role(realm: Realm, name: str, sheet: RoleSheet = NEW_ROLE) -> Role:
    """Create a role.

    :raises ConflictError: the name is taken.
    :raises InvalidValueError: the name is not usable.
    """
    role = create_named(Role, audit.Tag.ROLE_CREATE, realm, name, sheet.description)
    if sheet.permissions:
        role.permissions = sheet.permissions
        audit.record(audit.Tag.ROLE_UPDATE, realm.name, f"role:{name}", permissions=role.permissions)
    return role


def update_role(realm: Realm, role: Role, sheet: RoleSheet) -> None:
    """Update a role to what a sheet says.

    :raises ConflictError: it is built in.
    """
    changed = sheet.differing(role)
    if not changed:
        return
    if role.built_in:
        raise ConflictError(f"Role {role.name!r} is built in and cannot be changed.")
    for field, value in changed.items():
        setattr(role, field, value)
    audit.record(audit.Tag.ROLE_UPDATE, realm.name, f"role:{role.name}", **changed)
    if "permissions" in changed:
        publish_application(realm.name, "*")
        publish_user(realm.name, "*")


def set_permissions(realm: Realm, name: str, permissions: Collection[str]) -> None:
    """Set what a role permits on this server.

    :raises ConflictError: it is built in.
    :raises InvalidMembersError: there is no such permission.
    """
    role = get_role(realm, name)
    update_role(realm, role, RoleSheet.of(role).changed({"permissions": list(permissions)}))


def delete_role(realm: Realm, name: str) -> None:
    """Delete a role that nobody holds.

    :raises ConflictError: it is built in, or held.
    """
    role = get_role(realm, name)
    if role.built_in:
        raise ConflictError(f"Role {name!r} is built in and cannot be deleted.")
    refuse_if_held(Grant.role_id == role.id, f"Role {name!r}")
    db.session.delete(role)
    audit.record(audit.Tag.ROLE_DELETE, realm.name, f"role:{name}", uid=role.uid)


def get_role(realm: Realm, name: str) -> Role:
    """Return a role by name, or raise NotFoundError."""
    return get_named(Role, realm, name)


def find_role_name(realm: Realm, named: str) -> str:
    """Return the name of a role that is given by its uid or its name, or raise NotFoundError."""
    role = find_meant(Role, realm, named)
    if role is None:
        raise not_found(Role, realm, named)
    return role.name


def find_role_by_uid(realm: Realm, uid: str) -> Role | None:
    """Return a role by uid, or None."""
    return find_by_uid(Role, realm, uid)


def find_role_by_number(realm: Realm, number: int) -> Role | None:
    """Return a role by its row number, for contracts with numeric ids; None if there is none."""
    return find_by_number(Role, realm, number)


def list_roles(realm: Realm) -> Sequence[Role]:
    """Return the roles of a realm by name."""
    return db.session.scalars(select(Role).where(Role.realm_id == realm.id).order_by(Role.name)).all()


def role_listing(realm: Realm, *, containing: str = "", named: str | None = None) -> Listing:
    """Return roles as a list in pages.

    :param containing: only those whose name or description contains this, ignoring case.
    :param named: only the one of this name; None for all.
    """
    query = select(Role).where(Role.realm_id == realm.id)
    return listing_of(Role, query if named is None else query.where(Role.name == named), containing)
