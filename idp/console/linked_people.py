"""People whom a trusted issuer knows, and which users they are: listed, linked, unlinked."""

from typing import Any
from urllib.parse import urlencode

import wtforms
from flask import Response, request
from wtforms import validators

from idp import federation, rules
from idp.console.browser import Visit, page
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other
from idp.console.exports import list_page
from idp.console.forms import CHOOSE, Form, choices, text
from idp.console.language import say
from idp.console.lists import Column, Filter, ListView
from idp.console.navigation import base
from idp.federation import FederatedPerson
from idp.users import User, UserKind

MOST_OF_USER = 5
"""Links that the page of a user shows."""

_LIST = ListView(
    "Linked people",
    (
        Column("subject", "Subject", "subject"),
        Column("issuer", "Trusted issuer", plain=lambda row: row.issuer.name),
        Column("user", "User", plain=lambda row: row.user.name),
        Column("created", "Linked", "created", newest_first=True, plain=lambda row: row.created_at),
        Column("id", "UID", hidden=True, plain=lambda row: row.uid),
    ),
    search="Subject or user",
    filters=(Filter("issuer", "Trusted issuer"), Filter("user", "User", suggest="user")),
    order="subject",
)


class LinkForm(Form):
    """Who somebody is there, and here."""

    issuer = wtforms.SelectField("Trusted issuer", [validators.InputRequired()], validate_choice=False)
    subject = text(
        "Subject", "`sub` of its grants for the person: an id that it never gives to another.", required=True, longest=255
    )
    user = text("User", "The person that this is here.", required=True, longest=254, render_kw={"data-suggest": "user"})


@page
def list_people(visit: Visit) -> Response | str:
    """List who of the subjects of trusted issuers stands for whom."""
    rules.federation.check_listing_people(visit.authority)
    issuers = {"": say("Any issuer"), **{each.name: each.name for each in federation.list_issuers(visit.realm)}}
    view = _LIST.with_choices(issuer=issuers)
    asked = view.asked()
    listing = federation.people_listing(visit.realm, containing=asked.search, issuer=asked["issuer"], user=asked["user"])
    about = {name: value for name, value in asked.filters.items() if value}
    return list_page(
        visit,
        "console/federation/people.html",
        view,
        listing,
        asked,
        may=rules.federation.can_change_issuers(visit.authority),
        link_url=f"{base(visit.realm.name)}/link-person{'?' if about else ''}{urlencode(about)}",
    )


@page
def link_person(visit: Visit) -> Response | str:
    """Say whom the subject of a trusted issuer stands for."""
    rules.federation.check_changing_issuers(visit.authority)
    form = LinkForm(visit.posted)
    issuers = [each.name for each in federation.list_issuers(visit.realm)]
    form.issuer.choices = choices(["", *issuers], {"": CHOOSE})
    if visit.posted is None and not form.is_restored:
        form.issuer.data = request.args.get("issuer", issuers[0] if len(issuers) == 1 else "")
        form.user.data = request.args.get("user", "")[:254]

    def act() -> None:
        rules.federation.link_person(visit.authority, form.issuer.data or "", form.subject.data or "", form.user.data or "")

    if form.do(act):
        return see_other(f"{_list_url(visit, form.issuer.data or '')}&done=linked")
    return form_page(
        "console/form.html",
        form,
        title=say("Link person"),
        submit=say("Link"),
        back=(f"{base(visit.realm.name)}/linked-people", say("Linked people")),
        intro=say(
            "From then on, applications can act for the person with a grant of that issuer (ID-JAG). Whoever runs the issuer can "
            "act as everybody who is linked."
        ),
    )


@page
def unlink_person(visit: Visit, uid: str) -> Response | str:
    """Have the subject of a trusted issuer stand for nobody, once that is confirmed."""
    row = rules.federation.linked_person(visit.authority, uid)
    issuer, subject, user = row.issuer.name, row.subject, row.user.name

    def act() -> None:
        rules.federation.unlink_person(visit.authority, uid)

    question = Confirmation(
        say("Unlink {name}", name=user),
        say("Unlink {subject} of {issuer} from {user}?", subject=subject, issuer=issuer, user=user),
        say("Unlink"),
        (_list_url(visit, issuer), say("Linked people")),
        [
            say("Grants of {issuer} for this person are refused.", issuer=issuer),
            say("What applications already have for this person by that ends at once."),
        ],
        undo=say("Link the subject again."),
    )
    return confirmed(visit, question, act, f"{_list_url(visit, issuer)}&done=unlinked")


def facts_of_links(visit: Visit, user: User) -> dict[str, Any]:
    """Return for the page of a user who they are elsewhere, and whether the caller may link them here."""
    links: list[FederatedPerson] = []
    if user.kind == UserKind.PERSON.value and rules.federation.can_list_people(visit.authority):
        listing = federation.people_listing(visit.realm, user=user.name)
        links = listing.take("subject", descending=False, after=None, limit=MOST_OF_USER)
    may = user.kind == UserKind.PERSON.value and rules.federation.can_change_issuers(visit.authority)
    return {"links": links, "links_here": may and bool(links or federation.list_issuers(visit.realm))}


def _list_url(visit: Visit, issuer: str) -> str:
    return f"{base(visit.realm.name)}/linked-people?{urlencode({'issuer': issuer})}"
