"""`/v1/projects`: parts of a realm that work is grouped by."""

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, callers
from idp.access import Holder, HolderKind, Project
from idp.api.answers import metadata
from idp.api.filters import FilterQuery, Order, filtered
from idp.api.holdings import check_size
from idp.api.pages import Page, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Named, Query, Renamed, Schema, describe
from idp.callers import Caller
from idp.errors import NotFoundError
from idp.realms import Realm


class UserRoles(Schema):
    """Roles of a user on a project."""

    userId: str
    roles: list[str] = Field(max_length=100)


class TeamRoles(Schema):
    """Roles of a group on a project."""

    teamId: str
    roles: list[str] = Field(max_length=100)


class ProjectSpec(Schema):
    """`spec` of a project."""

    read_only = frozenset({"logoUid"})

    users: list[UserRoles] = Field(default=[], max_length=500)
    teams: list[TeamRoles] = Field(default=[], max_length=500)
    displayName: str = Field(default="", max_length=200)
    """What it is shown as; empty for its name."""


class NewProject(Schema):
    """`POST /v1/projects`."""

    metadata: Named
    spec: ProjectSpec = ProjectSpec()


class ChangedProjectSpec(Schema):
    """`spec` of a change: what is left out stays."""

    read_only = frozenset({"logoUid", "logoUrl", "alerts"})

    displayName: str | None = Field(default=None, max_length=200)
    """What it is shown as; empty for its name."""

    users: list[UserRoles] | None = Field(default=None, max_length=500)
    teams: list[TeamRoles] | None = Field(default=None, max_length=500)


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


class ProjectSpecShown(TypedDict):
    """What a project is."""

    displayName: str


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
def list_projects(caller: Caller, realm: Realm, query: ProjectQuery) -> Page[ProjectResource]:
    """List the projects that the caller is allowed to see."""
    names = callers.readable_projects(caller, realm, "projects:read")
    columns = {"metadata.name": Project.name, "metadata.uid": Project.uid}
    listing = filtered(access.project_listing(realm, containing=query.name, names=names), query.filters, columns)
    return page(caller, query, listing, lambda project: _shown(realm, project), query.orderBy)


@signed_in
def list_project_names(caller: Caller, realm: Realm, query: NameQuery) -> ProjectMetas:
    """List the projects that the caller is allowed to see in short form: the first 500 by name."""
    names = callers.readable_projects(caller, realm, "projects:read")
    rows = access.project_listing(realm, names=names).take("name", descending=False, after=None, limit=500)
    found = [access.get_project(realm, query.name)] if query.name and _is_there(realm, query.name) else rows
    shown = [row for row in found if (not query.name or row.name == query.name) and (names is None or row.name in names)]
    return {"items": [{"metadata": _metadata(row)} for row in shown]}


def _is_there(realm: Realm, name: str) -> bool:
    try:
        access.get_project(realm, name)
    except NotFoundError:
        return False
    return True


@signed_in
def create_project(caller: Caller, realm: Realm, body: NewProject) -> Created[Made]:
    """Create a project, and assign roles on it to users and groups."""
    caller.require("projects:write", realm=realm.name)
    check_size([*(each.roles for each in body.spec.users), *(each.roles for each in body.spec.teams)])
    project = access.create_project(realm, body.metadata.name, body.metadata.description or "", body.spec.displayName)
    for user in body.spec.users:
        _give(caller, realm, project, callers.find_holder(realm, HolderKind.USER, user.userId), user.roles)
    for team in body.spec.teams:
        _give(caller, realm, project, callers.find_holder(realm, HolderKind.GROUP, team.teamId), team.roles)
    return Created({"uid": project.uid}, f"/v1/projects/{project.uid}")


@signed_in
def get_project(caller: Caller, realm: Realm, uid: str) -> ProjectResource:
    """Show a project, by uid or name."""
    return _shown(realm, visible_project(caller, realm, uid))


@signed_in(current=get_project)
def replace_project(caller: Caller, realm: Realm, body: ProjectChange, uid: str) -> None:
    """Replace a project; role holders and display name only if `spec` names them."""
    _describe(caller, realm, uid, body.metadata.description or "", body.spec.displayName)
    _set_holders(caller, realm, uid, body.spec)


@signed_in(current=get_project)
def change_project(caller: Caller, realm: Realm, body: ProjectChange, uid: str) -> None:
    """Update the description, display name or role holders of a project."""
    if body.metadata.description is not None or body.spec.displayName is not None:
        _describe(caller, realm, uid, body.metadata.description, body.spec.displayName)
    _set_holders(caller, realm, uid, body.spec)


def _set_holders(caller: Caller, realm: Realm, uid: str, spec: ChangedProjectSpec) -> None:
    if spec.users is not None:
        _set(caller, realm, uid, HolderKind.USER, {each.userId: each.roles for each in spec.users})
    if spec.teams is not None:
        _set(caller, realm, uid, HolderKind.GROUP, {each.teamId: each.roles for each in spec.teams})


def _describe(caller: Caller, realm: Realm, uid: str, description: str | None, display_name: str | None) -> None:
    project = visible_project(caller, realm, uid)
    caller.require("projects:write", realm=realm.name, project=project.name)
    access.describe_project(realm, project.name, description, display_name)


@signed_in(current=get_project)
def delete_project(caller: Caller, realm: Realm, query: DeleteQuery, uid: str) -> None:
    """Delete a project that nobody holds a role on."""
    project = visible_project(caller, realm, uid)
    caller.require("projects:write", realm=realm.name)
    if query.cleanupProjectResources:
        for grant in access.list_grants(realm, project=project.name):
            callers.take_role(caller, realm, callers.holder_of_grant(realm, grant), grant.role.name, project=project.name)
    access.delete_project(realm, project.name)


@signed_in
def list_what_uses_it(caller: Caller, realm: Realm, uid: str) -> ProjectUse:
    """List what runs in a project, which clients ask before deleting one: nothing does."""
    visible_project(caller, realm, uid)
    return {
        "appDeployments": {"apps": [], "count": 0},
        "clusters": {"clusters": [], "count": 0},
        "virtualClusters": {"clusters": [], "count": 0},
    }


@signed_in(current=get_project)
def set_project_meta(caller: Caller, realm: Realm, body: ProjectMetaChange, uid: str) -> None:
    """Replace a project's description, as `PUT /v1/projects/{uid}` does."""
    sent = body.metadata if body.metadata is not None else body
    _describe(caller, realm, uid, describe(sent.annotations) or "", None)


@signed_in
def set_project_users(caller: Caller, realm: Realm, body: ProjectUsers, uid: str) -> None:
    """Set which users hold which roles on a project."""
    _set(caller, realm, uid, HolderKind.USER, {each.userId: each.roles for each in body.users})


@signed_in
def set_project_teams(caller: Caller, realm: Realm, body: ProjectTeams, uid: str) -> None:
    """Set which groups hold which roles on a project."""
    _set(caller, realm, uid, HolderKind.GROUP, {each.teamId: each.roles for each in body.teams})


def _set(caller: Caller, realm: Realm, uid: str, kind: HolderKind, wanted: dict[str, list[str]]) -> None:
    project = visible_project(caller, realm, uid)
    for grant in access.list_grants(realm, project=project.name):
        if grant.holder_kind == kind.value:
            wanted.setdefault(callers.uid_of_holder(grant), [])
    check_size(wanted.values())
    for holder, roles in wanted.items():
        _give(caller, realm, project, callers.find_holder(realm, kind, holder), roles)


def visible_project(caller: Caller, realm: Realm, named: str) -> Project:
    """Return a project that the caller may see, by uid or name; any other is not there (T73)."""
    project = access.find_project(realm, named)
    if project is None or not caller.may("projects:read", realm=realm.name, project=project.name):
        raise NotFoundError("There is no project with this uid or name (not found).")
    return project


def _give(caller: Caller, realm: Realm, project: Project, holder: Holder, roles: list[str]) -> None:
    names = [access.find_role_name(realm, role) for role in roles]
    callers.set_roles(caller, realm, holder, names, project=project.name)


def _metadata(project: Project) -> Metadata:
    return metadata(project.uid, project.name, project.created_at, project.updated_at, project.description)


def _shown(realm: Realm, project: Project) -> ProjectResource:
    return {
        "metadata": _metadata(project),
        "spec": {"displayName": project.display_name},
        "status": {"grants": access.grant_listing(realm, project=project.name).count()},
    }
