"""Projects, and who works in them."""

from flask import Response, request

from idp import access, rules
from idp.access import ProjectSheet
from idp.console.browser import Visit, page
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other
from idp.console.forms import name_field
from idp.console.lists import PAGE, one_page
from idp.console.navigation import base
from idp.console.render import render
from idp.console.sheet_forms import sheet_form, stored_in, values_in

MOST_SHOWN = 200
"""Grants on a project's page; the access review shows all."""


ProjectForm = sheet_form(ProjectSheet)
NewProjectForm = sheet_form(ProjectSheet, name=name_field())


@page
def list_projects(visit: Visit) -> Response | str:
    """List the projects of the realm that the caller may see."""
    names = rules.projects.listed(visit.authority)
    search, after = request.args.get("search", "")[:200], request.args.get("after", "")
    found = [
        project
        for project in access.list_projects(visit.realm)
        if (names is None or project.name in names)
        and project.name > after
        and search.lower() in f"{project.name} {project.display_name} {project.description}".lower()
    ]
    rows, more = one_page(found[: PAGE + 1], lambda row: row.name)
    return render("console/access/projects.html", rows=rows, more=more, search=search, first=not after)


@page
def new_project(visit: Visit) -> Response | str:
    """Make a project."""
    rules.projects.check_creating(visit.authority)
    form = NewProjectForm(visit.posted)

    def act() -> None:
        access.create_project(visit.realm, form.name.data or "", ProjectSheet.read(values_in(ProjectSheet, form)))

    if form.do(act):
        return see_other(f"{base(visit.realm.name)}/projects/{form.name.data}?done=created")
    back = (f"{base(visit.realm.name)}/projects", "Projects")
    return form_page("console/form.html", form, title="New project", submit="Create", back=back, intro="")


@page
def show_project(visit: Visit, name: str) -> Response | str:
    """Show a project and who works in it; change what it says of itself."""
    project = rules.projects.visible(visit.authority, name)
    form = ProjectForm(visit.posted, stored_in(ProjectSheet, project))

    def act() -> None:
        changed = rules.projects.visible(visit.authority, name)
        rules.projects.check_changing(visit.authority, changed)
        access.update_project(visit.realm, changed, ProjectSheet.read(values_in(ProjectSheet, form)))

    if form.do(act):
        return see_other(f"{base(visit.realm.name)}/projects/{name}?done=saved")
    project = access.get_project(visit.realm, name)
    grants = access.list_grants(visit.realm, project=name) if rules.grants.sees_all(visit.authority, name) else []
    return form_page("console/access/project.html", form, project=project, grants=grants[:MOST_SHOWN], count=len(grants))


@page
def delete_project(visit: Visit, name: str) -> Response | str:
    """Delete a project that nobody has a role on."""
    rules.projects.visible(visit.authority, name)
    rules.projects.check_deleting(visit.authority)
    count = len(access.list_grants(visit.realm, project=name))

    def act() -> None:
        access.delete_project(visit.realm, name)

    question = Confirmation(
        f"Delete project {name}",
        f"Delete project {name}?",
        "Delete",
        (f"{base(visit.realm.name)}/projects/{name}", name),
        ["Tokens already issued name it until they expire, for at most 10 hours."],
        typed=name,
        blocked=f"Roles on it are assigned ({count:,}). Remove them first: its page shows who holds them." if count else "",
    )
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/projects?done=deleted")
