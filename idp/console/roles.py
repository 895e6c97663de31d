"""Roles: what they permit here, and who holds them."""

from collections.abc import Iterable
from typing import Any

from flask import Response

from idp import access, rules
from idp.access import PERMISSIONS, RoleSheet
from idp.console.browser import Visit, page
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other, tab_asked
from idp.console.exports import list_page
from idp.console.forms import ChecksField, choices, name_field
from idp.console.language import say
from idp.console.lists import PAGE, Column, ListView
from idp.console.navigation import base
from idp.console.sheet_forms import sheet_form, stored_in, values_in

RESOURCES = {
    "realm": "Organisation",
    "roles": "Roles",
    "projects": "Projects",
    "grants": "Assigned roles",
    "applications": "Applications",
    "users": "Users and groups",
    "api-keys": "API keys",
    "sessions": "Sessions",
    "personal-tokens": "Personal tokens",
    "keysets": "Keysets",
    "keys": "Signing keys",
    "audit": "Audit trail",
    "signals": "Security events",
}
"""What permissions are about, by the first part of their names."""

VERBS = {"read": "Read", "write": "Write", "": "Other"}
"""The columns of the table of permissions: by the second part of their names, and all others."""


class PermissionsField(ChecksField):
    """What a role permits: a table of all that there is to permit, a row for each of the resources."""

    def rows(self) -> list[tuple[str, list[list[Any]]]]:
        """Return what each resource is called, and the choices of each column."""
        offered: dict[str, dict[str, list[Any]]] = {}
        shown: Iterable[Any] = self.iter_choices()  # with names for their parts, which the stubs do not know
        for choice in shown:
            resource, _, verb = choice.value.partition(":")
            offered.setdefault(resource, {each: [] for each in VERBS})[verb if verb in VERBS else ""].append(choice)
        return [(RESOURCES[resource], list(columns.values())) for resource, columns in offered.items()]


def _permissions() -> PermissionsField:
    """Return the field for what a role permits: all that there is to permit, with what it means."""
    title, hint = RoleSheet.model_fields["permissions"].title or "", RoleSheet.description_of("permissions")
    return PermissionsField(title, description=hint, choices=choices(PERMISSIONS, PERMISSIONS))


RoleForm = sheet_form(RoleSheet, permissions=_permissions())
NewRoleForm = sheet_form(RoleSheet, name=name_field(), permissions=_permissions())


_LIST = ListView(
    "Roles",
    (
        Column("name", "Name", "name"),
        Column("description", "Description"),
        Column("permissions", "Permissions here", plain=lambda role: sorted(role.permissions)),
        Column("created", "Created", "created", newest_first=True, plain=lambda role: role.created_at),
        Column("id", "UID", hidden=True, plain=lambda role: role.uid),
    ),
    search="Name or description",
    order="name",
)


@page
def list_roles(visit: Visit) -> Response | str:
    """List the roles of the realm."""
    rules.roles.check_listing(visit.authority)
    asked = _LIST.asked()
    return list_page(visit, "console/access/roles.html", _LIST, access.role_listing(visit.realm, containing=asked.search), asked)


@page
def new_role(visit: Visit) -> Response | str:
    """Make a role."""
    rules.roles.check_creating(visit.authority)
    form = NewRoleForm(visit.posted)

    def act() -> None:
        rules.roles.create(visit.authority, form.name.data or "", RoleSheet.read(values_in(RoleSheet, form)))

    if form.do(act):
        return see_other(f"{base(visit.realm.name)}/roles?done=created")
    back = (f"{base(visit.realm.name)}/roles", say("Roles"))
    return form_page("console/access/new_role.html", form, verbs=VERBS, back=back)


@page
def show_role(visit: Visit, name: str) -> Response | str:
    """Show a role and who holds it; change it, unless it is built in."""
    role = rules.roles.visible(visit.authority, name)
    form = RoleForm(visit.posted, stored_in(RoleSheet, role) | {"permissions": sorted(role.permissions)})

    def act() -> None:
        rules.roles.update(visit.authority, name, RoleSheet.read(values_in(RoleSheet, form)))

    if form.do(act):
        return see_other(f"{base(visit.realm.name)}/roles/{name}?tab=settings&done=saved")
    grants = access.page_of_grants(visit.realm, role=name, limit=PAGE) if rules.grants.sees_all(visit.authority) else []
    role = access.get_role(visit.realm, name)
    changes = (
        [("settings", say("Settings")), ("danger", say("Danger zone"))] if visit.can("roles:write") and not role.built_in else []
    )
    holders = [("holders", say("Who holds it"))] if rules.grants.sees_all(visit.authority) else []
    tabs = [("", say("Permissions")), *holders, *changes]
    return form_page(
        "console/access/role.html",
        form,
        tab="settings" if form.is_sent else tab_asked(tabs),
        tabs=tabs,
        role=role,
        grants=grants,
        permissions=PERMISSIONS,
        verbs=VERBS,
    )


@page
def delete_role(visit: Visit, name: str) -> Response | str:
    """Delete a role that nobody holds."""
    rules.roles.manageable(visit.authority, name)
    held = access.page_of_grants(visit.realm, role=name, limit=1)

    def act() -> None:
        access.delete_role(visit.realm, name)

    question = Confirmation(
        say("Delete role {name}", name=name),
        say("Delete role {name}?", name=name),
        say("Delete"),
        (f"{base(visit.realm.name)}/roles/{name}", name),
        [say("API keys restricted to it no longer carry anything through it.")],
        blocked=say("This role is still assigned. Remove it from everyone first: its page shows who holds it.") if held else "",
    )
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/roles?done=deleted")
