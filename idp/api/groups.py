"""`/v1/groups`, and `/v1/teams` for clients that call them so: what a group holds, its members hold."""

from typing import Literal, NotRequired

from flask import request
from pydantic import Field
from typing_extensions import TypedDict

from idp import access, callers, users
from idp.api.answers import metadata
from idp.api.filters import FilterQuery, Order, filtered
from idp.api.holdings import HeldOnProject, Projects, by_project, give_on_projects, visible
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Named, Reference, Renamed, Schema
from idp.api.users import Roles, UserResource, show_user
from idp.callers import Caller
from idp.realms import Realm
from idp.users import Group

MOST_MEMBERS = 200
"""Members that one body can name, and that a group shows."""


class GroupSpec(Schema):
    """`spec` of a new group."""

    read_only = frozenset({"sources"})

    users: list[str] = Field(default=[], max_length=MOST_MEMBERS)
    """Its members, by uid."""
    roles: list[str] = Field(default=[], max_length=100)
    """Roles on the realm that it gets, by uid or name."""
    displayName: str = Field(default="", max_length=200)
    """What it is shown as; empty for its name."""


class NewGroup(Schema):
    """`POST /v1/groups`."""

    metadata: Named
    spec: GroupSpec = GroupSpec()


class ReplacedGroupSpec(Schema):
    """`spec` of a change: what is left out stays."""

    read_only = frozenset({"sources"})

    users: list[str] | None = Field(default=None, max_length=MOST_MEMBERS)
    """Its members, by uid."""
    roles: list[str] | None = Field(default=None, max_length=100)
    """Roles on the realm, by uid or name."""
    displayName: str | None = Field(default=None, max_length=200)
    """What it is shown as; empty for its name."""


class GroupChange(Schema):
    """`PUT` and `PATCH /v1/groups/{uid}`."""

    patched = True

    metadata: Renamed = Renamed()
    spec: ReplacedGroupSpec = ReplacedGroupSpec()


class Member(Schema):
    """`POST /v1/groups/{uid}/members`."""

    uid: str
    """Of a user."""


class GroupQuery(FilterQuery):
    """Which groups, in which order."""

    name: str = Field(default="", max_length=200)
    """Those whose name or description contains this."""
    orderBy: Order = "name"


class MemberQuery(PageQuery):
    """In which order."""

    orderBy: Literal["name", "-name", "creationTimestamp", "-creationTimestamp"] = "name"


class GroupSpecShown(TypedDict):
    """What a group is. Its members are a list of their own; they stand here too unless there are more than 200."""

    users: NotRequired[list[str]]
    roles: NotRequired[list[str]]
    """Roles on the realm, by uid; for who may see them."""
    sources: list[str]
    """Empty: groups do not come from elsewhere."""

    displayName: str


class GroupStatus(TypedDict):
    """How a group fares."""

    members: int


class GroupResource(TypedDict):
    """A set of users."""

    metadata: Metadata
    spec: GroupSpecShown
    status: GroupStatus


class GroupRoles(TypedDict):
    """Roles on the realm."""

    roles: list[Reference]


class GroupProjects(TypedDict):
    """Roles on projects."""

    projects: list[HeldOnProject]


@signed_in
def list_groups(caller: Caller, realm: Realm, query: GroupQuery) -> Page[GroupResource]:
    """List groups."""
    _may_read(caller, realm)
    columns = {"metadata.name": Group.name, "metadata.uid": Group.uid}
    listing = filtered(users.group_listing(realm, containing=query.name), query.filters, columns)
    return page(caller, query, listing, lambda group: _shown(caller, realm, group), query.orderBy)


@signed_in
def create_group(caller: Caller, realm: Realm, body: NewGroup) -> Created[Made]:
    """Create a group with members and roles."""
    caller.require("users:write", realm=realm.name)
    group = users.create_group(realm, body.metadata.name, body.metadata.description or "", body.spec.displayName)
    if body.spec.roles:
        roles = [access.find_role_name(realm, role) for role in body.spec.roles]
        callers.set_roles(caller, realm, users.group_holder(group), roles)
    for uid in dict.fromkeys(body.spec.users):
        callers.put_into_group(caller, realm, group, uid)
    return Created({"uid": group.uid}, f"{request.path.rstrip('/')}/{group.uid}")


@signed_in
def get_group(caller: Caller, realm: Realm, uid: str) -> GroupResource:
    """Show a group, by uid or name."""
    return _shown(caller, realm, callers.visible_group(caller, realm, uid))


@signed_in(current=get_group)
def replace_group(caller: Caller, realm: Realm, body: GroupChange, uid: str) -> None:
    """Replace a group; its members, roles and display name only if `spec` names them."""
    _change(caller, realm, uid, body.metadata.description or "", body.spec)


@signed_in(current=get_group)
def change_group(caller: Caller, realm: Realm, body: GroupChange, uid: str) -> None:
    """Update the description, display name, members or roles of a group."""
    _change(caller, realm, uid, body.metadata.description, body.spec)


def _change(caller: Caller, realm: Realm, uid: str, description: str | None, spec: ReplacedGroupSpec) -> None:
    group = callers.manageable_group(caller, realm, callers.visible_group(caller, realm, uid))
    users.describe_group(realm, group.name, description, spec.displayName)
    if spec.users is not None:
        _set_members(caller, realm, group, set(spec.users))
    if spec.roles is not None:
        roles = [access.find_role_name(realm, role) for role in spec.roles]
        callers.set_roles(caller, realm, users.group_holder(group), roles)


def _set_members(caller: Caller, realm: Realm, group: Group, wanted: set[str]) -> None:
    now = {user.uid for user in users.list_members(group)}
    for member in sorted(now - wanted):
        callers.take_out_of_group(caller, realm, group, member)
    for member in sorted(wanted - now):
        callers.put_into_group(caller, realm, group, member)


@signed_in(current=get_group)
def delete_group(caller: Caller, realm: Realm, uid: str) -> None:
    """Delete a group; its members remain, and lose the roles that they held through it."""
    group = callers.manageable_group(caller, realm, callers.visible_group(caller, realm, uid))
    users.delete_group(realm, group.name)


@signed_in
def list_members(caller: Caller, realm: Realm, query: MemberQuery, uid: str) -> Page[UserResource]:
    """List the members of a group."""
    return page(caller, query, users.member_listing(callers.visible_group(caller, realm, uid)), show_user, query.orderBy)


@signed_in
def add_member(caller: Caller, realm: Realm, body: Member, uid: str) -> None:
    """Add a user to a group; nothing happens if they are a member already."""
    callers.put_into_group(caller, realm, callers.visible_group(caller, realm, uid), body.uid)


@signed_in
def remove_member(caller: Caller, realm: Realm, uid: str, user: str) -> None:
    """Remove a user from a group."""
    callers.take_out_of_group(caller, realm, callers.visible_group(caller, realm, uid), user)


@signed_in
def get_group_roles(caller: Caller, realm: Realm, uid: str) -> GroupRoles:
    """Show the roles of a group on the realm."""
    grants = visible(caller, realm, users.group_holder(callers.visible_group(caller, realm, uid)))
    return {"roles": [{"uid": each.role.uid, "name": each.role.name} for each in grants if each.project is None]}


@signed_in
def set_group_roles(caller: Caller, realm: Realm, body: Roles, uid: str) -> None:
    """Set the roles of a group on the realm."""
    roles = [access.find_role_name(realm, role) for role in body.roles]
    callers.set_roles(caller, realm, users.group_holder(callers.visible_group(caller, realm, uid)), roles)


@signed_in
def get_group_projects(caller: Caller, realm: Realm, uid: str) -> GroupProjects:
    """Show the roles of a group on projects."""
    return {"projects": by_project(visible(caller, realm, users.group_holder(callers.visible_group(caller, realm, uid))), [])}


@signed_in
def set_group_projects(caller: Caller, realm: Realm, body: Projects, uid: str) -> None:
    """Set the roles of a group on each named project; other projects are not changed."""
    give_on_projects(caller, realm, users.group_holder(callers.visible_group(caller, realm, uid)), body.projects)


def _may_read(caller: Caller, realm: Realm) -> None:
    if not caller.may_somewhere("users:read", realm=realm.name):
        caller.require("users:read", realm=realm.name)


def _shown(caller: Caller, realm: Realm, group: Group) -> GroupResource:
    members = users.member_listing(group)
    count = members.count()
    spec: GroupSpecShown = {"displayName": group.display_name, "sources": []}
    if count <= MOST_MEMBERS:  # a part of them, sent back in a change, would take the others out
        spec["users"] = [user.uid for user in members.take("name", descending=False, after=None, limit=MOST_MEMBERS)]
    if caller.may("grants:read", realm=realm.name):
        spec["roles"] = [each.role.uid for each in visible(caller, realm, users.group_holder(group)) if each.project is None]
    return {
        "metadata": metadata(group.uid, group.name, group.created_at, group.updated_at, group.description),
        "spec": spec,
        "status": {"members": count},
    }
