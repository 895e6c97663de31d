"""`/v1/roles` and `/v1/permissions`."""

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, rules
from idp.access import PERMISSIONS, Role, RoleSettings, RoleSheet
from idp.api.answers import metadata
from idp.api.filters import FilterQuery, Order, filtered
from idp.api.pages import Page, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Named, Query, Renamed, Schema
from idp.api.sheets import Spec, changes_in, optional, values_of
from idp.callers import Caller
from idp.realms import Realm
from idp.rules import Authority


class RoleSpec(RoleSettings, Spec):
    """`spec` of a role."""

    read_only = frozenset({"scope", "type"})


class NewRole(Schema):
    """`POST /v1/roles`."""

    metadata: Named
    spec: RoleSpec = RoleSpec()


class ReplacedRole(Schema):
    """`PUT /v1/roles/{uid}`."""

    metadata: Renamed = Renamed()
    spec: RoleSpec


@optional
class RoleSpecChange(RoleSpec):
    """`spec` of a change: what is left out stays."""


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


class RoleSpecShown(RoleSettings):
    """What a role is."""

    scope: Literal["tenant"] = "tenant"
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
def list_roles(authority: Authority, query: RoleQuery) -> Page[RoleResource]:
    """List roles."""
    rules.roles.check_listing(authority)
    columns = {"metadata.name": Role.name, "metadata.uid": Role.uid}
    listing = filtered(access.role_listing(authority.realm, containing=query.name), query.filters, columns)
    return page(authority.caller, query, listing, lambda role: _shown(authority.realm, role), query.orderBy)


@signed_in
def list_permissions(caller: Caller, query: PermissionQuery) -> list[Permission]:  # noqa: ARG001 (everybody who is signed in)
    """List the permissions that roles can have on this server."""
    shown = [_permission(name, text) for name, text in PERMISSIONS.items()]
    return [each for each in shown if query.scope in {"", each["scope"]}]


def _permission(name: str, text: str) -> Permission:
    on_projects = name.partition(":")[0] in {"projects", "grants"}
    return {"name": name, "description": text, "permissions": [name], "scope": "project" if on_projects else "tenant"}


@signed_in
def create_role(authority: Authority, body: NewRole) -> Created[Made]:
    """Create a role with permissions that the caller has."""
    role = rules.roles.create(authority, body.metadata.name, _sheet(body))
    return Created({"uid": role.uid}, f"/v1/roles/{role.uid}")


@signed_in
def get_role(authority: Authority, uid: str) -> RoleResource:
    """Show a role, by uid or name."""
    return _shown(authority.realm, rules.roles.visible(authority, uid))


@signed_in(current=get_role)
def replace_role(authority: Authority, body: ReplacedRole, uid: str) -> None:
    """Replace the description and permissions of a role."""
    rules.roles.update(authority, uid, _sheet(body))


@signed_in(current=get_role)
def change_role(authority: Authority, body: RoleChange, uid: str) -> None:
    """Update the description or permissions of a role."""
    role = rules.roles.manageable(authority, uid)
    changes = changes_in(body.spec, RoleSheet, {"description": body.metadata.description})
    rules.roles.update(authority, uid, RoleSheet.of(role).changed(changes))


def _sheet(body: NewRole | ReplacedRole) -> RoleSheet:
    return RoleSheet.read(values_of(body.spec, RoleSheet) | {"description": body.metadata.description or ""})


@signed_in(current=get_role)
def delete_role(authority: Authority, uid: str) -> None:
    """Delete a role that nobody holds."""
    access.delete_role(authority.realm, rules.roles.manageable(authority, uid).name)


@signed_in
def copy_role(authority: Authority, body: Copy, uid: str) -> Created[Made]:
    """Create a role with the permissions of another one."""
    role = rules.roles.visible(authority, uid)
    described = {} if body.metadata.description is None else {"description": body.metadata.description}
    made = rules.roles.create(authority, body.metadata.name, RoleSheet.of(role).changed(described))
    return Created({"uid": made.uid}, f"/v1/roles/{made.uid}")


def _type_of(role: Role) -> Literal["system", "user"]:
    return "system" if role.built_in else "user"


def _shown(realm: Realm, role: Role) -> RoleResource:
    return {
        "metadata": metadata(role.uid, role.name, role.created_at, role.updated_at, role.description),
        "spec": RoleSpecShown.model_construct(permissions=role.permissions, scope="tenant", type=_type_of(role)),
        "status": {"isHeld": bool(access.page_of_grants(realm, role=role.name, limit=1)), "isEnabled": True},
    }
