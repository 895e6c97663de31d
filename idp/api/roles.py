"""`/v1/roles` and `/v1/permissions`."""

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, callers
from idp.access import PERMISSIONS, Role
from idp.api.answers import metadata
from idp.api.changes import changed_fields
from idp.api.filters import FilterQuery, Order, filtered
from idp.api.pages import Page, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Named, Query, Renamed, Schema
from idp.callers import Caller
from idp.errors import NotFoundError
from idp.realms import Realm


class RoleSpec(Schema):
    """`spec` of a role."""

    read_only = frozenset({"scope", "type"})

    permissions: list[str] = Field(default=[], max_length=200)
    """What its holders may do at this server, such as `applications:read`; what it means to other APIs, they decide."""


class NewRole(Schema):
    """`POST /v1/roles`."""

    metadata: Named
    spec: RoleSpec = RoleSpec()


class ReplacedRole(Schema):
    """`PUT /v1/roles/{uid}`."""

    metadata: Renamed = Renamed()
    spec: RoleSpec


class RoleSpecChange(Schema):
    """`spec` of a change: what is left out stays."""

    read_only = frozenset({"scope", "type"})

    permissions: list[str] | None = Field(default=None, max_length=200)


class RoleChange(Schema):
    """`PATCH /v1/roles/{uid}`."""

    metadata: Renamed = Renamed()
    spec: RoleSpecChange = RoleSpecChange()


class Copy(Schema):
    """`POST /v1/roles/{uid}/clone`."""

    metadata: Named


class RoleQuery(FilterQuery):
    """Which roles, in which order."""

    name: str = Field(default="", max_length=200)
    """Those whose name or description contains this."""
    orderBy: Order = "name"


class PermissionQuery(Query):
    """Which permissions."""

    scope: Literal["", "system", "tenant", "project", "resource"] = ""
    """`project` for those that can be held on a single project as well, `tenant` for the others; by default all. There are none
    of the scopes `system` and `resource`."""


class RoleSpecShown(TypedDict):
    """What a role is."""

    permissions: list[str]
    scope: Literal["tenant"]
    type: Literal["system", "user"]


class RoleStatus(TypedDict):
    """How a role fares."""

    isHeld: bool
    isEnabled: Literal[True]


class RoleResource(TypedDict):
    """A named set of permissions."""

    metadata: Metadata
    spec: RoleSpecShown
    status: RoleStatus


class Permission(TypedDict):
    """A permission, and what it lets its holder do."""

    name: str
    description: str
    permissions: list[str]
    """What a role names for it."""
    scope: Literal["tenant", "project"]


@signed_in
def list_roles(caller: Caller, realm: Realm, query: RoleQuery) -> Page[RoleResource]:
    """List roles."""
    _may_read(caller, realm)
    columns = {"metadata.name": Role.name, "metadata.uid": Role.uid}
    listing = filtered(access.role_listing(realm, containing=query.name), query.filters, columns)
    return page(caller, query, listing, lambda role: _shown(realm, role), query.orderBy)


@signed_in
def list_permissions(caller: Caller, query: PermissionQuery) -> list[Permission]:  # noqa: ARG001 (everybody who is signed in)
    """List the permissions that roles can have on this server."""
    shown = [_permission(name, text) for name, text in PERMISSIONS.items()]
    return [each for each in shown if query.scope in {"", each["scope"]}]


def _permission(name: str, text: str) -> Permission:
    on_projects = name.partition(":")[0] in {"projects", "grants"}
    return {"name": name, "description": text, "permissions": [name], "scope": "project" if on_projects else "tenant"}


@signed_in
def create_role(caller: Caller, realm: Realm, body: NewRole) -> Created[Made]:
    """Create a role with permissions that the caller has."""
    role = callers.make_role(caller, realm, body.metadata.name, body.metadata.description or "", body.spec.permissions)
    return Created({"uid": role.uid}, f"/v1/roles/{role.uid}")


@signed_in
def get_role(caller: Caller, realm: Realm, uid: str) -> RoleResource:
    """Show a role, by uid or name."""
    _may_read(caller, realm)
    return _shown(realm, _find(realm, uid))


@signed_in(current=get_role)
def replace_role(caller: Caller, realm: Realm, body: ReplacedRole, uid: str) -> None:
    """Replace the description and permissions of a role."""
    description = body.metadata.description or ""
    callers.change_role(caller, realm, _find(realm, uid).name, description, body.spec.permissions)


@signed_in(current=get_role)
def change_role(caller: Caller, realm: Realm, body: RoleChange, uid: str) -> None:
    """Update the description or permissions of a role."""
    role = _find(realm, uid)
    description = role.description if body.metadata.description is None else body.metadata.description
    change = changed_fields(body.spec, {"permissions": "permissions"}, {"permissions": []})
    callers.change_role(caller, realm, role.name, description, change.get("permissions", role.permissions))


@signed_in(current=get_role)
def delete_role(caller: Caller, realm: Realm, uid: str) -> None:
    """Delete a role that nobody holds."""
    access.delete_role(realm, callers.check_role(caller, realm, _find(realm, uid).name).name)


@signed_in
def copy_role(caller: Caller, realm: Realm, body: Copy, uid: str) -> Created[Made]:
    """Create a role with the permissions of another one."""
    _may_read(caller, realm)
    role = _find(realm, uid)
    description = role.description if body.metadata.description is None else body.metadata.description
    made = callers.make_role(caller, realm, body.metadata.name, description, role.permissions)
    return Created({"uid": made.uid}, f"/v1/roles/{made.uid}")


def _may_read(caller: Caller, realm: Realm) -> None:
    if not caller.may_somewhere("roles:read", realm=realm.name):
        caller.require("roles:read", realm=realm.name)


def _find(realm: Realm, named: str) -> Role:
    try:
        return access.get_role(realm, access.find_role_name(realm, named))
    except NotFoundError:
        raise NotFoundError("There is no role with this uid or name (not found).") from None


def _shown(realm: Realm, role: Role) -> RoleResource:
    return {
        "metadata": metadata(role.uid, role.name, role.created_at, role.updated_at, role.description),
        "spec": {"permissions": role.permissions, "scope": "tenant", "type": "system" if role.built_in else "user"},
        "status": {"isHeld": bool(access.page_of_grants(realm, role=role.name, limit=1)), "isEnabled": True},
    }
