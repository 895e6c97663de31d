"""API keys: one's own at "My tools | Manage keys", everybody's for administrators, who also make them on behalf."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import wtforms
from flask import Response, request
from wtforms import validators

from idp import apikeys, applications, audit, clock, posture, rules, users
from idp.access import HolderKind
from idp.apikeys import ApiKey, ApiKeyNarrowing, ApiKeySheet, KeyStatus
from idp.console.browser import Visit, page, page_with_secret
from idp.console.bulk import BulkAct, bulk
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other, tab_asked
from idp.console.exports import list_page
from idp.console.forms import DurationField, Form, TimeField, length_of_time, text
from idp.console.language import say
from idp.console.lists import Act, Column, Filter, ListView
from idp.console.navigation import base
from idp.console.render import render
from idp.console.reviewing import KEY_FILTER, REVIEW
from idp.console.rotating import Rotated, overlap_field, rotate_several
from idp.console.sheet_forms import sheet_form, stored_in, values_in
from idp.console.trail_words import page_of
from idp.console.urls import page_url
from idp.console.usage import use_of_key
from idp.errors import NotFoundError
from idp.posture import Question

MINE = "/console/my/keys"


class _KeyForm(Form):
    """A new key, but for what it is narrowed to."""

    owner = text(
        "Owner",
        "A user's email address or name, or application:<name>.",
        required=True,
        longest=300,
        render_kw={"data-suggest": "owner"},
    )
    name = text("Name", "What it is for.", required=True, longest=64)
    description = text("Description")
    hours = DurationField("Lifetime", [validators.Optional(), validators.NumberRange(min=1)], unit="hour")
    expires = TimeField("Or valid until", description="Instead of a lifetime.")
    never = wtforms.BooleanField("Never expires")


_ELSEWHERE = {"active", "expires_at"}
"""What other pages change of a key."""

KeyChangeForm = sheet_form(ApiKeySheet, without=_ELSEWHERE, name=text("Name", required=True, longest=64))

KeyForm = sheet_form(ApiKeyNarrowing, base=_KeyForm)
"""A new key."""


class RotateForm(Form):
    """How a key is replaced."""

    overlap = DurationField(
        "How long both keys work",
        [validators.InputRequired(), validators.NumberRange(min=0)],
        unit="hour",
        default=24,
        description="During this time the old key's page shows when it is no longer used.",
    )


def _owner_names(keys: Sequence[ApiKey]) -> list[str]:
    """Return who each of these keys belongs to, as forms take it."""
    owners = apikeys.owners_of(keys)
    found = [owners[key.id] for key in keys]
    return [f"application:{owner.name}" if owner.kind is HolderKind.APPLICATION else owner.name for owner in found]


_COLUMNS = (
    Column("name", "Name", "name"),
    Column("owner", "Owner", among=_owner_names),
    Column("begins", "Starts with", is_code=True, plain=lambda key: key.public_part),
    Column("state", "State", plain=lambda key: key.status(clock.now()).value),
    Column("expires", "Expires", "expires", is_time=True, plain=lambda key: key.expires_at),
    Column("used", "Last used", "used", newest_first=True, plain=lambda key: key.last_used_at),
    Column("uses", "Uses", "uses", newest_first=True, is_number=True, plain=lambda key: key.use_count),
    Column("address", "Address", hidden=True, plain=lambda key: key.last_used_address),
    Column("created", "Created", "created", newest_first=True, hidden=True, plain=lambda key: key.created_at),
    Column("by", "Created by", hidden=True, plain=lambda key: key.created_by),
    Column("id", "UID", hidden=True, plain=lambda key: key.uid),
)
_STATES = {
    "": "Any state",
    "active": "Active",
    "expiring": "Expiring within 30 days",
    "unused": "Unused for 90 days",
    "inactive": "Deactivated",
    "expired": "Expired",
    "revoked": "Revoked",
}
_LIST = ListView(
    "API keys",
    _COLUMNS,
    search="Name or prefix",
    filters=(
        Filter("state", "State", _STATES),
        Filter("owner", "Owner", suggest="owner"),
        Filter("role", "Limited to role", suggest="role"),
        Filter("project", "Limited to project", suggest="project"),
        KEY_FILTER,
    ),
    order="used",
    newest_first=True,
    acts=(
        Act("rotate", "Rotate"),
        Act("activate", "Activate"),
        Act("deactivate", "Deactivate", is_danger=True),
        Act("revoke", "Revoke", is_danger=True),
        Act("delete", "Delete", is_danger=True),
    ),
    key=lambda key: str(key.public_part),
)
_OWN_LIST = replace(
    _LIST,
    columns=[column for column in _COLUMNS if column.name != "owner"],
    filters=[each for each in _LIST.filters if each.name not in {"owner", REVIEW}],
)


@page
def list_keys(visit: Visit) -> Response | str:
    """List the API keys of everybody."""
    rules.api_keys.check_listing(visit.authority)
    asked = _LIST.asked()
    listing = apikeys.key_listing(
        visit.realm,
        containing=asked.search,
        state=asked["state"],
        owned_by=asked["owner"],
        role=asked["role"],
        project=asked["project"],
    )
    if asked[REVIEW]:
        listing = posture.asked_of_keys(listing, visit.realm, Question(asked[REVIEW]), clock.now())
    return list_page(
        visit,
        "console/keys/list.html",
        _LIST,
        listing,
        asked,
        acts=visit.can("api-keys:write"),
        beside=lambda keys: {"owners": apikeys.owners_of(keys)},
        new=f"{base(visit.realm.name)}/api-keys/new" if visit.can("api-keys:write") else "",
        several=f"{base(visit.realm.name)}/several-api-keys",
        title=say("API keys"),
        longest=length_of_time(visit.realm.api_key_hours * 3600),
    )


@page
def my_keys(visit: Visit) -> Response | str:
    """List one's own API keys."""
    asked = _OWN_LIST.asked()
    owner = rules.api_keys.own_holder(visit.caller)
    listing = apikeys.key_listing(
        visit.realm,
        owner=owner,
        containing=asked.search,
        state=asked["state"],
        role=asked["role"],
        project=asked["project"],
    )
    return list_page(
        visit,
        "console/keys/list.html",
        _OWN_LIST,
        listing,
        asked,
        owners={},
        new=page_url(f"{MINE}/new"),
        several=page_url(f"{MINE}/several"),
        title=say("Manage keys"),
        longest=length_of_time(visit.realm.api_key_hours * 3600),
    )


@page
def change_several(visit: Visit) -> Response | str:
    """Activate, deactivate, revoke or delete several keys of a realm."""
    return _change_several(visit, (f"{base(visit.realm.name)}/api-keys", say("API keys")))


@page
def change_several_own(visit: Visit) -> Response | str:
    """Activate, deactivate, revoke or delete several keys of one's own."""
    return _change_several(visit, (page_url(MINE), say("Manage keys")))


class RotateSeveralForm(Form):
    """How several keys are replaced."""

    overlap = overlap_field()


def _rotate_several(visit: Visit, back: tuple[str, str]) -> Response | str:
    """Make a successor for each of several keys. A key that has one gets no other, so a form that is sent twice is refused."""

    def rotate(form: Any, part: str) -> Rotated:
        uid = rules.api_keys.writable(visit.authority, part).uid
        new = rules.api_keys.rotate(visit.authority, uid, overlap=timedelta(hours=form.overlap.data or 0), hours=None)
        return Rotated(part, new.key.name, new.plain_key)

    consequences = (
        "Each of them gets a successor that carries what it carries. The successors are shown once on the next page.",
        "The old keys keep working for as long as you say here, and then expire.",
    )
    return rotate_several(visit, "API key", back, RotateSeveralForm, rotate, consequences=consequences)


def _change_several(visit: Visit, back: tuple[str, str]) -> Response | str:
    if visit.posted is not None and visit.posted.get("act") == "rotate":
        return _rotate_several(visit, back)

    def found(part: str) -> ApiKey:
        return rules.api_keys.writable(visit.authority, part)

    stops = say("Every token that they were exchanged for, and every key created with them, stops working too, within a second.")
    acts = {
        "activate": BulkAct(
            "Activate",
            "activated",
            lambda part: rules.api_keys.set_active(visit.authority, found(part).uid, active=True),
            undo=say("Deactivate them again."),
        ),
        "deactivate": BulkAct(
            "Deactivate",
            "deactivated",
            lambda part: rules.api_keys.set_active(visit.authority, found(part).uid, active=False),
            (say("Keys created with them keep working; to stop those too, revoke them."),),
            is_danger=True,
            undo=say("Activate them again."),
        ),
        "revoke": BulkAct(
            "Revoke",
            "revoked",
            lambda part: apikeys.revoke_key(visit.realm, found(part), "revoked together with others"),
            (stops,),
            is_danger=True,
        ),
        "delete": BulkAct(
            "Delete",
            "deleted",
            lambda part: apikeys.delete_key(visit.realm, found(part)),
            (say("Keys created with them are revoked."), say("Only the audit trail will remember them.")),
            is_danger=True,
        ),
    }
    return bulk(visit, "API key", back, acts)


@page_with_secret
def new_key(visit: Visit) -> Response | str:
    """Make a key on behalf of somebody."""
    rules.api_keys.check_creating_for_others(visit.authority)
    stored = {"owner": _owner_name(visit, request.args.get("owner", "")[:300])} if visit.posted is None else None
    return _new_key(visit, KeyForm(visit.posted, stored), f"{base(visit.realm.name)}/api-keys", say("API keys"))


@page_with_secret
def new_own_key(visit: Visit) -> Response | str:
    """Make a key for oneself."""
    form = KeyForm(visit.posted)
    del form.owner
    return _new_key(visit, form, page_url(MINE), say("Manage keys"))


def _new_key(visit: Visit, form: Any, back: str, back_title: str) -> Response | str:
    own = "owner" not in form
    may_exceed = rules.api_keys.can_exceed_limits(visit.authority)
    limit = visit.realm.api_key_hours
    form.hours.description = say(
        "Leave empty for {duration}, the organisation's limit. You may exceed it."
        if may_exceed
        else "Leave empty for {duration}, the organisation's limit. "
        "That is also the most, unless an administrator has allowed you more.",
        duration=length_of_time(limit * 3600),
    )
    if not may_exceed:
        del form.never
    made: dict[str, Any] = {}

    def act() -> None:
        sheet = ApiKeySheet.read(values_in(ApiKeySheet, form) | {"expires_at": form.expires.data})
        wish = rules.api_keys.NewApiKey(sheet, form.hours.data, never=bool("never" in form and form.never.data))
        owner = None if own else _owner_uid(visit, form.owner.data or "")
        new = rules.api_keys.create(visit.authority, owner, wish)
        made.update(plain=new.plain_key, uid=new.key.uid, name=new.key.name, expires_at=new.key.expires_at)

    if form.do(act):
        return _show_plain(visit, made, say("Created."))
    return form_page("console/form.html", form, title=say("New API key"), submit=say("Create"), back=(back, back_title), intro="")


def _show_plain(visit: Visit, made: dict[str, Any], done: str) -> str:
    return render("console/keys/plain.html", **made, done=done, url=_url(visit, made["uid"]))


@page
def show_key(visit: Visit, uid: str) -> Response | str:
    """Show a key with its use and its successor; change what can be changed."""
    key = rules.api_keys.visible(visit.authority, uid)
    form = KeyChangeForm(visit.posted, stored_in(ApiKeySheet, key, without=_ELSEWHERE))

    def act() -> None:
        changed = rules.api_keys.writable(visit.authority, uid)
        rules.api_keys.check_change(visit.authority, changed)
        apikeys.update_key(visit.realm, changed, ApiKeySheet.of(changed).changed(values_in(ApiKeySheet, form)))

    if form.do(act):
        return see_other(f"{_url(visit, uid)}?tab=settings&done=saved")
    key = rules.api_keys.visible(visit.authority, uid)
    successor, owner = apikeys.successor_of(key), apikeys.owner_of(key)
    held = {each.role for each in rules.delegation.held_by(owner)}
    may = rules.api_keys.can_change(visit.authority, key)
    tabs = [
        ("", say("Overview")),
        *([("settings", say("Settings"))] if may else []),
        *([("activity", say("Activity"))] if rules.audit.can_read(visit.authority) else []),
        *([("danger", say("Danger zone"))] if may else []),
    ]
    tab, target = "settings" if form.is_sent else tab_asked(tabs), f"api-key:{key.public_part}"
    return form_page(
        "console/keys/show.html",
        form,
        tab=tab,
        tabs=tabs,
        key=key,
        owner=owner,
        owner_url=page_of(f"{owner.kind.value}:{owner.name}"),
        target=target,
        events=audit.list_events(visit.realm.name, target=target, limit=20) if tab == "activity" else [],
        url=_url(visit, key.uid),
        not_held=[role for role in key.roles if role not in held],
        successor=successor,
        quiet=apikeys.quiet_since(key, clock.now()) if successor else None,
        back=_back(visit, key),
        may=may,
        is_live=key.status(clock.now()) is KeyStatus.ACTIVE,
    )


@page
def rotate_key(visit: Visit, uid: str) -> Response | str:
    """Make a successor; both work for a while."""
    key = rules.api_keys.visible(visit.authority, uid)
    form = RotateForm(visit.posted)
    made: dict[str, Any] = {}

    def act() -> None:
        new = rules.api_keys.rotate(
            visit.authority, uid, overlap=timedelta(hours=min(form.overlap.data or 0, 100_000)), hours=None
        )
        made.update(plain=new.plain_key, uid=new.key.uid, name=new.key.name, expires_at=new.key.expires_at)

    if form.do(act):
        return _show_plain(visit, made, say("Created a successor; the old key keeps working during the overlap."))
    return form_page(
        "console/form.html",
        form,
        title=say("Rotate {name}", name=key.name),
        submit=say("Create successor"),
        back=(_url(visit, key.uid), key.name),
        intro=say("The successor carries what this key carries. Give it to the program, then wait until the old key is unused."),
    )


@page
def deactivate_key(visit: Visit, uid: str) -> Response | str:
    """Stop a key for now, once that is confirmed."""
    key = rules.api_keys.writable(visit.authority, uid)

    def act() -> None:
        rules.api_keys.set_active(visit.authority, uid, active=False)

    question = Confirmation(
        say("Deactivate {name}", name=key.name),
        say("Deactivate key {name}…?", name=key.public_part),
        say("Deactivate"),
        (_url(visit, key.uid), key.name),
        [use_of_key(key), say("Keys created with it keep working; to stop them too, revoke it.")],
        undo=say("Activate it again."),
    )
    return confirmed(visit, question, act, f"{_url(visit, key.uid)}?done=deactivated")


@page
def activate_key(visit: Visit, uid: str) -> Response:
    """Let a deactivated key work again."""
    rules.api_keys.set_active(visit.authority, uid, active=True)
    return see_other(f"{_url(visit, uid)}?done=activated")


@page
def revoke_key(visit: Visit, uid: str) -> Response | str:
    """End a key for good, with a reason."""
    key = rules.api_keys.writable(visit.authority, uid)

    def act(reason: str) -> None:
        apikeys.revoke_key(visit.realm, key, reason)

    question = Confirmation(
        say("Revoke {name}", name=key.name),
        say("Revoke key {name}… permanently?", name=key.public_part),
        say("Revoke"),
        (_url(visit, key.uid), key.name),
        [
            use_of_key(key),
            say("Every token it was exchanged for, and every key created with it, stops working too, within a second."),
        ],
        asks_reason=True,
    )
    return confirmed(visit, question, act, f"{_url(visit, key.uid)}?done=revoked")


@page
def delete_key(visit: Visit, uid: str) -> Response | str:
    """Remove a key from the lists, once that is confirmed."""
    key = rules.api_keys.writable(visit.authority, uid)
    back = _back(visit, key)

    def act() -> None:
        apikeys.delete_key(visit.realm, key)

    question = Confirmation(
        say("Delete {name}", name=key.name),
        say("Delete key {name}…?", name=key.public_part),
        say("Delete"),
        (_url(visit, key.uid), key.name),
        [use_of_key(key), say("Keys created with it are revoked."), say("Only the audit trail will remember it.")],
    )
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
        raise NotFoundError("There is no such user (not found). Name an application as application:<name>.").leading_to(
            "list users"
        )
    return user.uid


def _owner_name(visit: Visit, uid: str) -> str:
    user = users.find_user_by_uid(visit.realm, uid)
    application = applications.find_application_by_uid(visit.realm, uid) if user is None else None
    return user.name if user is not None else f"application:{application.name}" if application is not None else ""


def _is_own(visit: Visit, key: ApiKey) -> bool:
    return visit.is_home and key.user_id == visit.caller.subject.id


def _back(visit: Visit, key: ApiKey) -> tuple[str, str]:
    return (
        (page_url(MINE), say("Manage keys")) if _is_own(visit, key) else (f"{base(visit.realm.name)}/api-keys", say("API keys"))
    )


def _url(visit: Visit, uid: str) -> str:
    return f"{base(visit.realm.name)}/api-keys/{uid}"
