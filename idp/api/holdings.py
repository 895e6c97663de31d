"""What somebody holds on the realm and on projects, as users, groups and projects show and set it."""

from collections.abc import Iterable

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, rules
from idp.access import Grant, Holder
from idp.api.schemas import Reference, Schema
from idp.errors import InvalidValueError, NotFoundError
from idp.rules import Authority

MOST_CHANGES = 200
"""Grants that one call can change: no other change of the database is made meanwhile."""


class ProjectRoles(Schema):
    """An entry of `PUT /v1/users/{uid}/projects`."""

    projectUid: str
    roles: list[str] = Field(max_length=100)


class Projects(Schema):
    """`PUT /v1/users/{uid}/projects`."""

    projects: list[ProjectRoles] = Field(max_length=500)


class HeldRoles(TypedDict):
    """Roles on the realm."""

    roles: list[Reference]
    inheritedRoles: list[Reference]


class HeldOnProject(TypedDict):
    """Roles on a project."""

    uid: str
    name: str
    roles: list[Reference]
    inheritedRoles: list[Reference]


class HeldOnProjects(TypedDict):
    """Roles on projects."""

    projects: list[HeldOnProject]


def by_project(own: list[Grant], inherited: list[Grant]) -> list[HeldOnProject]:
    """Return what is held on projects, project by project."""
    shown: dict[str, HeldOnProject] = {}
    for grants, is_own in ((own, True), (inherited, False)):
        for grant in grants:
            if grant.project is not None:
                new: HeldOnProject = {"uid": grant.project.uid, "name": grant.project.name, "roles": [], "inheritedRoles": []}
                entry = shown.setdefault(grant.project.uid, new)
                role: Reference = {"uid": grant.role.uid, "name": grant.role.name}
                (entry["roles"] if is_own else entry["inheritedRoles"]).append(role)
    return list(shown.values())


def give_on_projects(authority: Authority, holder: Holder, entries: list[ProjectRoles]) -> None:
    """Let somebody hold exactly these roles on each project that is named."""
    if len({entry.projectUid for entry in entries}) != len(entries):
        raise InvalidValueError("A project is named twice.")
    check_size([entry.roles for entry in entries])
    for entry in entries:
        project = access.find_project_by_uid(authority.realm, entry.projectUid)
        if project is None:
            raise NotFoundError("There is no project with this uid (not found).")
        roles = [access.find_role_name(authority.realm, role) for role in entry.roles]
        rules.grants.set_roles(authority, holder, roles, project=project.name)


def check_size(roles: Iterable[list[str]]) -> None:
    """See that a call does not change so much that others wait for it.

    :raises InvalidValueError: it does.
    """
    if sum(len(each) + 1 for each in roles) > MOST_CHANGES:
        raise InvalidValueError(f"A call can change at most {MOST_CHANGES} grants. Use several calls.")
