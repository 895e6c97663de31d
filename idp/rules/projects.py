"""Who sees and changes which projects."""

from idp import access
from idp.access import Project
from idp.errors import NotFoundError
from idp.rules.authority import Authority

READ, WRITE = "projects:read", "projects:write"


def listed(authority: Authority) -> list[str] | None:
    """Return the names of the only projects that the caller may list; None for all.

    :raises DeniedError: there is none.
    """
    return authority.projects_with(READ)


def sees(authority: Authority, project: Project) -> bool:
    """Tell whether the caller may see a project."""
    return authority.can(READ, project.name)


def visible(authority: Authority, named: str) -> Project:
    """Return a project that the caller may see, by uid or name; any other is not there (T73).

    :raises NotFoundError: there is none that the caller may see.
    """
    project = access.find_project(authority.realm, named)
    if project is None or not sees(authority, project):
        raise NotFoundError("There is no project with this uid or name (not found).").leading_to(
            "list projects", realm=authority.realm.name
        )
    return project


def works_in(authority: Authority, project: Project) -> bool:
    """Tell whether the caller holds a role that permits anything on a project."""
    return bool(access.permissions_on(authority.held, project.name))


def check_creating(authority: Authority) -> None:
    """See that the caller may make projects.

    :raises DeniedError: they may not.
    """
    authority.require(WRITE)


def check_changing(authority: Authority, project: Project) -> None:
    """See that the caller may change what a project says of itself.

    :raises DeniedError: they may not.
    """
    authority.require(WRITE, project.name)


def check_deleting(authority: Authority) -> None:
    """See that the caller may delete projects: who only administers some of them may not.

    :raises DeniedError: they may not.
    """
    authority.require(WRITE)
