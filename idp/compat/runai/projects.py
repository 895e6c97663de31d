"""Projects, as far as one is a name with a description: the realm stands for the only cluster, and there are no resources."""

from flask import Response

from idp import access, callers
from idp.access import Project
from idp.api.answers import answer, done, time
from idp.api.requests import realm_of
from idp.callers import Caller
from idp.compat.calls import json_body, text_of
from idp.compat.filters import Same, Term
from idp.compat.parameters import argument, takes
from idp.compat.runai.answers import CONDITIONS, LISTED, Shape, maker, narrowed_by_conditions, page
from idp.errors import NotFoundError
from idp.paging import Listing
from idp.realms import Realm

_MEASURED = [
    f"avg{what}{span}" for what in ("GpuAllocation", "GpuUtilization", "GpuMemoryUtilization") for span in ("24h", "7d", "30d")
]
_NONE_HERE = ("departmentId", "parentId", "parentName", "totalGpuQuota", "gpuAllocated", *_MEASURED)
"""What no project here has, so that nothing compares with it."""


def _terms(realm: Realm) -> dict[str, Term]:
    return {
        "name": "name",
        "id": "uid",
        "createdAt": "created",
        "createdBy": "maker",
        "updatedAt": "updated",
        "clusterId": Same(realm.uid),
        "phase": Same("Ready"),
        **dict.fromkeys(_NONE_HERE, Same()),
    }


@takes(*LISTED, "search", many=CONDITIONS)
def list_projects(caller: Caller) -> Response:
    """List the projects that the caller may see."""
    realm = realm_of(caller)
    rows, count, limit, offset = page(_listing(caller, realm), _terms(realm), default=50)
    following = {"next": offset + limit} if offset + limit < count else {}
    return answer({"projects": [_shown(realm, row) for row in rows]} | following)


@takes("search", many=CONDITIONS)
def count_projects(caller: Caller) -> Response:
    """Count the projects that the caller may see."""
    realm = realm_of(caller)
    return answer({"count": narrowed_by_conditions(_listing(caller, realm), _terms(realm)).count()})


def _listing(caller: Caller, realm: Realm) -> Listing:
    names = callers.readable_projects(caller, realm, "projects:read")
    return access.project_listing(realm, names=names, containing=argument("search"))


def create_project(caller: Caller) -> Response:
    """Make a project; what is said of resources is not kept."""
    realm, body = realm_of(caller), json_body()
    caller.require("projects:write", realm=realm.name)
    project = access.create_project(realm, text_of(body, "name"), text_of(body, "description", ""))
    return answer(_shown(realm, project), 201)


def get_project(caller: Caller, uid: str) -> Response:
    """Show a project."""
    realm = realm_of(caller)
    return answer(_shown(realm, _find(caller, realm, uid)))


def change_project(caller: Caller, uid: str) -> Response:
    """Change what a project says of itself; what is said of resources is not kept."""
    realm = realm_of(caller)
    project = _find(caller, realm, uid)
    # clients that know of resources only send no description, and mean to keep it
    description = text_of(json_body(), "description", project.description)
    caller.require("projects:write", realm=realm.name, project=project.name)
    if description != project.description:
        access.describe_project(realm, project.name, description)
    return answer(_shown(realm, project))


def delete_project(caller: Caller, uid: str) -> Response:
    """Delete a project that nobody holds a role on."""
    realm = realm_of(caller)
    project = _find(caller, realm, uid)
    caller.require("projects:write", realm=realm.name)
    access.delete_project(realm, project.name)
    return done()


def _find(caller: Caller, realm: Realm, uid: str) -> Project:
    project = access.find_project_by_uid(realm, uid)
    if project is None or not caller.may("projects:read", realm=realm.name, project=project.name):
        raise NotFoundError("There is no project with this id (not found).")
    return project


def _shown(realm: Realm, project: Project) -> Shape:
    return {
        "id": project.uid,
        "name": project.name,
        "description": project.description,
        "clusterId": realm.uid,
        "parentId": None,
        "parent": None,
        "requestedNamespace": None,
        "schedulingRules": None,
        "defaultNodePools": None,
        "resources": [],
        "effective": {},
        "status": {"phase": "Ready"},
        "createdBy": maker(project.created_by),
        "createdAt": time(project.created_at),
        "updatedAt": time(project.updated_at or project.created_at),
    }
