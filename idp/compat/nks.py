"""Keysets, as the clients of NetApp's Kubernetes Service manage them: `/orgs/{org}/keysets`, and what those clients ask first.

Organisations, keysets, users and workspaces (projects) have their row numbers as ids. Values never come back from here; programs
are lent them by `POST /v1/leases` of the native API.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import MethodNotAllowed

from idp import access, crypto, keysets, realms, rules, runtime, users
from idp.access import Project
from idp.applications import KnownApplication
from idp.callers import Caller, CredentialError, DeniedError, NoCredentialError
from idp.compat.calls import number_argument, signed_in
from idp.compat.nks_bodies import flag_field, list_field, number_of, read_fields, text_field
from idp.compat.parameters import add_calls, takes
from idp.errors import InvalidMembersError, InvalidValueError, Kind, NotFoundError
from idp.keysets import Keyset, KeysetSheet
from idp.realms import MASTER, Realm
from idp.rules import Authority
from idp.users import KnownUser
from idp.web.answers import NO_STORE, answer, done
from idp.web.credentials import Credentials, Shown, read_credentials
from idp.web.edges import Edge, Limit, register_edge
from idp.web.errors import classify, log_unexpected
from idp.web.transport import require_private

MOST_LISTED = 10_000
"""Keysets of an answer: the contract has no pages. With more of them, `limit` and `offset` ask for a part."""

_FIELDS = {"projects": "workspaces"}
"""What members are called here."""

_MEMBERS = frozenset(
    {"pk", "name", "category", "entity", "org", "workspaces", "user", "is_default", "keys", "created", "updated"}
)
"""Of a keyset; those that cannot be written are ignored."""


def register(app: Flask) -> None:
    """Add the URLs of the contract to the application."""
    org, keyset = "/orgs/<int:org>", "/orgs/<int:org>/keysets/<int:number>"
    routes: tuple[tuple[str, str, Callable[..., Response]], ...] = (
        ("GET", "/userprofile", show_profile),
        ("GET", "/rest-auth/user", show_user),
        ("GET", "/orgs", list_orgs),
        ("GET", org, get_org),
        ("GET", f"{org}/workspaces", list_workspaces),
        ("GET", f"{org}/workspaces/<int:number>", get_workspace),
        ("GET", f"{org}/keysets", list_keysets),
        ("POST", f"{org}/keysets", create_keyset),
        ("GET", keyset, get_keyset),
        ("PATCH", keyset, change_keyset),
        ("DELETE", keyset, delete_keyset),
    )
    add_calls(app, "nks", ((method, path, signed_in(_in_org(view), _read, _realm)) for method, path, view in routes))
    register_edge(app, Edge("compat", ("/orgs", "/userprofile", "/rest-auth/user"), Limit.BY_RESOURCE, answer_error))


def _read() -> Credentials:
    """Return the token of the header, which may be an API key; a cookie does not count here."""
    shown = read_credentials(request.environ)
    if shown.by_cookie:
        raise NoCredentialError
    if shown.shown is Shown.TOKEN and crypto.is_well_formed(shown.value, "ak"):
        return Credentials(Shown.KEY, shown.value)
    return shown


def _in_org(view: Callable[..., Response]) -> Callable[..., Response]:
    """Have a call do without the number of its organisation: `_realm` has found it."""

    @functools.wraps(view)
    def called(authority: Authority, org: int = 0, **parts: Any) -> Response:  # noqa: ARG001 (every view of the contract takes it)
        return view(authority, **parts)

    return called


def _realm(caller: Caller, parts: Mapping[str, Any]) -> Realm:
    return _org(caller, parts["org"]) if "org" in parts else _home(caller)


def _org(caller: Caller, number: int) -> Realm:
    """Return an organisation that the caller belongs to, or for an operator any; others are not there (T73).

    :raises NotFoundError: there is none.
    """
    realm = realms.find_realm_by_number(number)
    if realm is None or caller.realm.name not in {realm.name, MASTER}:
        raise NotFoundError
    if realm.name != caller.realm.name and not rules.permitted(Authority(caller, realm)):
        raise NotFoundError
    return realm


# -- who calls, and where ----------------------------------------------------------------------------------------------


def list_orgs(authority: Authority) -> Response:
    """List the organisations that the token is for; for operators all."""
    every = realms.list_realms() if rules.realms.is_operator(authority.caller) else [authority.realm]
    return answer([_shown_org(realm) for realm in every])


def get_org(authority: Authority) -> Response:
    """Show an organisation."""
    return answer(_shown_org(authority.realm))


def list_workspaces(authority: Authority) -> Response:
    """List the projects of an organisation that the caller may see."""
    names = rules.projects.listed(authority)
    listing = access.project_listing(authority.realm, names=names)
    rows = listing.take("name", descending=False, after=None, limit=MOST_LISTED)
    return answer([_shown_workspace(authority.realm, row) for row in rows])


def get_workspace(authority: Authority, number: int) -> Response:
    """Show a project."""
    project = access.find_project_by_number(authority.realm, number)
    if project is None or not rules.projects.sees(authority, project):
        raise NotFoundError
    return answer(_shown_workspace(authority.realm, project))


def show_user(authority: Authority) -> Response:
    """Show who calls."""
    return answer(_shown_user(authority.caller))


def show_profile(authority: Authority) -> Response:
    """Show who calls, with their organisation and the keysets that they may see: a list of one."""
    caller, realm = authority.caller, authority.realm
    may_write, is_owner = rules.keysets.can_write(authority), rules.realms.can_change(authority)
    membership = {
        "pk": _number_of(caller),
        "user": _number_of(caller),
        "org": _shown_org(realm),
        "role": "owner" if is_owner else "admin" if may_write else "member",
        "is_owner": is_owner,
        "is_manager": is_owner or may_write,
        "is_billing_manager": False,
        "subscription": None,
        "is_default": True,
        "created": _time(realm.created_at),
    }
    rows = _list(realm, rules.keysets.listed(authority), MOST_LISTED, 0) if rules.keysets.sees_any(authority) else []
    return answer(
        [_shown_user(caller) | {"org_memberships": [membership], "keysets": [_shown(row) for row in rows], "subscription": None}]
    )


def _home(caller: Caller) -> Realm:
    realm = realms.find_realm(caller.realm.name)
    if realm is None:
        raise CredentialError
    return realm


# -- keysets -----------------------------------------------------------------------------------------------------------


@takes("limit", "offset")
def list_keysets(authority: Authority) -> Response:
    """List the keysets of an organisation that the caller may see, without their values."""
    names = rules.keysets.listed(authority)
    limit, offset = number_argument("limit", 0, MOST_LISTED), number_argument("offset", 0, 10_000_000)
    rows = _list(authority.realm, names, (limit or MOST_LISTED) + 1, offset)
    if not limit and len(rows) > MOST_LISTED:
        raise InvalidValueError(f"There are more than {MOST_LISTED} keysets. Ask for parts of the list with limit and offset.")
    return answer([_shown(row) for row in rows[: limit or MOST_LISTED]])


def _list(realm: Realm, names: Sequence[str] | None, limit: int, offset: int) -> list[Keyset]:
    listing = keysets.keyset_listing(realm, projects=names)
    return listing.skip("", descending=False, offset=offset, limit=limit)


def create_keyset(authority: Authority) -> Response:
    """Keep a keyset. Each value is sealed before it is stored."""
    require_private(request.environ, runtime.current().settings.trusted_proxies)
    rules.keysets.check_projects(authority, ())
    fields = _fields(authority.realm)
    category, entity = text_field(fields, "category", 20), text_field(fields, "entity", 40)
    missing = [name for name in ("name", "category", "keys") if fields.get(name) in (None, "")]
    if missing:
        raise InvalidMembersError([(name, "This field is required.") for name in missing])
    if category not in keysets.WRITABLE:
        raise InvalidMembersError([("category", f"Not a valid choice. Use one of {', '.join(keysets.WRITABLE)}.")])
    sheet, values = KeysetSheet.read(_changes(authority.realm, fields)), _values(fields, is_new=True) or []
    keyset = rules.keysets.create(
        authority, category, entity or "", sheet, values, user_id=_user(authority.realm, fields.get("user"))
    )
    return answer(_shown(keyset), 201)


def get_keyset(authority: Authority, number: int) -> Response:
    """Show a keyset without its values."""
    return answer(_shown(_keyset(authority, number)))


def change_keyset(authority: Authority, number: int) -> Response:
    """Change a keyset, by JSON or a form; with `keys`, its values are replaced."""
    keyset = _keyset(authority, number)
    rules.keysets.check_projects(authority, ())
    if keyset.category not in keysets.WRITABLE:
        raise MethodNotAllowed(["GET", "DELETE"])
    fields = _fields(authority.realm)
    if fields.get("keys") is not None:
        require_private(request.environ, runtime.current().settings.trusted_proxies)
    for name, stored in (("category", keyset.category), ("entity", keyset.entity)):
        if text_field(fields, name, 40) not in {None, stored}:
            raise InvalidMembersError([(name, "This cannot be changed: create another keyset.")])
    sheet = KeysetSheet.of(keyset).changed(_changes(authority.realm, fields))
    values, user_id = _values(fields, is_new=False), _user(authority.realm, fields.get("user"))
    rules.keysets.update(authority, keyset, sheet, values, user_id=user_id)
    return answer(_shown(keyset))


def delete_keyset(authority: Authority, number: int) -> Response:
    """Delete a keyset with all its keys."""
    keyset = _keyset(authority, number)
    rules.keysets.check_projects(authority, ())
    keysets.delete_keyset(authority.realm, keyset)
    return done()


def _keyset(authority: Authority, number: int) -> Keyset:
    keyset = keysets.get_keyset_by_number(authority.realm, number)
    if not rules.keysets.sees(authority, keyset):
        raise NotFoundError
    return keyset


def _fields(realm: Realm) -> dict[str, Any]:
    """Return the body of a change, which is about this organisation and names nothing that a keyset has not."""
    fields = read_fields()
    unknown = [(name[:40], "A keyset has no such field.") for name in fields if name not in _MEMBERS]
    if unknown:
        raise InvalidMembersError(unknown[:20])  # a slip in `workspaces` would make it one of the whole organisation
    if fields.get("org") is not None and fields["org"] not in (0, "0", "", realm.id, str(realm.id)):
        raise InvalidMembersError([("org", "This is not the organisation of the URL.")])
    return fields


def _changes(realm: Realm, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a keyset that are named, as its sheet has them."""
    workspaces = list_field(fields, "workspaces")
    named = {
        "name": text_field(fields, "name", keysets.LONGEST_NAME),
        "projects": None if workspaces is None else _projects(realm, workspaces),
        "is_default": flag_field(fields, "is_default"),
    }
    return {name: value for name, value in named.items() if value is not None}


def _values(fields: Mapping[str, Any], *, is_new: bool) -> list[tuple[str, str]] | None:
    keys = list_field(fields, "keys")
    if keys is None or (not is_new and keys and all(isinstance(each, dict) and "key" not in each for each in keys)):
        return None  # they were sent back as they are shown
    return [_key(each) for each in keys]


def _key(entry: Any) -> tuple[str, str]:
    if not isinstance(entry, dict):
        raise InvalidMembersError([("keys", "Expected a list of objects with key_type and key.")])
    key_type, value = entry.get("key_type"), entry.get("key")
    if not isinstance(key_type, str) or not isinstance(value, str):
        raise InvalidMembersError([("keys", "Each key has a key_type and a key, which are strings.")])
    return key_type, value


def _projects(realm: Realm, numbers: Sequence[Any]) -> list[str]:
    if len(numbers) > keysets.MOST_PROJECTS:
        raise InvalidMembersError([("workspaces", f"At most {keysets.MOST_PROJECTS}.")])
    found = []
    for number in (number_of(each, "workspaces") for each in numbers):
        project = access.find_project_by_number(realm, number)
        if project is None:
            raise InvalidMembersError([("workspaces", f'Invalid pk "{number}" - object does not exist.')])
        found.append(project.name)
    return found


def _user(realm: Realm, value: Any) -> int | None:
    """Return whom a keyset is to be assigned to; None where nobody is named, as by 0."""
    if value is not None and value not in (0, "0", ""):
        user = users.find_user_by_number(realm, number_of(value, "user"))
        if user is None:
            raise InvalidMembersError([("user", "Invalid pk - object does not exist.")])
        return user.id
    return None


# -- shapes ------------------------------------------------------------------------------------------------------------


def _shown(keyset: Keyset) -> dict[str, Any]:
    return {
        "pk": keyset.id,
        "name": keyset.name,
        "category": keyset.category,
        "entity": keyset.entity,
        "org": keyset.realm_id,
        "workspaces": [project.id for project in keyset.projects],
        "user": keyset.user_id,
        "is_default": keyset.is_default,
        "keys": [
            {
                "pk": key.id,
                "keyset": keyset.id,
                "key_type": key.key_type,
                "fingerprint": key.fingerprint,
                "user": keyset.user_id,
            }
            for key in keyset.keys
        ],
        "created": _time(keyset.created_at),
    }


def _shown_org(realm: Realm) -> dict[str, Any]:
    return {
        "pk": realm.id,
        "name": realm.display_name or realm.name,
        "slug": realm.name,
        "logo": None,
        "created": _time(realm.created_at),
        "updated": _time(realm.updated_at),
    }


def _shown_workspace(realm: Realm, project: Project) -> dict[str, Any]:
    return {
        "pk": project.id,
        "name": project.display_name or project.name,
        "slug": project.name,
        "org": realm.id,
        "is_default": False,
        "created": _time(project.created_at),
        "clusters": [],
        "user_solutions": [],
        "team_workspaces": [],
        "federations": [],
    }


def _number_of(caller: Caller) -> int:
    """Return the number of the user who calls; 0 for an application, whose number could be that of some user."""
    return caller.subject.id if isinstance(caller.subject, KnownUser) else 0


def _shown_user(caller: Caller) -> dict[str, Any]:
    """Return who calls; an application is shown by its name."""
    user = users.find_user_by_uid(_home(caller), caller.subject.uid)
    name, email, first, last = (user.name, user.email, user.first_name, user.last_name) if user else ("", "", "", "")
    if isinstance(caller.subject, KnownApplication):
        name = first = caller.subject.client_id
    return {
        "pk": _number_of(caller),
        "username": name,
        "email": email,
        "first_name": first,
        "last_name": last,
        "full_name": f"{first} {last}".strip(),
    }


def _time(value: Any) -> str:
    return str(value.isoformat(timespec="microseconds").replace("+00:00", "Z"))


# -- errors ------------------------------------------------------------------------------------------------------------


_STATUSES = {Kind.CONFLICT: 400, Kind.UNREADABLE_CREDENTIAL: 401}
"""The contract knows no conflict."""


def answer_error(error: Exception) -> Response:
    """Return the answer to any error: `{"detail": …}`, or what is wrong with each field."""
    status, _, message, headers = classify(error, _STATUSES)
    if status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    body: dict[str, Any] = {"detail": _detail(error, status, message)}
    if status == 500:
        body = {"detail": log_unexpected(error)}
    elif isinstance(error, InvalidMembersError):
        body = {}
        for name, problem in error.members:
            body.setdefault(_FIELDS.get(name, name), []).append(problem)
    elif isinstance(error, keysets.DuplicateKeysetError):
        body = {"name": [message]}
    return Response(json.dumps(body), status, Headers([*NO_STORE.items(), *headers.items()]), mimetype="application/json")


def _detail(error: Exception, status: int, message: str) -> str:
    match status:
        case 401 if isinstance(error, NoCredentialError):
            return "Authentication credentials were not provided."
        case 401:
            return "Invalid token."
        case 403 if isinstance(error, DeniedError):
            return f"You do not have permission to perform this action. {message}"
        case 404:
            return "Not found."
        case 405:
            return f'Method "{request.method}" not allowed.'
    return message
