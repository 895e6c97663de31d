"""Roles, projects, and who holds what where: the access review, with giving and taking."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import wtforms
from flask import Response, request, stream_with_context
from wtforms import validators

from idp import access, applications, callers, clock, users
from idp.access import PERMISSIONS, Grant, Holder
from idp.console.browser import Visit, page
from idp.console.forms import ChecksField, Form, TimeField, choices, text
from idp.console.lists import PAGE, after_number, one_page
from idp.console.navigation import base
from idp.console.render import part, render
from idp.console.turns import Confirmation, confirmed, go, shown
from idp.db import commit, db
from idp.errors import InvalidValueError

_CSV_COLUMNS = ("holder_kind", "holder", "role", "project", "until", "since", "given_by", "state")


class RoleForm(Form):
    """A role."""

    name = text("Name", "Lower-case letters, digits, - and _.", required=True, longest=64)
    description = text("Description")
    permissions = ChecksField("What its holders may do here", description="What the role means to other APIs, they decide.")


class ProjectForm(Form):
    """A project."""

    name = text("Name", "Lower-case letters, digits, - and _.", required=True, longest=64)
    description = text("Description")


class GrantForm(Form):
    """A role for somebody."""

    holder = text("Who", "application:<name>, user:<mail address or name> or group:<name>", required=True, longest=300)
    role = wtforms.SelectField("Role", [validators.InputRequired()])
    project = text("Project", "Empty for the whole organisation.", longest=64, render_kw={"list": "projects"})
    until = TimeField("Until", description="Empty for no end.")


@page
def list_roles(visit: Visit) -> Response | str:
    """List the roles of the realm."""
    visit.require_somewhere("roles:read")
    return render("console/access/roles.html", rows=access.list_roles(visit.realm), base=base(visit.realm.name))


@page
def new_role(visit: Visit) -> Response | str:
    """Make a role."""
    visit.require("roles:write")
    form = _with_permissions(RoleForm(visit.posted))

    def act() -> None:
        callers.make_role(
            visit.caller, visit.realm, form.name.data or "", form.description.data or "", form.permissions.data or []
        )
        commit()

    if form.do(act):
        return go(f"{base(visit.realm.name)}/roles?done=created")
    back = (f"{base(visit.realm.name)}/roles", "Roles")
    return shown("console/form.html", form, title="New role", submit="Create", back=back, intro="")


@page
def show_role(visit: Visit, name: str) -> Response | str:
    """Show a role and who holds it; change it, unless it is built in."""
    visit.require_somewhere("roles:read")
    role = access.get_role(visit.realm, name)
    form = _with_permissions(RoleForm(visit.posted, {"description": role.description, "permissions": sorted(role.permissions)}))
    del form.name

    def act() -> None:
        callers.change_role(visit.caller, visit.realm, name, form.description.data or "", form.permissions.data or [])
        commit()

    if form.do(act):
        return go(f"{base(visit.realm.name)}/roles/{name}?done=saved")
    grants = access.page_of_grants(visit.realm, role=name, limit=PAGE) if visit.may("grants:read") else []
    return shown(
        "console/access/role.html", form, role=access.get_role(visit.realm, name), grants=grants, permissions=PERMISSIONS,
        base=base(visit.realm.name),
    )  # fmt: skip


@page
def delete_role(visit: Visit, name: str) -> Response | str:
    """Delete a role that nobody holds."""
    visit.require("roles:write")
    access.get_role(visit.realm, name)

    def act() -> None:
        callers.check_role(visit.caller, visit.realm, name)
        access.delete_role(visit.realm, name)
        commit()

    question = Confirmation(
        f"Delete role {name}", f"Delete role {name}?", "Delete", (f"{base(visit.realm.name)}/roles/{name}", name),
        ["Only a role that nobody holds can be deleted.", "API keys that are narrowed to it carry nothing by it any more."],
    )  # fmt: skip
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/roles?done=deleted")


@page
def list_projects(visit: Visit) -> Response | str:
    """List the projects of the realm that the caller may see."""
    visit.require_somewhere("projects:read")
    search = request.args.get("search", "")[:200]
    found = [
        project
        for project in access.list_projects(visit.realm)
        if visit.may("projects:read", project.name) and search.lower() in f"{project.name} {project.description.lower()}"
    ]
    after = request.args.get("after", "")
    rows, more = one_page([each for each in found if each.name > after][: PAGE + 1], lambda row: row.name)
    return render(
        "console/access/projects.html", rows=rows, more=more, search=search, first=not after, base=base(visit.realm.name)
    )


@page
def new_project(visit: Visit) -> Response | str:
    """Make a project."""
    visit.require("projects:write")
    form = ProjectForm(visit.posted)

    def act() -> None:
        access.create_project(visit.realm, form.name.data or "", form.description.data or "")
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
    form = ProjectForm(visit.posted, {"description": project.description})
    del form.name

    def act() -> None:
        visit.require("projects:write", name)
        access.describe_project(visit.realm, name, form.description.data or "")
        commit()

    if form.do(act):
        return go(f"{base(visit.realm.name)}/projects/{name}?done=saved")
    project = access.get_project(visit.realm, name)
    grants = access.list_grants(visit.realm, project=name) if visit.may("grants:read", name) else []
    return shown(
        "console/access/project.html", form, project=project, grants=grants[:200], count=len(grants), base=base(visit.realm.name)
    )


@page
def delete_project(visit: Visit, name: str) -> Response | str:
    """Delete a project that nobody has a role on."""
    visit.require("projects:write", name)
    access.get_project(visit.realm, name)

    def act() -> None:
        access.delete_project(visit.realm, name)
        commit()

    question = Confirmation(
        f"Delete project {name}", f"Delete project {name}?", "Delete", (f"{base(visit.realm.name)}/projects/{name}", name),
        ["Only a project that nobody has a role on can be deleted."], typed=name,
    )  # fmt: skip
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/projects?done=deleted")


@page
def review(visit: Visit) -> Response | str:
    """Show who holds what where, since when, until when, given by whom."""
    visit.require_somewhere("grants:read")
    filters = _filters()
    after = after_number()
    found = access.page_of_grants(visit.realm, after=after or 0, limit=PAGE + 1, projects=_readable(visit), **filters)
    rows, more = one_page(found, lambda row: row.id)
    return render(
        "console/access/review.html", rows=rows, more=more, first=after is None, filters=filters, base=base(visit.realm.name),
        roles=[role.name for role in access.list_roles(visit.realm)],
    )  # fmt: skip


@page
def review_csv(visit: Visit) -> Response:
    """Return the whole access review as CSV (RFC 4180), a row for each grant."""
    visit.require_somewhere("grants:read")
    filters, projects, realm = _filters(), _readable(visit), visit.realm
    name = realm.name

    def rows() -> Iterator[str]:
        yield _csv_line(_CSV_COLUMNS)
        after = 0
        while found := access.page_of_grants(realm, after=after, limit=1_000, projects=projects, **filters):
            after = found[-1].id
            yield "".join(_csv_line(_cells(grant)) for grant in found)
            db.session.rollback()  # a reader who takes time keeps no transaction open

    headers = {"Content-Disposition": f'attachment; filename="access-{name}.csv"'}
    return Response(stream_with_context(rows()), headers=headers, content_type="text/csv; charset=utf-8")


@page
def give(visit: Visit) -> Response | str:
    """Give somebody a role, or give it another end."""
    visit.require_somewhere("grants:write")
    asked = _asked()
    held = _held(visit, asked)
    stored = {**asked, "until": held.until if held is not None else None, "held": held is not None}
    form = GrantForm(visit.posted, stored)
    form.role.choices = choices(_roles(visit))

    def act() -> None:
        holder, until = find_holder(visit, form.holder.data or ""), form.until.data
        if held is not None and held.until is not None and until == held.until.replace(second=0, microsecond=0):
            until = held.until  # the field knows no seconds
        callers.give_role(visit.caller, visit.realm, holder, form.role.data or "", project=form.project.data or "", until=until)
        commit()

    if form.do(act):
        return go(f"{_holder_url(visit, form.holder.data or '')}?done=granted")
    projects = [each.name for each in access.list_projects(visit.realm) if visit.may("grants:write", each.name)]
    return shown(
        "console/access/give.html", form, projects=projects[:300], back=_holder_url(visit, asked["holder"]), who=asked["holder"]
    )


@page
def take(visit: Visit) -> Response | str:
    """Take a role from somebody, once that is confirmed."""
    asked = _asked()
    visit.require("grants:write", asked["project"])
    holder = find_holder(visit, asked["holder"])
    where = f"project {asked['project']}" if asked["project"] else "the whole organisation"
    url = _holder_url(visit, asked["holder"])

    def act() -> None:
        callers.take_role(visit.caller, visit.realm, holder, asked["role"], project=asked["project"])
        commit()

    question = Confirmation(
        f"Take {asked['role']} away", f"Take role {asked['role']} on {where} away from {holder.name}?", "Take away",
        (url, holder.name),
        [*_use_of(visit, holder), "New tokens do not carry it; introspection, the gateway and this server stop counting it."],
        undo="Give it again.",
    )  # fmt: skip
    return confirmed(visit, question, act, f"{url}?done=taken")


def find_holder(visit: Visit, named: str) -> Holder:
    """Return who is meant by `application:<name>`, `user:<name or uid>` or `group:<name>`.

    :raises InvalidValueError: it has another form.
    :raises DeniedError: the caller may not see who there is.
    :raises NotFoundError: there is none.
    """
    kind, _, name = named.strip().partition(":")
    match kind:
        case "application":
            visit.require_somewhere("applications:read")
            return applications.holder_of(applications.get_application(visit.realm, name))
        case "user":
            user = users.find_user(visit.realm, name)
            return users.holder_of(callers.visible_user(visit.caller, visit.realm, user.uid if user else name))
        case "group":
            visit.require_somewhere("users:read")
            return users.group_holder(users.get_group(visit.realm, name))
    raise InvalidValueError("Name who is to hold the role as application:<name>, user:<mail address or name> or group:<name>.")


def _asked() -> dict[str, str]:
    """Return which grant the URL names."""
    return {name: request.args.get(name, "")[:300] for name in ("holder", "role", "project")}


def _held(visit: Visit, asked: dict[str, str]) -> Grant | None:
    """Return the grant that the URL names, if there is such a one and the caller may see it."""
    if not asked["role"] or not asked["holder"] or not visit.may("grants:read", asked["project"]):
        return None
    holder = find_holder(visit, asked["holder"])
    return access.find_grant(visit.realm, holder, asked["role"], project=asked["project"] or None)


def _roles(visit: Visit) -> list[str]:
    """Return the roles that the caller may know of."""
    if visit.may_somewhere("roles:read"):
        return [role.name for role in access.list_roles(visit.realm)]
    return sorted({each.role for each in visit.caller.held_in(visit.realm.name) if "/" not in each.role})


def _use_of(visit: Visit, holder: Holder) -> tuple[str, ...]:
    from idp.console.applications import breaks  # noqa: PLC0415 (that module shows grants)

    if holder.kind is access.HolderKind.APPLICATION:
        return breaks(applications.get_application(visit.realm, holder.name))
    if holder.kind is access.HolderKind.GROUP:
        count = len(users.list_members(users.get_group(visit.realm, holder.name)))
        return (f"{count} members hold it through this group.",)
    return ()


def _holder_url(visit: Visit, named: str) -> str:
    kind, _, name = named.partition(":")
    pages = {"application": "applications", "user": "users", "group": "groups"}
    if kind not in pages or not name:
        return f"{base(visit.realm.name)}/access"
    if kind == "user":
        user = users.find_user(visit.realm, name)
        name = user.uid if user is not None else name
    return f"{base(visit.realm.name)}/{pages[kind]}/{part(name)}"


def _filters() -> dict[str, Any]:
    """Return what the review is narrowed to, from the URL."""
    chosen = {name: request.args.get(name, "")[:300].strip() for name in ("holder", "role", "project")}
    ended = request.args.get("state", "")
    return {**chosen, "state": ended if ended in {"live", "ended", "ending"} else ""}


def _readable(visit: Visit) -> list[str] | None:
    """Return the only projects whose grants the caller may see; None for everything."""
    if visit.may("grants:read"):
        return None
    return [each.name for each in access.list_projects(visit.realm) if visit.may("grants:read", each.name)]


def _cells(grant: Grant) -> tuple[str, ...]:
    ended = grant.until is not None and grant.until <= clock.now()
    return (
        grant.holder_kind, grant.holder_name, grant.role.name, grant.project.name if grant.project else "",
        grant.until.isoformat(timespec="seconds") if grant.until else "", grant.created_at.isoformat(timespec="seconds"),
        grant.granted_by, "ended" if ended else "live",
    )  # fmt: skip


def _csv_line(cells: tuple[str, ...]) -> str:
    line = io.StringIO()
    # what begins like a formula would be one to a spreadsheet
    csv.writer(line).writerow([f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t"} else cell for cell in cells])
    return line.getvalue()


def _with_permissions(form: RoleForm) -> RoleForm:
    form.permissions.choices = choices(PERMISSIONS, {name: f"{name}: {meaning}" for name, meaning in PERMISSIONS.items()})
    return form
