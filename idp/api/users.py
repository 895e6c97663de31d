"""`/v1/users`: people and machine users, for who manages them."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, callers, users
from idp.access import Grant, Holder, Project
from idp.api.answers import metadata, time_or_none
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Reference, Schema, Timestamp
from idp.callers import Caller
from idp.errors import InvalidValueError, NotFoundError
from idp.realms import Realm
from idp.users import LinkPurpose, User, UserKind

MOST_CHANGES = 200
"""Grants that one call can change: no other change of the database is made meanwhile."""


class UserSpec(Schema):
    """`spec` of a new user."""

    read_only = frozenset({"loginMode", "loginName", "kind", "apiKeyHours"})

    emailId: str | None = Field(default=None, max_length=254)
    """Of a person, who signs in by it."""
    machineName: str | None = Field(default=None, max_length=64)
    """Of a machine user, instead of a mail address."""
    firstName: str = ""
    lastName: str = ""
    roles: list[str] = Field(default=[], max_length=100)
    """Roles on the realm, by uid or name."""
    teams: list[str] = Field(default=[], max_length=100)
    """Groups, by uid or name."""
    invite: bool = True
    """Whether a person is mailed an invitation."""


class UserBody(Schema):
    """`POST /v1/users`."""

    read_only = frozenset({"metadata"})

    spec: UserSpec


class UserSpecChange(Schema):
    """`spec` of a change: what is left out stays."""

    read_only = frozenset({"loginName", "kind"})

    emailId: str | None = Field(default=None, max_length=254)
    firstName: str | None = None
    lastName: str | None = None
    isActive: bool | None = None
    apiKeyHours: int | None = None


class UserChange(UserSpecChange):
    """`PATCH /v1/users/{uid}`: a `spec`, or its members by themselves."""

    read_only = frozenset({"metadata"})

    spec: UserSpecChange | None = None


class ReplacedSpec(Schema):
    """`spec` of `PUT /v1/users/{uid}`."""

    read_only = frozenset({"loginName", "kind", "loginMode"})

    emailId: str | None = Field(default=None, max_length=254)
    """Of a person, who has one; of a machine user, where mails about it go."""
    firstName: str = ""
    lastName: str = ""
    apiKeyHours: int | None = None


class ReplacedUser(Schema):
    """`PUT /v1/users/{uid}`: what is left out is emptied."""

    read_only = frozenset({"metadata"})

    spec: ReplacedSpec


class UserSummary(Schema):
    """`POST /v1/users/summary`: what to look for."""

    filter: str = Field(default="", max_length=200)


class Roles(Schema):
    """`PUT /v1/users/{uid}/roles`."""

    roles: list[str] = Field(max_length=100)


class ProjectRoles(Schema):
    """An entry of `PUT /v1/users/{uid}/projects`."""

    projectUid: str
    roles: list[str] = Field(max_length=100)


class Projects(Schema):
    """`PUT /v1/users/{uid}/projects`."""

    projects: list[ProjectRoles] = Field(max_length=500)


class UserQuery(PageQuery):
    """Which users, in which order."""

    name: str = Field(default="", max_length=254)
    """Those whose name, first or last name contains this."""
    kind: UserKind | None = None
    isActive: bool | None = None
    orderBy: Literal["name", "-name", "creationTimestamp", "-creationTimestamp"] = "creationTimestamp"


class UserSpecShown(TypedDict):
    """What a user is."""

    emailId: str
    loginName: str
    firstName: str
    lastName: str
    kind: Literal["person", "machine"]
    apiKeyHours: int | None


class UserStatus(TypedDict):
    """How a user fares."""

    isActive: bool
    hasPassword: bool
    lastSignIn: Timestamp | None


class UserResource(TypedDict):
    """A person or a machine user."""

    metadata: Metadata
    spec: UserSpecShown
    status: UserStatus


class UserMeta(TypedDict):
    """A user in short."""

    uid: str
    name: str
    emailId: str


class UserMetas(TypedDict):
    """Users in short."""

    items: list[UserMeta]


class HeldRoles(TypedDict):
    """Roles on the realm."""

    roles: list[Reference]
    inheritedRoles: list[Reference]


class HeldOnProject(TypedDict):
    """Roles on a project."""

    uid: str
    name: str
    roles: list[Reference]
    inheritedRoles: list[Reference]


class HeldOnProjects(TypedDict):
    """Roles on projects."""

    projects: list[HeldOnProject]


@signed_in
def list_users(caller: Caller, realm: Realm, project: Project | None, query: UserQuery) -> Page[UserResource]:
    """List the users of the realm; with `ProjectUid`, those who hold a role on the project themselves."""
    _may_list(caller, realm)
    listing = users.user_listing(realm, containing=query.name, kind=query.kind, enabled=query.isActive, project=project)
    return page(caller, query, listing, show_user, query.orderBy)


def _may_list(caller: Caller, realm: Realm) -> None:
    if not caller.may_somewhere("users:read", realm=realm.name):
        caller.require("users:read", realm=realm.name)


@signed_in
def list_user_names(caller: Caller, realm: Realm) -> UserMetas:
    """List the users of the realm in short: the first 500 by name."""
    _may_list(caller, realm)
    return {"items": [_meta(user) for user in users.list_users(realm, limit=500)]}


@signed_in
def summarize_users(caller: Caller, realm: Realm, body: UserSummary) -> UserMetas:
    """Look for users, and return them in short: the first 500 by name."""
    _may_list(caller, realm)
    return {"items": [_meta(user) for user in users.list_users(realm, containing=body.filter, limit=500)]}


@signed_in
def create_user(caller: Caller, realm: Realm, body: UserBody) -> Created[Made]:
    """Add a person, who is invited by mail, or a machine user."""
    caller.require("users:write", realm=realm.name)
    spec = body.spec
    kind = UserKind.MACHINE if spec.machineName else UserKind.PERSON
    name = spec.machineName or spec.emailId or ""
    user = users.create_user(realm, name, kind, first_name=spec.firstName, last_name=spec.lastName)
    if spec.roles:
        callers.set_roles(caller, realm, users.holder_of(user), [access.find_role_name(realm, role) for role in spec.roles])
    for team in spec.teams:
        group = users.find_group(realm, team)
        if group is None:
            raise NotFoundError("There is no group with this uid or name (not found).")
        callers.put_into_group(caller, realm, group, user.uid)
    if kind is UserKind.PERSON and spec.invite:
        users.send_link(realm, user, LinkPurpose.INVITATION)
    return Created({"uid": user.uid}, f"/v1/users/{user.uid}")


@signed_in
def get_user(caller: Caller, realm: Realm, uid: str) -> UserResource:
    """Show a user."""
    return show_user(callers.visible_user(caller, realm, uid))


@signed_in(current=get_user)
def replace_user(caller: Caller, realm: Realm, body: ReplacedUser, uid: str) -> None:
    """Change what a user is; what is left out is emptied, but for the mail address that a person signs in with."""
    spec = body.spec
    fields: dict[str, Any] = {"first_name": spec.firstName, "last_name": spec.lastName, "api_key_hours": spec.apiKeyHours}
    _change(caller, realm, uid, fields | ({"email": spec.emailId} if spec.emailId is not None else {}))


@signed_in(current=get_user)
def change_user(caller: Caller, realm: Realm, body: UserChange, uid: str) -> None:
    """Change a user; to disable one ends every session and stops every key and token."""
    asked: UserSpecChange = body if body.spec is None else body.spec
    names = {
        "email": asked.emailId,
        "first_name": asked.firstName,
        "last_name": asked.lastName,
        "enabled": asked.isActive,
        "api_key_hours": asked.apiKeyHours,
    }
    _change(caller, realm, uid, {name: value for name, value in names.items() if value is not None})


def _change(caller: Caller, realm: Realm, uid: str, fields: dict[str, Any]) -> None:
    user = callers.manageable_user(caller, realm, uid)
    if fields.get("api_key_hours", user.api_key_hours) != user.api_key_hours:
        caller.require("api-keys:write", realm=realm.name)
    callers.change_user(caller, realm, user.uid, **fields)


@signed_in(current=get_user)
def delete_user(caller: Caller, realm: Realm, uid: str) -> None:
    """Delete a user with all that is theirs."""
    users.delete_user(realm, callers.manageable_user(caller, realm, uid))


@signed_in
def invite_user(caller: Caller, realm: Realm, uid: str) -> None:
    """Send a new invitation; an earlier one works no longer."""
    users.send_link(realm, callers.manageable_user(caller, realm, uid), LinkPurpose.INVITATION)


@signed_in
def start_reset(caller: Caller, realm: Realm, uid: str) -> None:
    """Send a one-time code to a user, who chooses the password; the administrator who starts it does not see it (R107)."""
    user = callers.manageable_user(caller, realm, uid)
    users.send_link(realm, user, LinkPurpose.RESET if user.password_hash else LinkPurpose.INVITATION)


@signed_in
def get_roles(caller: Caller, realm: Realm, uid: str) -> HeldRoles:
    """Show what a user holds on the realm, and what comes from groups."""
    user = callers.visible_user(caller, realm, uid)
    inherited = [grant for group in users.groups_of(user) for grant in _grants(caller, realm, user, users.group_holder(group))]
    return {
        "roles": _on_realm(_grants(caller, realm, user, users.holder_of(user))),
        "inheritedRoles": _on_realm(inherited),
    }


def _on_realm(grants: list[Grant]) -> list[Reference]:
    return [{"uid": grant.role.uid, "name": grant.role.name} for grant in grants if grant.project is None]


@signed_in
def set_roles(caller: Caller, realm: Realm, body: Roles, uid: str) -> None:
    """Let a user hold exactly these roles on the realm."""
    user = callers.visible_user(caller, realm, uid)
    callers.set_roles(caller, realm, users.holder_of(user), [access.find_role_name(realm, role) for role in body.roles])


@signed_in
def get_projects(caller: Caller, realm: Realm, uid: str) -> HeldOnProjects:
    """Show what a user holds on projects, and what comes from groups."""
    user = callers.visible_user(caller, realm, uid)
    own = _grants(caller, realm, user, users.holder_of(user))
    inherited = [grant for group in users.groups_of(user) for grant in _grants(caller, realm, user, users.group_holder(group))]
    return {"projects": by_project(own, inherited)}


def by_project(own: list[Grant], inherited: list[Grant]) -> list[HeldOnProject]:
    """Return what is held on projects, project by project."""
    shown: dict[str, HeldOnProject] = {}
    for grants, is_own in ((own, True), (inherited, False)):
        for grant in grants:
            if grant.project is not None:
                new: HeldOnProject = {"uid": grant.project.uid, "name": grant.project.name, "roles": [], "inheritedRoles": []}
                entry = shown.setdefault(grant.project.uid, new)
                role: Reference = {"uid": grant.role.uid, "name": grant.role.name}
                (entry["roles"] if is_own else entry["inheritedRoles"]).append(role)
    return list(shown.values())


@signed_in
def set_projects(caller: Caller, realm: Realm, body: Projects, uid: str) -> None:
    """Let a user hold exactly these roles on each project that is named; the others stay as they are."""
    give_on_projects(caller, realm, users.holder_of(callers.visible_user(caller, realm, uid)), body.projects)


def give_on_projects(caller: Caller, realm: Realm, holder: Holder, entries: list[ProjectRoles]) -> None:
    """Let somebody hold exactly these roles on each project that is named."""
    if len({entry.projectUid for entry in entries}) != len(entries):
        raise InvalidValueError("A project is named twice.")
    check_size([entry.roles for entry in entries])
    for entry in entries:
        project = access.find_project_by_uid(realm, entry.projectUid)
        if project is None:
            raise NotFoundError("There is no project with this uid (not found).")
        roles = [access.find_role_name(realm, role) for role in entry.roles]
        callers.set_roles(caller, realm, holder, roles, project=project.name)


def check_size(roles: Iterable[list[str]]) -> None:
    """See that a call does not change so much that others wait for it.

    :raises InvalidValueError: it does.
    """
    if sum(len(each) + 1 for each in roles) > MOST_CHANGES:
        raise InvalidValueError(f"A call changes at most {MOST_CHANGES} grants. Make several calls.")


def _grants(caller: Caller, realm: Realm, user: User, holder: Holder) -> list[Grant]:
    """Return what a user holds by themselves or a group, as far as the caller may see it; one's own, everybody may."""
    return list(access.list_grants(realm, holder=holder)) if user.uid == caller.subject.uid else visible(caller, realm, holder)


def visible(caller: Caller, realm: Realm, holder: Holder) -> list[Grant]:
    """Return what somebody holds, as far as the caller may see it."""
    return [
        grant
        for grant in access.list_grants(realm, holder=holder)
        if caller.may("grants:read", realm=realm.name, project=grant.project.name if grant.project else "")
    ]


def _meta(user: User) -> UserMeta:
    return {"uid": user.uid, "name": f"{user.first_name} {user.last_name}".strip() or user.name, "emailId": user.email}


def show_user(user: User) -> UserResource:
    """Return what is known of a user."""
    return {
        "metadata": metadata(user.uid, _meta(user)["name"], user.created_at, user.updated_at),
        "spec": {
            "emailId": user.email,
            "loginName": user.name,
            "firstName": user.first_name,
            "lastName": user.last_name,
            "kind": "machine" if user.kind == UserKind.MACHINE.value else "person",
            "apiKeyHours": user.api_key_hours,
        },
        "status": {
            "isActive": user.enabled,
            "hasPassword": bool(user.password_hash),
            "lastSignIn": time_or_none(user.last_sign_in_at),
        },
    }
