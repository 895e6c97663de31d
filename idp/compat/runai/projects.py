"""Projects, as far as one is a name with a description: the realm stands for the only cluster, and there are no resources."""

from flask import Response

from idp import access, rules
from idp.access import Project, ProjectSheet
from idp.compat.calls import json_body, text_of
from idp.compat.filters import Same, Term
from idp.compat.parameters import argument, takes
from idp.compat.runai.answers import CONDITIONS, LISTED, Shape, maker, narrowed_by_conditions, page
from idp.errors import NotFoundError
from idp.paging import Listing
from idp.realms import Realm
from idp.rules import Authority
from idp.web.answers import answer, done, time

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
def list_projects(authority: Authority) -> Response:
    """List the projects that the caller may see."""
    rows, count, limit, offset = page(_listing(authority), _terms(authority.realm), default=50)
    following = {"next": offset + limit} if offset + limit < count else {}
    return answer({"projects": [_shown(authority.realm, row) for row in rows]} | following)


@takes("search", many=CONDITIONS)
def count_projects(authority: Authority) -> Response:
    """Count the projects that the caller may see."""
    return answer({"count": narrowed_by_conditions(_listing(authority), _terms(authority.realm)).count()})


def _listing(authority: Authority) -> Listing:
    names = rules.projects.listed(authority)
    return access.project_listing(authority.realm, names=names, containing=argument("search"))


def create_project(authority: Authority) -> Response:
    """Make a project; what is said of resources is not kept."""
    body = json_body()
    rules.projects.check_creating(authority)
    project = access.create_project(
        authority.realm, text_of(body, "name"), ProjectSheet.read({"description": text_of(body, "description", "")})
    )
    return answer(_shown(authority.realm, project), 201)


def get_project(authority: Authority, uid: str) -> Response:
    """Show a project."""
    return answer(_shown(authority.realm, _find(authority, uid)))


def change_project(authority: Authority, uid: str) -> Response:
    """Change what a project says of itself; what is said of resources is not kept."""
    project = _find(authority, uid)
    # clients that know of resources only send no description, and mean to keep it
    description = text_of(json_body(), "description", project.description)
    rules.projects.check_changing(authority, project)
    access.update_project(authority.realm, project, ProjectSheet.of(project).changed({"description": description}))
    return answer(_shown(authority.realm, project))


def delete_project(authority: Authority, uid: str) -> Response:
    """Delete a project that nobody holds a role on."""
    project = _find(authority, uid)
    rules.projects.check_deleting(authority)
    access.delete_project(authority.realm, project.name)
    return done()


def _find(authority: Authority, uid: str) -> Project:
    project = access.find_project_by_uid(authority.realm, uid)
    if project is None or not rules.projects.sees(authority, project):
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
