"""Roles: what they permit here, and who holds them."""

from flask import Response

from idp import access, callers
from idp.access import PERMISSIONS
from idp.console.browser import Visit, page
from idp.console.forms import ChecksField, Form, choices, name_field, text
from idp.console.lists import PAGE
from idp.console.navigation import base
from idp.console.render import render
from idp.console.turns import Confirmation, confirmed, go, shown
from idp.db import commit


class RoleForm(Form):
    """A role."""

    name = name_field()
    description = text("Description")
    permissions = ChecksField(
        "Permissions on this server",
        description="Other APIs decide for themselves what the role means to them.",
        choices=choices(PERMISSIONS, {name: f"{name}: {meaning}" for name, meaning in PERMISSIONS.items()}),
    )


@page
def list_roles(visit: Visit) -> Response | str:
    """List the roles of the realm."""
    visit.require_somewhere("roles:read")
    return render("console/access/roles.html", rows=access.list_roles(visit.realm))


@page
def new_role(visit: Visit) -> Response | str:
    """Make a role."""
    visit.require("roles:write")
    form = RoleForm(visit.posted)

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
    form = RoleForm(visit.posted, {"description": role.description, "permissions": sorted(role.permissions)})
    del form.name

    def act() -> None:
        callers.change_role(visit.caller, visit.realm, name, form.description.data or "", form.permissions.data or [])
        commit()

    if form.do(act):
        return go(f"{base(visit.realm.name)}/roles/{name}?done=saved")
    grants = access.page_of_grants(visit.realm, role=name, limit=PAGE) if visit.may("grants:read") else []
    return shown(
        "console/access/role.html", form, role=access.get_role(visit.realm, name), grants=grants, permissions=PERMISSIONS
    )


@page
def delete_role(visit: Visit, name: str) -> Response | str:
    """Delete a role that nobody holds."""
    callers.check_role(visit.caller, visit.realm, name)
    held = access.page_of_grants(visit.realm, role=name, limit=1)

    def act() -> None:
        access.delete_role(visit.realm, name)
        commit()

    question = Confirmation(
        f"Delete role {name}", f"Delete role {name}?", "Delete", (f"{base(visit.realm.name)}/roles/{name}", name),
        ["API keys restricted to it no longer carry anything through it."],
        blocked="This role is still assigned. Remove it from everyone first: its page shows who holds it." if held else "",
    )  # fmt: skip
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/roles?done=deleted")
