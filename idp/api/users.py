"""`/v1/users`: people and machine users, for who manages them."""

from typing import Any

from flask import Response
from pydantic import Field

from idp import access, callers, users
from idp.access import Grant, Holder
from idp.api.answers import answer, created, done, metadata, time
from idp.api.pages import page_of
from idp.api.requests import Schema, parse, realm_of, signed_in
from idp.callers import Caller
from idp.db import commit
from idp.errors import InvalidValueError, NotFoundError
from idp.realms import Realm
from idp.users import LinkPurpose, User, UserKind


class UserSpec(Schema):
    """`spec` of a new user."""

    emailId: str | None = Field(default=None, max_length=254)  # noqa: N815 (the contract's names)
    machineName: str | None = Field(default=None, max_length=64)  # noqa: N815
    firstName: str = ""  # noqa: N815
    lastName: str = ""  # noqa: N815
    roles: list[str] = Field(default=[], max_length=100)
    invite: bool = True


class UserBody(Schema):
    """`POST /v1/users`."""

    spec: UserSpec


class UserChange(Schema):
    """`PATCH /v1/users/{uid}`: what is left out stays."""

    emailId: str | None = Field(default=None, max_length=254)  # noqa: N815
    firstName: str | None = None  # noqa: N815
    lastName: str | None = None  # noqa: N815
    isActive: bool | None = None  # noqa: N815
    apiKeyHours: int | None = None  # noqa: N815


class Roles(Schema):
    """`PUT /v1/users/{uid}/roles`."""

    roles: list[str] = Field(max_length=100)


class ProjectRoles(Schema):
    """An entry of `PUT /v1/users/{uid}/projects`."""

    projectUid: str  # noqa: N815
    roles: list[str] = Field(max_length=100)


class Projects(Schema):
    """`PUT /v1/users/{uid}/projects`."""

    projects: list[ProjectRoles] = Field(max_length=500)


@signed_in
def list_users(caller: Caller) -> Response:
    """List the users of the realm."""
    realm = realm_of(caller)
    if not caller.may_somewhere("users:read", realm=realm.name):
        caller.require("users:read", realm=realm.name)
    page = page_of(caller)
    return answer(page.listed(users.page_of_users(realm, after=page.after, limit=page.limit + 1), _shown))


@signed_in
def create_user(caller: Caller) -> Response:
    """Add a person, who is invited by mail, or a machine user."""
    realm = realm_of(caller)
    caller.require("users:write", realm=realm.name)
    spec = parse(UserBody).spec
    kind = UserKind.MACHINE if spec.machineName else UserKind.PERSON
    name = spec.machineName or spec.emailId or ""
    user = users.create_user(realm, name, kind, first_name=spec.firstName, last_name=spec.lastName)
    if spec.roles:
        callers.set_roles(caller, realm, users.holder_of(user), [access.find_role_name(realm, role) for role in spec.roles])
    if kind is UserKind.PERSON and spec.invite:
        users.send_link(realm, user, LinkPurpose.INVITATION)
    uid = user.uid
    commit()
    return created({"uid": uid}, f"/v1/users/{uid}")


@signed_in
def get_user(caller: Caller, uid: str) -> Response:
    """Show a user."""
    return answer(_shown(callers.visible_user(caller, realm_of(caller), uid)))


@signed_in
def change_user(caller: Caller, uid: str) -> Response:
    """Change a user; to disable one ends every session and stops every key and token."""
    realm = realm_of(caller)
    user = callers.manageable_user(caller, realm, uid)
    body = parse(UserChange)
    names = {
        "email": body.emailId,
        "first_name": body.firstName,
        "last_name": body.lastName,
        "enabled": body.isActive,
        "api_key_hours": body.apiKeyHours,
    }
    if body.apiKeyHours is not None:
        caller.require("api-keys:write", realm=realm.name)
    users.update_user(realm, user, **{name: value for name, value in names.items() if value is not None})
    commit()
    return done()


@signed_in
def delete_user(caller: Caller, uid: str) -> Response:
    """Delete a user with all that is theirs."""
    realm = realm_of(caller)
    users.delete_user(realm, callers.manageable_user(caller, realm, uid))
    commit()
    return done()


@signed_in
def invite_user(caller: Caller, uid: str) -> Response:
    """Send a new invitation; an earlier one works no longer."""
    realm = realm_of(caller)
    users.send_link(realm, callers.manageable_user(caller, realm, uid), LinkPurpose.INVITATION)
    commit()
    return done()


@signed_in
def start_reset(caller: Caller, uid: str) -> Response:
    """Send a one-time code to a user, who chooses the password; the administrator who starts it does not see it (R107)."""
    realm = realm_of(caller)
    user = callers.manageable_user(caller, realm, uid)
    users.send_link(realm, user, LinkPurpose.RESET if user.password_hash else LinkPurpose.INVITATION)
    commit()
    return done()


@signed_in
def get_roles(caller: Caller, uid: str) -> Response:
    """Show what a user holds on the realm, and what comes from groups."""
    realm = realm_of(caller)
    user = callers.visible_user(caller, realm, uid)
    direct = [grant for grant in _grants(caller, realm, user, users.holder_of(user)) if grant.project is None]
    inherited = [
        grant
        for group in users.groups_of(user)
        for grant in _grants(caller, realm, user, users.group_holder(group))
        if grant.project is None
    ]
    return answer(
        {
            "roles": [{"uid": grant.role.uid, "name": grant.role.name} for grant in direct],
            "inheritedRoles": [{"uid": grant.role.uid, "name": grant.role.name} for grant in inherited],
        }
    )


@signed_in
def set_roles(caller: Caller, uid: str) -> Response:
    """Let a user hold exactly these roles on the realm."""
    realm = realm_of(caller)
    user = callers.visible_user(caller, realm, uid)
    callers.set_roles(caller, realm, users.holder_of(user), [access.find_role_name(realm, role) for role in parse(Roles).roles])
    commit()
    return done()


@signed_in
def get_projects(caller: Caller, uid: str) -> Response:
    """Show what a user holds on projects, and what comes from groups."""
    realm = realm_of(caller)
    user = callers.visible_user(caller, realm, uid)
    shown: dict[str, dict[str, Any]] = {}
    holders = [(users.holder_of(user), "roles")]
    holders += [(users.group_holder(group), "inheritedRoles") for group in users.groups_of(user)]
    for holder, member in holders:
        for grant in _grants(caller, realm, user, holder):
            if grant.project is not None:
                entry = {"uid": grant.project.uid, "name": grant.project.name, "roles": [], "inheritedRoles": []}
                role = {"uid": grant.role.uid, "name": grant.role.name}
                shown.setdefault(grant.project.uid, entry)[member].append(role)
    return answer({"projects": list(shown.values())})


@signed_in
def set_projects(caller: Caller, uid: str) -> Response:
    """Let a user hold exactly these roles on each project that is named; the others stay as they are."""
    realm = realm_of(caller)
    user = callers.visible_user(caller, realm, uid)
    entries = parse(Projects).projects
    if len({entry.projectUid for entry in entries}) != len(entries):
        raise InvalidValueError("A project is named twice.")
    for entry in entries:
        project = access.find_project_by_uid(realm, entry.projectUid)
        if project is None:
            raise NotFoundError("There is no project with this uid (not found).")
        roles = [access.find_role_name(realm, role) for role in entry.roles]
        callers.set_roles(caller, realm, users.holder_of(user), roles, project=project.name)
    commit()
    return done()


def _grants(caller: Caller, realm: Realm, user: User, holder: Holder) -> list[Grant]:
    """Return what a user holds by themselves or a group, as far as the caller may see it; one's own, everybody may."""
    is_own = user.uid == caller.subject.uid
    return [
        grant
        for grant in access.list_grants(realm, holder=holder)
        if is_own or caller.may("grants:read", realm=realm.name, project=grant.project.name if grant.project else "")
    ]


def _shown(user: User) -> dict[str, Any]:
    name = f"{user.first_name} {user.last_name}".strip() or user.name
    return {
        "metadata": metadata(user.uid, name, user.created_at, user.updated_at),
        "spec": {
            "emailId": user.email,
            "loginName": user.name,
            "firstName": user.first_name,
            "lastName": user.last_name,
            "kind": user.kind,
            "apiKeyHours": user.api_key_hours,
        },
        "status": {
            "isActive": user.enabled,
            "hasPassword": bool(user.password_hash),
            "lastSignIn": time(user.last_sign_in_at),
        },
    }
