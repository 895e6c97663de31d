"""Projects: created, listed, described, deleted."""

from collections.abc import Callable, Sequence

from sqlalchemy import select

from idp import audit
from idp.access.models import Grant, Project
from idp.access.named import (
    create_named,
    find_by_number,
    find_by_uid,
    find_meant,
    get_named,
    listing_of,
    refuse_if_held,
)
from idp.access.sheets import ProjectSheet
from idp.db import db
from idp.paging import Listing
from idp.realms import Called, Realm, check_called, check_name, is_shown_as

NEW_PROJECT = ProjectSheet()
"""What a project is like of which nothing is said."""


def create_project(realm: Realm, name: str, sheet: ProjectSheet = NEW_PROJECT) -> Project:
    """Create a project. See `realms.called` for names that others have chosen.

    :raises ConflictError: the name is taken, or another project has this display name.
    """
    check_name("a project", name)
    shown = check_called(Project, "project", Called(name, sheet.display_name), realm.id)
    project = create_named(Project, audit.Tag.PROJECT_CREATE, realm, name, sheet.description)
    project.display_name = shown
    return project


def update_project(realm: Realm, project: Project, sheet: ProjectSheet) -> None:
    """Update a project to what a sheet says.

    :raises ConflictError: another project has this name or display name.
    """
    shown = check_called(Project, "project", Called(project.name, sheet.display_name), realm.id, besides=project.id)
    changed = sheet.changed({"display_name": shown}).differing(project)
    for field, value in changed.items():
        setattr(project, field, value)
    if changed:
        db.session.flush()  # the time of the change too
        audit.record(audit.Tag.PROJECT_UPDATE, realm.name, f"project:{project.name}", **changed)


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
    refuse_if_held(Grant.project_id == project.id, f"Project {name!r}")
    for check in _PROJECT_CHECKS:
        check(project)
    db.session.delete(project)
    audit.record(audit.Tag.PROJECT_DELETE, realm.name, f"project:{name}", uid=project.uid)


def get_project(realm: Realm, name: str) -> Project:
    """Return a project by name, or raise NotFoundError."""
    return get_named(Project, realm, name)


def find_project(realm: Realm, named: str) -> Project | None:
    """Return a project by uid or name, or None."""
    return find_meant(Project, realm, named)


def find_project_by_uid(realm: Realm, uid: str) -> Project | None:
    """Return a project by uid, or None."""
    return find_by_uid(Project, realm, uid)


def find_project_by_number(realm: Realm, number: int) -> Project | None:
    """Return a project by its row number, for contracts with numeric ids; None if there is none."""
    return find_by_number(Project, realm, number)


def list_projects(realm: Realm) -> Sequence[Project]:
    """Return the projects of a realm by name."""
    return db.session.scalars(select(Project).where(Project.realm_id == realm.id).order_by(Project.name)).all()


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
    return listing_of(Project, query, containing, Project.display_name)
