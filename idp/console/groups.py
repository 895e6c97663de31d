"""Groups of users: what they hold, their members hold."""

from flask import Response

from idp import rules, users
from idp.console.browser import Visit, current_draft, page
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other, tab_asked
from idp.console.forms import Form, name_field, text
from idp.console.lists import Column, ListView
from idp.console.navigation import base
from idp.console.people import find_user
from idp.console.render import part, render
from idp.console.sheet_forms import sheet_form, stored_in, values_in
from idp.errors import NotFoundError
from idp.users import Group, GroupSheet
from idp.web.posted import Posted

GroupForm = sheet_form(GroupSheet)
NewGroupForm = sheet_form(GroupSheet, name=name_field())


class MemberForm(Form):
    """A user to put into a group."""

    user = text("Email address or name", required=True, longest=254, render_kw={"data-suggest": "user"})


_LIST = ListView(
    "Groups",
    (
        Column("name", "Name", "name"),
        Column("shown", "Display name", "display_name"),
        Column("description", "Description"),
        Column("created", "Created", "created", newest_first=True),
        Column("id", "UID", hidden=True),
    ),
    search="Name or description",
    order="name",
)

_MEMBERS = ListView(
    "Members",
    (Column("name", "Name", "name"), Column("full", "Full name", "last_name")),
    search="Name",
    order="name",
)


@page
def list_groups(visit: Visit) -> Response | str:
    """List the groups of the realm."""
    rules.groups.check_listing(visit.authority)
    asked = _LIST.asked()
    return render("console/people/groups.html", list=_LIST.page(users.group_listing(visit.realm, containing=asked.search), asked))


@page
def new_group(visit: Visit) -> Response | str:
    """Make a group."""
    rules.groups.check_creating(visit.authority)
    form = NewGroupForm(visit.posted)

    def act() -> None:
        users.create_group(visit.realm, form.name.data or "", GroupSheet.read(values_in(GroupSheet, form)))

    if form.do(act):
        return see_other(f"{base(visit.realm.name)}/groups/{form.name.data}?done=created")
    back = (f"{base(visit.realm.name)}/groups", "Groups")
    return form_page(
        "console/form.html",
        form,
        title="New group",
        submit="Create",
        back=back,
        intro="Members hold every role that the group holds.",
    )


@page
def show_group(visit: Visit, name: str) -> Response | str:
    """Show a group with its members and what it holds; change what it says of itself."""
    group = rules.groups.visible(visit.authority, name)
    form = _described(group, visit.posted)

    def act() -> None:
        changed = rules.groups.manageable(visit.authority, rules.groups.visible(visit.authority, name))
        users.update_group(visit.realm, changed, GroupSheet.read(values_in(GroupSheet, form)))

    if form.do(act):
        return see_other(f"{base(visit.realm.name)}/groups/{name}?tab=settings&done=saved")
    return _group_page(visit, name, form, MemberForm(None))


@page
def add_member(visit: Visit, name: str) -> Response | str:
    """Put a user into a group."""
    rules.groups.visible(visit.authority, name)
    if visit.posted is None and current_draft() is None:  # the address of a refused form, opened again
        return see_other(f"{base(visit.realm.name)}/groups/{part(name)}")
    form = MemberForm(visit.posted)

    def act() -> None:
        user = users.find_user(visit.realm, form.user.data or "")
        if user is None:
            raise NotFoundError("There is no user with this name (not found).")
        rules.groups.add_member(visit.authority, rules.groups.visible(visit.authority, name), user.uid)

    if form.do(act):
        return see_other(f"{base(visit.realm.name)}/groups/{name}?done=saved")
    return _group_page(visit, name, _described(users.get_group(visit.realm, name), None), form)


def _described(group: Group, posted: Posted | None) -> Form:
    """Return the form that changes what a group says of itself."""
    form: Form = GroupForm(posted, stored_in(GroupSheet, group))
    return form


def _group_page(visit: Visit, name: str, form: Form, member_form: Form) -> Response:
    group = users.get_group(visit.realm, name)
    changes = [("settings", "Settings"), ("danger", "Danger zone")] if visit.can("users:write") else []
    tabs = [("", "Members"), ("access", "Access"), *changes]
    asked = _MEMBERS.asked()
    response = form_page(
        "console/people/group.html",
        form,
        tab="settings" if form.is_sent else "" if member_form.is_sent else tab_asked(tabs),
        tabs=tabs,
        member_form=member_form,
        group=group,
        list=_MEMBERS.page(users.user_listing(visit.realm, group=group, containing=asked.search), asked),
        grants=rules.grants.visible_of(visit.authority, users.group_holder(group)),
    )
    response.status_code = max(form.status, member_form.status)
    return response


@page
def remove_member(visit: Visit, name: str, key: str) -> Response:
    """Take a user out of a group."""
    rules.groups.remove_member(visit.authority, rules.groups.visible(visit.authority, name), find_user(visit, key).uid)
    return see_other(f"{base(visit.realm.name)}/groups/{name}?done=saved")


@page
def delete_group(visit: Visit, name: str) -> Response | str:
    """Delete a group, once that is confirmed."""
    group = rules.groups.manageable(visit.authority, rules.groups.visible(visit.authority, name))
    members = users.user_listing(visit.realm, group=group).count()

    def act() -> None:
        users.delete_group(visit.realm, name)

    question = Confirmation(
        f"Delete group {name}",
        f"Delete group {name}?",
        "Delete",
        (f"{base(visit.realm.name)}/groups/{name}", name),
        [f"Its {members} members remain, and lose the roles that they held through it."],
    )
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/groups?done=deleted")
