"""Registration tokens, with which applications register themselves: created and shown once, listed, revoked."""

import wtforms
from flask import Response
from wtforms import validators

from idp import applications, clock, registrations, rules
from idp.console.browser import Visit, page, page_with_secret
from idp.console.dialogs import Confirmation, confirmed, form_page
from idp.console.exports import list_page
from idp.console.forms import ChecksField, choices
from idp.console.language import count_of, say
from idp.console.lists import Column, ListView
from idp.console.navigation import base
from idp.console.render import render
from idp.console.sheet_forms import sheet_form, values_in
from idp.errors import InvalidValueError
from idp.registrations import RegistrationTokenSheet

_KINDS = {
    "web": "Web: its server keeps a secret",
    "native": "Native: on somebody's own device",
    "browser": "Browser: a page in somebody's browser",
}


def _title(field: str) -> str:
    return RegistrationTokenSheet.model_fields[field].title or ""


TokenForm = sheet_form(
    RegistrationTokenSheet,
    kinds=ChecksField(_title("kinds"), choices=choices(_KINDS, _KINDS)),
    scopes=ChecksField(_title("scopes"), choices=choices(applications.SCOPES)),
    limit=wtforms.IntegerField(_title("limit"), [validators.InputRequired()], description="How many can be registered with it."),
)


_LIST = ListView(
    "Registration tokens",
    (
        Column("begins", "Starts with", is_code=True, plain=lambda row: row.public_part),
        Column("description", "Description"),
        Column("state", "State", plain=lambda row: row.state(clock.now()).value),
        Column("registered", "Registered", is_number=True, plain=lambda row: row.used),
        Column("kinds", "Kinds"),
        Column("expires", "Expires", is_time=True, plain=lambda row: row.expires_at),
        Column("created", "Created", "created", newest_first=True, plain=lambda row: row.created_at),
        Column("by", "Created by", hidden=True, plain=lambda row: row.created_by),
    ),
    order="created",
    newest_first=True,
)


@page
def list_tokens(visit: Visit) -> Response | str:
    """List registration tokens, newest first, with what has become of them."""
    rules.registrations.check_reading(visit.authority)
    return list_page(
        visit,
        "console/registrations/list.html",
        _LIST,
        registrations.token_listing(visit.realm),
        _LIST.asked(),
        may=rules.registrations.can_change(visit.authority),
    )


@page_with_secret
def new_token(visit: Visit) -> Response | str:
    """Create a registration token, and show it."""
    rules.registrations.check_changing(visit.authority)
    if not visit.realm.registration:
        raise registrations.RegistrationOffError
    usual = RegistrationTokenSheet()
    form = TokenForm(visit.posted, {"kinds": usual.kinds, "scopes": usual.scopes, "limit": usual.limit})
    made: list[str] = []

    def act() -> None:
        sheet = RegistrationTokenSheet.read(values_in(RegistrationTokenSheet, form))
        made.append(rules.registrations.create(visit.authority, sheet)[1])

    if form.do(act):
        return render("console/registrations/token.html", token=made[0])
    return form_page(
        "console/form.html",
        form,
        title=say("New registration token"),
        submit=say("Create"),
        back=(f"{base(visit.realm.name)}/registration-tokens", say("Registration tokens")),
        intro=say(
            "Whoever has it registers applications here without an account. People are always asked for consent before "
            "they sign in to one of them. Applications that are not used within a week are removed."
        ),
    )


@page
def revoke_token(visit: Visit, uid: str) -> Response | str:
    """Revoke a registration token, once that is confirmed."""
    rules.registrations.check_changing(visit.authority)
    row = rules.registrations.visible(visit.authority, uid)
    back = (f"{base(visit.realm.name)}/registration-tokens", say("Registration tokens"))
    if row.revoked_at is not None:
        raise InvalidValueError("This registration token was revoked before.")

    def act() -> None:
        rules.registrations.revoke(visit.authority, uid)

    question = Confirmation(
        say("Revoke a registration token"),
        say("Revoke the registration token {name}…?", name=row.public_part),
        say("Revoke"),
        back,
        [
            say("Nothing can be registered with it any more."),
            say("What was registered with it stays: {applications}.", applications=count_of(row.used, "application")),
        ],
    )
    return confirmed(visit, question, act, f"{back[0]}?done=revoked")
