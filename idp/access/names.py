"""Roles and projects: made, listed, described, deleted."""

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import func, select

from idp import audit
from idp.access.models import Grant, Project, Role
from idp.db import db
from idp.errors import ConflictError, NotFoundError
from idp.realms import Realm, check_name, check_text

Named = TypeVar("Named", Role, Project)

BUILT_IN_ROLES = {
    "administrator": "Manages settings, applications and credentials of the realm.",
    "editor": "Manages projects and what is in them.",
    "researcher": "Works in the projects it is granted.",
    "viewer": "Reads, and changes nothing.",
}
"""Roles that every realm has from the start and that cannot be deleted."""


def create_built_in_roles(realm: Realm) -> None:
    """Give a new realm the roles that every realm has."""
    for name, description in BUILT_IN_ROLES.items():
        db.session.add(Role(realm_id=realm.id, name=name, description=description, built_in=True))


def create_role(realm: Realm, name: str, description: str = "") -> Role:
    """Add a role.

    :raises ConflictError: the name is taken.
    """
    return _create(Role, audit.Tag.ROLE_CREATE, realm, name, description)


def create_project(realm: Realm, name: str, description: str = "") -> Project:
    """Add a project.

    :raises ConflictError: the name is taken.
    """
    return _create(Project, audit.Tag.PROJECT_CREATE, realm, name, description)


def describe_role(realm: Realm, name: str, description: str) -> None:
    """Change what a role says of itself."""
    role = get_role(realm, name)
    if role.built_in:
        raise ConflictError(f"Role {name!r} is built in and cannot be changed.")
    role.description = _checked(description)
    audit.record(audit.Tag.ROLE_UPDATE, realm.name, f"role:{name}", description=description)


def describe_project(realm: Realm, name: str, description: str) -> None:
    """Change what a project says of itself."""
    get_project(realm, name).description = _checked(description)
    audit.record(audit.Tag.PROJECT_UPDATE, realm.name, f"project:{name}", description=description)


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


def delete_project(realm: Realm, name: str) -> None:
    """Delete a project that nobody has a grant on.

    :raises ConflictError: there are grants on it.
    """
    project = get_project(realm, name)
    _refuse_if_held(Grant.project_id == project.id, f"Project {name!r}")
    db.session.delete(project)
    audit.record(audit.Tag.PROJECT_DELETE, realm.name, f"project:{name}", uid=project.uid)


def get_role(realm: Realm, name: str) -> Role:
    """Return a role by name, or raise NotFoundError."""
    return _get(Role, "role", realm, name)


def get_project(realm: Realm, name: str) -> Project:
    """Return a project by name, or raise NotFoundError."""
    return _get(Project, "project", realm, name)


def list_roles(realm: Realm) -> Sequence[Role]:
    """Return the roles of a realm by name."""
    return db.session.scalars(select(Role).where(Role.realm_id == realm.id).order_by(Role.name)).all()


def list_projects(realm: Realm) -> Sequence[Project]:
    """Return the projects of a realm by name."""
    return db.session.scalars(select(Project).where(Project.realm_id == realm.id).order_by(Project.name)).all()


def _create(kind: type[Named], tag: audit.Tag, realm: Realm, name: str, text: str) -> Named:
    noun = kind.__tablename__
    check_name(f"a {noun}", name)
    if db.session.scalar(select(kind.id).where(kind.realm_id == realm.id, kind.name == name)) is not None:
        raise ConflictError(f"Realm {realm.name!r} has a {noun} {name!r} already.")
    row = kind(realm_id=realm.id, name=name, description=_checked(text))
    db.session.add(row)
    db.session.flush()
    audit.record(tag, realm.name, f"{noun}:{name}", uid=row.uid)
    return row


def _get(kind: type[Named], noun: str, realm: Realm, name: str) -> Named:
    row = db.session.scalar(select(kind).where(kind.realm_id == realm.id, kind.name == name))
    if row is None:
        raise NotFoundError(
            f"Realm {realm.name!r} has no {noun} {name[:80]!r}. `idp {noun}s list --realm {realm.name}` shows those it has."
        )
    return row


def _refuse_if_held(condition: object, what: str) -> None:
    holders = db.session.scalars(
        select(Grant.holder_name).where(condition).distinct().order_by(Grant.holder_name).limit(3)  # type: ignore[arg-type]
    ).all()
    if holders:
        count = db.session.scalar(select(func.count()).select_from(Grant).where(condition))  # type: ignore[arg-type]
        raise ConflictError(
            f"{what} is in use, by {count} of the grants (of {', '.join(holders)} …): remove them with `idp grants remove` first."
        )


def _checked(text: str) -> str:
    return check_text("A description", text, 500)
