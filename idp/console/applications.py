"""Applications: made on one page, shown with their secret and the ready command, tried, changed, disabled, deleted."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import wtforms
from flask import Response
from wtforms import validators

from idp import access, apikeys, applications, audit, clock, federation, keysets, posture, rules, runtime
from idp.apikeys import ApiKey
from idp.applications import Application, ApplicationSecret, ApplicationSheet, Kind
from idp.console.browser import Visit, page
from idp.console.bulk import BulkAct, bulk
from idp.console.charts import REFUSALS, USES, Chart, day_label, last_days
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other, tab_asked
from idp.console.exports import list_page
from idp.console.forms import CHOOSE, Form, LinesField, NamesField, TimeField, choices, name_field, text
from idp.console.key_pairs import making_key_pair
from idp.console.language import count_of, say, say_count
from idp.console.lists import Act, Column, Filter, ListView
from idp.console.navigation import base
from idp.console.people import role_choices
from idp.console.render import render
from idp.console.reviewing import APPLICATION_FILTER, REVIEW
from idp.console.rotating import Rotated, overlap_field, rotate_several
from idp.console.rule_lines import RULE_HINT, LinesOfRule, lines_typed
from idp.console.sheet_forms import JsonField, sheet_form, stored_in, values_in
from idp.console.snippets import snippets
from idp.console.strong_roles import roles_to_give, sure_field, weigh
from idp.console.usage import use_of_application
from idp.errors import InvalidValueError
from idp.federation import FederationRuleSheet
from idp.posture import Question
from idp.web.posted import Posted

MOST_RULES = 20
"""Federation rules that the page of an application shows."""

MOST_ROWS = 20
"""Projects that can be given when an application is made; more on its own page."""

_AUDIENCE = (
    "Who its tokens are for (aud). Include {issuer} to let it administer this organisation. "
    "Without any, its tokens are for no API in particular."
)


_KINDS = {
    "": "Machine: acts for itself, with a secret or a key",
    "web": "Web: people sign in to it, and its server keeps a secret",
    "native": "Native: people sign in to it on their own device; it keeps no secret",
    "browser": "Browser: people sign in to it, and it runs in their browser; it keeps no secret",
}


FEDERATION, PUBLIC_KEY, SECRET = "federation", "key", "secret"
_CREDENTIALS = {
    FEDERATION: "A trusted issuer vouches for it: no secret",
    PUBLIC_KEY: "A key pair: only its public key is kept here",
    SECRET: "A secret that is kept here and there",
}


class ProjectRow(wtforms.Form):
    """A project that a new application is to work in."""

    project = wtforms.StringField("Project", render_kw={"data-suggest": "project"})
    role = wtforms.SelectField("Role", validate_choice=False)
    until = TimeField("Until")

    def validate_project(self, field: wtforms.Field) -> None:
        """See that a role or an end has a project.

        :raises ValidationError: it has none.
        """
        if not (field.data or "").strip() and (self.role.data or self.until.data):
            raise validators.ValidationError("Name the project, or leave the row empty.")

    def validate_role(self, field: wtforms.Field) -> None:
        """See that a project has a role.

        :raises ValidationError: it has none.
        """
        if not field.data and ((self.project.data or "").strip() or self.until.data):
            raise validators.ValidationError("Choose one.")


class NewApplicationForm(Form):
    """A new application, on one page."""

    credential = wtforms.SelectField("How it proves who it is", choices=choices(_CREDENTIALS, _CREDENTIALS))
    issuer = wtforms.SelectField("Trusted issuer", validate_choice=False)
    lines = LinesOfRule("Lines", RULE_HINT)
    jwks = JsonField("Public keys", description="A JWK set with its public keys, for private_key_jwt (RFC 7523).")
    jwks_uri = text("URL of its public keys", " ".join(ApplicationSheet.description_of("jwks_uri").split()))

    name = name_field("Becomes its client_id.")
    kind = wtforms.SelectField("Kind", choices=choices(_KINDS, _KINDS))
    redirect_uris = LinesField("Redirect URIs", "Where people are sent back to after they have signed in to it.")
    description = text("Description", "What it does.")
    roles = NamesField("Roles on the whole organisation", kind="role")
    projects = wtforms.FieldList(wtforms.FormField(ProjectRow), min_entries=1, max_entries=MOST_ROWS)
    audience = LinesField("Audience")
    sure = sure_field()


ApplicationForm = sheet_form(ApplicationSheet, without={"enabled"})
"""What can be changed of an application."""


class TryForm(Form):
    """A secret to fetch a token with."""

    client_secret = wtforms.PasswordField("Secret", [validators.InputRequired()], render_kw={"autocomplete": "off"})


_STATES = {
    "": "Any state",
    "enabled": "Enabled",
    "disabled": "Disabled",
    "expiring": "A secret expires within 30 days",
    "unused": "Unused for 90 days",
    "idle": "A secret unused for 90 days",
}

_LIST = ListView(
    "Applications",
    (
        Column("name", "Name", "name"),
        Column("description", "Description"),
        Column("state", "State", plain=lambda each: "enabled" if each.enabled else "disabled"),
        Column("tokens", "Tokens", "tokens", newest_first=True, is_number=True, plain=lambda each: each.token_count),
        Column("used", "Last used", "used", newest_first=True, plain=lambda each: each.last_used_at),
        Column("created", "Created", "created", newest_first=True, hidden=True, plain=lambda each: each.created_at),
        Column("id", "sub of its tokens", hidden=True, plain=lambda each: each.uid),
    ),
    search="Name or description",
    filters=(
        Filter("state", "State", _STATES),
        Filter("role", "Role"),
        Filter("project", "Project", suggest="project"),
        APPLICATION_FILTER,
    ),
    order="name",
    acts=(
        Act("rotate", "Rotate"),
        Act("enable", "Enable"),
        Act("disable", "Disable", is_danger=True),
        Act("delete", "Delete", is_danger=True),
    ),
)


@page
def list_applications(visit: Visit) -> Response | str:
    """List applications."""
    view = _LIST.with_choices(role=role_choices(visit))
    asked, now = view.asked(), clock.now()
    listing = applications.application_listing(
        visit.realm,
        containing=asked.search,
        projects=rules.applications.listed(visit.authority),
        role=asked["role"],
        project=asked["project"],
        state=asked["state"],
    )
    if asked[REVIEW]:
        listing = posture.asked_of_applications(listing, visit.realm, Question(asked[REVIEW]), now)
    return list_page(visit, "console/applications/list.html", view, listing, asked, acts=visit.can("applications:write"))


class RotateForm(Form):
    """How secrets are replaced."""

    name = text("Name of the new secrets", "Unique among the secrets of each application.", required=True, longest=64)
    overlap = overlap_field()

    def __init__(self, posted: Posted | None) -> None:
        """Offer a name with the day in it."""
        super().__init__(posted)
        if posted is None:
            self.name.data = f"rotated-{clock.now():%Y%m%d}"


def _rotate_several(visit: Visit, back: tuple[str, str]) -> Response | str:
    """Make a new secret for each of several applications. Its name is what a form that is sent twice is refused by."""

    def rotate(form: Any, name: str) -> Rotated:
        until = clock.now() + timedelta(hours=form.overlap.data) if form.overlap.data else None
        _, plain = rules.applications.rotate_secrets(visit.authority, name, name=form.name.data or "", until=until)
        return Rotated(name, name, plain)

    consequences = (
        "Each of them gets a new secret, which is shown once on the next page.",
        "Their old secrets keep working for as long as you say here, and then end permanently.",
        "With 0 hours they are retired, and the tokens that were fetched with them end at once.",
    )
    return rotate_several(visit, "application", back, RotateForm, rotate, consequences=consequences)


@page
def change_several(visit: Visit) -> Response | str:
    """Enable, disable or delete several applications, or replace their secrets."""
    back = (f"{base(visit.realm.name)}/applications", say("Applications"))
    if visit.posted is not None and visit.posted.get("act") == "rotate":
        return _rotate_several(visit, back)

    def turn(name: str, *, enabled: bool) -> None:
        application = rules.applications.manageable(visit.authority, name)
        sheet = ApplicationSheet.of(application).changed({"enabled": enabled})
        applications.update_application(visit.realm, application, sheet)

    def delete(name: str) -> None:
        applications.delete_application(visit.realm, rules.applications.manageable(visit.authority, name))

    acts = {
        "enable": BulkAct("Enable", "enabled", lambda name: turn(name, enabled=True), undo=say("Disable them again.")),
        "disable": BulkAct(
            "Disable",
            "disabled",
            lambda name: turn(name, enabled=False),
            (say("They get no more tokens, and introspection reports the tokens they have as inactive."),),
            is_danger=True,
            undo=say("Enable them again, and they work as before."),
        ),
        "delete": BulkAct(
            "Delete",
            "deleted",
            delete,
            (
                say("Their secrets, API keys and roles are deleted, and everything that uses them stops working."),
                say("If you are not sure, disable them first: that can be undone."),
            ),
            is_danger=True,
        ),
    }
    return bulk(visit, "application", back, acts)


@page
def new_application(visit: Visit) -> Response | str:
    """Make an application, and show its secret."""
    rules.applications.check_creating(visit.authority)
    form = NewApplicationForm(visit.posted)
    roles = [role.name for role in access.list_roles(visit.realm)]
    form.audience.description = say(_AUDIENCE, issuer=_issuer(visit))
    issuers = _issuers(visit)
    form.issuer.choices = choices(["", *issuers], {"": CHOOSE})
    if visit.posted is None and not form.is_restored:
        form.credential.data = FEDERATION if issuers else PUBLIC_KEY
        form.issuer.data = issuers[0] if len(issuers) == 1 else ""
    asks_for_more = visit.posted is not None and bool(visit.posted.get("more"))
    if asks_for_more and len(form.projects) < MOST_ROWS:
        form.projects.append_entry()
        form.is_sent = False
    for row in form.projects:
        row.form.role.choices = choices(["", *roles], {"": CHOOSE})
    grants = [grant for row in form.projects if (grant := _wished(row.form)) is not None]
    given = [*((role, "") for role in form.roles.data or []), *((role, project) for project, role, _ in grants)]
    weighed = weigh(form, roles_to_give(visit), given)
    made: dict[str, Any] = {}

    def act() -> None:
        sheet = ApplicationSheet.read(values_in(ApplicationSheet, form))
        _check_credential(form, sheet)
        name, with_secret = form.name.data or "", form.credential.data == SECRET
        wish = rules.applications.NewApplication(name, sheet, form.roles.data or [], grants, with_secret)
        application, plain = rules.applications.create(visit.authority, wish)
        if form.credential.data == FEDERATION and not application.is_public:
            rule = {"issuer": form.issuer.data or "", "application": name, "lines": lines_typed(form.lines)}
            rules.federation.create_rule(visit.authority, name[:64], FederationRuleSheet.read(rule))
        made.update(name=application.name, plain=plain)

    if form.do(act):
        if not made["plain"]:
            return see_other(f"{application_url(visit, made['name'])}/start?done=created")
        return show_secret(visit, made["name"], made["plain"], say("Created."))
    in_projects = asks_for_more or any(any(row.form.data.values()) or row.errors for row in form.projects)
    shown = {"most": MOST_ROWS, "issuers": issuers, "weighed": weighed, "pair": making_key_pair()}
    return form_page("console/applications/new.html", form, in_projects=in_projects, **shown)


def _issuers(visit: Visit) -> list[str]:
    """Return the names of the trusted issuers that may vouch for a new application."""
    return [each.name for each in federation.list_issuers(visit.realm)] if visit.can("realm:read") else []


def _check_credential(form: NewApplicationForm, sheet: ApplicationSheet) -> None:
    """See that what an application is to prove itself by was given.

    :raises InvalidValueError: it was not, or something else besides.
    """
    proves_itself = not Kind(sheet.kind).is_public
    if form.credential.data == PUBLIC_KEY and not sheet.has_keys and proves_itself:
        raise InvalidValueError("Give its public keys or their URL, or choose another way to prove who it is.", field="jwks")
    if form.credential.data != PUBLIC_KEY and sheet.has_keys:
        raise InvalidValueError("Public keys are given where a key pair is chosen.", field="jwks")
    if form.credential.data == FEDERATION and not form.issuer.data and proves_itself:
        raise InvalidValueError("Choose the trusted issuer that vouches for it.", field="issuer")
    if form.credential.data != FEDERATION and form.lines.data:
        raise InvalidValueError("Lines are given where a trusted issuer vouches for it.", field="lines")


def _wished(row: Any) -> tuple[str, str, datetime | None] | None:
    """Return the project, role and end of a row; None for one that was left empty."""
    project = (row.project.data or "").strip()
    return (project, row.role.data, row.until.data) if project else None


def show_secret(visit: Visit, name: str, plain: str, done: str) -> str:
    """Return the page that shows a secret, this once, with the command that uses it."""
    issuer = _issuer(visit)
    shown = {"name": name, "plain": plain, "issuer": issuer, "done": done, "used": False}
    return render("console/applications/secret.html", **shown, snippets=snippets(issuer, name, plain))


@page
def first_use(visit: Visit, name: str) -> str:
    """Say whether an application has fetched a token yet, for a page that waits for it; empty for not."""
    application = rules.applications.visible(visit.authority, name)
    return render("console/applications/used.html", application=application) if application.token_count else ""


@page
def show_application(visit: Visit, name: str) -> Response | str:
    """Show an application with its secrets, roles, keys and last events; change what can be changed."""
    application = rules.applications.visible(visit.authority, name)
    stored = stored_in(ApplicationSheet, application, without={"enabled"})
    form = ApplicationForm(visit.posted, stored)
    form.audience.description = say(_AUDIENCE, issuer=_issuer(visit))
    form.jwks.guide = (f"{application_url(visit, name)}/start#pair", say("How to create a key pair"))

    def act() -> None:
        changes = values_in(ApplicationSheet, form)
        stored_now = rules.applications.visible(visit.authority, name)
        rules.applications.update(visit.authority, name, ApplicationSheet.of(stored_now).changed(changes))

    if form.do(act):
        return see_other(f"{application_url(visit, name)}?tab=settings&done=saved")
    tabs = _tabs(visit)
    tab = "settings" if form.is_sent else tab_asked(tabs)
    application = applications.get_application(visit.realm, name)
    daily = _daily(application) if not tab and visit.can("applications:read") else None
    return form_page("console/applications/show.html", form, tab=tab, tabs=tabs, daily=daily, **_facts(visit, application))


def _tabs(visit: Visit) -> list[tuple[str, str]]:
    """Return the parts of an application's page that the caller may see."""
    sees, may = visit.can("applications:read"), visit.can("applications:write")
    parts = [
        ("", say("Overview"), True),
        ("credentials", say("Credentials"), sees or visit.can("api-keys:read")),
        ("access", say("Access"), True),
        ("settings", say("Tokens and settings"), may),
        ("activity", say("Activity"), rules.audit.can_read(visit.authority)),
        ("danger", say("Danger zone"), may),
    ]
    return [(name, title) for name, title, offered in parts if offered]


def _daily(application: Application) -> Chart:
    """Return the chart of what an application was issued and refused, day by day."""
    days = last_days(clock.now())
    counts = applications.list_use(application, days)
    series = {"Issued": [each.issued for each in counts], "Refused": [each.refused for each in counts]}
    return Chart([day_label(day) for day in days], series, "Tokens issued and refused, day by day", (USES[0], REFUSALS[0]))


def _facts(visit: Visit, application: Application) -> dict[str, Any]:
    secrets = applications.list_secrets(application)
    keys: Sequence[ApiKey] = []
    if rules.api_keys.sees_all(visit.authority):
        keys = apikeys.list_keys(visit.realm, owner=applications.holder_of(application), limit=20)
    target = f"application:{application.name}"
    return {
        "application": application,
        "mute": applications.cannot_administer(application),
        "admitted": federation.rule_listing(visit.realm, application=application.name).take(
            "name", descending=False, after=None, limit=MOST_RULES
        ),
        "secrets": [(secret, applications.safe_to_retire(secret, secrets)) for secret in reversed(secrets)],
        "key_set": applications.find_key_set(application),
        "live": _count_live(secrets),
        "can_authenticate": rules.applications.can_authenticate(application),
        "grants": rules.grants.visible_of(visit.authority, applications.holder_of(application)),
        "holder": target,
        "keys": keys,
        "events": audit.list_events(visit.realm.name, target=target, limit=20) if rules.audit.can_read(visit.authority) else [],
        "issuer": _issuer(visit),
        "url": application_url(visit, application.name),
    }


@page
def disable_application(visit: Visit, name: str) -> Response | str:
    """Refuse an application from now on, once that is confirmed."""
    application = rules.applications.manageable(visit.authority, name)
    question = Confirmation(
        title=say("Disable {name}", name=name),
        question=say("Disable {name}?", name=name),
        submit=say("Disable"),
        consequences=(
            use_of_application(application),
            say("It gets no more tokens, and introspection reports the tokens it has as inactive."),
            *_leases_that_end(visit, name),
        ),
        undo=say("Enable it again, and it works as before."),
        back=(application_url(visit, name), name),
    )

    def act() -> None:
        applications.update_application(visit.realm, application, ApplicationSheet.of(application).changed({"enabled": False}))

    return confirmed(visit, question, act, f"{application_url(visit, name)}?done=disabled")


@page
def enable_application(visit: Visit, name: str) -> Response:
    """Let a disabled application in again."""
    application = rules.applications.manageable(visit.authority, name)
    applications.update_application(visit.realm, application, ApplicationSheet.of(application).changed({"enabled": True}))
    return see_other(f"{application_url(visit, name)}?done=enabled")


@page
def delete_application(visit: Visit, name: str) -> Response | str:
    """Delete an application, once that is confirmed."""
    application = rules.applications.manageable(visit.authority, name)
    secrets = applications.list_secrets(application)
    live = _count_live(secrets)
    question = Confirmation(
        title=say("Delete {name}", name=name),
        question=say("Delete {name} with its secrets, API keys and roles?", name=name),
        submit=say("Delete"),
        consequences=(
            use_of_application(application),
            say("{secrets}, its API keys and its roles are deleted.", secrets=count_of(live, "live secret")),
            *_leases_that_end(visit, name),
            say("An application created later with the same name has a different identity (sub)."),
            say("If you are not sure, disable it first: that can be undone."),
        ),
        back=(application_url(visit, name), name),
        typed=name,
    )

    def act() -> None:
        applications.delete_application(visit.realm, application)

    return confirmed(visit, question, act, f"{base(visit.realm.name)}/applications?done=deleted")


@page
def try_application(visit: Visit, name: str) -> Response | str:
    """Fetch a token with a secret, as the application would, and explain it."""
    from idp.console.trial import carries_roles, explain, fetch_token  # noqa: PLC0415 (rarely needed)

    application = rules.applications.visible(visit.authority, name)
    form = TryForm(visit.posted)
    answer: dict[str, Any] = {}
    if form.is_sent and form.validate():
        answer = fetch_token(visit, name, form.client_secret.data or "")
        if "error" in answer:
            form.refuse(f"{answer['error']}: {answer.get('error_description', '')}", 400)
    claims = explain(answer["access_token"]) if "access_token" in answer else []
    return form_page(
        "console/applications/try.html",
        form,
        name=name,
        answer=answer,
        claims=claims,
        has_roles=bool(claims) and carries_roles(answer["access_token"]),
        live=_count_live(applications.list_secrets(application)),
        explains=rules.federation.can_explain(visit.authority),
        url=application_url(visit, name),
        issuer=_issuer(visit),
    )


def _count_live(secrets: Sequence[ApplicationSecret]) -> int:
    """Return how many of an application's secrets work."""
    return sum(secret.is_live(clock.now()) for secret in secrets)


def application_url(visit: Visit, name: str) -> str:
    """Return where an application's page is."""
    return f"{base(visit.realm.name)}/applications/{name}"


def _issuer(visit: Visit) -> str:
    return runtime.current().settings.issuer(visit.realm.name)


def _leases_that_end(visit: Visit, name: str) -> list[str]:
    """Say how many leases end with an application; nothing where there are none."""
    live = keysets.lease_listing(visit.realm, client_id=name, state="live").count()
    if not live:
        return []
    return [say_count("{count} lease of keysets ends permanently.", "{count} leases of keysets end permanently.", live)]
