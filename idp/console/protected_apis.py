"""Protected APIs: what a proxy that asks the gateway lets through."""

from collections.abc import Sequence
from typing import Any

import wtforms
from flask import Response

from idp import access, protected_apis, rules, runtime
from idp.console.browser import Visit, page
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other
from idp.console.exports import list_page
from idp.console.forms import ChecksField, Form, choices, name_field, text
from idp.console.language import say
from idp.console.lists import Column, ListView
from idp.console.navigation import base
from idp.console.rule_tester import tester
from idp.console.sheet_forms import sheet_form, stored_in
from idp.errors import InvalidValueError
from idp.protected_apis import METHODS, MOST_RULES, ProtectedApiSheet

MOST_EDITED = 100
"""Rules that one form carries; an API with more is changed by its realm file."""

TOO_MANY = f"A page takes at most {MOST_EDITED} rules. Use a realm file for more."


class RuleRow(wtforms.Form):
    """Who may call which paths."""

    path = text("Path", "It and everything below it.", longest=500)
    methods = ChecksField("Methods", choices=choices(METHODS))
    roles = text(
        "Roles",
        "Any of these; none for every caller who is identified.",
        longest=2_000,
        render_kw={"data-suggest": "role", "data-many": "yes"},
    )
    project = text(
        "Project", "Where the role is held; empty for the organisation.", longest=64, render_kw={"data-suggest": "project"}
    )
    open = wtforms.BooleanField("Open to everybody, without identifying the caller")
    remove = wtforms.BooleanField("Remove this rule")

    @property
    def is_rule(self) -> bool:
        """Tell whether there is anything in the row, and it is to stay."""
        return any(self.data.values()) and not self.remove.data


class _Rules(Form):
    rules = wtforms.FieldList(wtforms.FormField(RuleRow), max_entries=MOST_RULES)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # rows that were left empty are no rules: neither counted in what is said of one, nor different from what is stored
        self.rules.entries = [row for row in self.rules.entries if row.form.is_rule]
        if self.conflicts.get("rules") == self.rules.data:
            del self.conflicts["rules"]

    def offer_row(self) -> None:
        """Show an empty row for a further rule, to begin with and whenever one is asked for."""
        if not self.is_sent and not self.is_restored and len(self.rules) < MOST_EDITED:
            self.rules.append_entry()

    @property
    def sheet(self) -> ProtectedApiSheet:
        """What was typed."""
        return ProtectedApiSheet.read({"audience": self.data["audience"], "rules": [_rule(row.form.data) for row in self.rules]})


def _audience() -> wtforms.StringField:
    title, hint = ProtectedApiSheet.model_fields["audience"].title or "", ProtectedApiSheet.description_of("audience")
    return text(title, hint, required=True, longest=255)


ApiForm = sheet_form(ProtectedApiSheet, base=_Rules, without={"rules"}, audience=_audience())
NewApiForm = sheet_form(
    ProtectedApiSheet, base=_Rules, without={"rules"}, name=name_field("Part of its URL."), audience=_audience()
)


_LIST = ListView(
    "Protected APIs",
    (
        Column("name", "Name", "name"),
        Column("audience", "Audience"),
        Column("rules", "Rules", is_number=True, plain=lambda api: len(api.rules)),
        Column("changed", "Changed", "changed", newest_first=True, plain=lambda api: api.updated_at),
    ),
    search="Name or audience",
    order="name",
)


@page
def list_apis(visit: Visit) -> Response | str:
    """List the protected APIs of the realm."""
    rules.protected_apis.check_reading(visit.authority)
    asked, may = _LIST.asked(), rules.protected_apis.can_change(visit.authority)
    listing = protected_apis.api_listing(visit.realm, containing=asked.search)
    return list_page(visit, "console/protected_apis/list.html", _LIST, listing, asked, may=may)


@page
def new_api(visit: Visit) -> Response | str:
    """Make a protected API."""
    rules.protected_apis.check_changing(visit.authority)
    form = NewApiForm(visit.posted)
    _read_more(visit, form)

    def act() -> None:
        if len(form.rules) > MOST_EDITED:
            raise InvalidValueError(TOO_MANY)
        protected_apis.create_api(visit.realm, form.name.data or "", form.sheet)

    if form.do(act):
        return see_other(f"{_url(visit, form.name.data)}?done=created")
    return _shown(visit, form, name="", stored=[], call_form=None)


@page
def show_api(visit: Visit, name: str) -> Response | str:
    """Show a protected API with its rules; change them."""
    api = rules.protected_apis.visible(visit.authority, name)
    stored = [_row(rule) for rule in api.rules]
    form = ApiForm(visit.posted, stored_in(ProtectedApiSheet, api) | {"rules": stored})
    _read_more(visit, form)

    def act() -> None:
        rules.protected_apis.check_changing(visit.authority)
        if len(form.rules) > MOST_EDITED:
            raise InvalidValueError(TOO_MANY)
        protected_apis.put_api(visit.realm, name, form.sheet)

    if form.do(act):
        return see_other(f"{_url(visit, name)}?done=saved")
    return _shown(visit, form, name=name, stored=stored, **tester(visit, api))


@page
def delete_api(visit: Visit, name: str) -> Response | str:
    """Delete a protected API, once that is confirmed."""
    rules.protected_apis.check_changing(visit.authority)
    rules.protected_apis.visible(visit.authority, name)

    def act() -> None:
        protected_apis.delete_api(visit.realm, name)

    question = Confirmation(
        say("Delete {name}", name=name),
        say("Delete protected API {name}?", name=name),
        say("Delete"),
        (_url(visit, name), name),
        [say("Every call to it through a proxy that asks this server is refused within a second.")],
        typed=name,
    )
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/apis?done=deleted")


def _read_more(visit: Visit, form: Any) -> None:
    """Take a form that asks for more rows as one that has not been sent yet."""
    if visit.posted is not None and visit.posted.get("more"):
        form.is_sent = False


def _shown(visit: Visit, form: Any, *, name: str, stored: Sequence[dict[str, Any]], **further: Any) -> Response:
    refused = form.problem or form.is_restored
    opened = [number for number, row in enumerate(form.rules, 1) if refused and row.data not in stored]
    form.offer_row()
    projects = [each.name for each in access.list_projects(visit.realm) if rules.projects.sees(visit.authority, each)][:300]
    check = f"{runtime.current().settings.public_url}/gateway/check/{visit.realm.name}/{name}"
    may = rules.protected_apis.can_change(visit.authority)
    fits = len(form.rules) <= MOST_EDITED
    facts = {"name": name, "projects": projects, "check": check, "may": may, "most": MOST_EDITED, "fits": fits, "opened": opened}
    return form_page("console/protected_apis/show.html", form, **facts, **further)


def _row(rule: dict[str, Any]) -> dict[str, Any]:
    return rule | {"roles": " ".join(rule["roles"]), "open": rule.get("open", False), "remove": False}


def _rule(row: dict[str, Any]) -> dict[str, Any]:
    typed = {name: row[name] or "" for name in ("path", "project")}
    return typed | {"methods": row["methods"] or [], "roles": (row["roles"] or "").replace(",", " ").split(), "open": row["open"]}


def _url(visit: Visit, name: str | None) -> str:
    return f"{base(visit.realm.name)}/apis/{name}"
