"""Projects, and who works in them."""

from collections.abc import Sequence
from typing import Any

from flask import Response

from idp import access, rules
from idp.access import Grant, ProjectSheet
from idp.console.browser import Visit, page
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other, tab_asked
from idp.console.exports import list_page
from idp.console.forms import name_field
from idp.console.language import say
from idp.console.lists import Column, ListView
from idp.console.navigation import base
from idp.console.render import number
from idp.console.sheet_forms import sheet_form, stored_in, values_in

MOST_EVERYWHERE = 50
"""Grants on the whole realm that are shown there too."""

MOST_SHOWN = 25
"""Grants on a project's page; the access review shows all."""


ProjectForm = sheet_form(ProjectSheet)
NewProjectForm = sheet_form(ProjectSheet, name=name_field())


_LIST = ListView(
    "Projects",
    (
        Column("name", "Name", "name"),
        Column("shown", "Display name", plain=lambda project: project.display_name),
        Column("description", "Description"),
        Column("created", "Created", "created", newest_first=True, plain=lambda project: project.created_at),
        Column("id", "UID", hidden=True, plain=lambda project: project.uid),
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
    return list_page(visit, "console/access/projects.html", _LIST, listing, asked)


@page
def new_project(visit: Visit) -> Response | str:
    """Make a project."""
    rules.projects.check_creating(visit.authority)
    form = NewProjectForm(visit.posted)

    def act() -> None:
        access.create_project(visit.realm, form.name.data or "", ProjectSheet.read(values_in(ProjectSheet, form)))

    if form.do(act):
        return see_other(f"{base(visit.realm.name)}/projects/{form.name.data}?done=created")
    back = (f"{base(visit.realm.name)}/projects", say("Projects"))
    return form_page("console/form.html", form, title=say("New project"), submit=say("Create"), back=back, intro="")


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
    shown = grants.take("holder", descending=False, after=None, limit=MOST_SHOWN) if sees else []
    tabs = [
        ("", say("Access")),
        *([("settings", say("Settings"))] if visit.can("projects:write", name) else []),
        *([("danger", say("Danger zone"))] if visit.can("projects:write") else []),
    ]
    return form_page(
        "console/access/project.html",
        form,
        tab="settings" if form.is_sent else tab_asked(tabs),
        tabs=tabs,
        project=project,
        grants=shown,
        count=grants.count() if sees else 0,
        reaching=_reaching(visit, shown),
    )


def _reaching(visit: Visit, grants: Sequence[Grant]) -> dict[str, Any] | None:
    """Return who may do something on a project by a role on the whole realm, and what all these roles permit.

    None where the caller may not see it.

    :param grants: those on the project, as far as they are shown.
    """
    if not rules.grants.sees_all(visit.authority):
        return None
    listing = access.grant_listing(visit.realm, on_realm=True, state="live")
    everywhere = listing.take("holder", descending=False, after=None, limit=MOST_EVERYWHERE + 1)
    roles = {grant.role.name: grant.role for grant in (*grants, *everywhere[:MOST_EVERYWHERE])}
    return {
        "grants": everywhere[:MOST_EVERYWHERE],
        "count": listing.count() if len(everywhere) > MOST_EVERYWHERE else len(everywhere),
        "roles": sorted(roles.values(), key=lambda role: role.name),
        "meanings": access.PERMISSIONS,
    }


@page
def delete_project(visit: Visit, name: str) -> Response | str:
    """Delete a project that nobody has a role on."""
    rules.projects.visible(visit.authority, name)
    rules.projects.check_deleting(visit.authority)
    count = access.held_listing(visit.realm, project=name).count()

    def act() -> None:
        access.delete_project(visit.realm, name)

    question = Confirmation(
        say("Delete project {name}", name=name),
        say("Delete project {name}?", name=name),
        say("Delete"),
        (f"{base(visit.realm.name)}/projects/{name}", name),
        [say("Tokens already issued name it until they expire, for at most 10 hours.")],
        typed=name,
        blocked=_blocked(count) if count else "",
    )
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/projects?done=deleted")


def _blocked(count: int) -> str:
    return say("Roles on it are assigned ({number}). Remove them first: its page shows who holds them.", number=number(count))
