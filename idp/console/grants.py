"""Who holds what where: the access review, with assigning and removing roles."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from idp import access, applications, callers, clock, realms, rules, users
from idp.access import Grant, GrantSheet, GrantState, Holder, HolderKind
from idp.console.browser import Visit, page
from idp.console.bulk import BulkAct, bulk
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other
from idp.console.exports import file_name, list_page, record_export
from idp.console.forms import CHOOSE, choice, choices, text
from idp.console.language import say
from idp.console.lists import BATCH, Act, Column, Filter, ListView, file_pieces
from idp.console.navigation import base
from idp.console.people import role_choices
from idp.console.render import part
from idp.console.sheet_forms import sheet_form
from idp.console.strong_roles import roles_to_give, sure_field, weigh
from idp.console.usage import use_of_holder
from idp.errors import InvalidValueError
from idp.web.downloads import download
from idp.web.table import csv_line

_CSV_COLUMNS = ("holder_kind", "holder", "role", "project", "until", "since", "given_by", "state")

GrantForm = sheet_form(
    GrantSheet,
    holder=text(
        "Who",
        "A user's email address or name, application:<name>, or group:<name>.",
        required=True,
        longest=300,
        render_kw={"data-suggest": "holder"},
    ),
    role=choice("Role"),
    project=text("Project", "Leave empty for the whole organisation.", longest=64, render_kw={"data-suggest": "project"}),
    sure=sure_field(),
)
EndForm = sheet_form(GrantSheet, sure=sure_field())


_LIST = ListView(
    "Roles and projects",
    (
        Column("who", "Who", "holder", plain=lambda grant: f"{grant.holder_kind}:{grant.holder_name}"),
        Column("role", "Role", plain=lambda grant: grant.role.name),
        Column("where", "Where", plain=lambda grant: grant.project.name if grant.project else "whole organisation"),
        Column("until", "Until", is_time=True),
        Column("since", "Since", "created", newest_first=True, plain=lambda grant: grant.created_at),
        Column("by", "Assigned by", hidden=True, plain=lambda grant: grant.granted_by),
    ),
    search="Who",
    filters=(
        Filter("role", "Role"),
        Filter("project", "Project", suggest="project"),
        Filter("state", "State", {"": "Live and ended", "live": "Live", "ending": "Ending within 30 days", "ended": "Ended"}),
    ),
    order="created",
    newest_first=True,
    acts=(Act("take", "Remove", is_danger=True),),
    sizes=(25,),  # a row names three things, and links to what can be done with each of them
    key=lambda grant: str(grant.uid),
)


@page
def review(visit: Visit) -> Response | str:
    """Show who holds what where, since when, until when, given by whom."""
    projects = rules.grants.listed(visit.authority)
    view = _LIST.with_choices(role=role_choices(visit))
    asked, filters = view.asked(), _filters()
    listing = access.grant_listing(visit.realm, projects=projects, **filters)
    may = visit.can_somewhere("grants:write")
    query = urlencode(filters)
    return list_page(visit, "console/access/review.html", view, listing, asked, acts=may, may=may, query=query)


@page
def take_several(visit: Visit) -> Response | str:
    """Remove several roles from those who hold them."""

    def take(uid: str) -> None:
        grant = rules.grants.visible(visit.authority, uid)
        holder, project = callers.holder_of_grant(visit.realm, grant), grant.project.name if grant.project else ""
        rules.grants.take(visit.authority, holder, grant.role.name, project=project)

    acts = {
        "take": BulkAct(
            say("Remove"),
            say("removed"),
            take,
            (say("New tokens do not carry them; introspection, the gateway and this server no longer count them."),),
            is_danger=True,
            undo=say("Assign them again."),
        )
    }
    return bulk(visit, "role", (f"{base(visit.realm.name)}/access", say("Access review")), acts)


@page
def review_csv(visit: Visit) -> Response:
    """Return the whole access review as CSV (RFC 4180), a row for each grant."""
    filters, projects, name = _filters(), rules.grants.listed(visit.authority), visit.realm.name

    def fetch(after: int | None) -> Sequence[Grant]:
        realm = realms.get_realm(name)  # each batch is read in a transaction of its own
        return access.page_of_grants(realm, after=after or 0, limit=BATCH, projects=projects, **filters)

    record_export(name, _LIST.title, _LIST.with_choices(role=role_choices(visit)).asked())
    pieces = file_pieces(fetch, lambda grant: csv_line(_cells(grant)), first=csv_line(_CSV_COLUMNS))
    return download(file_name(name, "access"), "text/csv", pieces)


@page
def give(visit: Visit) -> Response | str:
    """Assign a role to somebody."""
    rules.grants.check_giving_somewhere(visit.authority)
    asked = _asked()
    held = _held(visit, asked)
    if held is not None:
        return _change_end(visit, asked, held)
    form = GrantForm(visit.posted, {**asked, "role": "", "held": False})  # no link chooses a role for somebody
    roles = roles_to_give(visit, asked["project"])
    form.role.choices = choices(["", *(role.name for role in roles)], {"": CHOOSE})
    weighed = weigh(form, roles, [(form.role.data or "", form.project.data or "")])

    def act() -> None:
        role, project = form.role.data or "", form.project.data or ""
        holder = find_holder(visit, form.holder.data or "")
        rules.grants.give(visit.authority, holder, role, project=project, until=form.until.data)

    if form.do(act):
        return see_other(_done(_back(visit, asked, form.holder.data or ""), "granted"))
    return form_page(
        "console/access/give.html",
        form,
        title=say("Assign role"),
        submit=say("Assign"),
        back=(_back(visit, asked, asked["holder"]), asked["holder"] or say("Access review")),
        intro=say(
            "If the role is already assigned, its end date changes to the one you choose here. You cannot assign more than you "
            "hold yourself, nor for longer."
        ),
        weighed=weighed,
    )


def _change_end(visit: Visit, asked: dict[str, str], held: Grant) -> Response | str:
    """Give what is held already another end."""
    form = EndForm(visit.posted, {"until": held.until, "held": held.id})
    holder = find_holder(visit, asked["holder"])
    has_ended = held.state(clock.now()) is GrantState.ENDED  # another end gives it once more
    offered = roles_to_give(visit, asked["project"])
    weighed = weigh(form, offered, [(held.role.name, asked["project"])] if has_ended else [])

    def act() -> None:
        until = form.until.data
        if held.until is not None and until == held.until.replace(second=0, microsecond=0):
            until = held.until  # the field knows no seconds
        rules.grants.give(visit.authority, holder, asked["role"], project=asked["project"], until=until)

    url = _holder_url(visit, asked["holder"])
    if form.do(act):
        return see_other(_done(url, "saved"))
    return form_page(
        "console/access/give.html",
        form,
        title=say("Change end date"),
        submit=say("Save"),
        back=(url, holder.name),
        intro=_what_is_held(holder.name, asked["role"], asked["project"]),
        weighed=weighed,
    )


@page
def take(visit: Visit) -> Response | str:
    """Remove a role from somebody, once that is confirmed."""
    asked = _asked()
    rules.grants.check_giving(visit.authority, asked["project"])
    holder = find_holder(visit, asked["holder"])
    is_own = holder.kind is HolderKind.USER and holder.key == visit.caller.subject.uid
    url = _holder_url(visit, asked["holder"])

    def act() -> None:
        rules.grants.take(visit.authority, holder, asked["role"], project=asked["project"])

    question = Confirmation(
        say("Remove {role}", role=asked["role"]),
        _whether_to_take(holder.name, asked["role"], asked["project"]),
        say("Remove"),
        (url, holder.name),
        [
            *([say("It is your own role: you cannot assign yourself a role again that you no longer hold.")] if is_own else []),
            *_last_one(visit, asked, holder),
            *use_of_holder(visit.realm, holder),
            say("New tokens do not carry it; introspection, the gateway and this server no longer count it."),
        ],
        undo="" if is_own else say("Assign it again."),
    )
    return confirmed(visit, question, act, _done(url, "taken"))


def _last_one(visit: Visit, asked: dict[str, str], holder: Holder) -> list[str]:
    """Say so if nobody else could give roles in this organisation afterwards."""
    if asked["project"] or not rules.grants.is_last_to_give(visit.authority, holder, asked["role"]):
        return []
    return [say("Nobody else can assign roles here: after this, only an operator of the server can.")]


def find_holder(visit: Visit, named: str) -> Holder:
    """Return who is meant by `application:<name>`, `user:<name or uid>`, `group:<name>`, or a user's name alone.

    :raises InvalidValueError: it has another form.
    :raises DeniedError: the caller may not see who there is.
    :raises NotFoundError: there is none.
    """
    kind, colon, name = named.strip().partition(":")
    if not colon:
        kind, name = "user", kind  # a mail address as it is, or a machine user's name
    match kind:
        case "application":
            return applications.holder_of(rules.applications.visible(visit.authority, name))
        case "user":
            user = users.find_user(visit.realm, name)
            return users.holder_of(rules.users.visible(visit.authority, user.uid if user else name))
        case "group":
            return users.group_holder(rules.groups.visible(visit.authority, name))
    raise InvalidValueError(
        "Name a user by email address or name, an application as application:<name>, a group as group:<name>."
    )


def _asked() -> dict[str, str]:
    """Return which grant the URL names."""
    return {name: request.args.get(name, "")[:300] for name in ("holder", "role", "project")}


def _held(visit: Visit, asked: dict[str, str]) -> Grant | None:
    """Return the grant that the URL names, if there is such a one and the caller may see it."""
    if not asked["role"] or not asked["holder"] or not rules.grants.sees_all(visit.authority, asked["project"]):
        return None
    holder = find_holder(visit, asked["holder"])
    return access.find_grant(visit.realm, holder, asked["role"], project=asked["project"] or None)


def _what_is_held(name: str, role: str, project: str) -> str:
    if project:
        return say("{name} holds {role} on project {project}.", name=name, role=role, project=project)
    return say("{name} holds {role} on the whole organisation.", name=name, role=role)


def _whether_to_take(name: str, role: str, project: str) -> str:
    if project:
        return say("Remove role {role} on project {project} from {name}?", name=name, role=role, project=project)
    return say("Remove role {role} on the whole organisation from {name}?", name=name, role=role)


def _back(visit: Visit, asked: dict[str, str], holder: str) -> str:
    """Return the page that giving began at: a project's, a holder's, or the review."""
    if asked["project"] and not asked["holder"]:
        return f"{base(visit.realm.name)}/projects/{part(asked['project'])}"
    return _holder_url(visit, holder)


def _holder_url(visit: Visit, named: str) -> str:
    kind, colon, name = named.partition(":")
    if not colon:
        kind, name = "user", kind
    pages = {"application": "applications", "user": "users", "group": "groups"}
    if kind not in pages or not name:
        return f"{base(visit.realm.name)}/access"
    if kind == "user":
        user = users.find_user(visit.realm, name)
        name = user.uid if user is not None else name
    return f"{base(visit.realm.name)}/{pages[kind]}/{part(name)}?tab=access"


def _filters() -> dict[str, Any]:
    """Return what the review is narrowed to, from the URL."""
    chosen = {name: request.args.get(name, "")[:300].strip() for name in ("role", "project")}
    chosen["holder"] = (request.args.get("search", "") or request.args.get("holder", ""))[:300].strip()
    ended = request.args.get("state", "")
    return {**chosen, "state": ended if ended in {"live", "ended", "ending"} else ""}


def _cells(grant: Grant) -> tuple[str, ...]:
    return (
        grant.holder_kind,
        grant.holder_name,
        grant.role.name,
        grant.project.name if grant.project else "",
        grant.until.isoformat(timespec="seconds") if grant.until else "",
        grant.created_at.isoformat(timespec="seconds"),
        grant.granted_by,
        grant.state(clock.now()).value,
    )


def _done(url: str, what: str) -> str:
    """Return a URL with the notice of what was done."""
    return f"{url}{'&' if '?' in url else '?'}done={what}"
