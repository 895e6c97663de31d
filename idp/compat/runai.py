"""Applications, access keys, users, access rules and projects, as the clients of Run:ai's control plane manage them.

The paths name no realm: a call is about the realm of whoever makes it. Where nobody is known yet (the token calls), it is
`IDP_COMPAT_REALM`, or the only realm there is besides `master`.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from sqlalchemy import select
from werkzeug.datastructures import Headers

from idp import access, apikeys, applications, callers, clock, crypto, protocol, realms, runtime, tokens, users
from idp.access import PERMISSIONS, Grant, HolderKind, Project, Role
from idp.api.answers import answer, time, time_or_none
from idp.api.errors import NO_STORE, classify, log_unexpected
from idp.api.requests import address, realm_of
from idp.apikeys import ApiKey
from idp.applications import Application
from idp.audit import Tag
from idp.callers import ApplicationWish, Caller, CredentialKind, DeniedError
from idp.compat.calls import cut, flag_of, json_body, public, signed_in, text_of
from idp.compat.filters import filtered
from idp.compat.parameters import add_calls, argument, takes
from idp.db import db
from idp.errors import ConflictError, InvalidValueError, NotFoundError
from idp.paging import Listing
from idp.protocol.errors import InvalidRequestError, ProtocolError
from idp.protocol.forms import Form
from idp.realms import Realm
from idp.users import LinkPurpose, User, UserKind
from idp.wire.edges import answer_errors

_KINDS = {
    "user": HolderKind.USER,
    "app": HolderKind.APPLICATION,
    "service-account": HolderKind.APPLICATION,
    "group": HolderKind.GROUP,
}
_SUBJECTS = {HolderKind.USER.value: "user", HolderKind.APPLICATION.value: "app", HolderKind.GROUP.value: "group"}
LISTED = ("filterBy", "sortBy", "sortOrder", "limit", "offset")
"""Parameters of lists."""

MOST_AT_ONCE = 200
"""Access rules of one batch."""


def register(app: Flask) -> None:
    """Add the URLs of the contract to the application."""
    base = "/api/v1"
    routes: list[tuple[str, str, Callable[..., Response]]] = [
        ("POST", f"{base}/token", public(token)),
        ("GET", f"{base}/access-keys", signed_in(list_access_keys)),
        ("POST", f"{base}/access-keys", signed_in(create_access_key)),
        ("GET", f"{base}/access-keys/<uid>", signed_in(get_access_key)),
        ("DELETE", f"{base}/access-keys/<uid>", signed_in(delete_access_key)),
        ("POST", f"{base}/access-keys/<uid>/secret", signed_in(renew_access_key)),
        ("GET", f"{base}/administration/access-keys", signed_in(list_all_access_keys)),
        ("DELETE", f"{base}/administration/access-keys/<uid>", signed_in(delete_access_key)),
        ("GET", f"{base}/user-applications", signed_in(list_access_keys)),
        ("POST", f"{base}/user-applications", signed_in(functools.partial(create_access_key, member="secret"))),
        ("GET", f"{base}/user-applications/<uid>", signed_in(get_access_key)),
        ("DELETE", f"{base}/user-applications/<uid>", signed_in(delete_access_key)),
        ("POST", f"{base}/user-applications/<uid>/secret", signed_in(functools.partial(renew_access_key, member="secret"))),
        ("GET", f"{base}/users", signed_in(list_users)),
        ("POST", f"{base}/users", signed_in(create_user)),
        ("GET", f"{base}/users/count", signed_in(count_users)),
        ("GET", f"{base}/users/<uid>", signed_in(get_user)),
        ("DELETE", f"{base}/users/<uid>", signed_in(delete_user)),
        ("POST", f"{base}/users/<uid>/logout", signed_in(sign_out_user)),
        ("POST", f"{base}/users/<uid>/password", signed_in(reset_password)),
        ("POST", f"{base}/me/password", signed_in(change_password)),
        ("GET", f"{base}/authorization/access-rules", signed_in(list_rules)),
        ("POST", f"{base}/authorization/access-rules", signed_in(create_rule)),
        ("GET", f"{base}/authorization/access-rules/count", signed_in(count_rules)),
        ("POST", f"{base}/authorization/access-rules/batch", signed_in(create_rules)),
        ("POST", f"{base}/authorization/access-rules/batch-create", signed_in(create_rules)),
        ("GET", f"{base}/authorization/access-rules/<int:number>", signed_in(get_rule)),
        ("DELETE", f"{base}/authorization/access-rules/<int:number>", signed_in(delete_rule)),
        ("GET", f"{base}/authorization/roles", signed_in(list_roles)),
        ("GET", f"{base}/authorization/roles/<int:number>", signed_in(get_role)),
        ("GET", f"{base}/authorization/permissions", signed_in(list_permissions)),
        ("POST", f"{base}/authorization/permitted-scopes", signed_in(permitted_scopes)),
        ("GET", f"{base}/authorization/me/access-rules", signed_in(own_rules)),
        ("GET", f"{base}/me/access-rules", signed_in(own_rules)),
        ("GET", f"{base}/org-unit/projects", signed_in(list_projects)),
        ("POST", f"{base}/org-unit/projects", signed_in(create_project)),
        ("GET", f"{base}/org-unit/projects/<uid>", signed_in(get_project)),
        ("DELETE", f"{base}/org-unit/projects/<uid>", signed_in(delete_project)),
        ("GET", f"{base}/idps", signed_in(list_providers)),
        ("GET", f"{base}/security/settings", signed_in(get_settings)),
    ]
    for name, secret in (("apps", "secret"), ("service-accounts", "clientSecret")):
        routes += [
            ("GET", f"{base}/{name}", signed_in(list_apps)),
            ("POST", f"{base}/{name}", signed_in(functools.partial(create_app, member=secret))),
            ("GET", f"{base}/{name}/<uid>", signed_in(get_app)),
            ("PATCH", f"{base}/{name}/<uid>", signed_in(change_app)),
            ("DELETE", f"{base}/{name}/<uid>", signed_in(delete_app)),
            ("POST", f"{base}/{name}/<uid>/secret", signed_in(functools.partial(renew_secret, member=secret))),
        ]
    add_calls(app, "runai", routes)
    # a token endpoint passes over what it does not know (RFC 6749 §3.2)
    app.add_url_rule("/api/v2/token", "runai POST /api/v2/token", oauth_token, methods=["POST"], strict_slashes=False)
    for prefix in ("/api/v1/", "/api/v2/"):
        answer_errors(app, prefix, answer_error)


# -- tokens ------------------------------------------------------------------------------------------------------------


def token() -> Response:
    """Issue tokens for an application, or for a user's access key. Names of members match in whatever case."""
    given = {name.lower().replace("_", ""): value for name, value in json_body().items()}
    kind = text_of(given, "granttype")
    if kind not in {"app_token", "client_credentials"}:
        raise InvalidValueError("grantType takes client_credentials or app_token here. People sign in at /v1/auth/authenticate.")
    client_id = text_of(given, "clientid" if "clientid" in given else "appid")
    secret = text_of(given, "clientsecret" if "clientsecret" in given else "appsecret", longest=4_000)
    if crypto.is_well_formed(secret, "ak"):
        return answer(_exchanged(client_id, secret))
    realm, _, name = client_id.rpartition("/")
    form = Form(grant_type="client_credentials", scope="openid", client_id=name, client_secret=secret)
    issued = protocol.answer_token(
        realm or default_realm(), _without_credentials(), _for_this_server(realm or default_realm(), form)
    )
    return answer(
        {
            "accessToken": issued["access_token"],
            "idToken": issued.get("id_token", ""),
            "refreshToken": "",  # none comes with this grant (RFC 6749 §4.4.3)
            "expiresIn": issued["expires_in"],
        }
    )


def _exchanged(client_id: str, key: str) -> dict[str, Any]:
    checked = apikeys.check_key(runtime.current(), key, address(), Tag.API_KEY_EXCHANGE)
    if client_id != checked.key.uid:
        raise callers.CredentialError
    exchanged = apikeys.exchange_key(checked)
    return {"accessToken": exchanged.token, "idToken": "", "refreshToken": "", "expiresIn": exchanged.expires_in}


def _without_credentials() -> dict[str, Any]:
    """Return the request without its header: the credential is in the body, and one is all that may be shown."""
    return {name: value for name, value in request.environ.items() if name != "HTTP_AUTHORIZATION"}


def _for_this_server(realm: str, form: Form) -> Form:
    """Ask for a token for this server, if the application may have one: it is what the clients of this contract call with it."""
    known = realms.known_realm(runtime.current(), realm)
    application = applications.known_application(known, form.text("client_id")) if known is not None else None
    if (
        known is None
        or application is None
        or "resource" in form
        or "audience" in form
        or not tokens.may_manage(known, application)
    ):
        return form
    return Form({**form, "resource": known.issuer})


def oauth_token() -> Response:
    """Serve the token endpoint of a realm (RFC 6749 §3.2): the one in front of the client_id, or `default_realm`."""
    try:
        form = protocol.parse_form(request.environ)
        realm, _, name = form.text("client_id").rpartition("/")
        if realm:
            form["client_id"] = name
        realm = realm or default_realm()
        return protocol.no_store(protocol.answer_token(realm, request.environ, _for_this_server(realm, form)))
    except InvalidValueError as error:
        return protocol.answer_error(InvalidRequestError(str(error)))
    except Exception as error:  # noqa: BLE001 (whatever it is, it is answered as OAuth has it)
        return protocol.answer_error(error)


def default_realm() -> str:
    """Return the name of the realm that calls without a realm are about.

    :raises InvalidValueError: there are several, and none is set.
    """
    runtime.current().feed.confirm()
    name = runtime.current().settings.compat_realm
    if name:
        return name
    names = realms.names_besides_master(2)
    if len(names) != 1:
        raise InvalidValueError(
            "Write <realm>/<application> as the client id, for there are several realms. IDP_COMPAT_REALM chooses one of them."
        )
    return names[0]


# -- applications ------------------------------------------------------------------------------------------------------


@takes(*LISTED)
def list_apps(caller: Caller) -> Response:
    """List applications."""
    realm = realm_of(caller)
    caller.require("applications:read", realm=realm.name)
    columns = {"name": Application.name, "clientId": Application.name, "enabled": Application.enabled, "id": Application.uid}
    rows, *_ = _page(applications.application_listing(realm), columns, default=500)
    return answer([_app(row) for row in rows])


def create_app(caller: Caller, member: str) -> Response:
    """Make an application; its secret is in this answer and nowhere else."""
    realm = realm_of(caller)
    name = text_of(json_body(), "name", longest=64)
    application, secret = callers.make_application(
        caller, realm, ApplicationWish(name, fields={"audience": [runtime.current().settings.issuer(realm.name)]})
    )
    return answer(_app(application) | {member: secret}, 201)


def get_app(caller: Caller, uid: str) -> Response:
    """Show an application."""
    return answer(_app(_find_app(caller, uid)))


def change_app(caller: Caller, uid: str) -> Response:
    """Enable or disable an application."""
    realm = realm_of(caller)
    enabled = flag_of(json_body(), "enabled")
    if enabled is None:
        raise InvalidValueError("enabled is missing.")
    return answer(_app(callers.change_application(caller, realm, _find_app(caller, uid).name, enabled=enabled)))


def delete_app(caller: Caller, uid: str) -> Response:
    """Delete an application."""
    realm = realm_of(caller)
    name = _find_app(caller, uid).name
    applications.delete_application(realm, callers.manageable_application(caller, realm, name))
    return Response(b"", 204, NO_STORE)


def renew_secret(caller: Caller, uid: str, member: str) -> Response:
    """Give an application a new secret in place of those it has, which stop working at once."""
    realm = realm_of(caller)
    application = callers.manageable_application(caller, realm, _find_app(caller, uid).name)
    for secret in applications.list_secrets(application):
        if secret.retired_at is None:
            applications.retire_secret(realm, application, secret.name)
    db.session.flush()
    return answer({member: callers.make_secret(caller, realm, application, "main")[1]})


def _find_app(caller: Caller, uid: str) -> Application:
    realm = realm_of(caller)
    found = applications.find_application_by_uid(realm, uid)
    if found is None or not caller.may("applications:read", realm=realm.name):
        raise NotFoundError("There is no application with this id (not found).")
    return found


# -- access keys -------------------------------------------------------------------------------------------------------


@takes(*LISTED)
def list_access_keys(caller: Caller) -> Response:
    """List the caller's own access keys."""
    return _access_keys(apikeys.key_listing(realm_of(caller), owner=callers.own_holder(caller)))


@takes(*LISTED)
def list_all_access_keys(caller: Caller) -> Response:
    """List everybody's access keys."""
    realm = realm_of(caller)
    caller.require("api-keys:read", realm=realm.name)
    return _access_keys(apikeys.key_listing(realm))


def _access_keys(listing: Listing) -> Response:
    rows, *_ = _page(listing, {"name": ApiKey.name, "id": ApiKey.uid}, default=500)
    return answer({"accessKeys": [_access_key(row) for row in rows]})


def create_access_key(caller: Caller, member: str = "clientSecret") -> Response:
    """Make an access key: an API key, of which the id is the client's and the value the client's secret."""
    name = text_of(json_body(), "name", longest=64)
    new = callers.make_key(caller, realm_of(caller), None, callers.KeyWish(name=name))
    return answer(_access_key(new.key) | {member: new.plain_key}, 201)


def get_access_key(caller: Caller, uid: str) -> Response:
    """Show an access key; never its secret."""
    return answer(_access_key(callers.readable_key(caller, realm_of(caller), uid)))


def delete_access_key(caller: Caller, uid: str) -> Response:
    """Remove an access key."""
    realm = realm_of(caller)
    apikeys.delete_key(realm, callers.writable_key(caller, realm, uid))
    return Response(b"", 204, NO_STORE)


def renew_access_key(caller: Caller, uid: str, member: str = "clientSecret") -> Response:
    """Give an access key a new secret; the old one stops working at once."""
    return answer({member: callers.renew_key(caller, realm_of(caller), uid).plain_key})


# -- users -------------------------------------------------------------------------------------------------------------


@takes(*LISTED)
def list_users(caller: Caller) -> Response:
    """List users."""
    realm = realm_of(caller)
    caller.require("users:read", realm=realm.name)
    columns = {"username": User.name, "email": User.email, "enabled": User.enabled, "id": User.uid}
    rows, *_ = _page(users.user_listing(realm), columns, default=500)
    return answer([_user(row) for row in rows])


def count_users(caller: Caller) -> Response:
    """Count users."""
    realm = realm_of(caller)
    caller.require("users:read", realm=realm.name)
    return answer({"count": users.user_listing(realm).count()})


def create_user(caller: Caller) -> Response:
    """Add a person, who is mailed an invitation: nobody else ever knows a password (R107), so `tempPassword` is null."""
    realm, body = realm_of(caller), json_body()
    caller.require("users:write", realm=realm.name)
    user = users.create_user(realm, text_of(body, "email", longest=254), UserKind.PERSON)
    users.send_link(realm, user, LinkPurpose.INVITATION)
    return answer(_user(user) | {"tempPassword": None}, 201)


def get_user(caller: Caller, uid: str) -> Response:
    """Show a user."""
    return answer(_user(callers.visible_user(caller, realm_of(caller), uid)))


def delete_user(caller: Caller, uid: str) -> Response:
    """Delete a user with all that is theirs."""
    realm = realm_of(caller)
    users.delete_user(realm, callers.manageable_user(caller, realm, uid))
    return Response(b"", 204, NO_STORE)


def sign_out_user(caller: Caller, uid: str) -> Response:
    """End every session of a user."""
    realm = realm_of(caller)
    if uid != caller.subject.uid or caller.kind is not CredentialKind.SESSION:
        caller.require("sessions:write", realm=realm.name)
    users.sign_out_everywhere(realm, callers.visible_user(caller, realm, uid))
    return answer({})


def reset_password(caller: Caller, uid: str) -> Response:
    """Mail a user a link to choose a password; see `create_user`."""
    realm = realm_of(caller)
    user = callers.manageable_user(caller, realm, uid)
    users.send_link(realm, user, LinkPurpose.RESET if user.password_hash else LinkPurpose.INVITATION)
    return answer({"tempPassword": None})


def change_password(caller: Caller) -> Response:
    """Change the caller's own password by showing the old one."""
    body = json_body()
    old, new = text_of(body, "currentPassword", longest=100_000), text_of(body, "newPassword", longest=100_000)
    users.replace_password(caller.user.name, old, new, realm=caller.realm.name, address=address())
    return answer({})


# -- access rules, roles, projects -------------------------------------------------------------------------------------


@takes(*LISTED)
def list_rules(caller: Caller) -> Response:
    """List who holds which role where."""
    realm = realm_of(caller)
    listing = access.grant_listing(realm, projects=callers.readable_projects(caller, realm, "grants:read"))
    return _rules(realm, listing)


def own_rules(caller: Caller) -> Response:
    """List what the caller holds, themselves and by groups."""
    realm = realms.get_realm(caller.realm.name)
    holders = [callers.own_holder(caller)]
    if holders[0].kind is HolderKind.USER:
        user = callers.visible_user(caller, realm, caller.subject.uid)
        holders += [users.group_holder(group) for group in users.groups_of(user)]
    grants = [grant for holder in holders for grant in access.list_grants(realm, holder=holder)]
    return answer(
        {"totalRecords": len(grants), "displayRecords": len(grants), "accessRules": [_rule(realm, each) for each in grants]}
    )


def count_rules(caller: Caller) -> Response:
    """Count who holds which role where."""
    realm = realm_of(caller)
    listing = access.grant_listing(realm, projects=callers.readable_projects(caller, realm, "grants:read"))
    return answer({"count": listing.count()})


def _rules(realm: Realm, listing: Listing) -> Response:
    columns = {
        "subjectId": Grant.holder_name,
        "roleId": Grant.role_id,
        "roleName": Role.name,
        "id": Grant.id,
        "scopeName": Project.name,
    }
    rows, count, *_ = _page(listing, columns, default=50)
    callers.read_holders(rows)
    return answer({"totalRecords": count, "displayRecords": len(rows), "accessRules": [_rule(realm, row) for row in rows]})


def create_rule(caller: Caller) -> Response:
    """Give somebody a role on the tenant or on a project."""
    return answer(_rule(realm_of(caller), _make_rule(caller, json_body())), 201)


def create_rules(caller: Caller) -> Response:
    """Give several roles, all or none."""
    body = json_body()
    wanted = body.get("accessRules", body.get("rules"))
    if not isinstance(wanted, list) or len(wanted) > MOST_AT_ONCE or not all(isinstance(each, dict) for each in wanted):
        raise InvalidValueError(f"accessRules takes a list of at most {MOST_AT_ONCE} rules.")
    realm = realm_of(caller)
    return answer({"accessRules": [_rule(realm, _make_rule(caller, each)) for each in wanted]})


def _make_rule(caller: Caller, body: dict[str, Any]) -> Grant:
    realm = realm_of(caller)
    kind = _KINDS.get(text_of(body, "subjectType"))
    if kind is None:
        raise InvalidValueError(f"subjectType takes one of {', '.join(_KINDS)}.")
    project = _scope(realm, text_of(body, "scopeType"), text_of(body, "scopeId", ""))
    name = project.name if project is not None else ""
    caller.require("grants:write", realm=realm.name, project=name)
    role = _find_role(realm, body.get("roleId"))
    holder = callers.find_holder(realm, kind, text_of(body, "subjectId", longest=300))
    if access.find_grant(realm, holder, role.name, project=name or None) is not None:
        raise ConflictError("Resource with this name already exists")
    callers.give_role(caller, realm, holder, role.name, project=name)
    db.session.flush()
    grant = access.find_grant(realm, holder, role.name, project=name or None)
    if grant is None:
        raise NotFoundError("The access rule is gone.")
    return grant


def _scope(realm: Realm, kind: str, uid: str) -> Project | None:
    """Return the project that a rule is about, or None for the whole tenant."""
    if kind in {"tenant", "system"}:
        return None
    if kind != "project":
        raise InvalidValueError("scopeType takes project, tenant or system: there are no clusters and departments here.")
    project = access.find_project_by_uid(realm, uid)
    if project is None:
        raise NotFoundError("There is no project with this id (not found).")
    return project


def get_rule(caller: Caller, number: int) -> Response:
    """Show an access rule."""
    realm = realm_of(caller)
    return answer(_rule(realm, _find_rule(caller, realm, number)))


def delete_rule(caller: Caller, number: int) -> Response:
    """Take a role from somebody."""
    realm = realm_of(caller)
    grant = _find_rule(caller, realm, number)
    project = grant.project.name if grant.project else ""
    callers.take_role(caller, realm, callers.holder_of_grant(realm, grant), grant.role.name, project=project)
    return Response(b"", 204, NO_STORE)


def _find_rule(caller: Caller, realm: Realm, number: int) -> Grant:
    grant = db.session.scalar(select(Grant).where(Grant.realm_id == realm.id, Grant.id == _row_number(number)))
    project = grant.project.name if grant is not None and grant.project else ""
    if grant is None or not caller.may("grants:read", realm=realm.name, project=project):
        raise NotFoundError("There is no access rule with this id (not found).")
    return grant


def list_roles(caller: Caller) -> Response:
    """List roles."""
    realm = realm_of(caller)
    caller.require("roles:read", realm=realm.name)
    return answer([_role(role) for role in access.list_roles(realm)])


def get_role(caller: Caller, number: int) -> Response:
    """Show a role."""
    realm = realm_of(caller)
    caller.require("roles:read", realm=realm.name)
    return answer(_role(_find_role(realm, number)))


def _find_role(realm: Realm, number: Any) -> Role:
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidValueError("roleId takes a number.")
    role = db.session.scalar(select(Role).where(Role.realm_id == realm.id, Role.id == _row_number(number)))
    if role is None:
        raise NotFoundError("There is no role with this id (not found).")
    return role


def _row_number(number: int) -> int:
    """Return a number that a row can have; -1, which none has, for any other."""
    return number if 0 <= number < 2**31 else -1


def list_permissions(caller: Caller) -> Response:  # noqa: ARG001 (everybody who is signed in)
    """List what roles can permit at this server."""
    return answer(_permissions(list(PERMISSIONS)))


def permitted_scopes(caller: Caller) -> Response:
    """Say where the caller may do something: on the whole tenant, or on which projects."""
    realm = realms.get_realm(caller.realm.name)
    everywhere = bool(access.permissions_on(caller.held_roles))
    names = sorted({each.project for each in caller.held_roles if each.project and clock.timestamp() < each.until})
    scopes = [{"scopeType": "tenant", "scopeId": realm.uid, "scopeName": realm.name}] if everywhere else []
    for name in names:
        project = access.get_project(realm, name)
        scopes.append({"scopeType": "project", "scopeId": project.uid, "scopeName": project.name})
    return answer({"permittedScopes": scopes})


@takes(*LISTED)
def list_projects(caller: Caller) -> Response:
    """List the projects that the caller may see."""
    realm = realm_of(caller)
    listing = access.project_listing(realm, names=callers.readable_projects(caller, realm, "projects:read"))
    rows, count, limit, offset = _page(listing, {"name": Project.name, "id": Project.uid}, default=50)
    following = offset + limit if offset + limit < count else None
    return answer({"projects": [_project(row) for row in rows], "next": following})


def create_project(caller: Caller) -> Response:
    """Make a project."""
    realm, body = realm_of(caller), json_body()
    caller.require("projects:write", realm=realm.name)
    return answer(_project(access.create_project(realm, text_of(body, "name"), text_of(body, "description", ""))), 201)


def get_project(caller: Caller, uid: str) -> Response:
    """Show a project."""
    return answer(_project(_find_project(caller, realm_of(caller), uid)))


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
        raise NotFoundError("There is no project with this id (not found).")
    return project


def list_providers(caller: Caller) -> Response:  # noqa: ARG001
    """Say that nobody signs in by another identity provider here."""
    return answer({"idps": []})


def get_settings(caller: Caller) -> Response:
    """Show what is set about security."""
    realm = realms.get_realm(caller.realm.name)
    caller.require("realm:read")
    return answer({"sessionMaxHours": realm.session_hours, "accessKeyMaxHours": realm.api_key_hours})


# -- shapes ------------------------------------------------------------------------------------------------------------


def _page(listing: Listing, columns: dict[str, Any], *, default: int) -> tuple[list[Any], int, int, int]:
    """Return the rows that `filterBy`, `sortBy`, `sortOrder`, `limit` and `offset` ask for."""
    asked = argument("sortBy")
    if asked and asked not in columns:
        raise InvalidValueError(f"sortBy takes one of {', '.join(columns)}.")
    query = filtered(listing.query, argument("filterBy"), columns)
    down = "-" if argument("sortOrder", "asc").lower() == "desc" else ""
    return cut(Listing(query, listing.id, columns), f"{down}{asked or 'id of the row'}", default=default)


def _app(application: Application) -> dict[str, Any]:
    return {
        "id": application.uid,
        "clientId": application.name,
        "name": application.name,
        "enabled": application.enabled,
        "tenantId": application.realm_id,
        "createdBy": "",
        "createdAt": time(application.created_at),
        "updatedAt": time(application.updated_at),
        "lastLogin": time_or_none(application.last_used_at),
    }


def _access_key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.uid,
        "clientId": key.uid,
        "name": key.name,
        "createdAt": time(key.created_at),
        "lastLogin": time_or_none(key.last_used_at),
        "expiresAt": time_or_none(key.expires_at),
    }


def _user(user: User) -> dict[str, Any]:
    return {
        "id": user.uid,
        "username": user.name,
        "email": user.email,
        "enabled": user.enabled,
        "tenantId": user.realm_id,
        "createdAt": time(user.created_at),
        "updatedAt": time(user.updated_at),
        "lastLogin": time_or_none(user.last_sign_in_at),
    }


def _rule(realm: Realm, grant: Grant) -> dict[str, Any]:
    is_named = grant.holder_kind == HolderKind.APPLICATION.value
    return {
        "id": grant.id,
        "subjectId": callers.address_of_holder(grant) if is_named else callers.uid_of_holder(grant),
        "subjectType": _SUBJECTS[grant.holder_kind],
        "roleId": grant.role.id,
        "roleName": grant.role.name,
        "scopeId": grant.project.uid if grant.project else realm.uid,
        "scopeName": grant.project.name if grant.project else realm.name,
        "scopeType": "project" if grant.project else "tenant",
        "tenantId": realm.id,
        "createdBy": grant.granted_by.partition(":")[2],
        "createdAt": time(grant.created_at),
        "updatedAt": time(grant.updated_at or grant.created_at),
        "deletedAt": None,
    }


def _role(role: Role) -> dict[str, Any]:
    return {
        "id": role.id,
        "name": role.name,
        "description": role.description,
        "permissions": _permissions(role.permissions),
        "custom": not role.built_in,
        "enabled": True,
        "effectiveEnabled": True,
        "createdBy": "",
        "createdAt": time(role.created_at),
        "updatedAt": time(role.updated_at or role.created_at),
    }


def _permissions(names: list[str]) -> list[dict[str, Any]]:
    resources: dict[str, list[str]] = {}
    for name in names:
        resource, _, verb = name.partition(":")
        resources.setdefault(resource, []).extend(["read"] if verb == "read" else ["create", "update", "delete"])
    return [
        {"resourceType": name, "displayName": name.replace("-", " "), "groupId": "realmgate", "actions": actions}
        for name, actions in resources.items()
    ]


def _project(project: Project) -> dict[str, Any]:
    return {
        "id": project.uid,
        "name": project.name,
        "description": project.description,
        "createdAt": time(project.created_at),
        "updatedAt": time(project.updated_at or project.created_at),
    }


def answer_error(error: Exception) -> Response:
    """Return the answer to any error: `{"code", "message"}`."""
    if isinstance(error, ProtocolError):
        status, message, headers = error.status, error.description, error.headers()
    else:
        status, _, message, headers = classify(error)
    if status == 500:
        message = log_unexpected(error)
    if status == 401 and request.path.rstrip("/").endswith("/token"):
        status, headers = 400, {}  # the contract knows no 401 at its token call
    if isinstance(error, DeniedError):
        message = f"You do not have sufficient permissions. {message}"
    body = {"code": status, "message": message}
    return Response(json.dumps(body), status, Headers([*NO_STORE.items(), *headers.items()]), mimetype="application/json")
