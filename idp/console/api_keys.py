"""API keys: one's own at "My tools | Manage keys", everybody's for administrators, who also make them on behalf."""

from datetime import timedelta
from typing import Any

import wtforms
from flask import Response, request
from wtforms import validators

from idp import apikeys, applications, callers, clock, users
from idp.apikeys import ApiKey, KeyStatus
from idp.callers import KeyWish
from idp.console.browser import Visit, page, page_with_secret
from idp.console.forms import Form, LinesField, NumberField, TimeField, text
from idp.console.lists import PAGE, after_number, one_page
from idp.console.navigation import base
from idp.console.render import render
from idp.console.turns import Confirmation, confirmed, go, shown
from idp.console.urls import page_url
from idp.console.usage import use_of_key
from idp.db import commit
from idp.errors import NotFoundError

MINE = "/console/my/keys"


class KeyForm(Form):
    """A new key."""

    owner = text("Owner", "A user's email address or name, or application:<name>.", required=True, longest=300)
    name = text("Name", "What it is for.", required=True, longest=64)
    description = text("Description")
    hours = NumberField("Lifetime in hours", [validators.Optional(), validators.NumberRange(min=1)])
    expires = TimeField("Or valid until", description="Instead of hours.")
    never = wtforms.BooleanField("Never expires")
    roles = LinesField("Only these roles", "One per line. Leave empty for all that its owner holds.")
    projects = LinesField(
        "Only these projects",
        "One per line. Leave empty for all. If you name any, the key carries no roles on the whole organisation.",
    )
    addresses = LinesField(
        "Only from these addresses", "Addresses or networks such as 192.0.2.0/24, one per line. Leave empty for any."
    )
    rate_per_minute = NumberField("Uses per minute", [validators.Optional()], description="Leave empty for no limit of its own.")


class KeyChangeForm(Form):
    """What can be changed of a key."""

    name = text("Name", required=True, longest=64)
    description = text("Description")


class RotateForm(Form):
    """How a key is replaced."""

    overlap = NumberField(
        "Hours that both keys work",
        [validators.InputRequired(), validators.NumberRange(min=0)],
        default=24,
        description="During this time the old key's page shows when it is no longer used.",
    )


@page
def list_keys(visit: Visit) -> Response | str:
    """List the API keys of everybody."""
    visit.require("api-keys:read")
    after = after_number()
    found = apikeys.list_keys(visit.realm, after=after or 0, limit=PAGE + 1)
    rows, more = one_page(found, lambda row: row.id)
    owners = {key.id: apikeys.owner_of(key) for key in rows}
    return render(
        "console/keys/list.html", rows=rows, more=more, first=after is None, owners=owners,
        new=f"{base(visit.realm.name)}/api-keys/new" if visit.may("api-keys:write") else "", title="API keys",
    )  # fmt: skip


@page
def my_keys(visit: Visit) -> Response | str:
    """List one's own API keys."""
    after = after_number()
    found = apikeys.list_keys(visit.realm, owner=callers.own_holder(visit.caller), after=after or 0, limit=PAGE + 1)
    rows, more = one_page(found, lambda row: row.id)
    return render(
        "console/keys/list.html", rows=rows, more=more, first=after is None, owners={},
        new=page_url(f"{MINE}/new"), title="Manage keys",
    )  # fmt: skip


@page_with_secret
def new_key(visit: Visit) -> Response | str:
    """Make a key on behalf of somebody."""
    visit.require("api-keys:write")
    stored = {"owner": _owner_name(visit, request.args.get("owner", "")[:300])} if visit.posted is None else None
    return _new_key(visit, KeyForm(visit.posted, stored), f"{base(visit.realm.name)}/api-keys", "API keys")


@page_with_secret
def new_own_key(visit: Visit) -> Response | str:
    """Make a key for oneself."""
    form = KeyForm(visit.posted)
    del form.owner
    return _new_key(visit, form, page_url(MINE), "Manage keys")


def _new_key(visit: Visit, form: KeyForm, back: str, back_title: str) -> Response | str:
    own = "owner" not in form
    may_exceed = callers.may_exceed_limits(visit.caller, visit.realm)
    limit = visit.realm.api_key_hours
    form.hours.description = f"Leave empty for {limit}, the organisation's limit." + (
        " You may exceed it." if may_exceed else " That is also the most, unless an administrator has allowed you more."
    )
    if not may_exceed:
        del form.never
    made: dict[str, Any] = {}

    def act() -> None:
        wish = KeyWish(
            name=form.name.data or "", description=form.description.data or "", hours=form.hours.data,
            expires_at=form.expires.data,
            never=bool("never" in form and form.never.data), roles=form.roles.data, projects=form.projects.data,
            addresses=form.addresses.data, rate_per_minute=form.rate_per_minute.data,
        )  # fmt: skip
        owner = None if own else _owner_uid(visit, form.owner.data or "")
        new = callers.make_key(visit.caller, visit.realm, owner, wish)
        made.update(plain=new.plain_key, uid=new.key.uid, name=new.key.name, expires_at=new.key.expires_at)
        commit()

    if form.do(act):
        return _show_plain(visit, made, "Created")
    return shown("console/form.html", form, title="New API key", submit="Create", back=(back, back_title), intro="")


def _show_plain(visit: Visit, made: dict[str, Any], done: str) -> str:
    return render("console/keys/plain.html", **made, done=done, url=_url(visit, made["uid"]))


@page
def show_key(visit: Visit, uid: str) -> Response | str:
    """Show a key with its use and its successor; change what can be changed."""
    key = callers.readable_key(visit.caller, visit.realm, uid)
    form = KeyChangeForm(visit.posted, {"name": key.name, "description": key.description})

    def act() -> None:
        changed = callers.writable_key(visit.caller, visit.realm, uid)
        callers.check_change(visit.caller, visit.realm, changed)
        apikeys.update_key(visit.realm, changed, name=form.name.data or "", description=form.description.data or "")
        commit()

    if form.do(act):
        return go(f"{_url(visit, uid)}?done=saved")
    key = callers.readable_key(visit.caller, visit.realm, uid)
    successor, owner = apikeys.successor_of(key), apikeys.owner_of(key)
    held = {each.role for each in callers.held_by(owner)}
    return shown(
        "console/keys/show.html", form, key=key, owner=owner, url=_url(visit, key.uid),
        not_held=[role for role in key.roles if role not in held], successor=successor,
        quiet=apikeys.quiet_since(key, clock.now()) if successor else None, back=_back(visit, key),
        may=_is_own(visit, key) or visit.may("api-keys:write"), is_live=key.status(clock.now()) is KeyStatus.ACTIVE,
    )  # fmt: skip


@page
def rotate_key(visit: Visit, uid: str) -> Response | str:
    """Make a successor; both work for a while."""
    key = callers.readable_key(visit.caller, visit.realm, uid)
    form = RotateForm(visit.posted)
    made: dict[str, Any] = {}

    def act() -> None:
        new = callers.rotate_key(
            visit.caller, visit.realm, uid, overlap=timedelta(hours=min(form.overlap.data or 0, 100_000)), hours=None
        )
        made.update(plain=new.plain_key, uid=new.key.uid, name=new.key.name, expires_at=new.key.expires_at)
        commit()

    if form.do(act):
        return _show_plain(visit, made, "Created a successor; the old key keeps working during the overlap")
    return shown(
        "console/form.html", form, title=f"Rotate {key.name}", submit="Create successor", back=(_url(visit, key.uid), key.name),
        intro="The successor carries what this key carries. Give it to the program, then wait until the old key is unused.",
    )  # fmt: skip


@page
def deactivate_key(visit: Visit, uid: str) -> Response | str:
    """Stop a key for now, once that is confirmed."""
    key = callers.writable_key(visit.caller, visit.realm, uid)

    def act() -> None:
        callers.set_key_active(visit.caller, visit.realm, uid, active=False)
        commit()

    question = Confirmation(
        f"Deactivate {key.name}", f"Deactivate key {key.public_part}…?", "Deactivate", (_url(visit, key.uid), key.name),
        [use_of_key(key), "Keys created with it keep working; to stop them too, revoke it."], undo="Activate it again.",
    )  # fmt: skip
    return confirmed(visit, question, act, f"{_url(visit, key.uid)}?done=deactivated")


@page
def activate_key(visit: Visit, uid: str) -> Response:
    """Let a deactivated key work again."""
    callers.set_key_active(visit.caller, visit.realm, uid, active=True)
    commit()
    return go(f"{_url(visit, uid)}?done=activated")


@page
def revoke_key(visit: Visit, uid: str) -> Response | str:
    """End a key for good, with a reason."""
    key = callers.writable_key(visit.caller, visit.realm, uid)

    def act(reason: str) -> None:
        apikeys.revoke_key(visit.realm, key, reason)
        commit()

    question = Confirmation(
        f"Revoke {key.name}", f"Revoke key {key.public_part}… permanently?", "Revoke", (_url(visit, key.uid), key.name),
        [use_of_key(key), "Every token it was exchanged for, and every key created with it, stops working too, within a second."],
        asks_reason=True,
    )  # fmt: skip
    return confirmed(visit, question, act, f"{_url(visit, key.uid)}?done=revoked")


@page
def delete_key(visit: Visit, uid: str) -> Response | str:
    """Remove a key from the lists, once that is confirmed."""
    key = callers.writable_key(visit.caller, visit.realm, uid)
    back = _back(visit, key)

    def act() -> None:
        apikeys.delete_key(visit.realm, key)
        commit()

    question = Confirmation(
        f"Delete {key.name}", f"Delete key {key.public_part}…?", "Delete", (_url(visit, key.uid), key.name),
        [use_of_key(key), "Keys created with it are revoked.", "Only the audit trail will remember it."],
    )  # fmt: skip
    return confirmed(visit, question, act, f"{back[0]}?done=deleted")


def _owner_uid(visit: Visit, named: str) -> str:
    """Return the uid of who is meant.

    :raises NotFoundError: there is nobody.
    """
    kind, colon, name = named.strip().partition(":")
    if colon and kind == "application":
        return applications.get_application(visit.realm, name).uid
    user = users.find_user(visit.realm, name if colon and kind == "user" else named.strip())
    if user is None:
        raise NotFoundError("There is no such user (not found). Name an application as application:<name>.")
    return user.uid


def _owner_name(visit: Visit, uid: str) -> str:
    user = users.find_user_by_uid(visit.realm, uid)
    application = applications.find_application_by_uid(visit.realm, uid) if user is None else None
    return user.name if user is not None else f"application:{application.name}" if application is not None else ""


def _is_own(visit: Visit, key: ApiKey) -> bool:
    return visit.is_home and key.user_id == visit.caller.subject.id


def _back(visit: Visit, key: ApiKey) -> tuple[str, str]:
    return (page_url(MINE), "Manage keys") if _is_own(visit, key) else (f"{base(visit.realm.name)}/api-keys", "API keys")


def _url(visit: Visit, uid: str) -> str:
    return f"{base(visit.realm.name)}/api-keys/{uid}"
