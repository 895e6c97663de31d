"""Trusted issuers, the rules by which what they sign admits applications, and why an assertion is accepted or not."""

from collections.abc import Mapping
from typing import Any

import wtforms
from flask import Response, request
from wtforms import validators

from idp import clock, federation, rules, runtime
from idp.console.browser import Visit, page
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other
from idp.console.exports import list_page
from idp.console.forms import CHOOSE, Form, PageWords, choices, name_field, text
from idp.console.language import say, say_count
from idp.console.lists import Column, Filter, ListView
from idp.console.navigation import base
from idp.console.rule_lines import RULE_HINT, LinesOfRule, lines_typed
from idp.console.sheet_forms import sheet_form, stored_in, values_in
from idp.errors import told
from idp.federation import PRESETS, FederationRuleSheet, TrustedIssuer, TrustedIssuerSheet
from idp.jose import MAX_TOKEN

_PRESETS: dict[str, str] = {name: preset.title for name, preset in PRESETS.items()}
_KEY_SOURCES = {
    "discovery": "The issuer says where: its discovery document",
    "url": "A URL",
    "uploaded": "Uploaded here, as the issuer cannot be reached",
}
_MODES = {"enforce": "Admit what matches", "audit": "Only record what it would have refused"}
_STATES = {
    "ready": ("ready", "good"),
    "waiting": ("waiting for its keys", "warn"),
    "failing": ("does not answer", "warn"),
    "lost": ("does not answer, and its keys are too old", "bad"),
    "disabled": ("disabled", "bad"),
}


def _select(label: str, offered: Mapping[str, str], hint: str = "") -> wtforms.SelectField:
    return wtforms.SelectField(label, choices=choices(offered, offered), description=hint)


def _key_source() -> wtforms.SelectField:
    return _select("Keys from", _KEY_SOURCES, " ".join(TrustedIssuerSheet.description_of("key_source").split()))


def _lines() -> LinesOfRule:
    return LinesOfRule("Lines", RULE_HINT)


IssuerForm = sheet_form(TrustedIssuerSheet, without={"preset"}, key_source=_key_source())
NewIssuerForm = sheet_form(
    TrustedIssuerSheet,
    without={"enabled"},
    name=name_field(),
    preset=_select("Preset", _PRESETS, "The kind of issuer, with its defaults."),
    key_source=_key_source(),
)
RuleForm = sheet_form(FederationRuleSheet, without={"issuer", "application"}, mode=_select("Mode", _MODES), lines=_lines())
NewRuleForm = sheet_form(
    FederationRuleSheet,
    without={"enabled"},
    name=name_field(),
    issuer=wtforms.SelectField("Trusted issuer", [validators.InputRequired()], validate_choice=False),
    application=text(
        "Application", "The one that is admitted.", required=True, longest=64, render_kw={"data-suggest": "application"}
    ),
    mode=_select("Mode", _MODES),
    lines=_lines(),
)


class ExplainForm(Form):
    """An assertion that is to be explained."""

    assertion = wtforms.TextAreaField(
        "Assertion",
        [validators.InputRequired(), validators.Length(max=MAX_TOKEN)],
        description="The token that the program sends. It is only examined, neither kept nor used up.",
        render_kw={"rows": 6, "spellcheck": "false", "autocomplete": "off"},
    )
    client_id = text("Application", "If the request names one.", longest=64, render_kw={"data-suggest": "application"})


_ISSUERS = ListView(
    "Trusted issuers",
    (
        Column("name", "Name", "name"),
        Column("issuer", "Issuer"),
        Column("preset", "Preset"),
        Column("state", "State", plain=lambda row: row.state(clock.now()).value),
        Column("rules", "Rules", is_number=True, plain=federation.count_rules),
        Column("fetched", "Keys fetched", is_time=True, plain=lambda row: row.fetched_at),
        Column("changed", "Changed", "changed", newest_first=True, hidden=True, plain=lambda row: row.updated_at),
    ),
    search="Name or issuer",
    order="name",
)

_RULES = ListView(
    "Federation rules",
    (
        Column("name", "Name", "name"),
        Column("issuer", "Trusted issuer", plain=lambda row: row.issuer.name),
        Column("application", "Application", plain=lambda row: row.application.name),
        Column("lines", "Lines", plain=lambda row: ", ".join(f"{line['claim']}={line['value']}" for line in row.lines)),
        Column("state", "State", plain=lambda row: row.mode if row.enabled else "disabled"),
        Column("changed", "Changed", "changed", newest_first=True, plain=lambda row: row.updated_at),
    ),
    search="Name or description",
    filters=(Filter("issuer", "Trusted issuer"), Filter("application", "Application", suggest="application")),
    order="name",
)


@page
def list_issuers(visit: Visit) -> Response | str:
    """List the trusted issuers of the realm."""
    rules.federation.check_reading(visit.authority)
    asked = _ISSUERS.asked()
    listing = federation.issuer_listing(visit.realm, containing=asked.search)
    may = rules.federation.can_change_issuers(visit.authority)
    return list_page(
        visit,
        "console/federation/issuers.html",
        _ISSUERS,
        listing,
        asked,
        may=may,
        explains=rules.federation.can_explain(visit.authority),
        states=_STATES,
        presets=_PRESETS,
        counts=federation.count_rules_by_issuer(visit.realm),
        sees_people=rules.federation.can_list_people(visit.authority),
    )


@page
def new_issuer(visit: Visit) -> Response | str:
    """Trust an issuer."""
    rules.federation.check_changing_issuers(visit.authority)
    form = NewIssuerForm(visit.posted)
    if visit.posted is None and not form.is_restored:
        _fill(form, TrustedIssuerSheet)

    def act() -> None:
        sheet = TrustedIssuerSheet.read(values_in(TrustedIssuerSheet, form))
        rules.federation.create_issuer(visit.authority, form.name.data or "", sheet)

    if form.do(act):
        return see_other(f"{_issuer_url(visit, form.name.data)}?done=created")
    return form_page("console/federation/issuer.html", form, issuer=None, presets=PRESETS, may=True, url=base(visit.realm.name))


@page
def show_issuer(visit: Visit, name: str) -> Response | str:
    """Show a trusted issuer, how old its keys are, and change it."""
    issuer = rules.federation.visible_issuer(visit.authority, name)
    form = IssuerForm(visit.posted, stored_in(TrustedIssuerSheet, issuer, without={"preset"}))

    def act() -> None:
        stored = rules.federation.visible_issuer(visit.authority, name)
        changed = TrustedIssuerSheet.of(stored).changed(values_in(TrustedIssuerSheet, form))
        rules.federation.update_issuer(visit.authority, name, changed)

    if form.do(act):
        return see_other(f"{_issuer_url(visit, name)}?done=saved")
    issuer = federation.get_issuer(visit.realm, name)
    return form_page("console/federation/issuer.html", form, **_about(visit, issuer))


def _about(visit: Visit, issuer: TrustedIssuer) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "preset": PRESETS[issuer.preset],  # type: ignore[index]  # what was stored was checked
        "presets": PRESETS,
        "state": _STATES[issuer.state(clock.now()).value],
        "audiences": sorted(federation.audiences_of(issuer, runtime.current().settings.issuer(visit.realm.name))),
        "count": federation.count_rules(issuer),
        "people": federation.count_people(issuer) if rules.federation.can_list_people(visit.authority) else None,
        "may": rules.federation.can_change_issuers(visit.authority),
        "url": _issuer_url(visit, issuer.name),
    }


@page
def refresh_issuer(visit: Visit, name: str) -> Response:
    """Have the keys of a trusted issuer fetched anew."""
    rules.federation.refresh_issuer(visit.authority, name)
    return see_other(f"{_issuer_url(visit, name)}?done=fetching")


@page
def delete_issuer(visit: Visit, name: str) -> Response | str:
    """Stop trusting an issuer, once that is confirmed."""
    rules.federation.check_changing_issuers(visit.authority)
    issuer = federation.get_issuer(visit.realm, name)
    count = federation.count_rules(issuer)

    def act() -> None:
        rules.federation.delete_issuer(visit.authority, name)

    question = Confirmation(
        say("Delete trusted issuer {name}", name=name),
        say("Stop trusting {issuer}?", issuer=issuer.issuer),
        say("Delete"),
        (_issuer_url(visit, name), name),
        [say("Nothing that it signs is accepted any more.")],
        typed=name,
        blocked=_blocked(count) if count else "",
    )
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/issuers?done=deleted")


def _blocked(count: int) -> str:
    return say_count("{count} rule is about it. Delete it first.", "{count} rules are about it. Delete them first.", count)


@page
def list_rules(visit: Visit) -> Response | str:
    """List the federation rules of the realm."""
    rules.federation.check_listing(visit.authority)
    issuers = {"": say("Any issuer"), **{each.name: each.name for each in federation.list_issuers(visit.realm)}}
    view = _RULES.with_choices(issuer=issuers)
    asked = view.asked()
    listing = federation.rule_listing(
        visit.realm, containing=asked.search, issuer=asked["issuer"], application=asked["application"]
    )
    return list_page(
        visit,
        "console/federation/rules.html",
        view,
        listing,
        asked,
        may=_may_make_rules(visit),
        explains=rules.federation.can_explain(visit.authority),
    )


@page
def new_rule(visit: Visit) -> Response | str:
    """Make a rule."""
    rules.federation.check_making_rules(visit.authority)
    form = NewRuleForm(visit.posted)
    issuers = federation.list_issuers(visit.realm)
    form.issuer.choices = choices(["", *(each.name for each in issuers)], {"": CHOOSE})
    if visit.posted is None and not form.is_restored:
        _fill(form, FederationRuleSheet)
        form.application.data = request.args.get("application", "")[:64]
        form.issuer.data = request.args.get("issuer", issuers[0].name if len(issuers) == 1 else "")

    def act() -> None:
        values = values_in(FederationRuleSheet, form) | {"lines": lines_typed(form.lines)}
        rules.federation.create_rule(visit.authority, form.name.data or "", FederationRuleSheet.read(values))

    if form.do(act):
        return see_other(f"{_rule_url(visit, form.name.data)}?done=created")
    return form_page(
        "console/federation/rule.html", form, rule=None, issuers=issuers, presets=PRESETS, may=True, url=base(visit.realm.name)
    )


@page
def show_rule(visit: Visit, name: str) -> Response | str:
    """Show a rule; change it."""
    rule = rules.federation.visible_rule(visit.authority, name)
    stored = stored_in(FederationRuleSheet, rule, without={"issuer", "application"})
    stored["lines"] = [f"{line['claim']}={line['value']}" for line in rule.lines]
    form = RuleForm(visit.posted, stored)

    def act() -> None:
        values = values_in(FederationRuleSheet, form) | {"lines": lines_typed(form.lines)}
        now = rules.federation.visible_rule(visit.authority, name)
        rules.federation.update_rule(visit.authority, name, FederationRuleSheet.of(now).changed(values))

    if form.do(act):
        return see_other(f"{_rule_url(visit, name)}?done=saved")
    rule = federation.get_rule(visit.realm, name)
    return form_page(
        "console/federation/rule.html",
        form,
        rule=rule,
        issuers=[rule.issuer],
        presets=PRESETS,
        weakness=federation.weakness_of(rule.issuer, rule.lines),
        may=_may_make_rules(visit),
        url=_rule_url(visit, name),
    )


@page
def delete_rule(visit: Visit, name: str) -> Response | str:
    """Delete a rule, once that is confirmed."""
    rule = rules.federation.visible_rule(visit.authority, name)

    def act() -> None:
        rules.federation.delete_rule(visit.authority, name)

    question = Confirmation(
        say("Delete rule {name}", name=name),
        say("Delete rule {name}?", name=name),
        say("Delete"),
        (_rule_url(visit, name), name),
        [say("Whatever only this rule admits as {application} is refused within a second.", application=rule.application.name)],
        typed=name,
    )
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/federation-rules?done=deleted")


@page
def explain(visit: Visit) -> Response | str:
    """Tell what becomes of an assertion, rule by rule and line by line."""
    rules.federation.check_explaining(visit.authority)
    form = ExplainForm(visit.posted)
    if visit.posted is None:
        form.client_id.data = request.args.get("application", "")[:64]
    explained: list[federation.Explanation] = []

    def act() -> None:
        assertion, client_id = (form.assertion.data or "").strip(), (form.client_id.data or "").strip()
        explained.append(rules.federation.explain(visit.authority, assertion, client_id))

    form.do(act)
    return form_page(
        "console/federation/explain.html",
        form,
        explained=explained[0] if explained else None,
        problem=told(explained[0].verdict.problem, PageWords()) if explained else "",
        caveat=told(explained[0].caveat, PageWords()) if explained else "",
    )


def _fill(form: Any, sheet: type[TrustedIssuerSheet | FederationRuleSheet]) -> None:
    """Show what a new one is unless something else is chosen."""
    for name, value in stored_in(sheet, sheet()).items():
        if name in form and value not in (None, "", []):
            form[name].data = value


def _may_make_rules(visit: Visit) -> bool:
    return visit.can("applications:write")


def _issuer_url(visit: Visit, name: str | None) -> str:
    return f"{base(visit.realm.name)}/issuers/{name}"


def _rule_url(visit: Visit, name: str | None) -> str:
    return f"{base(visit.realm.name)}/federation-rules/{name}"
