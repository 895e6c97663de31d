"""Keysets and their leases: third-party credentials that are kept sealed, never shown, and lent to applications."""

from typing import Any

import wtforms
from flask import Response, request
from wtforms import validators

from idp import clock, keysets, rules, runtime
from idp.console.browser import Visit, page
from idp.console.dialogs import Confirmation, confirmed, form_page, see_other, tab_asked
from idp.console.drafts import SecretField
from idp.console.exports import list_page
from idp.console.forms import ChecksField, Form, NamesField, choices, text
from idp.console.language import say, say_count
from idp.console.lists import PAGE, Column, Filter, ListView
from idp.console.navigation import base
from idp.console.render import duration, render, said
from idp.console.sheet_forms import sheet_form, stored_in, values_in
from idp.errors import InvalidValueError, NotFoundError
from idp.keysets import Keyset, KeysetSheet
from idp.web.transport import require_private

KIND_TITLES = {
    "provider": "Cloud providers",
    "solution": "Solutions",
    "storage": "Storage",
    "user_ssh": "SSH public keys",
    "vcs": "Version control",
}
LONG_VALUES = frozenset({("gce", "other"), ("gke", "other"), ("", "pub")})
"""Entity and type of values that take more than one line to show, or are long."""

SECRETS = frozenset({"Secret access key", "Client secret", "API token", "Password", "API key", "Secret key", "Access key"})
"""Meanings of values that are typed unseen."""

MOST_PROJECTS_SHOWN = 100
_VALUE = "value_"


class ValueField(SecretField, wtforms.StringField):
    """A value that is no secret by itself; it is never sent back either."""

    def _value(self) -> str:
        return ""


class FixedField(SecretField, wtforms.StringField):
    """A value that can be this one only."""

    def _value(self) -> str:
        return str(self.default)


class ValueArea(SecretField, wtforms.TextAreaField):
    """A long value that is never sent back."""

    def _value(self) -> str:
        return ""


def _label(field: str) -> str:
    return KeysetSheet.model_fields[field].title or ""


KeysetForm = sheet_form(
    KeysetSheet,
    name=text(_label("name"), "Unique in the organisation.", required=True, longest=keysets.LONGEST_NAME),
    projects=ChecksField(_label("projects")),
    typed_projects=NamesField(_label("projects"), kind="project"),
)


def kind_name(category: str, entity: str) -> str:
    """Return what a kind of keysets is called on the page: as its entity calls itself, or else as its category."""
    return keysets.ENTITY_NAMES.get(entity, entity) or said(KIND_TITLES.get(category, category))


def _kind_of(keyset: Keyset) -> str:
    """Return what a kind is called in a file, which is in English."""
    return keysets.ENTITY_NAMES.get(keyset.entity, keyset.entity) or KIND_TITLES.get(keyset.category, keyset.category)


_LIST = ListView(
    "Keysets",
    (
        Column("name", "Name", "name"),
        Column("kind", "Kind", plain=_kind_of),
        Column("projects", "Projects", plain=lambda keyset: [project.name for project in keyset.projects]),
        Column("version", "Version", is_number=True),
        Column("longest", "Longest lease", plain=lambda keyset: duration(keyset.max_lease_seconds)),
        Column("updated", "Updated", is_time=True, plain=lambda keyset: keyset.updated_at),
        Column("created", "Created", "created", newest_first=True, hidden=True, plain=lambda keyset: keyset.created_at),
        Column("id", "UID", hidden=True, plain=lambda keyset: keyset.uid),
    ),
    search="Name or description",
    filters=(Filter("kind", "Kind", {"": "Any kind"} | KIND_TITLES), Filter("project", "Project", suggest="project")),
    order="name",
)


@page
def list_keysets(visit: Visit) -> Response | str:
    """List the keysets that the caller may see."""
    asked = _LIST.asked()
    names = rules.keysets.listed(visit.authority)
    listing = keysets.keyset_listing(
        visit.realm, containing=asked.search, category=asked["kind"], project=asked["project"], projects=names
    )
    return list_page(
        visit,
        "console/keysets/list.html",
        _LIST,
        listing,
        asked,
        kind_name=kind_name,
        may=visit.can_somewhere("keysets:write"),
    )


@page
def new_keyset(visit: Visit) -> Response | str:
    """Choose a kind, then keep a keyset of it."""
    rules.keysets.check_writing_somewhere(visit.authority)
    category, _, entity = request.args.get("kind", "").partition(":")
    if not category:
        return render("console/keysets/kinds.html", kinds=keysets.CATEGORIES, titles=KIND_TITLES, kind_name=kind_name)
    form: Any = _form_with_values(category, entity, KeysetForm)(visit.posted, None)
    _offer_choices(visit, form)
    if not form.is_sent and not form.is_restored:
        form.max_lease_seconds.data = KeysetSheet().max_lease_seconds
    made: dict[str, str] = {}

    def act() -> None:
        require_private(request.environ, runtime.current().settings.trusted_proxies)
        sheet = KeysetSheet.read(_typed(visit, form))
        made["uid"] = rules.keysets.create(visit.authority, category, entity, sheet, _values(form)).uid

    if form.do(act):
        return see_other(f"{_url(visit, made['uid'])}?done=created")
    return form_page(
        "console/form.html",
        form,
        title=say("New keyset: {kind}", kind=kind_name(category, entity)),
        submit=say("Create"),
        back=(f"{base(visit.realm.name)}/new-keyset", say("Kinds of keysets")),
        intro=say(
            "Values are encrypted before they are stored. No page shows them again, not even this one if something has to be "
            "corrected: you then have to type them again. Applications lease them."
        ),
    )


@page
def show_keyset(visit: Visit, uid: str) -> Response | str:
    """Show a keyset with its versions and who holds them; change what it says of itself."""
    keyset = rules.keysets.visible(visit.authority, uid)
    stored = stored_in(KeysetSheet, keyset)
    form = KeysetForm(visit.posted, stored | {"typed_projects": stored["projects"]})
    _offer_choices(visit, form)

    def act() -> None:
        changed = rules.keysets.writable(visit.authority, uid)
        rules.keysets.update(visit.authority, changed, KeysetSheet.of(changed).changed(_typed(visit, form)))

    if form.do(act):
        return see_other(f"{_url(visit, uid)}?tab=settings&done=saved")
    keyset = rules.keysets.visible(visit.authority, uid)
    versions = keysets.list_versions(keyset)
    leases = keysets.lease_listing(visit.realm, keyset=keyset, state="live")
    may, sees_leases = rules.keysets.can_change(visit.authority, keyset), rules.keysets.sees_leases(visit.authority, keyset)
    tabs = [
        ("", say("Versions")),
        *([("leases", say("Active leases"))] if sees_leases else []),
        *([("settings", say("Settings")), ("danger", say("Danger zone"))] if may else []),
    ]
    return form_page(
        "console/keysets/show.html",
        form,
        tab="settings" if form.is_sent else tab_asked(tabs),
        tabs=tabs,
        keyset=keyset,
        titles=KIND_TITLES,
        kind_name=kind_name,
        url=_url(visit, keyset.uid),
        meanings=keysets.CATEGORIES.get(keyset.category, {}).get(keyset.entity, {}),
        versions=versions,
        held=keysets.holdings(keyset, versions),
        damaged=keysets.is_damaged(visit.realm, keyset),
        leases=leases.take("", descending=True, after=None, limit=PAGE),
        live=leases.count(),
        may=may,
    )


@page
def replace_values(visit: Visit, uid: str) -> Response | str:
    """Give a keyset new values."""
    keyset = rules.keysets.writable(visit.authority, uid)
    form = _form_with_values(keyset.category, keyset.entity, Form)(visit.posted, None)
    url, name = _url(visit, keyset.uid), keyset.name

    def act() -> None:
        require_private(request.environ, runtime.current().settings.trusted_proxies)
        keysets.replace_values(visit.realm, rules.keysets.writable(visit.authority, uid), _values(form))

    if form.do(act):
        return see_other(f"{url}?done=replaced")
    return form_page(
        "console/form.html",
        form,
        title=say("New values for {name}", name=name),
        submit=say("Replace"),
        back=(url, name),
        intro=say(
            "The old values are removed, but active leases still have them: the keyset's page shows when no lease does, "
            "so that you can revoke them at their provider."
        ),
    )


@page
def delete_keyset(visit: Visit, uid: str) -> Response | str:
    """Delete a keyset, once that is confirmed."""
    keyset = rules.keysets.writable(visit.authority, uid)
    live = keysets.lease_listing(visit.realm, keyset=keyset, state="live").count()

    def act() -> None:
        keysets.delete_keyset(visit.realm, rules.keysets.writable(visit.authority, uid))

    question = Confirmation(
        say("Delete {name}", name=keyset.name),
        say("Delete keyset {name} with its values?", name=keyset.name),
        say("Delete"),
        (_url(visit, keyset.uid), keyset.name),
        [
            say_count("Its {count} active lease will end.", "Its {count} active leases will end.", live)
            if live
            else say("No lease of it is active."),
            say("Programs that received the values still have them: revoke them at their provider."),
            say("The values cannot be recovered."),
        ],
        typed=keyset.name,
    )
    return confirmed(visit, question, act, f"{base(visit.realm.name)}/keysets?done=deleted")


_LEASES = ListView(
    "Leases",
    (
        Column("application", "Application", plain=lambda lease: lease.client_id),
        Column("keyset", "Keyset", plain=lambda lease: lease.keyset_name),
        Column("version", "Version", is_number=True, hidden=True),
        Column("reason", "Reason", hidden=True),
        Column("state", "State", plain=lambda lease: lease.state(clock.now()).value),
        Column("started", "Started", "created", newest_first=True, plain=lambda lease: lease.created_at),
        Column("until", "Until", "expiresAt", newest_first=True, plain=lambda lease: lease.ended_at or lease.expires_at),
        Column("address", "Address", hidden=True),
    ),
    search="Name of the application",
    filters=(
        Filter("over", "State", {"": "Live", "yes": "Ended ones of the last 90 days, too"}),
        Filter("project", "Project", suggest="project"),
    ),
    order="created",
    newest_first=True,
)


@page
def list_leases(visit: Visit) -> Response | str:
    """List leases, those that run or all of the last 90 days."""
    names = rules.keysets.listed_with_leases(visit.authority)
    asked = _LEASES.asked()
    state = "" if asked["over"] else "live"
    listing = keysets.lease_listing(visit.realm, client_id=asked.search, state=state, projects=names, project=asked["project"])
    may = visit.can_somewhere("keysets:write")
    return list_page(visit, "console/keysets/leases.html", _LEASES, listing, asked, may=may)


@page
def end_lease(visit: Visit, uid: str) -> Response | str:
    """End a lease, once that is confirmed."""
    lease = rules.keysets.endable_lease(visit.authority, uid)
    back = f"{base(visit.realm.name)}/leases"

    def act(reason: str) -> None:
        keysets.end_lease(visit.realm, rules.keysets.endable_lease(visit.authority, uid), reason)

    is_over = lease.state(clock.now()).value != "live"
    question = Confirmation(
        say("End the lease of {name}", name=lease.client_id),
        say("End the lease of {keyset} to {name}?", keyset=lease.keyset_name, name=lease.client_id),
        say("End lease"),
        (back, say("Leases")),
        [
            say("An application that asks is told to stop using the values."),
            say("It still has them: if it cannot be trusted, replace the values and revoke the old ones at their provider."),
        ],
        asks_reason=True,
        blocked=say("This lease has already ended.") if is_over else "",
    )
    return confirmed(visit, question, act, f"{back}?done=ended")


def _form_with_values(category: str, entity: str, kind: type[Form]) -> type[Form]:
    """Return a form that asks for the values of an entity besides what another asks for.

    :raises NotFoundError: there is no such entity.
    """
    try:
        meanings = keysets.key_types(category, entity)
    except InvalidValueError:
        raise NotFoundError("There is no such kind of keyset (not found).") from None
    fields = {f"{_VALUE}{key_type}": _value_field(entity, key_type, meaning) for key_type, meaning in meanings.items()}
    return type(f"{kind.__name__}WithValues", (kind,), fields)


def _value_field(entity: str, key_type: str, meaning: str) -> wtforms.Field:
    rules = [validators.InputRequired(), validators.Length(max=keysets.LONGEST_VALUE)]
    keys = {"autocomplete": "off", "spellcheck": "false"}
    if (entity, key_type) in LONG_VALUES:
        return ValueArea(meaning, rules, render_kw=keys | {"rows": 6})
    fixed = keysets.FIXED.get((entity, key_type))
    if fixed is not None:
        return FixedField(meaning, rules, default=fixed, render_kw=keys | {"readonly": True})
    if meaning not in SECRETS:
        return ValueField(meaning, rules, render_kw=keys)
    return wtforms.PasswordField(meaning, rules, render_kw=keys | {"autocomplete": "new-password"})


def _values(form: Form) -> list[tuple[str, str]]:
    """Return the values that were typed; a text area sends its lines as the web has them, and perhaps an empty last one."""
    found = []
    for name, field in form._fields.items():
        if name.startswith(_VALUE):
            found.append((name.removeprefix(_VALUE), str(field.data or "").replace("\r\n", "\n").removesuffix("\n")))
    return found


def _offer_choices(visit: Visit, form: Any) -> None:
    """Offer what the caller may decide: for which projects, and which is the default one. Many projects are typed."""
    names, everywhere = rules.keysets.names_to_write(visit.authority), rules.keysets.can_write(visit.authority)
    hint = say("Choose none for the whole organisation." if everywhere else "At least one.")
    if len(names) > MOST_PROJECTS_SHOWN:
        del form.projects
        form.typed_projects.description = hint
    else:
        del form.typed_projects
        form.projects.choices = choices(names)
        form.projects.description = hint
    if not everywhere:
        del form.is_default


def _typed(visit: Visit, form: Any) -> dict[str, Any]:
    chosen = form.projects.data if "projects" in form else form.typed_projects.data
    return values_in(KeysetSheet, form) | {"projects": rules.keysets.projects_to_write(visit.authority, chosen or ())}


def _url(visit: Visit, uid: str) -> str:
    return f"{base(visit.realm.name)}/keysets/{uid}"
