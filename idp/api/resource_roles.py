"""`/v1/users/{uid}/resourceRoles` and the same of teams: roles on several projects at once, as Palette's clients give them.

A resource role is kept as a grant for each role and project, and is shown so: one entry for each grant, whose uid is its own.
There are no resources below projects here, so filters that choose some of them are refused.
"""

from flask import request
from pydantic import Field
from typing_extensions import TypedDict

from idp import access, rules, users
from idp.access import Grant, Holder
from idp.api.holdings import check_size
from idp.api.requests import signed_in
from idp.api.schemas import Reference, Schema
from idp.errors import InvalidValueError, NotFoundError
from idp.rules import Authority


class ResourceRole(Schema):
    """Roles on projects."""

    projectUids: list[str] = Field(default=[], max_length=200)
    roles: list[str] = Field(default=[], max_length=100)
    """By uid or name."""
    filterRefs: list[str] = Field(default=[], max_length=100)
    """None: there is nothing below projects to choose from."""


class ResourceRoleShown(TypedDict):
    """A role on a project."""

    uid: str
    projectUids: list[Reference]
    roles: list[Reference]
    filterRefs: list[Reference]


class ResourceRoles(TypedDict):
    """Roles on projects."""

    resourceRoles: list[ResourceRoleShown]


@signed_in
def list_resource_roles(authority: Authority, uid: str) -> ResourceRoles:
    """List the roles on projects that a user or a group holds, one entry each."""
    grants = rules.grants.visible_of(authority, _holder(authority, uid))
    return {"resourceRoles": [_shown(grant) for grant in grants if grant.project is not None]}


@signed_in
def create_resource_role(authority: Authority, body: ResourceRole, uid: str) -> None:
    """Assign each of these roles on each of these projects to a user or a group, in addition to what they hold."""
    _give(authority, _holder(authority, uid), body)


@signed_in
def change_resource_role(authority: Authority, body: ResourceRole, uid: str, grant: str) -> None:
    """Replace an entry by other roles on projects."""
    holder = _holder(authority, uid)
    before = _find(authority, holder, grant)
    role, project = before.role.name, before.project.name if before.project is not None else ""
    given = _give(authority, holder, body)
    if (role, project) not in given:
        rules.grants.take(authority, holder, role, project=project)


@signed_in
def delete_resource_role(authority: Authority, uid: str, grant: str) -> None:
    """Remove the role of an entry."""
    holder = _holder(authority, uid)
    found = _find(authority, holder, grant)
    project = found.project.name if found.project is not None else ""
    rules.grants.take(authority, holder, found.role.name, project=project)


def _holder(authority: Authority, uid: str) -> Holder:
    if request.path.startswith("/v1/users/"):
        return users.holder_of(rules.users.visible(authority, uid))
    return users.group_holder(rules.groups.visible(authority, uid))


def _give(authority: Authority, holder: Holder, body: ResourceRole) -> set[tuple[str, str]]:
    """Give what a body names, and return it as names of roles and projects."""
    if body.filterRefs:
        raise InvalidValueError("filterRefs must be empty: there is nothing below projects to choose from here.")
    if not body.projectUids or not body.roles:
        raise InvalidValueError("projectUids and roles must name at least one each.")
    check_size([body.roles for _ in body.projectUids])
    wanted = set()
    for uid in body.projectUids:
        project = access.find_project_by_uid(authority.realm, uid)
        if project is None:
            raise NotFoundError("There is no project with this uid (not found).")
        wanted |= {(access.find_role_name(authority.realm, role), project.name) for role in body.roles}
    for role, name in sorted(wanted):
        if access.find_grant(authority.realm, holder, role, project=name) is None:
            rules.grants.give(authority, holder, role, project=name)
    return wanted


def _find(authority: Authority, holder: Holder, uid: str) -> Grant:
    for grant in rules.grants.visible_of(authority, holder):
        if grant.uid == uid and grant.project is not None:
            return grant
    raise NotFoundError("There is no resource role with this uid (not found).")


def _shown(grant: Grant) -> ResourceRoleShown:
    project = grant.project
    return {
        "uid": grant.uid,
        "projectUids": [{"uid": project.uid, "name": project.name}] if project is not None else [],
        "roles": [{"uid": grant.role.uid, "name": grant.role.name}],
        "filterRefs": [],
    }
