"""Organisations, for operators: found among a thousand, made, approved, deactivated, deleted, restored."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from urllib.parse import urlencode

import wtforms
from flask import Response, request

from idp import audit, clock, manifest, organisations, realms, rules
from idp.console.browser import Visit, page, page_with_keys
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other
from idp.console.exports import list_page
from idp.console.forms import Form, name_field, text
from idp.console.language import say, say_count
from idp.console.lists import Column, Filter, ListView
from idp.console.navigation import base
from idp.console.urls import page_url
from idp.realms import MASTER, Realm, RealmSheet, RealmState

LIST = "/console/organisations"

_KEPT = ("search", "state", "sort", "size", "after", "before", "from")
"""What leads back to the same part of the list."""


class OrganisationForm(Form):
    """A new organisation."""

    name = name_field("Appears in its URLs.")
    display_name = text("Display name", longest=200)
    pending = wtforms.BooleanField("Requires approval: nothing in it works before that")


def _token_counts(rows: Sequence[Realm]) -> list[int]:
    totals = audit.activity_totals(clock.now() - timedelta(days=30))
    return [totals.get(realm.name, 0) for realm in rows]


_LIST = ListView(
    "Organisations",
    (
        Column("name", "Name", "name"),
        Column("shown", "Display name", plain=lambda realm: realm.display_name),
        Column("state", "State", plain=lambda realm: realm.state.value),
        Column("tokens", "Tokens (30 days)", is_number=True, among=_token_counts),
        Column("created", "Created", "created", newest_first=True, plain=lambda realm: realm.created_at),
        Column("id", "UID", hidden=True, plain=lambda realm: realm.uid),
    ),
    search="Name",
    filters=(Filter("state", "State", {"": "All states"} | {state.value: state.value for state in RealmState}),),
    order="name",
)


@page
def list_organisations(visit: Visit) -> Response | str:
    """List organisations."""
    rules.realms.check_listing_all(visit.caller)
    asked = _LIST.asked()
    state = RealmState(asked["state"]) if asked["state"] else None
    return list_page(
        visit,
        "console/operators/list.html",
        _LIST,
        realms.realm_listing(containing=asked.search, state=state),
        asked,
        kept=urlencode({name: request.args.get(name, "")[:200] for name in _KEPT}),
        counts=realms.count_realms(),
        totals=audit.activity_totals(clock.now() - timedelta(days=30)),
        may=rules.realms.can_operate(visit.caller),
        grace=realms.GRACE,
    )


@page_with_keys
def new_organisation(visit: Visit) -> Response | str:
    """Make an organisation with its keys and roles."""
    rules.realms.check_operator(visit.caller)
    form = OrganisationForm(visit.posted)

    def act() -> None:
        sheet = RealmSheet.read({"display_name": form.display_name.data or ""})
        manifest.create_empty_realm(form.name.data or "", sheet, pending=bool(form.pending.data))

    if form.do(act):
        return see_other(f"{base(form.name.data or '')}?done=created")
    return form_page(
        "console/form.html",
        form,
        title=say("New organisation"),
        submit=say("Create"),
        back=(page_url(LIST), say("Organisations")),
        intro=say("It gets its own issuer, signing keys and the built-in roles."),
    )


@page
def approve(visit: Visit) -> Response:
    """Let an organisation begin that was waiting."""
    return _turn(visit, organisations.approve, "approved")


@page
def activate(visit: Visit) -> Response:
    """Let the credentials of an organisation work again."""
    return _turn(visit, realms.activate_realm, "activated")


@page
def restore(visit: Visit) -> Response:
    """Bring a deleted organisation back."""
    return _turn(visit, realms.restore_realm, "restored")


@page
def deactivate(visit: Visit) -> Response | str:
    """Stop every credential of an organisation, once that is confirmed."""
    rules.realms.check_operator(visit.caller)
    name = visit.realm.name

    def act() -> None:
        realms.deactivate_realm(visit.realm)

    question = Confirmation(
        say("Deactivate {name}", name=name),
        say("Deactivate {name} and all its credentials?", name=name),
        say("Deactivate"),
        (_list_url(), say("Organisations")),
        _use(visit.realm),
        undo=say("Activate it again, and everything works as before."),
        blocked=_blocked(name),
    )
    return confirmed(visit, question, act, _list_url(done="deactivated"))


@page
def delete(visit: Visit) -> Response | str:
    """Delete an organisation, once that is confirmed."""
    rules.realms.check_operator(visit.caller)
    name = visit.realm.name

    def act() -> None:
        realms.delete_realm(visit.realm)

    question = Confirmation(
        say("Delete {name}", name=name),
        say("Delete {name}?", name=name),
        say("Delete"),
        (_list_url(), say("Organisations")),
        _use(visit.realm),
        undo=say_count(
            "For {count} day it can be restored from the list of deleted organisations.",
            "For {count} days it can be restored from the list of deleted organisations.",
            realms.GRACE.days,
        ),
        typed=name,
        blocked=_blocked(name),
    )
    return confirmed(visit, question, act, _list_url(done="deleted"))


def _turn(visit: Visit, verb: Callable[[Realm], None], done: str) -> Response:
    rules.realms.check_operator(visit.caller)
    verb(visit.realm)
    return see_other(_list_url(done=done))


def _list_url(**more: str) -> str:
    """Return the list as somebody had narrowed it before they came here."""
    kept = {name: request.args.get(name, "")[:200] for name in _KEPT} | more
    query = urlencode({name: value for name, value in kept.items() if value})
    return page_url(f"{LIST}?{query}" if query else LIST)


def _blocked(name: str) -> str:
    return say("It is the operators' own organisation: without it, nobody could manage the others.") if name == MASTER else ""


def _use(realm: Realm) -> list[str]:
    count = audit.activity_totals(clock.now() - timedelta(days=30)).get(realm.name, 0)
    return [
        say_count(
            "In the last 30 days {count} token was issued: every application, key, session and token of it is refused "
            "within a second.",
            "In the last 30 days {count} tokens were issued: every application, key, session and token of it is refused "
            "within a second.",
            count,
        )
        if count
        else say(
            "In the last 30 days no token was issued: every application, key, session and token of it is refused within a second."
        ),
        say("Verifiers that only check signatures accept tokens already issued until they expire, for at most 10 hours."),
    ]
