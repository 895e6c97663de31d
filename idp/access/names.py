"""Roles and projects: made, listed, described, deleted."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from idp import audit
from idp.access.models import Grant, Project, Role
from idp.access.policy import PERMISSIONS, READING, check_permissions
from idp.db import AfterColon, db, holds, is_meant
from idp.errors import ConflictError, NotFoundError
from idp.paging import Listing
from idp.realms import (
    Called,
    Realm,
    check_called,
    check_name,
    check_text,
    is_shown_as,
    publish_application,
    publish_user,
)

Named = TypeVar("Named", Role, Project)

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


def create_role(realm: Realm, name: str, description: str = "", permissions: Collection[str] = ()) -> Role:
    """Create a role.

    :param permissions: what it permits on this server, such as `applications:read`.
    :raises ConflictError: the name is taken.
    :raises InvalidValueError: there is no such permission.
    """
    role = _create(Role, audit.Tag.ROLE_CREATE, realm, name, description)
    if permissions:
        role.permissions = check_permissions(permissions)
        audit.record(audit.Tag.ROLE_UPDATE, realm.name, f"role:{name}", permissions=role.permissions)
    return role


def set_permissions(realm: Realm, name: str, permissions: Collection[str]) -> None:
    """Set what a role permits on this server.

    :raises ConflictError: it is built in.
    :raises InvalidValueError: there is no such permission.
    """
    role = get_role(realm, name)
    if role.built_in:
        raise ConflictError(f"Role {name!r} is built in and cannot be changed.")
    role.permissions = check_permissions(permissions)
    audit.record(audit.Tag.ROLE_UPDATE, realm.name, f"role:{name}", permissions=role.permissions)
    publish_application(realm.name, "*")
    publish_user(realm.name, "*")


def create_project(realm: Realm, name: str, description: str = "", display_name: str = "") -> Project:
    """Create a project.

    :param display_name: display name; empty for its name. See `realms.called` for names that others have chosen.
    :raises ConflictError: the name is taken.
    """
    check_name("a project", name)
    shown = check_called(Project, "project", Called(name, display_name), realm.id)
    project = _create(Project, audit.Tag.PROJECT_CREATE, realm, name, description)
    project.display_name = shown
    return project


def describe_role(realm: Realm, name: str, description: str) -> None:
    """Update the description of a role."""
    role = get_role(realm, name)
    if role.built_in:
        raise ConflictError(f"Role {name!r} is built in and cannot be changed.")
    role.description = _checked(description)
    audit.record(audit.Tag.ROLE_UPDATE, realm.name, f"role:{name}", description=description)


def describe_project(realm: Realm, name: str, description: str | None = None, display_name: str | None = None) -> None:
    """Update the description or display name of a project; what is left out keeps its value.

    :raises ConflictError: another project has this name or display name.
    """
    project, wanted = get_project(realm, name), {}
    if description is not None:
        wanted["description"] = _checked(description)
    if display_name is not None:
        wanted["display_name"] = check_called(Project, "project", Called(name, display_name), realm.id, besides=project.id)
    changed = {field: value for field, value in wanted.items() if getattr(project, field) != value}
    for field, value in changed.items():
        setattr(project, field, value)
    if changed:
        audit.record(audit.Tag.PROJECT_UPDATE, realm.name, f"project:{name}", **changed)


def delete_role(realm: Realm, name: str) -> None:
    """Delete a role that nobody holds.

    :raises ConflictError: it is built in, or held.
    """
    role = get_role(realm, name)
    if role.built_in:
        raise ConflictError(f"Role {name!r} is built in and cannot be deleted.")
    _refuse_if_held(Grant.role_id == role.id, f"Role {name!r}")
    db.session.delete(role)
    audit.record(audit.Tag.ROLE_DELETE, realm.name, f"role:{name}", uid=role.uid)


_PROJECT_CHECKS: list[Callable[[Project], None]] = []


def before_deleting_project(check: Callable[[Project], None]) -> None:
    """Have a domain that hangs things on projects look first whether one can go.

    :param check: raises ConflictError if it cannot.
    """
    _PROJECT_CHECKS.append(check)


def delete_project(realm: Realm, name: str) -> None:
    """Delete a project that nobody has a grant on, and that nothing hangs on.

    :raises ConflictError: it is in use.
    """
    project = get_project(realm, name)
    _refuse_if_held(Grant.project_id == project.id, f"Project {name!r}")
    for check in _PROJECT_CHECKS:
        check(project)
    db.session.delete(project)
    audit.record(audit.Tag.PROJECT_DELETE, realm.name, f"project:{name}", uid=project.uid)


def get_role(realm: Realm, name: str) -> Role:
    """Return a role by name, or raise NotFoundError."""
    return _get(Role, "role", realm, name)


def find_role_name(realm: Realm, named: str) -> str:
    """Return the name of a role that is given by its uid or its name, or raise NotFoundError."""
    name = db.session.scalar(select(Role.name).where(Role.realm_id == realm.id, is_meant(Role, named)))
    if name is None:
        raise _not_found(realm, "role", named)
    return name


def find_role_by_uid(realm: Realm, uid: str) -> Role | None:
    """Return a role by uid, or None."""
    return db.session.scalar(select(Role).where(Role.realm_id == realm.id, Role.uid == uid))


def find_project_by_uid(realm: Realm, uid: str) -> Project | None:
    """Return a project by uid, or None."""
    return db.session.scalar(select(Project).where(Project.realm_id == realm.id, Project.uid == uid))


def get_project(realm: Realm, name: str) -> Project:
    """Return a project by name, or raise NotFoundError."""
    return _get(Project, "project", realm, name)


def list_roles(realm: Realm) -> Sequence[Role]:
    """Return the roles of a realm by name."""
    return db.session.scalars(select(Role).where(Role.realm_id == realm.id).order_by(Role.name)).all()


def list_projects(realm: Realm) -> Sequence[Project]:
    """Return the projects of a realm by name."""
    return db.session.scalars(select(Project).where(Project.realm_id == realm.id).order_by(Project.name)).all()


def role_listing(realm: Realm, *, containing: str = "", named: str | None = None) -> Listing:
    """Return roles as a list in pages.

    :param containing: only those whose name or description contains this, ignoring case.
    :param named: only the one of this name; None for all.
    """
    query = select(Role).where(Role.realm_id == realm.id)
    return _listing(Role, query if named is None else query.where(Role.name == named), containing)


def project_listing(
    realm: Realm, *, containing: str = "", names: Sequence[str] | None = None, shown: str | None = None
) -> Listing:
    """Return projects as a list in pages.

    :param containing: only those whose name, description or display name contains this, ignoring case.
    :param names: only those of these names; None for all.
    :param shown: only the one with exactly this display name; None for all.
    """
    query = select(Project).where(Project.realm_id == realm.id)
    if names is not None:
        query = query.where(Project.name.in_(names))
    if shown is not None:
        query = query.where(is_shown_as(Project, shown))
    return _listing(Project, query, containing, Project.display_name)


def _listing(kind: type[Named], query: Select[Named], containing: str, *more: InstrumentedAttribute[str]) -> Listing:
    if containing:
        query = query.where(or_(*(holds(column, containing) for column in (kind.name, kind.description, *more))))
    fields = {
        "name": kind.name,
        "uid": kind.uid,
        "created": kind.created_at,
        "updated": func.coalesce(kind.updated_at, kind.created_at),
        "maker": AfterColon(kind.created_by),
    }
    return Listing(query, kind.id, {"name": kind.name}, fields=fields)


def _create(kind: type[Named], tag: audit.Tag, realm: Realm, name: str, text: str) -> Named:
    noun = kind.__tablename__
    check_name(f"a {noun}", name)
    if db.session.scalar(select(kind.id).where(kind.realm_id == realm.id, kind.name == name)) is not None:
        raise ConflictError(f"Realm {realm.name!r} already has a {noun} {name!r}.")
    row = kind(realm_id=realm.id, name=name, description=_checked(text), created_by=audit.current_actor().name)
    db.session.add(row)
    db.session.flush()
    audit.record(tag, realm.name, f"{noun}:{name}", uid=row.uid)
    return row


def _get(kind: type[Named], noun: str, realm: Realm, name: str) -> Named:
    row = db.session.scalar(select(kind).where(kind.realm_id == realm.id, kind.name == name))
    if row is None:
        raise _not_found(realm, noun, name)
    return row


def _not_found(realm: Realm, noun: str, named: str) -> NotFoundError:
    return NotFoundError(f"Realm {realm.name!r} has no {noun} {named[:80]!r}.").leading_to(f"list {noun}s", realm=realm.name)


def _refuse_if_held(condition: object, what: str) -> None:
    holders = db.session.scalars(
        select(Grant.holder_name).where(condition).distinct().order_by(Grant.holder_name).limit(3)  # type: ignore[arg-type]
    ).all()
    if holders:
        count = db.session.scalar(select(func.count()).select_from(Grant).where(condition))  # type: ignore[arg-type]
        raise ConflictError(
            f"{what} is in use, by {count} of the grants (of {', '.join(holders)} …): remove them first."
        ).leading_to("remove grants")


def _checked(text: str) -> str:
    return check_text("A description", text, 500)


def find_role_by_number(realm: Realm, number: int) -> Role | None:
    """Return a role by its row number, for contracts with numeric ids; None if there is none."""
    found = db.session.get(Role, number) if 0 < number < 2**31 else None
    return found if found is not None and found.realm_id == realm.id else None


def find_project_by_number(realm: Realm, number: int) -> Project | None:
    """Return a project by its row number, for contracts with numeric ids; None if there is none."""
    found = db.session.get(Project, number) if 0 < number < 2**31 else None
    return found if found is not None and found.realm_id == realm.id else None


def find_project(realm: Realm, named: str) -> Project | None:
    """Return a project by uid or name, or None."""
    return db.session.scalar(select(Project).where(Project.realm_id == realm.id, is_meant(Project, named)))
