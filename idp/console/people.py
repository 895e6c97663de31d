"""Users: made, invited, found, changed, disabled, deleted; what they hold, and what is theirs."""

from typing import Any

from flask import Response

from idp import access, apikeys, audit, authorizations, clock, personal_tokens, rules, runtime, sessions, users
from idp.access import HolderKind
from idp.console.browser import Visit, page, page_with_secret
from idp.console.bulk import BulkAct, bulk
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other, tab_asked
from idp.console.exports import list_page
from idp.console.forms import CHOOSE, Form, choice, choices, text
from idp.console.language import say
from idp.console.linked_people import facts_of_links
from idp.console.lists import Act, Column, Filter, ListView
from idp.console.navigation import base
from idp.console.render import part, render
from idp.console.sheet_forms import sheet_form, stored_in, values_in
from idp.console.strong_roles import roles_to_give, sure_field, weigh
from idp.console.usage import use_of_user
from idp.users import LinkPurpose, User, UserKind, UserSettings, UserSheet

_KINDS = {
    "": CHOOSE,
    "person": "Person: signs in with a password",
    "machine": "Machine user: API keys and tokens only",
}


class NewUserForm(Form):
    """A new person or machine user."""

    kind = choice("Kind")
    name = text("Email address, or name of a machine user", "A person is invited by email.", required=True, longest=254)
    first_name = text("First name", longest=100)
    last_name = text("Last name", longest=100)
    role = choice("Role on the whole organisation", required=False)
    sure = sure_field()


UserForm = sheet_form(UserSettings)
"""What can be changed of a user."""


_STATES = {"": "Any state", "enabled": "Enabled", "disabled": "Disabled", "unused": "Not signed in for 90 days"}
_KIND_NAMES = {"": "All kinds", "person": "People", "machine": "Machine users"}


def _state(user: User) -> str:
    if not user.enabled:
        return "disabled"
    return "invited" if user.kind == UserKind.PERSON.value and not user.password_hash else "enabled"


_LIST = ListView(
    "Users",
    (
        Column("name", "Name", "name"),
        Column("full", "Full name", "last_name", plain=lambda user: f"{user.first_name} {user.last_name}".strip()),
        Column("kind", "Kind", plain=lambda user: "machine user" if user.kind == UserKind.MACHINE.value else "person"),
        Column("state", "State", plain=_state),
        Column("signed-in", "Last signed in", "last_sign_in_at", newest_first=True, plain=lambda user: user.last_sign_in_at),
        Column("created", "Created", "created_at", newest_first=True, plain=lambda user: user.created_at),
        Column("id", "UID", hidden=True, plain=lambda user: user.uid),
    ),
    search="Name",
    filters=(
        Filter("kind", "Kind", _KIND_NAMES),
        Filter("state", "State", _STATES),
        Filter("role", "Role on the whole organisation"),
        Filter("project", "Project", suggest="project"),
        Filter("group", "Group", suggest="group"),
    ),
    order="name",
    acts=(Act("enable", "Enable"), Act("disable", "Disable", is_danger=True), Act("delete", "Delete", is_danger=True)),
)


@page
def list_users(visit: Visit) -> Response | str:
    """List users."""
    rules.users.check_listing(visit.authority)
    view = _LIST.with_choices(role=role_choices(visit))
    asked = view.asked()
    listing = users.user_listing(
        visit.realm,
        containing=asked.search,
        kind=UserKind(asked["kind"]) if asked["kind"] else None,
        enabled={"enabled": True, "disabled": False}.get(asked["state"]),
        holding={asked["role"]: True} if asked["role"] else {},
        on_project=asked["project"],
        in_group=asked["group"],
        unseen_since=clock.now() - clock.UNUSED if asked["state"] == "unused" else None,
    )
    return list_page(visit, "console/people/users.html", view, listing, asked, acts=visit.can("users:write"))


@page
def change_several(visit: Visit) -> Response | str:
    """Enable, disable or delete several users."""

    def turn(name: str, *, enabled: bool) -> None:
        user = rules.users.manageable(visit.authority, find_user(visit, name).uid)
        users.update_user(visit.realm, user, UserSheet.of(user).changed({"enabled": enabled}))

    def delete(name: str) -> None:
        users.delete_user(visit.realm, rules.users.manageable(visit.authority, find_user(visit, name).uid))

    stops = say("Their sessions end, and their API keys and personal tokens are refused.")
    acts = {
        "enable": BulkAct(say("Enable"), say("enabled"), lambda name: turn(name, enabled=True), undo=say("Disable them again.")),
        "disable": BulkAct(
            say("Disable"),
            say("disabled"),
            lambda name: turn(name, enabled=False),
            (stops,),
            is_danger=True,
            undo=say("Enable them again: API keys and tokens then work as before; they have to sign in again."),
        ),
        "delete": BulkAct(
            say("Delete"), say("deleted"), delete, (stops, say("All that is theirs is deleted with them.")), is_danger=True
        ),
    }
    return bulk(visit, "user", (f"{base(visit.realm.name)}/users", say("Users")), acts)


def role_choices(visit: Visit) -> dict[str, str]:
    """Return the roles of a realm, for a list to be narrowed by."""
    return {"": "Any role"} | {role.name: role.name for role in access.list_roles(visit.realm)}


@page
def new_user(visit: Visit) -> Response | str:
    """Make a user; a person is sent an invitation."""
    rules.users.check_creating(visit.authority)
    form = NewUserForm(visit.posted)
    form.kind.choices = choices(["", *UserKind], _KINDS)
    form.role.choices = choices(["", *(role.name for role in access.list_roles(visit.realm))], {"": "None for now"})
    weighed = weigh(form, roles_to_give(visit), [(form.role.data or "", "")])
    made: list[str] = []

    def act() -> None:
        kind = UserKind(form.kind.data)
        sheet = UserSheet.read({name: form.data[name] or "" for name in ("first_name", "last_name")})
        user = users.create_user(visit.realm, form.name.data or "", kind, sheet)
        if form.role.data:
            rules.grants.give(visit.authority, users.holder_of(user), form.role.data)
        if kind is UserKind.PERSON:
            users.send_link(visit.realm, user, LinkPurpose.INVITATION)
        made.append(user.uid)

    if form.do(act):
        done = _invited() if form.kind.data == "person" else "created"
        return see_other(f"{base(visit.realm.name)}/users/{made[0]}?done={done}")
    return form_page(
        "console/access/give.html",
        form,
        title=say("New user"),
        submit=say("Create"),
        back=(f"{base(visit.realm.name)}/users", say("Users")),
        intro="",
        weighed=weighed,
    )


@page
def show_user(visit: Visit, key: str) -> Response | str:
    """Show a user with all that is theirs; change what can be changed."""
    user = find_user(visit, key)
    stored = stored_in(UserSettings, user)
    form = UserForm(visit.posted, stored)
    if not rules.api_keys.can_exceed_limits(visit.authority):
        del form.api_key_hours

    def act() -> None:
        changes = values_in(UserSettings, form)
        rules.users.update(visit.authority, user.uid, UserSheet.of(user).changed(changes))

    if form.do(act):
        return see_other(f"{_url(visit, user.uid)}?tab=settings&done=saved")
    tabs = _tabs(visit)
    tab = "settings" if form.is_sent else tab_asked(tabs)
    return form_page("console/people/user.html", form, tab=tab, tabs=tabs, **_facts(visit, find_user(visit, key)))


def _tabs(visit: Visit) -> list[tuple[str, str]]:
    """Return the parts of a user's page that the caller may see."""
    manages = visit.can("users:write")
    sees_credentials = any(visit.can(f"{kind}:read") for kind in ("api-keys", "personal-tokens", "sessions"))
    parts = [
        ("", say("Overview"), True),
        ("access", say("Access"), True),
        ("credentials", say("Credentials"), sees_credentials),
        ("settings", say("Settings"), manages),
        ("activity", say("Activity"), rules.audit.can_read(visit.authority)),
        ("danger", say("Danger zone"), manages),
    ]
    return [(name, title) for name, title, offered in parts if offered]


def _facts(visit: Visit, user: User) -> dict[str, Any]:
    groups = users.groups_of(user)
    inherited = access.grants_of_each(visit.realm, HolderKind.GROUP, [group.id for group in groups])
    seen = [grant for grant in inherited if rules.grants.sees(visit.authority, grant)]
    sees_tokens = rules.personal_tokens.sees_all(visit.authority)
    return {
        "user": user,
        "groups": groups,
        "own_grants": rules.grants.visible_of(visit.authority, users.holder_of(user)),
        "inherited": [(grant, group.name) for group in groups for grant in seen if grant.holder_id == group.id],
        "keys": apikeys.list_keys(visit.realm, owner=users.holder_of(user)) if rules.api_keys.sees_all(visit.authority) else [],
        "sessions": sessions.list_sessions(visit.realm, user=user) if rules.sessions.sees_all(visit.authority) else [],
        "tokens": personal_tokens.list_personal_tokens(visit.realm.id, user.id) if sees_tokens else [],
        "connections": authorizations.list_connections(user.id) if rules.connections.sees_all(visit.authority) else [],
        "events": audit.list_events(visit.realm.name, target=f"user:{user.name}", limit=20)
        if rules.audit.can_read(visit.authority)
        else [],
        **facts_of_links(visit, user),
        "url": _url(visit, user.uid),
        "hands_over": rules.users.can_hand_over(visit.authority, user),
        "mail_is_sent": bool(runtime.current().settings.smtp_host),
    }


@page_with_secret
def hand_over(visit: Visit, key: str) -> Response | str:
    """Show an invitation that can be passed on, once; on a server that sends no mail."""
    user = rules.users.manageable(visit.authority, find_user(visit, key).uid)
    uid, name = user.uid, user.name
    form = Form(visit.posted)
    made: list[str] = []

    def act() -> None:
        made.append(rules.users.hand_over_invitation(visit.authority, uid))

    if form.do(act):
        link = f"{runtime.current().settings.public_url}/console/invitation/{made[0]}"
        return render("console/people/invitation.html", name=name, link=link, url=_url(visit, uid))
    return form_page(
        "console/form.html",
        form,
        title=say("Invite {name}", name=name),
        submit=say("Show the link"),
        back=(_url(visit, uid), name),
        intro=say(
            "Whoever opens the link chooses the password of this account, and is then this user with all that the user may do. "
            "It works once, for 7 days; links that were made before stop working. Pass it on by a way that only they can read. "
            "The email address stays unverified, because a link that you have seen proves nothing about it."
        ),
    )


@page
def send_link(visit: Visit, key: str) -> Response:
    """Send a user a link to choose a password: an invitation, or a reset where there is one already (R107)."""
    user = rules.users.manageable(visit.authority, find_user(visit, key).uid)
    purpose = LinkPurpose.RESET if user.password_hash else LinkPurpose.INVITATION
    users.send_link(visit.realm, user, purpose)
    uid = user.uid
    return see_other(f"{_url(visit, uid)}?done={'reset' if purpose is LinkPurpose.RESET else _invited()}")


@page
def disable_user(visit: Visit, key: str) -> Response | str:
    """Disable a user, once that is confirmed."""
    user = rules.users.manageable(visit.authority, find_user(visit, key).uid)
    uid = user.uid

    def act() -> None:
        users.update_user(visit.realm, user, UserSheet.of(user).changed({"enabled": False}))

    question = Confirmation(
        say("Disable {name}", name=user.name),
        say("Disable {name}?", name=user.name),
        say("Disable"),
        (_url(visit, uid), user.name),
        _what_stops(visit, user),
        undo=say("Enable the user again: API keys and tokens then work as before; the user has to sign in again."),
    )
    return confirmed(visit, question, act, f"{_url(visit, uid)}?done=disabled")


@page
def enable_user(visit: Visit, key: str) -> Response:
    """Let a disabled user in again."""
    user = rules.users.manageable(visit.authority, find_user(visit, key).uid)
    users.update_user(visit.realm, user, UserSheet.of(user).changed({"enabled": True}))
    uid = user.uid
    return see_other(f"{_url(visit, uid)}?done=enabled")


@page
def delete_user(visit: Visit, key: str) -> Response | str:
    """Delete a user with all that is theirs, once that is confirmed."""
    user = rules.users.manageable(visit.authority, find_user(visit, key).uid)

    def act() -> None:
        users.delete_user(visit.realm, user)

    question = Confirmation(
        say("Delete {name}", name=user.name),
        say("Delete {name} and all that is theirs?", name=user.name),
        say("Delete"),
        (_url(visit, user.uid), user.name),
        [*_what_stops(visit, user), say("If you are not sure, disable the user first: that can be undone.")],
        typed=user.name,
    )
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/users?done=deleted")


@page
def end_sessions(visit: Visit, key: str) -> Response:
    """End every session of a user."""
    user = rules.sessions.user_to_sign_out(visit.authority, find_user(visit, key).uid)
    users.sign_out_everywhere(visit.realm, user)
    uid = user.uid
    return see_other(f"{_url(visit, uid)}?done=ended")


def _invited() -> str:
    """Return the notice that is true of an invitation: without a mail server it waits."""
    return "invited" if runtime.current().settings.smtp_host else "waiting"


def _what_stops(visit: Visit, user: User) -> list[str]:
    """Say what stops with a user, and if it is oneself, that too."""
    is_oneself = user.uid == visit.caller.subject.uid
    oneself = [say("This is your own account: you are signed out immediately.")] if is_oneself else []
    return [*oneself, *use_of_user(visit.realm, user)]


def find_user(visit: Visit, key: str) -> User:
    """Return a user by uid or name whom the caller may see."""
    found = users.find_user(visit.realm, key)
    return rules.users.visible(visit.authority, found.uid if found is not None else key)


def _url(visit: Visit, uid: str) -> str:
    return f"{base(visit.realm.name)}/users/{part(uid)}"
