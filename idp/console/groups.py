"""Groups of users: what they hold, their members hold."""

from flask import Response

from idp import clock, rules, users
from idp.access import GrantState
from idp.console.browser import Visit, current_draft, page
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other, tab_asked
from idp.console.exports import file_asked, list_page
from idp.console.forms import Form, name_field, text
from idp.console.language import say, say_count
from idp.console.lists import Asked, Column, Filter, ListView
from idp.console.navigation import base
from idp.console.people import find_user, role_choices
from idp.console.render import part
from idp.console.sheet_forms import sheet_form, stored_in, values_in
from idp.console.strong_roles import Weighed, ask_about, sure_field
from idp.errors import NotFoundError
from idp.paging import Listing
from idp.users import Group, GroupSheet
from idp.web.posted import Posted

GroupForm = sheet_form(GroupSheet)
NewGroupForm = sheet_form(GroupSheet, name=name_field())


class MemberForm(Form):
    """A user to put into a group."""

    user = text("Email address or name", required=True, longest=254, render_kw={"data-suggest": "user"})
    sure = sure_field()


_LIST = ListView(
    "Groups",
    (
        Column("name", "Name", "name"),
        Column("shown", "Display name", "display_name", plain=lambda group: group.display_name),
        Column("description", "Description"),
        Column("created", "Created", "created", newest_first=True, plain=lambda group: group.created_at),
        Column("id", "UID", hidden=True, plain=lambda group: group.uid),
    ),
    search="Name or description",
    filters=(Filter("role", "Role on the whole organisation"), Filter("project", "Project", suggest="project")),
    order="name",
)

_MEMBERS = ListView(
    "Members",
    (
        Column("name", "Name", "name"),
        Column("full", "Full name", "last_name", plain=lambda user: f"{user.first_name} {user.last_name}".strip()),
    ),
    search="Name",
    order="name",
)


@page
def list_groups(visit: Visit) -> Response | str:
    """List the groups of the realm."""
    rules.groups.check_listing(visit.authority)
    view = _LIST.with_choices(role=role_choices(visit))
    asked = view.asked()
    listing = users.group_listing(
        visit.realm,
        containing=asked.search,
        holding={asked["role"]: True} if asked["role"] else {},
        on_project=asked["project"],
    )
    return list_page(visit, "console/people/groups.html", view, listing, asked)


@page
def new_group(visit: Visit) -> Response | str:
    """Make a group."""
    rules.groups.check_creating(visit.authority)
    form = NewGroupForm(visit.posted)

    def act() -> None:
        users.create_group(visit.realm, form.name.data or "", GroupSheet.read(values_in(GroupSheet, form)))

    if form.do(act):
        return see_other(f"{base(visit.realm.name)}/groups/{form.name.data}?done=created")
    back = (f"{base(visit.realm.name)}/groups", say("Groups"))
    return form_page(
        "console/form.html",
        form,
        title=say("New group"),
        submit=say("Create"),
        back=back,
        intro=say("Members hold every role that the group holds."),
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
    asked = _MEMBERS.asked()
    file = file_asked(visit, _MEMBERS, _members(visit, group, asked), asked)
    if file is not None:
        return file
    member_form = MemberForm(None)
    return _group_page(visit, name, form, member_form, ask_about(member_form, ()))


def _members(visit: Visit, group: Group, asked: Asked) -> Listing:
    return users.user_listing(visit.realm, group=group, containing=asked.search)


@page
def add_member(visit: Visit, name: str) -> Response | str:
    """Put a user into a group."""
    group = rules.groups.visible(visit.authority, name)
    if visit.posted is None and current_draft() is None:  # the address of a refused form, opened again
        return see_other(f"{base(visit.realm.name)}/groups/{part(name)}")
    form = MemberForm(visit.posted)
    weighed = ask_about(form, rules.groups.strong_roles(visit.authority, group))

    def act() -> None:
        user = users.find_user(visit.realm, form.user.data or "")
        if user is None:
            raise NotFoundError("There is no user with this name (not found).").leading_to("list users")
        rules.groups.add_member(visit.authority, rules.groups.visible(visit.authority, name), user.uid)

    if form.do(act):
        return see_other(f"{base(visit.realm.name)}/groups/{name}?done=saved")
    return _group_page(visit, name, _described(users.get_group(visit.realm, name), None), form, weighed)


def _described(group: Group, posted: Posted | None) -> Form:
    """Return the form that changes what a group says of itself."""
    form: Form = GroupForm(posted, stored_in(GroupSheet, group))
    return form


def _group_page(visit: Visit, name: str, form: Form, member_form: Form, weighed: Weighed) -> Response:
    group = users.get_group(visit.realm, name)
    changes = [("settings", say("Settings")), ("danger", say("Danger zone"))] if visit.can("users:write") else []
    tabs = [("", say("Members")), ("access", say("Access")), *changes]
    asked, grants = _MEMBERS.asked(), rules.grants.visible_of(visit.authority, users.group_holder(group))
    live = {each.role.name: each.role for each in grants if each.state(clock.now()) is GrantState.LIVE}
    response = form_page(
        "console/people/group.html",
        form,
        tab="settings" if form.is_sent else "" if member_form.is_sent else tab_asked(tabs),
        tabs=tabs,
        member_form=member_form,
        group=group,
        list=_MEMBERS.page(_members(visit, group, asked), asked),
        grants=grants,
        held=[role for _, role in sorted(live.items())],
        weighed=weighed,
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
        say("Delete group {name}", name=name),
        say("Delete group {name}?", name=name),
        say("Delete"),
        (f"{base(visit.realm.name)}/groups/{name}", name),
        [
            say_count(
                "Its {count} member remains, and loses the roles that they held through it.",
                "Its {count} members remain, and lose the roles that they held through it.",
                members,
            )
        ],
    )
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/groups?done=deleted")
