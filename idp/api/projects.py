"""`/v1/projects`: parts of a realm that work is grouped by."""

from typing import Any

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, callers, rules
from idp.access import Holder, HolderKind, Project, ProjectSettings, ProjectSheet
from idp.api.answers import metadata
from idp.api.filters import FilterQuery, Order, filtered
from idp.api.holdings import check_size
from idp.api.pages import Page, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Named, Query, Renamed, Schema, describe
from idp.api.sheets import Spec, changes_in, optional, values_of
from idp.errors import NotFoundError
from idp.realms import Realm
from idp.rules import Authority


class UserRoles(Schema):
    """Roles of a user on a project."""

    userId: str
    roles: list[str] = Field(max_length=100)


class TeamRoles(Schema):
    """Roles of a group on a project."""

    teamId: str
    roles: list[str] = Field(max_length=100)


class ProjectSpec(ProjectSettings, Spec):
    """`spec` of a project."""

    read_only = frozenset({"logoUid"})

    users: list[UserRoles] = Field(default=[], max_length=500)
    teams: list[TeamRoles] = Field(default=[], max_length=500)


class NewProject(Schema):
    """`POST /v1/projects`."""

    metadata: Named
    spec: ProjectSpec = ProjectSpec()


@optional
class ChangedProjectSpec(ProjectSettings, Spec):
    """`spec` of a change: what is left out stays."""

    read_only = frozenset({"logoUid", "logoUrl", "alerts"})

    users: list[UserRoles] = Field(default=[], max_length=500)
    teams: list[TeamRoles] = Field(default=[], max_length=500)


class ProjectChange(Schema):
    """`PUT` and `PATCH /v1/projects/{uid}`."""

    metadata: Renamed = Renamed()
    spec: ChangedProjectSpec = ChangedProjectSpec()


class ProjectMetaChange(Schema):
    """`PUT /v1/projects/{uid}/meta`: the metadata, by itself or as `metadata`."""

    read_only = frozenset({"spec"})

    name: str | None = None
    annotations: dict[str, str] | None = None
    metadata: Renamed | None = None


class DeleteQuery(Query):
    """How a project is deleted."""

    cleanupProjectResources: bool = False
    """Whether the roles that are held on it are taken away first."""


class ProjectUsers(Schema):
    """`PUT /v1/projects/{uid}/users`."""

    users: list[UserRoles] = Field(max_length=500)


class ProjectTeams(Schema):
    """`PUT /v1/projects/{uid}/teams`."""

    teams: list[TeamRoles] = Field(max_length=500)


class ProjectQuery(FilterQuery):
    """Which projects, in which order."""

    name: str = Field(default="", max_length=200)
    """Those whose name or description contains this."""
    orderBy: Order = "name"


class NameQuery(Query):
    """Which project."""

    name: str = Field(default="", max_length=64)
    """The one of this name; by default all."""


class ProjectSpecShown(ProjectSettings):
    """What a project is."""


class ProjectStatus(TypedDict):
    """How a project fares."""

    grants: int


class ProjectResource(TypedDict):
    """A part of a realm."""

    metadata: Metadata
    spec: ProjectSpecShown
    status: ProjectStatus


class AppsInUse(TypedDict):
    """Applications that run in a project: none, here."""

    apps: list[str]
    count: int


class ClustersInUse(TypedDict):
    """Clusters that run in a project: none, here."""

    clusters: list[str]
    count: int


class ProjectUse(TypedDict):
    """What runs in a project: nothing, here."""

    appDeployments: AppsInUse
    clusters: ClustersInUse
    virtualClusters: ClustersInUse


class ProjectMeta(TypedDict):
    """A project in short."""

    metadata: Metadata


class ProjectMetas(TypedDict):
    """Projects in short."""

    items: list[ProjectMeta]


@signed_in
def list_projects(authority: Authority, query: ProjectQuery) -> Page[ProjectResource]:
    """List the projects that the caller is allowed to see."""
    names = rules.projects.listed(authority)
    columns = {"metadata.name": Project.name, "metadata.uid": Project.uid}
    listing = filtered(access.project_listing(authority.realm, containing=query.name, names=names), query.filters, columns)
    return page(authority.caller, query, listing, lambda project: _shown(authority.realm, project), query.orderBy)


@signed_in
def list_project_names(authority: Authority, query: NameQuery) -> ProjectMetas:
    """List the projects that the caller is allowed to see in short form: the first 500 by name."""
    names = rules.projects.listed(authority)
    rows = access.project_listing(authority.realm, names=names).take("name", descending=False, after=None, limit=500)
    found = [access.get_project(authority.realm, query.name)] if query.name and _is_there(authority.realm, query.name) else rows
    shown = [row for row in found if (not query.name or row.name == query.name) and (names is None or row.name in names)]
    return {"items": [{"metadata": _metadata(row)} for row in shown]}


def _is_there(realm: Realm, name: str) -> bool:
    try:
        access.get_project(realm, name)
    except NotFoundError:
        return False
    return True


@signed_in
def create_project(authority: Authority, body: NewProject) -> Created[Made]:
    """Create a project, and assign roles on it to users and groups."""
    rules.projects.check_creating(authority)
    check_size([*(each.roles for each in body.spec.users), *(each.roles for each in body.spec.teams)])
    values = values_of(body.spec, ProjectSheet) | {"description": body.metadata.description or ""}
    project = access.create_project(authority.realm, body.metadata.name, ProjectSheet.read(values))
    for user in body.spec.users:
        _give(authority, project, callers.find_holder(authority.realm, HolderKind.USER, user.userId), user.roles)
    for team in body.spec.teams:
        _give(authority, project, callers.find_holder(authority.realm, HolderKind.GROUP, team.teamId), team.roles)
    return Created({"uid": project.uid}, f"/v1/projects/{project.uid}")


@signed_in
def get_project(authority: Authority, uid: str) -> ProjectResource:
    """Show a project, by uid or name."""
    return _shown(authority.realm, rules.projects.visible(authority, uid))


@signed_in(current=get_project)
def replace_project(authority: Authority, body: ProjectChange, uid: str) -> None:
    """Replace a project; role holders and display name only if `spec` names them."""
    _change(authority, uid, changes_in(body.spec, ProjectSheet, {"description": body.metadata.description or ""}))
    _set_holders(authority, uid, body.spec)


@signed_in(current=get_project)
def change_project(authority: Authority, body: ProjectChange, uid: str) -> None:
    """Update the description, display name or role holders of a project."""
    changes = changes_in(body.spec, ProjectSheet, {"description": body.metadata.description})
    if changes:
        _change(authority, uid, changes)
    _set_holders(authority, uid, body.spec)


def _set_holders(authority: Authority, uid: str, spec: ChangedProjectSpec) -> None:
    if spec.users is not None:
        _set(authority, uid, HolderKind.USER, {each.userId: each.roles for each in spec.users})
    if spec.teams is not None:
        _set(authority, uid, HolderKind.GROUP, {each.teamId: each.roles for each in spec.teams})


def _change(authority: Authority, uid: str, changes: dict[str, Any]) -> None:
    project = rules.projects.visible(authority, uid)
    rules.projects.check_changing(authority, project)
    access.update_project(authority.realm, project, ProjectSheet.of(project).changed(changes))


@signed_in(current=get_project)
def delete_project(authority: Authority, query: DeleteQuery, uid: str) -> None:
    """Delete a project that nobody holds a role on."""
    project = rules.projects.visible(authority, uid)
    rules.projects.check_deleting(authority)
    if query.cleanupProjectResources:
        for grant in access.list_grants(authority.realm, project=project.name):
            rules.grants.take(authority, callers.holder_of_grant(authority.realm, grant), grant.role.name, project=project.name)
    access.delete_project(authority.realm, project.name)


@signed_in
def list_what_uses_it(authority: Authority, uid: str) -> ProjectUse:
    """List what runs in a project, which clients ask before deleting one: nothing does."""
    rules.projects.visible(authority, uid)
    return {
        "appDeployments": {"apps": [], "count": 0},
        "clusters": {"clusters": [], "count": 0},
        "virtualClusters": {"clusters": [], "count": 0},
    }


@signed_in(current=get_project)
def set_project_meta(authority: Authority, body: ProjectMetaChange, uid: str) -> None:
    """Replace a project's description, as `PUT /v1/projects/{uid}` does."""
    sent = body.metadata if body.metadata is not None else body
    _change(authority, uid, {"description": describe(sent.annotations) or ""})


@signed_in
def set_project_users(authority: Authority, body: ProjectUsers, uid: str) -> None:
    """Set which users hold which roles on a project."""
    _set(authority, uid, HolderKind.USER, {each.userId: each.roles for each in body.users})


@signed_in
def set_project_teams(authority: Authority, body: ProjectTeams, uid: str) -> None:
    """Set which groups hold which roles on a project."""
    _set(authority, uid, HolderKind.GROUP, {each.teamId: each.roles for each in body.teams})


def _set(authority: Authority, uid: str, kind: HolderKind, wanted: dict[str, list[str]]) -> None:
    project = rules.projects.visible(authority, uid)
    for grant in access.list_grants(authority.realm, project=project.name):
        if grant.holder_kind == kind.value:
            wanted.setdefault(callers.uid_of_holder(grant), [])
    check_size(wanted.values())
    for holder, roles in wanted.items():
        _give(authority, project, callers.find_holder(authority.realm, kind, holder), roles)


def _give(authority: Authority, project: Project, holder: Holder, roles: list[str]) -> None:
    names = [access.find_role_name(authority.realm, role) for role in roles]
    rules.grants.set_roles(authority, holder, names, project=project.name)


def _metadata(project: Project) -> Metadata:
    return metadata(project.uid, project.name, project.created_at, project.updated_at, project.description)


def _shown(realm: Realm, project: Project) -> ProjectResource:
    return {
        "metadata": _metadata(project),
        "spec": ProjectSpecShown.of(project),
        "status": {"grants": access.grant_listing(realm, project=project.name).count()},
    }
