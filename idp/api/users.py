"""`/v1/users`: people and machine users, for who manages them."""

from typing import Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, rules, users
from idp.access import Grant, Holder, Project
from idp.api.answers import metadata
from idp.api.filters import FilterQuery, Order, filtered
from idp.api.holdings import HeldOnProjects, HeldRoles, Projects, by_project, give_on_projects
from idp.api.pages import Page, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Reference, Schema, Timestamp
from idp.api.sheets import Spec, changes_in, optional, values_of
from idp.errors import NotFoundError
from idp.realms import Realm
from idp.rules import Authority
from idp.users import LinkPurpose, User, UserKind, UserSettings, UserSheet
from idp.web.answers import time


class UserSpec(UserSettings, Spec):
    """`spec` of a new user."""

    read_only = frozenset({"loginMode", "loginName", "kind"})

    email: str = Field(default="", max_length=254, alias="emailId")
    """Of a person, who signs in with it; of a machine user, where emails about it are sent."""
    machineName: str | None = Field(default=None, max_length=64)
    """Of a machine user, instead of an email address."""
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


@optional
class UserSpecChange(UserSheet, Spec):
    """`spec` of a change: what is left out stays."""

    read_only = frozenset({"loginName", "kind"})


class UserChange(UserSpecChange):
    """`PATCH /v1/users/{uid}`: a `spec`, or its members by themselves."""

    read_only = frozenset({"metadata"})
    patched = True

    spec: UserSpecChange | None = None


class ReplacedSpec(UserSettings, Spec):
    """`spec` of `PUT /v1/users/{uid}`."""

    read_only = frozenset({"loginName", "kind", "loginMode"})

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


class UserSpecShown(UserSettings):
    """What a user is."""

    name: str = Field(alias="loginName")
    """What they sign in by."""
    kind: Literal["person", "machine"]


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
def list_users(authority: Authority, project: Project | None, query: UserQuery) -> Page[UserResource]:
    """List the users of the realm; with `ProjectUid`, those who hold a role on the project themselves."""
    rules.users.check_listing(authority)
    listing = users.user_listing(authority.realm, containing=query.name, kind=query.kind, enabled=query.isActive, project=project)
    listing = filtered(
        listing, query.filters, {"metadata.name": users.shown_name(), "metadata.uid": User.uid, "spec.emailId": User.email}
    )
    return page(authority.caller, query, listing, show_user, query.orderBy)


@signed_in
def list_user_names(authority: Authority) -> UserMetas:
    """List the users of the realm in short form: the first 500 by name."""
    rules.users.check_listing(authority)
    return {"items": [short(user) for user in users.list_users(authority.realm, limit=500)]}


def _is_alone(body: UserBody) -> bool:
    """Tell whether a user is given nothing."""
    return not (body.spec.roles or body.spec.teams)


@signed_in(alone=_is_alone)
def create_user(authority: Authority, body: UserBody) -> Created[Made]:
    """Create a person, who is invited by email, or a machine user."""
    rules.users.check_creating(authority)
    spec = body.spec
    kind = UserKind.MACHINE if spec.machineName else UserKind.PERSON
    sheet = UserSheet.read(values_of(spec, UserSheet))
    rules.users.check_key_hours(authority, sheet.api_key_hours)
    user = users.create_user(authority.realm, spec.machineName or sheet.email, kind, sheet)
    if spec.roles:
        rules.grants.set_roles(
            authority, users.holder_of(user), [access.find_role_name(authority.realm, role) for role in spec.roles]
        )
    for team in spec.teams:
        group = users.find_group(authority.realm, team)
        if group is None:
            raise NotFoundError("There is no group with this uid or name (not found).")
        rules.groups.add_member(authority, group, user.uid)
    if kind is UserKind.PERSON and spec.invite:
        users.send_link(authority.realm, user, LinkPurpose.INVITATION)
    return Created({"uid": user.uid}, f"/v1/users/{user.uid}")


@signed_in
def get_user(authority: Authority, uid: str) -> UserResource:
    """Show a user."""
    return show_user(rules.users.visible(authority, uid))


@signed_in(current=get_user)
def replace_user(authority: Authority, body: ReplacedUser, uid: str) -> None:
    """Replace a user; what is left out is emptied, except the email address that a person signs in with."""
    spec, user = body.spec, rules.users.manageable(authority, uid)
    values = values_of(spec, UserSettings)
    if "email" not in spec.model_fields_set:
        del values["email"]
    rules.users.update(authority, uid, UserSheet.of(user).changed(values))
    if spec.roles is not None:
        _set_roles(authority, uid, spec.roles)


@signed_in(current=get_user)
def change_user(authority: Authority, body: UserChange, uid: str) -> None:
    """Update a user; disabling one ends every session and stops every key and token."""
    asked: UserSpecChange = body if body.spec is None else body.spec
    user = rules.users.manageable(authority, uid)
    changes = changes_in(asked, UserSheet, where="" if body.spec is None else "spec.")
    rules.users.update(authority, uid, UserSheet.of(user).changed(changes))


@signed_in(current=get_user)
def delete_user(authority: Authority, uid: str) -> None:
    """Delete a user and everything that is theirs."""
    users.delete_user(authority.realm, rules.users.manageable(authority, uid))


@signed_in
def invite_user(authority: Authority, uid: str) -> None:
    """Send a new invitation; earlier ones stop working."""
    users.send_link(authority.realm, rules.users.manageable(authority, uid), LinkPurpose.INVITATION)


@signed_in
def start_reset(authority: Authority, uid: str) -> None:
    """Send a one-time code to a user, who chooses the password; the administrator who starts it does not see it (R107)."""
    _send_reset(authority.realm, rules.users.manageable(authority, uid))


def _send_reset(realm: Realm, user: User) -> None:
    users.send_link(realm, user, LinkPurpose.RESET if user.password_hash else LinkPurpose.INVITATION)


@signed_in
def start_reset_by_address(authority: Authority, body: ResetByAddress) -> None:
    """Send a one-time code to the user with this email address, as `PATCH /v1/users/{uid}/password/reset` does."""
    rules.users.check_creating(authority)
    user = users.find_user_by_name(authority.realm, body.emailId)
    if user is None:
        raise NotFoundError("There is no user with this email address (not found).")
    _send_reset(authority.realm, rules.users.manageable(authority, user.uid))


@signed_in
def get_roles(authority: Authority, uid: str) -> HeldRoles:
    """Show the roles of a user on the realm, including those from groups."""
    user = rules.users.visible(authority, uid)
    inherited = [grant for group in users.groups_of(user) for grant in _grants(authority, user, users.group_holder(group))]
    return {
        "roles": _on_realm(_grants(authority, user, users.holder_of(user))),
        "inheritedRoles": _on_realm(inherited),
    }


def _on_realm(grants: list[Grant]) -> list[Reference]:
    return [{"uid": grant.role.uid, "name": grant.role.name} for grant in grants if grant.project is None]


@signed_in
def set_roles(authority: Authority, body: Roles, uid: str) -> None:
    """Set the roles of a user on the realm."""
    _set_roles(authority, uid, body.roles)


def _set_roles(authority: Authority, uid: str, roles: list[str]) -> None:
    user = rules.users.visible(authority, uid)
    rules.grants.set_roles(authority, users.holder_of(user), [access.find_role_name(authority.realm, role) for role in roles])


@signed_in
def get_projects(authority: Authority, uid: str) -> HeldOnProjects:
    """Show the roles of a user on projects, including those from groups."""
    user = rules.users.visible(authority, uid)
    own = _grants(authority, user, users.holder_of(user))
    inherited = [grant for group in users.groups_of(user) for grant in _grants(authority, user, users.group_holder(group))]
    return {"projects": by_project(own, inherited)}


@signed_in
def set_projects(authority: Authority, body: Projects, uid: str) -> None:
    """Set the roles of a user on each named project; other projects are not changed."""
    give_on_projects(authority, users.holder_of(rules.users.visible(authority, uid)), body.projects)


def _grants(authority: Authority, user: User, holder: Holder) -> list[Grant]:
    """Return what a user holds by themselves or a group, as far as the caller may see it; one's own, everybody may."""
    return (
        list(access.list_grants(authority.realm, holder=holder))
        if user.uid == authority.caller.subject.uid
        else rules.grants.visible_of(authority, holder)
    )


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
        "spec": UserSpecShown.of(user),
        "status": status,
    }
