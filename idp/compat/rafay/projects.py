"""Projects: `/auth/v1/projects`. Their name is what they are shown as; see `realms.called`."""

from flask import Response, request

from idp import access, callers, realms
from idp.access import Project
from idp.api.answers import answer
from idp.api.errors import NO_STORE
from idp.api.requests import realm_of
from idp.callers import Caller
from idp.compat.calls import cut, json_body, text_of
from idp.compat.parameters import argument, takes
from idp.compat.rafay.shapes import LISTED, MOST, direction, listed, show_project
from idp.errors import NotFoundError
from idp.realms import Realm


@takes(*LISTED)
def list_projects(caller: Caller) -> Response:
    """List the projects that the caller may see."""
    realm = realm_of(caller)
    names = callers.readable_projects(caller, realm, "projects:read")
    listing = access.project_listing(realm, containing=argument("q")[:200], names=names, shown=request.args.get("name"))
    rows, count, limit, offset = cut(listing, direction(), most=MOST)
    shown = [show_project(realm, row) for row in rows]
    return listed(shown, count, limit, offset, items=shown)


def create_project(caller: Caller) -> Response:
    """Make a project."""
    realm, body = realm_of(caller), json_body()
    caller.require("projects:write", realm=realm.name)
    named = realms.called("project", text_of(body, "name"))
    project = access.create_project(realm, named.name, text_of(body, "description", ""), named.display_name)
    return answer(show_project(realm, project), 201)


def get_project(caller: Caller, uid: str) -> Response:
    """Show a project."""
    realm = realm_of(caller)
    return answer(show_project(realm, _find_project(caller, realm, uid)))


def put_project(caller: Caller, uid: str) -> Response:
    """Set what a project says of itself, and what it is shown as."""
    realm, body = realm_of(caller), json_body()
    project = _find_project(caller, realm, uid)
    caller.require("projects:write", realm=realm.name, project=project.name)
    name = text_of(body, "name", project.display_name or project.name)
    access.describe_project(realm, project.name, text_of(body, "description", ""), name)
    return answer(show_project(realm, project))


def delete_project(caller: Caller, uid: str) -> Response:
    """Delete a project that nobody holds a role on."""
    realm = realm_of(caller)
    project = _find_project(caller, realm, uid)
    caller.require("projects:write", realm=realm.name)
    access.delete_project(realm, project.name)
    return Response(b"", 204, NO_STORE)


def _find_project(caller: Caller, realm: Realm, uid: str) -> Project:
    project = access.find_project_by_uid(realm, uid)
    if project is None or not caller.may("projects:read", realm=realm.name, project=project.name):
        raise NotFoundError("The project does not exist (not found).")
    return project
