"""Users: made, invited, found, changed, disabled, deleted; what they hold, and what is theirs."""

from typing import Any

from flask import Response, request
from wtforms import validators

from idp import access, apikeys, callers, personal_tokens, runtime, sessions, users
from idp.access import Grant
from idp.console.browser import Visit, page
from idp.console.forms import CHOOSE, Form, NumberField, choice, choices, text
from idp.console.lists import PAGE, one_page
from idp.console.navigation import base
from idp.console.render import part, render
from idp.console.turns import Confirmation, confirmed, go, shown
from idp.console.usage import use_of_user
from idp.db import commit
from idp.users import LinkPurpose, User, UserKind

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


class UserForm(Form):
    """What can be changed of a user."""

    email = text("Email address", "Where emails are sent; the name to sign in with does not change.", longest=254)
    first_name = text("First name", longest=100)
    last_name = text("Last name", longest=100)
    api_key_hours = NumberField(
        "Longest lifetime of their own API keys, in hours",
        [validators.Optional()],
        description="Leave empty for the organisation's limit. If both are set, the higher one counts.",
    )


@page
def list_users(visit: Visit) -> Response | str:
    """List users by name, 50 a page."""
    visit.require_somewhere("users:read")
    search, after = request.args.get("search", "")[:200], request.args.get("after", "")[:254]
    rows, more = one_page(users.list_users(visit.realm, after=after, containing=search, limit=PAGE + 1), lambda row: row.name)
    return render("console/people/users.html", rows=rows, more=more, search=search, first=not after)


@page
def new_user(visit: Visit) -> Response | str:
    """Make a user; a person is sent an invitation."""
    visit.require("users:write")
    form = NewUserForm(visit.posted)
    form.kind.choices = choices(["", *UserKind], _KINDS)
    form.role.choices = choices(["", *(role.name for role in access.list_roles(visit.realm))], {"": "None for now"})
    made: list[str] = []

    def act() -> None:
        kind = UserKind(form.kind.data)
        user = users.create_user(
            visit.realm, form.name.data or "", kind, first_name=form.first_name.data or "", last_name=form.last_name.data or ""
        )
        if form.role.data:
            callers.give_role(visit.caller, visit.realm, users.holder_of(user), form.role.data)
        if kind is UserKind.PERSON:
            users.send_link(visit.realm, user, LinkPurpose.INVITATION)
        made.append(user.uid)
        commit()

    if form.do(act):
        done = _invited() if form.kind.data == "person" else "created"
        return go(f"{base(visit.realm.name)}/users/{made[0]}?done={done}")
    return shown(
        "console/form.html", form, title="New user", submit="Create", back=(f"{base(visit.realm.name)}/users", "Users"), intro=""
    )


@page
def show_user(visit: Visit, key: str) -> Response | str:
    """Show a user with all that is theirs; change what can be changed."""
    user = find_user(visit, key)
    stored = {name: getattr(user, name) for name in ("email", "first_name", "last_name", "api_key_hours")}
    form = UserForm(visit.posted, stored)
    if not visit.may("api-keys:write"):
        del form.api_key_hours

    def act() -> None:
        callers.change_user(visit.caller, visit.realm, user.uid, **form.data)
        commit()

    if form.do(act):
        return go(f"{_url(visit, user.uid)}?done=saved")
    return shown("console/people/user.html", form, **_facts(visit, find_user(visit, key)))


def _facts(visit: Visit, user: User) -> dict[str, Any]:
    groups = users.groups_of(user)
    holders = [(users.holder_of(user), ""), *((users.group_holder(group), group.name) for group in groups)]
    grants: list[tuple[Grant, str]] = [
        (grant, group)
        for holder, group in holders
        for grant in access.list_grants(visit.realm, holder=holder)
        if visit.may("grants:read", grant.project.name if grant.project else "")
    ]
    return {
        "user": user,
        "groups": groups,
        "own_grants": [grant for grant, group in grants if not group],
        "inherited": [(grant, group) for grant, group in grants if group],
        "keys": apikeys.list_keys(visit.realm, owner=users.holder_of(user)) if visit.may("api-keys:read") else [],
        "sessions": sessions.list_sessions(visit.realm, user=user) if visit.may("sessions:read") else [],
        "tokens": personal_tokens.list_personal_tokens(visit.realm.id, user.id) if visit.may("personal-tokens:read") else [],
        "url": _url(visit, user.uid),
        "mail_is_sent": bool(runtime.current().settings.smtp_host),
    }


@page
def send_link(visit: Visit, key: str) -> Response:
    """Send a user a link to choose a password: an invitation, or a reset where there is one already (R107)."""
    user = callers.manageable_user(visit.caller, visit.realm, find_user(visit, key).uid)
    purpose = LinkPurpose.RESET if user.password_hash else LinkPurpose.INVITATION
    users.send_link(visit.realm, user, purpose)
    uid = user.uid
    commit()
    return go(f"{_url(visit, uid)}?done={'reset' if purpose is LinkPurpose.RESET else _invited()}")


@page
def disable_user(visit: Visit, key: str) -> Response | str:
    """Disable a user, once that is confirmed."""
    user = callers.manageable_user(visit.caller, visit.realm, find_user(visit, key).uid)
    uid = user.uid

    def act() -> None:
        users.update_user(visit.realm, user, enabled=False)
        commit()

    question = Confirmation(
        f"Disable {user.name}", f"Disable {user.name}?", "Disable", (_url(visit, uid), user.name), _what_stops(visit, user),
        undo="Enable the user again: API keys and tokens then work as before; the user has to sign in again.",
    )  # fmt: skip
    return confirmed(visit, question, act, f"{_url(visit, uid)}?done=disabled")


@page
def enable_user(visit: Visit, key: str) -> Response:
    """Let a disabled user in again."""
    user = callers.manageable_user(visit.caller, visit.realm, find_user(visit, key).uid)
    users.update_user(visit.realm, user, enabled=True)
    uid = user.uid
    commit()
    return go(f"{_url(visit, uid)}?done=enabled")


@page
def delete_user(visit: Visit, key: str) -> Response | str:
    """Delete a user with all that is theirs, once that is confirmed."""
    user = callers.manageable_user(visit.caller, visit.realm, find_user(visit, key).uid)

    def act() -> None:
        users.delete_user(visit.realm, user)
        commit()

    question = Confirmation(
        f"Delete {user.name}", f"Delete {user.name} and all that is theirs?", "Delete", (_url(visit, user.uid), user.name),
        [*_what_stops(visit, user), "If you are not sure, disable the user first: that can be undone."], typed=user.name,
    )  # fmt: skip
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/users?done=deleted")


@page
def end_sessions(visit: Visit, key: str) -> Response:
    """End every session of a user."""
    user = find_user(visit, key)
    if user.uid != visit.caller.subject.uid:
        visit.require("sessions:write")
    users.sign_out_everywhere(visit.realm, user)
    uid = user.uid
    commit()
    return go(f"{_url(visit, uid)}?done=ended")


def _invited() -> str:
    """Return the notice that is true of an invitation: without a mail server it waits."""
    return "invited" if runtime.current().settings.smtp_host else "waiting"


def _what_stops(visit: Visit, user: User) -> list[str]:
    """Say what stops with a user, and if it is oneself, that too."""
    oneself = ["This is your own account: you are signed out immediately."] if user.uid == visit.caller.subject.uid else []
    return [*oneself, *use_of_user(visit.realm, user)]


def find_user(visit: Visit, key: str) -> User:
    """Return a user by uid or name whom the caller may see."""
    found = users.find_user(visit.realm, key)
    return callers.visible_user(visit.caller, visit.realm, found.uid if found is not None else key)


def _url(visit: Visit, uid: str) -> str:
    return f"{base(visit.realm.name)}/users/{part(uid)}"
