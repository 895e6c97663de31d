"""Users, groups and projects with what they hold, as the overviews of Palette's clients ask for them."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, callers, rules, users
from idp.access import Grant, HolderKind, Project
from idp.api.answers import metadata
from idp.api.filters import TextFilter, matching
from idp.api.pages import LARGEST_PAGE, Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Metadata, Reference, Schema
from idp.api.users import UserMeta, UserStatus, short, show_user
from idp.paging import Listing
from idp.rules import Authority
from idp.users import Group, User


class Sort(Schema):
    """An order. A list has one."""

    field: Literal["name", "creationTimestamp", "lastModifiedTimestamp"] = "name"
    order: Literal["asc", "desc"] = "asc"


class UserFilter(Schema):
    """Conditions, all of which must hold."""

    name: TextFilter | None = None
    emailId: TextFilter | None = None


class UserSummary(Schema):
    """`POST /v1/users/summary`: what to look for."""

    filter: str | UserFilter = Field(default="")
    """A part of a name, or conditions."""
    sort: list[Sort] = Field(default=[], max_length=1)


class NameFilter(Schema):
    """A condition."""

    name: TextFilter | None = None


class GroupSummary(Schema):
    """`POST /v1/teams/summary`: what to look for."""

    filter: NameFilter = NameFilter()
    sort: list[Sort] = Field(default=[], max_length=1)


class ProjectSummary(Schema):
    """`POST /v1/dashboard/projects`: what to look for."""

    filter: NameFilter = NameFilter()
    sort: list[Sort] = Field(default=[], max_length=1)


class UserSpecSummary(TypedDict):
    """What a user is, and holds themselves."""

    emailId: str
    firstName: str
    lastName: str
    roles: list[Reference]
    teams: list[Reference]
    projects: list[Reference]
    projectsCount: int


class SummarizedUser(UserMeta):
    """A user with what they hold."""

    metadata: Metadata
    spec: UserSpecSummary
    status: UserStatus


class SummarizedUsers(TypedDict):
    """Users with what they hold."""

    items: list[SummarizedUser]


class GroupSpecSummary(TypedDict):
    """What a group holds, and who is in it."""

    roles: list[Reference]
    projects: list[Reference]
    users: list[Reference]


class SummarizedGroup(TypedDict):
    """A group with what it holds."""

    metadata: Metadata
    spec: GroupSpecSummary
    status: dict[str, str]


class SummarizedGroups(TypedDict):
    """Groups with what they hold."""

    items: list[SummarizedGroup]


class ProjectSpecSummary(TypedDict):
    """Who holds a role on a project."""

    users: list[Reference]
    teams: list[Reference]


class SummarizedProject(TypedDict):
    """A project with who holds a role on it."""

    metadata: Metadata
    specSummary: ProjectSpecSummary
    status: dict[str, str]


@signed_in
def summarize_users(authority: Authority, body: UserSummary) -> SummarizedUsers:
    """Search users, and return the first 500 with their roles."""
    rules.users.check_listing(authority)
    wanted = body.filter
    listing = users.user_listing(authority.realm, containing=wanted if isinstance(wanted, str) else "")
    if isinstance(wanted, UserFilter):
        conditions = matching(((wanted.name, users.shown_name()), (wanted.emailId, User.email)))
        listing = listing.where(*conditions)
    rows = _first(listing, body.sort)
    held = _held(authority, HolderKind.USER, rows)
    groups = users.groups_of_each(rows)
    return {"items": [_user(row, held[row.id], groups.get(row.id, [])) for row in rows]}


@signed_in
def summarize_groups(authority: Authority, body: GroupSummary) -> SummarizedGroups:
    """Search groups, and return the first 500 with their roles."""
    rules.users.check_listing(authority)
    rows = _first(users.group_listing(authority.realm).where(*matching(((body.filter.name, Group.name),))), body.sort)
    held = _held(authority, HolderKind.GROUP, rows)
    members = users.members_of_each(rows)
    return {"items": [_group(row, held[row.id], members.get(row.id, [])) for row in rows]}


@signed_in
def summarize_projects(authority: Authority, query: PageQuery, body: ProjectSummary) -> Page[SummarizedProject]:
    """List the projects that the caller is allowed to see, with their role holders."""
    names = rules.projects.listed(authority)
    listing = access.project_listing(authority.realm, names=names).where(*matching(((body.filter.name, Project.name),)))
    return page(authority.caller, query, listing, lambda project: _project(authority, project), _order(body.sort), body=body)


def _order(sort: list[Sort]) -> str:
    """Return the order that is asked for; a row that has changed keeps its place among those that were made before."""
    if not sort:
        return "name"
    field = "name" if sort[0].field == "name" else "creationTimestamp"
    return field if sort[0].order == "asc" else f"-{field}"


def _first(listing: Listing, sort: list[Sort]) -> list[Any]:
    order = _order(sort)
    return listing.take(order.removeprefix("-"), descending=order.startswith("-"), after=None, limit=LARGEST_PAGE)


def _held(authority: Authority, kind: HolderKind, rows: Iterable[User | Group]) -> dict[int, list[Grant]]:
    """Return what each of them holds, as far as the caller may see it."""
    held: dict[int, list[Grant]] = {row.id: [] for row in rows}
    for grant in access.grants_of_each(authority.realm, kind, list(held)):
        if rules.grants.sees(authority, grant):
            held[grant.holder_id].append(grant)
    return held


def _on_realm(grants: list[Grant]) -> list[Reference]:
    return [{"uid": grant.role.uid, "name": grant.role.name} for grant in grants if grant.project is None]


def _on_projects(grants: list[Grant]) -> list[Reference]:
    named = {grant.project.uid: grant.project.name for grant in grants if grant.project is not None}
    return [{"uid": uid, "name": name} for uid, name in named.items()]


def _user(user: User, held: list[Grant], groups: list[Group]) -> SummarizedUser:
    shown, projects = show_user(user), _on_projects(held)
    return {
        **short(user),
        "metadata": shown["metadata"],
        "spec": {
            "emailId": user.email,
            "firstName": user.first_name,
            "lastName": user.last_name,
            "roles": _on_realm(held),
            "teams": [{"uid": group.uid, "name": group.name} for group in groups],
            "projects": projects,
            "projectsCount": len(projects),
        },
        "status": shown["status"],
    }


def _group(group: Group, held: list[Grant], members: list[User]) -> SummarizedGroup:
    return {
        "metadata": metadata(group.uid, group.name, group.created_at, group.updated_at, group.description),
        "spec": {
            "roles": _on_realm(held),
            "projects": _on_projects(held),
            "users": [{"uid": user.uid, "name": short(user)["name"]} for user in members],
        },
        "status": {},
    }


def _project(authority: Authority, project: Project) -> SummarizedProject:
    grants = list(access.list_grants(authority.realm, project=project.name))
    if not rules.grants.sees_all(authority, project.name):
        grants = []
    callers.read_holders(grants)
    holders: dict[str, dict[str, str]] = {HolderKind.USER.value: {}, HolderKind.GROUP.value: {}}
    for grant in grants:
        holders.setdefault(grant.holder_kind, {})[callers.uid_of_holder(grant)] = grant.holder_name
    users_on, groups_on = holders[HolderKind.USER.value], holders[HolderKind.GROUP.value]
    return {
        "metadata": metadata(project.uid, project.name, project.created_at, project.updated_at, project.description),
        "specSummary": {
            "users": [{"uid": uid, "name": name} for uid, name in users_on.items()],
            "teams": [{"uid": uid, "name": name} for uid, name in groups_on.items()],
        },
        "status": {},
    }
