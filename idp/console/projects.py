"""Projects, and who works in them."""

from flask import Response

from idp import access, rules
from idp.access import ProjectSheet
from idp.console.browser import Visit, page
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other, tab_asked
from idp.console.forms import name_field
from idp.console.lists import Column, ListView
from idp.console.navigation import base
from idp.console.render import render
from idp.console.sheet_forms import sheet_form, stored_in, values_in

MOST_SHOWN = 25
"""Grants on a project's page; the access review shows all."""


ProjectForm = sheet_form(ProjectSheet)
NewProjectForm = sheet_form(ProjectSheet, name=name_field())


_LIST = ListView(
    "Projects",
    (
        Column("name", "Name", "name"),
        Column("shown", "Display name"),
        Column("description", "Description"),
        Column("created", "Created", "created", newest_first=True),
        Column("id", "ProjectUid", hidden=True),
    ),
    search="Name or description",
    order="name",
)


@page
def list_projects(visit: Visit) -> Response | str:
    """List the projects of the realm that the caller may see."""
    asked = _LIST.asked()
    names = rules.projects.listed(visit.authority)
    listing = access.project_listing(visit.realm, containing=asked.search, names=names)
    return render("console/access/projects.html", list=_LIST.page(listing, asked))


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
        return see_other(f"{base(visit.realm.name)}/projects/{name}?tab=settings&done=saved")
    project = access.get_project(visit.realm, name)
    grants = access.held_listing(visit.realm, project=name)
    sees = rules.grants.sees_all(visit.authority, name)
    tabs = [
        ("", "Access"),
        *([("settings", "Settings")] if visit.can("projects:write", name) else []),
        *([("danger", "Danger zone")] if visit.can("projects:write") else []),
    ]
    return form_page(
        "console/access/project.html",
        form,
        tab="settings" if form.is_sent else tab_asked(tabs),
        tabs=tabs,
        project=project,
        grants=grants.take("holder", descending=False, after=None, limit=MOST_SHOWN) if sees else [],
        count=grants.count() if sees else 0,
    )


@page
def delete_project(visit: Visit, name: str) -> Response | str:
    """Delete a project that nobody has a role on."""
    rules.projects.visible(visit.authority, name)
    rules.projects.check_deleting(visit.authority)
    count = access.held_listing(visit.realm, project=name).count()

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
