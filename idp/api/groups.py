"""`/v1/groups`, and `/v1/teams` for clients that call them so: what a group holds, its members hold."""

from typing import Any, Literal

from flask import request
from pydantic import Field
from typing_extensions import TypedDict

from idp import access, rules, users
from idp.api.answers import metadata
from idp.api.filters import FilterQuery, Order, filtered
from idp.api.holdings import HeldOnProject, Projects, by_project, give_on_projects
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Named, Reference, Renamed, Schema
from idp.api.sheets import Spec, changes_in, optional, values_of, with_gaps
from idp.api.users import Roles, UserResource, show_user
from idp.rules import Authority
from idp.users import Group, GroupSettings, GroupSheet

MOST_MEMBERS = 200
"""Members that one body can name, and that a group shows."""


class GroupSpec(GroupSettings, Spec):
    """`spec` of a new group."""

    read_only = frozenset({"sources"})

    users: list[str] = Field(default=[], max_length=MOST_MEMBERS)
    """Its members, by uid."""
    roles: list[str] = Field(default=[], max_length=100)
    """Roles on the realm that it gets, by uid or name."""


class NewGroup(Schema):
    """`POST /v1/groups`."""

    metadata: Named
    spec: GroupSpec = GroupSpec()


@optional
class ReplacedGroupSpec(GroupSettings, Spec):
    """`spec` of a change: what is left out stays."""

    read_only = frozenset({"sources"})

    users: list[str] = Field(default=[], max_length=MOST_MEMBERS)
    """Its members, by uid."""
    roles: list[str] = Field(default=[], max_length=100)
    """Roles on the realm, by uid or name."""


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


class GroupSpecShown(GroupSettings):
    """What a group is. Its members are a list of their own; they stand here too unless there are more than 200."""

    model_config = with_gaps("users", "roles")

    users: list[str] = Field(default=[])
    roles: list[str] = Field(default=[])
    """Roles on the realm, by uid; for who may see them."""
    sources: list[str] = Field(default=[])
    """Empty: groups do not come from elsewhere."""


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
def list_groups(authority: Authority, query: GroupQuery) -> Page[GroupResource]:
    """List groups."""
    rules.groups.check_listing(authority)
    columns = {"metadata.name": Group.name, "metadata.uid": Group.uid}
    listing = filtered(users.group_listing(authority.realm, containing=query.name), query.filters, columns)
    return page(authority.caller, query, listing, lambda group: _shown(authority, group), query.orderBy)


@signed_in
def create_group(authority: Authority, body: NewGroup) -> Created[Made]:
    """Create a group with members and roles."""
    rules.groups.check_creating(authority)
    values = values_of(body.spec, GroupSheet) | {"description": body.metadata.description or ""}
    group = users.create_group(authority.realm, body.metadata.name, GroupSheet.read(values))
    if body.spec.roles:
        roles = [access.find_role_name(authority.realm, role) for role in body.spec.roles]
        rules.grants.set_roles(authority, users.group_holder(group), roles)
    for uid in dict.fromkeys(body.spec.users):
        rules.groups.add_member(authority, group, uid)
    return Created({"uid": group.uid}, f"{request.path.rstrip('/')}/{group.uid}")


@signed_in
def get_group(authority: Authority, uid: str) -> GroupResource:
    """Show a group, by uid or name."""
    return _shown(authority, rules.groups.visible(authority, uid))


@signed_in(current=get_group)
def replace_group(authority: Authority, body: GroupChange, uid: str) -> None:
    """Replace a group; its members, roles and display name only if `spec` names them."""
    _change(authority, uid, body.metadata.description or "", body.spec)


@signed_in(current=get_group)
def change_group(authority: Authority, body: GroupChange, uid: str) -> None:
    """Update the description, display name, members or roles of a group."""
    _change(authority, uid, body.metadata.description, body.spec)


def _change(authority: Authority, uid: str, description: str | None, spec: ReplacedGroupSpec) -> None:
    group = rules.groups.manageable(authority, rules.groups.visible(authority, uid))
    changes = changes_in(spec, GroupSheet, {"description": description})
    users.update_group(authority.realm, group, GroupSheet.of(group).changed(changes))
    if spec.users is not None:
        _set_members(authority, group, set(spec.users))
    if spec.roles is not None:
        roles = [access.find_role_name(authority.realm, role) for role in spec.roles]
        rules.grants.set_roles(authority, users.group_holder(group), roles)


def _set_members(authority: Authority, group: Group, wanted: set[str]) -> None:
    now = {user.uid for user in users.list_members(group)}
    for member in sorted(now - wanted):
        rules.groups.remove_member(authority, group, member)
    for member in sorted(wanted - now):
        rules.groups.add_member(authority, group, member)


@signed_in(current=get_group)
def delete_group(authority: Authority, uid: str) -> None:
    """Delete a group; its members remain, and lose the roles that they held through it."""
    group = rules.groups.manageable(authority, rules.groups.visible(authority, uid))
    users.delete_group(authority.realm, group.name)


@signed_in
def list_members(authority: Authority, query: MemberQuery, uid: str) -> Page[UserResource]:
    """List the members of a group."""
    return page(authority.caller, query, users.member_listing(rules.groups.visible(authority, uid)), show_user, query.orderBy)


@signed_in
def add_member(authority: Authority, body: Member, uid: str) -> None:
    """Add a user to a group; nothing happens if they are a member already."""
    rules.groups.add_member(authority, rules.groups.visible(authority, uid), body.uid)


@signed_in
def remove_member(authority: Authority, uid: str, user: str) -> None:
    """Remove a user from a group."""
    rules.groups.remove_member(authority, rules.groups.visible(authority, uid), user)


@signed_in
def get_group_roles(authority: Authority, uid: str) -> GroupRoles:
    """Show the roles of a group on the realm."""
    grants = rules.grants.visible_of(authority, users.group_holder(rules.groups.visible(authority, uid)))
    return {"roles": [{"uid": each.role.uid, "name": each.role.name} for each in grants if each.project is None]}


@signed_in
def set_group_roles(authority: Authority, body: Roles, uid: str) -> None:
    """Set the roles of a group on the realm."""
    roles = [access.find_role_name(authority.realm, role) for role in body.roles]
    rules.grants.set_roles(authority, users.group_holder(rules.groups.visible(authority, uid)), roles)


@signed_in
def get_group_projects(authority: Authority, uid: str) -> GroupProjects:
    """Show the roles of a group on projects."""
    return {
        "projects": by_project(rules.grants.visible_of(authority, users.group_holder(rules.groups.visible(authority, uid))), [])
    }


@signed_in
def set_group_projects(authority: Authority, body: Projects, uid: str) -> None:
    """Set the roles of a group on each named project; other projects are not changed."""
    give_on_projects(authority, users.group_holder(rules.groups.visible(authority, uid)), body.projects)


def _shown(authority: Authority, group: Group) -> GroupResource:
    members = users.member_listing(group)
    count = members.count()
    spec: dict[str, Any] = {name: getattr(group, name) for name in GroupSettings.fields()} | {"sources": []}
    if count <= MOST_MEMBERS:  # a part of them, sent back in a change, would take the others out
        spec["users"] = [user.uid for user in members.take("name", descending=False, after=None, limit=MOST_MEMBERS)]
    if rules.grants.sees_all(authority):
        spec["roles"] = [
            each.role.uid for each in rules.grants.visible_of(authority, users.group_holder(group)) if each.project is None
        ]
    return {
        "metadata": metadata(group.uid, group.name, group.created_at, group.updated_at, group.description),
        "spec": GroupSpecShown.model_construct(**spec),
        "status": {"members": count},
    }
