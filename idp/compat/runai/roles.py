"""Roles, what they permit, and where."""

from typing import Any

from flask import Response

from idp import access, rules
from idp.access import PERMISSIONS, Role
from idp.compat.calls import json_body, text_of
from idp.compat.runai.answers import Shape, maker
from idp.errors import InvalidValueError, NotFoundError
from idp.realms import Realm
from idp.rules import Authority
from idp.web.answers import answer, time

_TYPES: dict[str, list[tuple[str, str]]] = {
    "realm": [("settings", "organization")],
    "projects": [("project", "organization")],
    "audit": [("events-history", "organization")],
    "users": [("users", "iam")],
    "applications": [("apps", "iam"), ("service-account", "iam")],
    "api-keys": [("access-keys", "iam")],
    "roles": [("roles", "iam")],
    "grants": [("access_rules", "iam")],
    "keysets": [("credentials", "workload-asset")],
}
"""Types of the contract, each with its group, by what permissions here are about. For others the contract has no word."""

_VERBS = {"create": "write", "read": "read", "update": "write", "delete": "write"}


def list_roles(authority: Authority) -> Response:
    """List roles."""
    rules.roles.check_listing(authority)
    return answer([_shown(role) for role in access.list_roles(authority.realm)])


def get_role(authority: Authority, number: int) -> Response:
    """Show a role."""
    rules.roles.check_listing(authority)
    return answer(_shown(find_role(authority.realm, number)))


def find_role(realm: Realm, number: Any) -> Role:
    """Return a role by its number.

    :raises InvalidValueError: it is no number.
    :raises NotFoundError: there is none of this number.
    """
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidValueError("roleId takes a number.")
    role = access.find_role_by_number(realm, number)
    if role is None:
        raise NotFoundError("There is no role with this id (not found).")
    return role


def list_permissions(authority: Authority) -> Response:
    """List what the caller may do, on the whole tenant or on a project."""
    return answer(_permissions(rules.permitted(authority.at_home)))


def permitted_scopes(authority: Authority) -> Response:
    """Say where the caller may do something with a type of things: on the whole tenant, or on which projects."""
    body = json_body()
    kind, action = text_of(body, "resourceType"), text_of(body, "action", "")
    if action and action not in _VERBS:
        raise InvalidValueError(f"action takes one of {', '.join(_VERBS)}.")
    resource = next((ours for ours, types in _TYPES.items() if kind in {name for name, _ in types}), "")
    asked = {name: f"{resource}:{verb}" for name, verb in _VERBS.items() if not action or name == action}
    return answer({name: _scopes(authority.at_home, asked.get(name, "")) for name in _VERBS})


def _scopes(authority: Authority, permission: str) -> Shape:
    names = rules.permitted_on(authority, permission) if permission in PERMISSIONS else []
    projects = [access.get_project(authority.realm, name).uid for name in names or ()]
    tenants = [authority.realm.uid] if names is None else []
    return {"system": False, "tenants": tenants, "clusters": [], "departments": [], "projects": projects}


def _shown(role: Role) -> Shape:
    return {
        "id": role.id,
        "name": role.name,
        "description": role.description,
        "permissions": _permissions(role.permissions),
        "custom": not role.built_in,
        "enabled": True,
        "effectiveEnabled": True,
        "createdBy": maker(role.created_by),
        "createdAt": time(role.created_at),
        "updatedAt": time(role.updated_at or role.created_at),
    }


def _permissions(names: list[str]) -> list[Shape]:
    shown: list[Shape] = []
    for resource, types in _TYPES.items():
        actions = [action for action, verb in _VERBS.items() if f"{resource}:{verb}" in names]
        if actions:
            display = resource.replace("-", " ")
            shown += [
                {"resourceType": each, "displayName": display, "groupId": group, "actions": actions} for each, group in types
            ]
    return shown
