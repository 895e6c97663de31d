"""Projects, and who works in them."""

from flask import Response, request

from idp import access
from idp.console.browser import Visit, page
from idp.console.forms import Form, name_field, text
from idp.console.lists import PAGE, one_page
from idp.console.navigation import base
from idp.console.render import render
from idp.console.turns import Confirmation, confirmed, go, shown
from idp.db import commit

MOST_SHOWN = 200
"""Grants on a project's page; the access review shows all."""


class ProjectForm(Form):
    """A project."""

    name = name_field()
    display_name = text("Display name", longest=200)
    description = text("Description")


@page
def list_projects(visit: Visit) -> Response | str:
    """List the projects of the realm that the caller may see."""
    visit.require_somewhere("projects:read")
    search, after = request.args.get("search", "")[:200], request.args.get("after", "")
    found = [
        project
        for project in access.list_projects(visit.realm)
        if visit.may("projects:read", project.name)
        and project.name > after
        and search.lower() in f"{project.name} {project.display_name} {project.description}".lower()
    ]
    rows, more = one_page(found[: PAGE + 1], lambda row: row.name)
    return render("console/access/projects.html", rows=rows, more=more, search=search, first=not after)


@page
def new_project(visit: Visit) -> Response | str:
    """Make a project."""
    visit.require("projects:write")
    form = ProjectForm(visit.posted)

    def act() -> None:
        access.create_project(visit.realm, form.name.data or "", form.description.data or "", form.display_name.data or "")
        commit()

    if form.do(act):
        return go(f"{base(visit.realm.name)}/projects/{form.name.data}?done=created")
    back = (f"{base(visit.realm.name)}/projects", "Projects")
    return shown("console/form.html", form, title="New project", submit="Create", back=back, intro="")


@page
def show_project(visit: Visit, name: str) -> Response | str:
    """Show a project and who works in it; change what it says of itself."""
    visit.require("projects:read", name)
    project = access.get_project(visit.realm, name)
    form = ProjectForm(visit.posted, {"display_name": project.display_name, "description": project.description})
    del form.name

    def act() -> None:
        visit.require("projects:write", name)
        access.describe_project(visit.realm, name, form.description.data or "", form.display_name.data or "")
        commit()

    if form.do(act):
        return go(f"{base(visit.realm.name)}/projects/{name}?done=saved")
    project = access.get_project(visit.realm, name)
    grants = access.list_grants(visit.realm, project=name) if visit.may("grants:read", name) else []
    return shown("console/access/project.html", form, project=project, grants=grants[:MOST_SHOWN], count=len(grants))


@page
def delete_project(visit: Visit, name: str) -> Response | str:
    """Delete a project that nobody has a role on."""
    visit.require("projects:write", name)
    count = len(access.list_grants(visit.realm, project=name))

    def act() -> None:
        access.delete_project(visit.realm, name)
        commit()

    question = Confirmation(
        f"Delete project {name}", f"Delete project {name}?", "Delete", (f"{base(visit.realm.name)}/projects/{name}", name),
        ["Tokens already issued name it until they expire, for at most 10 hours."], typed=name,
        blocked=f"Roles on it are assigned ({count:,}). Remove them first: its page shows who holds them." if count else "",
    )  # fmt: skip
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/projects?done=deleted")
