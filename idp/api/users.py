"""`/v1/users`: people and machine users, for who manages them."""

from typing import Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, callers, users
from idp.access import Grant, Holder, Project
from idp.api.answers import metadata, time
from idp.api.changes import changed_fields
from idp.api.filters import FilterQuery, Order, filtered
from idp.api.holdings import HeldOnProjects, HeldRoles, Projects, by_project, give_on_projects, visible
from idp.api.pages import Page, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Reference, Schema, Timestamp
from idp.callers import Caller
from idp.errors import NotFoundError
from idp.realms import Realm
from idp.users import LinkPurpose, User, UserKind


class UserSpec(Schema):
    """`spec` of a new user."""

    read_only = frozenset({"loginMode", "loginName", "kind", "apiKeyHours"})

    emailId: str | None = Field(default=None, max_length=254)
    """Of a person, who signs in by it."""
    machineName: str | None = Field(default=None, max_length=64)
    """Of a machine user, instead of an email address."""
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
    patched = True

    spec: UserSpecChange | None = None


class ReplacedSpec(Schema):
    """`spec` of `PUT /v1/users/{uid}`."""

    read_only = frozenset({"loginName", "kind", "loginMode"})

    emailId: str | None = Field(default=None, max_length=254)
    """Of a person, who has one; of a machine user, where emails about it are sent."""
    firstName: str = ""
    lastName: str = ""
    apiKeyHours: int | None = None
    roles: list[str] | None = Field(default=None, max_length=100)
    """Roles on the realm, by uid or name, if they are to change."""


class ReplacedUser(Schema):
    """`PUT /v1/users/{uid}`: what is left out is emptied."""

    read_only = frozenset({"metadata"})

    spec: ReplacedSpec


class ResetByAddress(Schema):
    """`PATCH /v1/users/password/reset`."""

    emailId: str = Field(max_length=254)


class Roles(Schema):
    """`PUT /v1/users/{uid}/roles`."""

    roles: list[str] = Field(max_length=100)


class UserQuery(FilterQuery):
    """Which users, in which order."""

    name: str = Field(default="", max_length=254)
    """Those whose name, first or last name contains this."""
    kind: UserKind | None = None
    isActive: bool | None = None
    orderBy: Order = "creationTimestamp"


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
    lastSignIn: NotRequired[Timestamp]
    """Left out of a user who has never signed in."""


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


@signed_in
def list_users(caller: Caller, realm: Realm, project: Project | None, query: UserQuery) -> Page[UserResource]:
    """List the users of the realm; with `ProjectUid`, those who hold a role on the project themselves."""
    may_list(caller, realm)
    listing = users.user_listing(realm, containing=query.name, kind=query.kind, enabled=query.isActive, project=project)
    listing = filtered(
        listing, query.filters, {"metadata.name": users.shown_name(), "metadata.uid": User.uid, "spec.emailId": User.email}
    )
    return page(caller, query, listing, show_user, query.orderBy)


def may_list(caller: Caller, realm: Realm) -> None:
    """See that the caller may list users.

    :raises DeniedError: they may not.
    """
    if not caller.may_somewhere("users:read", realm=realm.name):
        caller.require("users:read", realm=realm.name)


@signed_in
def list_user_names(caller: Caller, realm: Realm) -> UserMetas:
    """List the users of the realm in short form: the first 500 by name."""
    may_list(caller, realm)
    return {"items": [short(user) for user in users.list_users(realm, limit=500)]}


@signed_in
def create_user(caller: Caller, realm: Realm, body: UserBody) -> Created[Made]:
    """Create a person, who is invited by email, or a machine user."""
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
    """Replace a user; what is left out is emptied, except the email address that a person signs in with."""
    spec = body.spec
    fields: dict[str, Any] = {"first_name": spec.firstName, "last_name": spec.lastName, "api_key_hours": spec.apiKeyHours}
    _change(caller, realm, uid, fields | ({"email": spec.emailId} if spec.emailId is not None else {}))
    if spec.roles is not None:
        _set_roles(caller, realm, uid, spec.roles)


@signed_in(current=get_user)
def change_user(caller: Caller, realm: Realm, body: UserChange, uid: str) -> None:
    """Update a user; disabling one ends every session and stops every key and token."""
    asked: UserSpecChange = body if body.spec is None else body.spec
    _change(caller, realm, uid, changed_fields(asked, _CHANGED, {"first_name": "", "last_name": "", "api_key_hours": None}))


_CHANGED = {
    "email": "emailId", "first_name": "firstName", "last_name": "lastName", "enabled": "isActive", "api_key_hours": "apiKeyHours",
}  # fmt: skip


def _change(caller: Caller, realm: Realm, uid: str, fields: dict[str, Any]) -> None:
    user = callers.manageable_user(caller, realm, uid)
    if fields.get("api_key_hours", user.api_key_hours) != user.api_key_hours:
        caller.require("api-keys:write", realm=realm.name)
    callers.change_user(caller, realm, user.uid, **fields)


@signed_in(current=get_user)
def delete_user(caller: Caller, realm: Realm, uid: str) -> None:
    """Delete a user and everything that is theirs."""
    users.delete_user(realm, callers.manageable_user(caller, realm, uid))


@signed_in
def invite_user(caller: Caller, realm: Realm, uid: str) -> None:
    """Send a new invitation; earlier ones stop working."""
    users.send_link(realm, callers.manageable_user(caller, realm, uid), LinkPurpose.INVITATION)


@signed_in
def start_reset(caller: Caller, realm: Realm, uid: str) -> None:
    """Send a one-time code to a user, who chooses the password; the administrator who starts it does not see it (R107)."""
    _send_reset(realm, callers.manageable_user(caller, realm, uid))


def _send_reset(realm: Realm, user: User) -> None:
    users.send_link(realm, user, LinkPurpose.RESET if user.password_hash else LinkPurpose.INVITATION)


@signed_in
def start_reset_by_address(caller: Caller, realm: Realm, body: ResetByAddress) -> None:
    """Send a one-time code to the user with this email address, as `PATCH /v1/users/{uid}/password/reset` does."""
    caller.require("users:write", realm=realm.name)
    user = users.find_user_by_name(realm, body.emailId)
    if user is None:
        raise NotFoundError("There is no user with this email address (not found).")
    _send_reset(realm, callers.manageable_user(caller, realm, user.uid))


@signed_in
def get_roles(caller: Caller, realm: Realm, uid: str) -> HeldRoles:
    """Show the roles of a user on the realm, including those from groups."""
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
    """Set the roles of a user on the realm."""
    _set_roles(caller, realm, uid, body.roles)


def _set_roles(caller: Caller, realm: Realm, uid: str, roles: list[str]) -> None:
    user = callers.visible_user(caller, realm, uid)
    callers.set_roles(caller, realm, users.holder_of(user), [access.find_role_name(realm, role) for role in roles])


@signed_in
def get_projects(caller: Caller, realm: Realm, uid: str) -> HeldOnProjects:
    """Show the roles of a user on projects, including those from groups."""
    user = callers.visible_user(caller, realm, uid)
    own = _grants(caller, realm, user, users.holder_of(user))
    inherited = [grant for group in users.groups_of(user) for grant in _grants(caller, realm, user, users.group_holder(group))]
    return {"projects": by_project(own, inherited)}


@signed_in
def set_projects(caller: Caller, realm: Realm, body: Projects, uid: str) -> None:
    """Set the roles of a user on each named project; other projects are not changed."""
    give_on_projects(caller, realm, users.holder_of(callers.visible_user(caller, realm, uid)), body.projects)


def _grants(caller: Caller, realm: Realm, user: User, holder: Holder) -> list[Grant]:
    """Return what a user holds by themselves or a group, as far as the caller may see it; one's own, everybody may."""
    return list(access.list_grants(realm, holder=holder)) if user.uid == caller.subject.uid else visible(caller, realm, holder)


def short(user: User) -> UserMeta:
    """Return a user in short."""
    return {"uid": user.uid, "name": f"{user.first_name} {user.last_name}".strip() or user.name, "emailId": user.email}


def show_user(user: User) -> UserResource:
    """Return what is known of a user."""
    status: UserStatus = {"isActive": user.enabled, "hasPassword": bool(user.password_hash)}
    if user.last_sign_in_at is not None:
        status["lastSignIn"] = time(user.last_sign_in_at)
    return {
        "metadata": metadata(user.uid, short(user)["name"], user.created_at, user.updated_at),
        "spec": {
            "emailId": user.email,
            "loginName": user.name,
            "firstName": user.first_name,
            "lastName": user.last_name,
            "kind": "machine" if user.kind == UserKind.MACHINE.value else "person",
            "apiKeyHours": user.api_key_hours,
        },
        "status": status,
    }
