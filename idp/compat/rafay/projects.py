"""Projects: `/auth/v1/projects`. Their name is what they are shown as; see `realms.called`."""

from typing import Any

from flask import Response, request

from idp import access, realms, rules
from idp.access import Project, ProjectSheet
from idp.compat.calls import cut, json_body, text_of
from idp.compat.parameters import argument, takes
from idp.compat.rafay.shapes import LISTED, MOST, direction, listed, show_project
from idp.errors import NotFoundError
from idp.rules import Authority
from idp.web.answers import NO_STORE, answer


@takes(*LISTED)
def list_projects(authority: Authority) -> Response:
    """List the projects that the caller may see."""
    names = rules.projects.listed(authority)
    listing = access.project_listing(authority.realm, containing=argument("q")[:200], names=names, shown=request.args.get("name"))
    rows, count, limit, offset = cut(listing, direction(), most=MOST)
    shown = [show_project(authority.realm, row) for row in rows]
    return listed(shown, count, limit, offset, items=shown)


def create_project(authority: Authority) -> Response:
    """Make a project."""
    body = json_body()
    rules.projects.check_creating(authority)
    named = realms.called("project", text_of(body, "name"))
    project = access.create_project(authority.realm, named.name, _sheet(body, named.display_name))
    return answer(show_project(authority.realm, project), 201)


def get_project(authority: Authority, uid: str) -> Response:
    """Show a project."""
    return answer(show_project(authority.realm, _find_project(authority, uid)))


def put_project(authority: Authority, uid: str) -> Response:
    """Set what a project says of itself, and what it is shown as."""
    body = json_body()
    project = _find_project(authority, uid)
    rules.projects.check_changing(authority, project)
    name = text_of(body, "name", project.display_name or project.name)
    access.update_project(authority.realm, project, _sheet(body, name))
    return answer(show_project(authority.realm, project))


def delete_project(authority: Authority, uid: str) -> Response:
    """Delete a project that nobody holds a role on."""
    project = _find_project(authority, uid)
    rules.projects.check_deleting(authority)
    access.delete_project(authority.realm, project.name)
    return Response(b"", 204, NO_STORE)


def _sheet(body: dict[str, Any], shown: str) -> ProjectSheet:
    return ProjectSheet.read({"description": text_of(body, "description", ""), "display_name": shown})


def _find_project(authority: Authority, uid: str) -> Project:
    project = access.find_project_by_uid(authority.realm, uid)
    if project is None or not rules.projects.sees(authority, project):
        raise NotFoundError("The project does not exist (not found).")
    return project
