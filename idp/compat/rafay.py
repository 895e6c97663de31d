"""Organisations, users, projects, groups and keys, as the clients of Rafay's controller manage them: `/auth/v1`, `/auth/v2`.

Keys are those of the native API, written as those clients read them: `ra2.<40 hexadecimal digits>.<64 of them>`, of which lists
show the first two parts.
"""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.datastructures import Headers

from idp import access, apikeys, callers, clock, crypto, keys, manifest, organisations, realms, runtime, sessions, users
from idp.access import HolderKind, Project, Role
from idp.api.answers import answer, time, time_or_none
from idp.api.errors import NO_STORE, classify, log_unexpected
from idp.api.requests import address, realm_of
from idp.apikeys import ApiKey, NewKey
from idp.callers import Caller, CredentialError, DeniedError
from idp.compat.calls import cut, flag_of, json_body, public, signed_in, text_of
from idp.compat.parameters import add_calls, argument, takes
from idp.errors import ConflictError, InvalidValueError, NotFoundError
from idp.organisations import SignUpWish
from idp.realms import MASTER, Realm, RealmState
from idp.users import Group, LinkPurpose, User, UserKind
from idp.wire.credentials import (
    Credentials,
    ForeignOriginError,
    MalformedCredentialError,
    Shown,
    check_origin,
    may_sign_in,
    read_credentials,
)
from idp.wire.edges import answer_errors

SESSION_COOKIE, CSRF_COOKIE = "rsid", "csrftoken"

_KEY = re.compile(r"ra2\.([0-9a-f]{40})\.([0-9a-f]{64})")
_PUBLIC = re.compile(r"ra2\.[0-9a-f]{40}")

ROLE_NAMES = {
    "ADMIN": "administrator",
    "ADMINISTRATOR_READ_ONLY": "auditor",
    "PROJECT_ADMIN": "project-administrator",
    "PROJECT_READ_ONLY": "viewer",
    "INFRA_ADMIN": "editor",
    "INFRA_READ_ONLY": "viewer",
}
"""The contract's roles, and those that take their place. A role of a realm is named by its own name, or by its id; there are
no clusters, workspaces and namespaces here to be an administrator of."""


def register(app: Flask) -> None:
    """Add the URLs of the contract to the application."""
    routes: tuple[tuple[str, str, Callable[..., Response]], ...] = (
        ("POST", "/auth/v1/prelogin", public(prelogin)),
        ("POST", "/auth/v1/login", public(login)),
        ("POST", "/auth/v1/logout", _call(logout)),
        ("POST", "/auth/v1/signup/organization", public(sign_up)),
        ("GET", "/auth/v1/organizations", _call(list_organizations)),
        ("POST", "/auth/v1/organizations", _call(create_organization, prepare=keys.prepare)),
        ("GET", "/auth/v1/organizations/<uid>", _call(get_organization)),
        ("PUT", "/auth/v1/organizations/<uid>", _call(put_organization)),
        ("DELETE", "/auth/v1/organizations/<uid>", _call(delete_organization)),
        ("GET", "/auth/v1/organizations/<uid>/accountroles", _call(list_roles)),
        ("POST", "/auth/v1/organizations/<uid>/adduser", _call(add_user)),
        ("GET", "/auth/v1/users", _call(list_users)),
        ("GET", "/auth/v1/users/-/current", _call(current)),
        ("GET", "/auth/v1/users/-/profile", _call(profile)),
        ("POST", "/auth/v1/users/<uid>/apikey", _call(create_key)),
        ("GET", "/auth/v1/users/<uid>/apikeys", _call(list_keys)),
        ("DELETE", "/auth/v1/apikeys/<uid>", _call(delete_key)),
        ("GET", "/auth/v2/users", _call(find_users)),
        ("GET", "/auth/v1/projects", _call(list_projects)),
        ("POST", "/auth/v1/projects", _call(create_project)),
        ("GET", "/auth/v1/projects/<uid>", _call(get_project)),
        ("DELETE", "/auth/v1/projects/<uid>", _call(delete_project)),
        ("GET", "/auth/v1/groups", _call(list_groups)),
        ("POST", "/auth/v1/groups", _call(create_group)),
        ("GET", "/auth/v1/groups/<uid>", _call(get_group)),
        ("PUT", "/auth/v1/groups/<uid>", _call(put_group)),
        ("DELETE", "/auth/v1/groups/<uid>", _call(delete_group)),
    )
    add_calls(app, "rafay", routes)
    for prefix in ("/auth/v1/", "/auth/v2/"):
        answer_errors(app, prefix, answer_error)


# -- who calls ---------------------------------------------------------------------------------------------------------


def _call(view: Callable[..., Response], prepare: Callable[[], None] = lambda: None) -> Callable[..., Response]:
    return signed_in(view, _credentials, prepare=prepare)


def _credentials() -> Credentials:
    """Return what a request shows: the header `X-API-KEY`, the cookie of a sign-in with `X-CSRFToken`, or as natively.

    :raises MalformedCredentialError: several of them.
    :raises ForeignOriginError: a change with the cookie comes from elsewhere (T100).
    """
    key, session = request.headers.get("X-Api-Key"), request.cookies.get(SESSION_COOKIE)
    if key is not None:
        if "Authorization" in request.headers or "apiKey" in request.headers:
            raise MalformedCredentialError("The request shows two credentials. Send one.")
        return Credentials(Shown.KEY, plain_key(key) or "")
    if session and "Authorization" not in request.headers and "apiKey" not in request.headers:
        if request.method not in {"GET", "HEAD"}:
            check_origin(request.environ, runtime.current().settings.public_url)
            shown = request.headers.get("X-CSRFToken", "")
            if not crypto.same(shown.encode(), csrf_token(session).encode()):
                raise ForeignOriginError("Send the value of the cookie csrftoken in the header X-CSRFToken.")
        return Credentials(Shown.TOKEN, session)
    return read_credentials(request.environ)


def csrf_token(session: str) -> str:
    """Return the token that a change with this session's cookie must show: who cannot read the cookie cannot know it."""
    return hashlib.sha256(f"csrf {session}".encode()).hexdigest()[:32]


def foreign_key(plain: str) -> str:
    """Return an API key as the contract writes it: the part that may be shown, and the secret, in hexadecimal digits."""
    public_number, secret = _number(plain[7:15]), _number(plain[15:58])
    return f"{_foreign_public(public_number)}.{secret:064x}"


def foreign_public(public_part: str) -> str:
    """Return the part of a key that may be shown as the contract writes it."""
    return _foreign_public(_number(public_part[7:15]))


def _foreign_public(number: int) -> str:
    return f"ra2.{number:012x}{hashlib.sha256(f'ra2 {number}'.encode()).hexdigest()[:28]}"


def plain_key(foreign: str) -> str | None:
    """Return the API key that was written as the contract has it, or as it is; None if it is none."""
    match = _KEY.fullmatch(foreign)
    if match is None:
        return foreign if foreign.startswith("idp_ak_") else None
    body = f"idp_ak_{crypto.base62(int(match[1][:12], 16), 8)}{crypto.base62(int(match[2], 16), 43)}"
    return body + crypto.checksum(body)


def _number(text: str) -> int:
    value = 0
    for character in text:
        value = value * 62 + crypto.BASE62.index(character)
    return value


# -- signing in --------------------------------------------------------------------------------------------------------


def prelogin() -> Response:
    """Say how somebody signs in: alike for all (T85)."""
    body = json_body()
    organization = text_of(body, "organization", "")[:64]
    return answer({"username": text_of(body, "username")[:254], "organization": organization, "is_sso": False})


def login() -> Response:
    """Sign a person in: the session's cookie, and the one whose value every change must show."""
    if not may_sign_in(request.environ, runtime.current().settings.public_url):
        raise ForeignOriginError("A page of another origin cannot sign this browser in.")
    body = json_body()
    signed = users.check_sign_in(
        text_of(body, "username"), text_of(body, "password", longest=100_000),
        realm=text_of(body, "organization", "") or None, address=address(),
    )  # fmt: skip
    token = sessions.start_session(signed.realm, signed.user, agent=request.headers.get("User-Agent", ""))
    response = answer({"username": signed.user.name, "expires_in": token.expires_in})
    settings = runtime.current().settings
    path, secure = settings.public_path or "/", settings.public_url.startswith("https:")
    for name, value, hidden in ((SESSION_COOKIE, token.token, True), (CSRF_COOKIE, csrf_token(token.token), False)):
        response.set_cookie(name, value, max_age=token.expires_in, path=path, secure=secure, httponly=hidden, samesite="Lax")
    return response


def logout(caller: Caller) -> Response:
    """End the session."""
    realm = realms.get_realm(caller.realm.name)
    sessions.end_session(realm, sessions.get_session(realm, caller.credential_id))
    response = answer({})
    for name in (SESSION_COOKIE, CSRF_COOKIE):
        response.delete_cookie(name, path=runtime.current().settings.public_path or "/")
    return response


def sign_up() -> Response:
    """Ask for an organisation; it exists once the code that is mailed has been used. Off unless the operator allows it.

    A password that is sent along is not used: whoever can read the mail chooses it (R107).
    """
    body = json_body()
    name = text_of(body, "organization_name", longest=200)
    row = organisations.sign_up(
        SignUpWish(
            slug(name), text_of(body, "username"), name, text_of(body, "first_name", ""), text_of(body, "last_name", ""),
        ),
        address(),
    )  # fmt: skip
    return answer({"id": row.uid, "organization": slug(name), "status": "verification mailed"}, 201)


def slug(name: str) -> str:
    """Return the realm's name for what people call an organisation."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64].strip("-")


# -- organisations -----------------------------------------------------------------------------------------------------


@takes("name", "external_id", "referer", "limit", "offset")
def list_organizations(caller: Caller) -> Response:
    """List organisations: for operators all, for anybody else their own."""
    caller.require("realm:read")
    own = "" if caller.realm.name == MASTER else caller.realm.uid
    listing = realms.realm_listing(containing=argument("name")[:200], uid=own, deleted=False)
    if argument("external_id") or argument("referer"):
        listing = realms.realm_listing(uid="none has such a mark here")
    rows, count, limit, offset = cut(listing, "name")
    return _list([_organization(row) for row in rows], count, limit, offset)


def create_organization(caller: Caller) -> Response:
    """Make an organisation. Operators only."""
    _operator(caller)
    body = json_body()
    name = text_of(body, "name", longest=200)
    realm = manifest.create_empty_realm(slug(name), display_name=name, pending=flag_of(body, "approved") is False)
    return answer(_organization(realm), 201)


def get_organization(caller: Caller, uid: str) -> Response:
    """Show an organisation."""
    return answer(_organization(_find_realm(caller, uid)))


def put_organization(caller: Caller, uid: str) -> Response:
    """Change an organisation: `approved` approves, `active` activates and deactivates; the rest of the object may come along."""
    realm = _find_realm(caller, uid, lock=True)
    caller.require("realm:write", realm=realm.name)
    body = json_body()
    approved, active = flag_of(body, "approved"), flag_of(body, "active")
    name = text_of(body, "name", longest=200) if "name" in body else None
    if name is not None and name not in {realm.display_name, realm.name}:
        realms.update_realm(realm, display_name=name)
    if approved and realm.state is RealmState.PENDING:
        _operator(caller)
        organisations.approve(realm)
    elif active is not None and active != (realm.state is RealmState.ACTIVE) and realm.state is not RealmState.PENDING:
        _operator(caller)
        (realms.activate_realm if active else realms.deactivate_realm)(realm)
    return answer(_organization(realm))


def delete_organization(caller: Caller, uid: str) -> Response:
    """Stop an organisation for good; for 30 days an operator can restore it."""
    _operator(caller)
    realms.delete_realm(_find_realm(caller, uid, lock=True))
    return Response(b"", 204, NO_STORE)


def list_roles(caller: Caller, uid: str) -> Response:
    """List the roles that users of an organisation can be given."""
    realm = _find_realm(caller, uid)
    caller.require("roles:read", realm=realm.name)
    rows = [_role(role) for role in access.list_roles(realm)]
    return _list(rows, len(rows), len(rows), 0)


def add_user(caller: Caller, uid: str) -> Response:
    """Add a person to an organisation with roles, and mail an invitation."""
    realm = _find_realm(caller, uid, lock=True)
    caller.require("users:write", realm=realm.name)
    body = json_body()
    account = body.get("account")
    if not isinstance(account, dict):
        raise InvalidValueError("account is missing.")
    user = users.create_user(
        realm, text_of(account, "username"), UserKind.PERSON, first_name=text_of(account, "first_name", ""),
        last_name=text_of(account, "last_name", ""),
    )  # fmt: skip
    for project, roles in _wanted_roles(realm, body).items():
        callers.set_roles(caller, realm, users.holder_of(user), sorted(roles), project=project)
    users.send_link(realm, user, LinkPurpose.INVITATION)
    return answer(_user(realm, user), 201)


def _wanted_roles(realm: Realm, body: dict[str, Any]) -> dict[str, set[str]]:
    """Return the roles that somebody is to have, by project; those on the whole organisation under an empty name."""
    several, one = body.get("roles"), body.get("role")
    entries = several if isinstance(several, list) else []
    entries = entries or ([{"role": one}] if one else [])
    found: dict[str, set[str]] = {}
    for entry in entries:
        role = entry.get("role", entry) if isinstance(entry, dict) else None
        if not isinstance(role, dict):
            raise InvalidValueError('A role is an object such as {"id": "...", "name": "ADMIN"}.')
        project, name = _project_of(realm, entry), text_of(role, "name", "")
        if name.startswith("PROJECT_") and not project:
            raise InvalidValueError('Roles of a project take the project: {"role": {...}, "project": {"id": "..."}}.')
        found.setdefault(project, set()).add(_role_name(realm, text_of(role, "id", ""), name))
    return found


def _project_of(realm: Realm, entry: dict[str, Any]) -> str:
    named = entry.get("project")
    uid = text_of(named, "id", "") if isinstance(named, dict) else text_of(entry, "project_id", "")
    if not uid:
        return ""
    project = access.find_project_by_uid(realm, uid)
    if project is None:
        raise NotFoundError("The project does not exist (not found).")
    return project.name


def _role_name(realm: Realm, uid: str, name: str) -> str:
    """Return the role that an id means in this realm, or else a name."""
    for named in (uid, ROLE_NAMES.get(name, name)):
        try:
            return access.find_role_name(realm, named)
        except NotFoundError:
            continue
    raise NotFoundError("There is no such role (not found).")


def _operator(caller: Caller) -> None:
    if caller.realm.name != MASTER:
        raise DeniedError("This call is for operators, who belong to realm 'master'.")
    caller.require("realm:write")


def _find_realm(caller: Caller, uid: str, *, lock: bool = False) -> Realm:
    realm = realms.find_realm_by_uid_or_name(uid)
    gone = realm is None or realm.state is RealmState.DELETED
    if realm is None or gone or not caller.may("realm:read", realm=realm.name):
        raise NotFoundError("The organization does not exist (not found).")
    return (realms.lock_realm(realm.name) or realm) if lock else realm


# -- users and keys ----------------------------------------------------------------------------------------------------


@takes("q", "limit", "offset")
def list_users(caller: Caller) -> Response:
    """List users."""
    realm = realm_of(caller)
    caller.require("users:read", realm=realm.name)
    rows, count, limit, offset = cut(users.user_listing(realm, containing=argument("q")[:200]), "name")
    return _list([_user(realm, row) for row in rows], count, limit, offset)


@takes("options.name", "options.q", "limit", "offset")
def find_users(caller: Caller) -> Response:
    """Find users by a part of their name."""
    realm = realm_of(caller)
    caller.require("users:read", realm=realm.name)
    name = argument("options.name", argument("options.q"))[:200]
    rows, count, _, _ = cut(users.user_listing(realm, containing=name), "name")
    return answer({"accounts": [_account(row) for row in rows], "count": count})


def current(caller: Caller) -> Response:
    """Show who calls."""
    user = callers.visible_user(caller, realms.get_realm(caller.realm.name), caller.user.uid)
    return answer(_user(realms.get_realm(caller.realm.name), user))


def profile(caller: Caller) -> Response:
    """Show who calls, with organisation and roles."""
    realm = realms.get_realm(caller.realm.name)
    names = sorted({each.role for each in caller.held_roles if not each.project})
    roles = [{"role": _role(access.get_role(realm, name))} for name in names]
    account = {"id": caller.subject.uid, "username": caller.name.partition(":")[2]}
    return answer({"account": account, "organization": _organization(realm), "partner": _PARTNER, "roles": roles})


def create_key(caller: Caller, uid: str) -> Response:
    """Make a key for a user; its value is in this answer and nowhere else."""
    realm, body = _realm_of_user(caller, uid), json_body()
    hours = body.get("validity_hour")
    never = flag_of(body, "never_expire") or False
    if hours is not None and (not isinstance(hours, int) or isinstance(hours, bool)):
        raise InvalidValueError("validity_hour takes a number of hours, 1 or more.")
    wish = callers.KeyWish(name=text_of(body, "name", "key", longest=64), hours=None if never else hours, never=never)
    owner = None if uid in {"-", caller.subject.uid} else uid
    return answer(_new_key(callers.make_key(caller, realm, owner, wish)), 201)


def list_keys(caller: Caller, uid: str) -> Response:
    """List somebody's keys; never their values."""
    realm = _realm_of_user(caller, uid)
    named = caller.subject.uid if uid == "-" else uid
    if named != caller.subject.uid:
        caller.require("api-keys:read", realm=realm.name)
    owner = callers.own_holder(caller) if named == caller.subject.uid else callers.find_holder(realm, HolderKind.USER, named)
    return answer([_key(key) for key in apikeys.list_keys(realm, owner=owner, limit=apikeys.MOST_KEYS)])


def delete_key(caller: Caller, uid: str) -> Response:
    """Remove a key, by its id or by the part of it that lists show."""
    realm = realm_of(caller)
    if _PUBLIC.fullmatch(uid):
        key = next((each for each in _keys(caller, realm) if foreign_public(each.public_part) == uid), None)
        uid = key.uid if key is not None else uid
    apikeys.delete_key(realm, callers.writable_key(caller, realm, uid))
    return Response(b"", 204, NO_STORE)


def _keys(caller: Caller, realm: Realm) -> list[ApiKey]:
    return list(apikeys.list_keys(realm, owner=callers.own_holder(caller), limit=apikeys.MOST_KEYS))


def _realm_of_user(caller: Caller, uid: str) -> Realm:
    """Return the realm that a user belongs to: for operators any, whether or not a header names it."""
    realm = realm_of(caller)
    if caller.realm.name == MASTER and realm.name == MASTER and uid not in {"-", caller.subject.uid}:
        home = users.find_realm_of(uid)
        if home is not None:
            return (realms.lock_realm(home.name) or home) if request.method != "GET" else home
    return realm


# -- projects and groups -----------------------------------------------------------------------------------------------


@takes("order", "q", "limit", "offset")
def list_projects(caller: Caller) -> Response:
    """List the projects that the caller may see."""
    realm = realm_of(caller)
    names = callers.readable_projects(caller, realm, "projects:read")
    order = "-name" if argument("order", "ASC").upper() == "DESC" else "name"
    listing = access.project_listing(realm, containing=argument("q")[:200], names=names)
    rows, count, limit, offset = cut(listing, order)
    shown = [_project(realm, row) for row in rows]
    return _list(shown, count, limit, offset, items=shown)


def create_project(caller: Caller) -> Response:
    """Make a project."""
    realm, body = realm_of(caller), json_body()
    caller.require("projects:write", realm=realm.name)
    project = access.create_project(realm, text_of(body, "name"), text_of(body, "description", ""))
    return answer(_project(realm, project), 201)


def get_project(caller: Caller, uid: str) -> Response:
    """Show a project."""
    realm = realm_of(caller)
    return answer(_project(realm, _find_project(caller, realm, uid)))


def delete_project(caller: Caller, uid: str) -> Response:
    """Delete a project that nobody holds a role on."""
    realm = realm_of(caller)
    project = _find_project(caller, realm, uid)
    caller.require("projects:write", realm=realm.name)
    access.delete_project(realm, project.name)
    return Response(b"", 204, NO_STORE)


def _find_project(caller: Caller, realm: Realm, uid: str) -> Project:
    project = access.find_project_by_uid(realm, uid)
    if project is None or not caller.may("projects:read", realm=realm.name, project=project.name):
        raise NotFoundError("The project does not exist (not found).")
    return project


@takes("q", "limit", "offset")
def list_groups(caller: Caller) -> Response:
    """List groups."""
    realm = realm_of(caller)
    caller.require("users:read", realm=realm.name)
    rows, count, limit, offset = cut(users.group_listing(realm, containing=argument("q")[:200]), "name")
    shown = [_group(realm, row) for row in rows]
    return _list(shown, count, limit, offset, items=shown)


def create_group(caller: Caller) -> Response:
    """Make a group."""
    realm, body = realm_of(caller), json_body()
    caller.require("users:write", realm=realm.name)
    group = users.create_group(realm, text_of(body, "name"), text_of(body, "description", ""))
    return answer(_group(realm, group), 201)


def get_group(caller: Caller, uid: str) -> Response:
    """Show a group."""
    realm = realm_of(caller)
    return answer(_group(realm, _find_group(caller, realm, uid)))


def put_group(caller: Caller, uid: str) -> Response:
    """Set what a group says of itself."""
    realm, body = realm_of(caller), json_body()
    group = callers.manageable_group(caller, realm, _find_group(caller, realm, uid))
    if text_of(body, "name", group.name) != group.name:
        raise ConflictError("The name of a group cannot be changed.")
    users.describe_group(realm, group.name, text_of(body, "description", ""))
    return answer(_group(realm, group))


def delete_group(caller: Caller, uid: str) -> Response:
    """Delete a group; its members stay."""
    realm = realm_of(caller)
    users.delete_group(realm, callers.manageable_group(caller, realm, _find_group(caller, realm, uid)).name)
    return Response(b"", 204, NO_STORE)


def _find_group(caller: Caller, realm: Realm, uid: str) -> Group:
    group = users.find_group_by_uid(realm, uid)
    if group is None or not caller.may("users:read", realm=realm.name):
        raise NotFoundError("The group does not exist (not found).")
    return group


# -- shapes ------------------------------------------------------------------------------------------------------------

_SWITCHES = (
    "psps_enabled", "custom_psps_enabled", "default_blueprints_enabled", "enable_drift_webhook", "system_templates_enabled",
)  # fmt: skip
"""Of clusters, which are not managed here; clients send them back as they got them."""

_PARTNER = {"id": "realmgate", "name": "Realmgate", "settings": {"visible_roles": sorted(ROLE_NAMES)}}


def _organization(realm: Realm) -> dict[str, Any]:
    state = realm.state
    return {
        "id": realm.uid,
        "name": realm.display_name or realm.name,
        "slug": realm.name,
        "description": "",
        "settings": {},
        "active": state is RealmState.ACTIVE,
        "approved": state is not RealmState.PENDING,
        "type": "free",
        **dict.fromkeys(
            ("billing_address", "address_line1", "address_line2", "city", "state", "country", "phone", "zipcode"), ""
        ),
        "partner_id": _PARTNER["id"],
        "partner": _PARTNER,
        "is_private": True,
        "is_totp_enabled": False,
        "referer": None,
        "external_id": "",
        "published_workload_count": 0,
        **dict.fromkeys(_SWITCHES, True),
        "protected_resources": {},
        "created_at": time(realm.created_at),
        "modified_at": time(realm.updated_at),
    }


def _role(role: Role) -> dict[str, Any]:
    foreign = next((name for name, own in ROLE_NAMES.items() if own == role.name), role.name)
    return {"id": role.uid, "name": foreign, "is_global": True, "scope": "ORGANIZATION", "description": role.description}


def _account(user: User) -> dict[str, Any]:
    return {
        "id": user.uid,
        "username": user.name,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "phone": "",
        "active": user.enabled,
        "created_at": time(user.created_at),
        "modified_at": time(user.updated_at),
        "last_login": time_or_none(user.last_sign_in_at),
    }


def _user(realm: Realm, user: User) -> dict[str, Any]:
    return {"id": user.uid, "account": _account(user), "username": user.name, "organization_id": realm.uid}


def _project(realm: Realm, project: Project) -> dict[str, Any]:
    created, modified = time(project.created_at), time(project.updated_at or project.created_at)
    return {
        "id": project.uid,
        "name": project.name,
        "description": project.description,
        "organization_id": realm.uid,
        "partner_id": _PARTNER["id"],
        "created_at": created,
        "modified_at": modified,
        "createdAt": created,
        "modifiedAt": modified,
    }


def _group(realm: Realm, group: Group) -> dict[str, Any]:
    return {
        "id": group.uid,
        "name": group.name,
        "description": group.description,
        "organization_id": realm.uid,
        "created_at": time(group.created_at),
        "modified_at": time(group.updated_at or group.created_at),
    }


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.uid,
        "name": key.name,
        "key": foreign_public(key.public_part),
        "never_expire": key.expires_at is None,
        "expire_at": time_or_none(key.expires_at),
        "created_at": time(key.created_at),
        "last_used": time_or_none(key.last_used_at),
        "status": key.status(clock.now()).value,
    }


def _new_key(new: NewKey) -> dict[str, Any]:
    written = foreign_key(new.plain_key)
    return _key(new.key) | {"key": written, "secret": written.rpartition(".")[2]}


def _list(rows: list[Any], count: int, limit: int, offset: int, **more: Any) -> Response:
    return answer({"count": count, "limit": limit, "offset": offset, "results": rows} | more)


def answer_error(error: Exception) -> Response:
    """Return the answer to any error: a text under `error`, as the clients look for it."""
    status, code, message, headers = classify(error)
    if status == 500:
        message = log_unexpected(error)
    if isinstance(error, CredentialError):
        message = "Authentication failed: the credentials are wrong or over. Sign in again, or use another key."
    if status == 404 and "not found" not in message:
        message = f"{message} (not found)"
    body = {"error": message, "status_code": status, "code": code, "detail": message}
    return Response(json.dumps(body), status, Headers([*NO_STORE.items(), *headers.items()]), mimetype="application/json")
