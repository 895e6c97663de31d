"""Things as the contract shows them."""

from typing import Any

from flask import Response

from idp.access import Project, Role
from idp.compat.parameters import argument
from idp.errors import InvalidValueError
from idp.realms import Realm, RealmState
from idp.users import Group, User, UserKind
from idp.web.answers import answer, time, time_or_none

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


MOST = 1_000
"""Items in one answer."""

LISTED = ("q", "name", "order", "orderby", "limit", "offset")
"""Parameters of lists."""

_SWITCHES = (
    "psps_enabled",
    "custom_psps_enabled",
    "default_blueprints_enabled",
    "enable_drift_webhook",
    "system_templates_enabled",
)
"""Of clusters, which are not managed here; clients send them back as they got them."""

PARTNER = {"id": "realmgate", "name": "Realmgate", "settings": {"visible_roles": sorted(ROLE_NAMES)}}


def show_organization(realm: Realm) -> dict[str, Any]:
    """Return an organisation as the contract has one."""
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
        "partner_id": PARTNER["id"],
        "partner": PARTNER,
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


def show_role(role: Role) -> dict[str, Any]:
    """Return a role as the contract has one."""
    foreign = next((name for name, own in ROLE_NAMES.items() if own == role.name), role.name)
    custom = {} if role.built_in else {"role_type": "CUSTOM"}
    return {"id": role.uid, "name": foreign, "is_global": True, "scope": "ORGANIZATION", "description": role.description} | custom


def show_account(user: User) -> dict[str, Any]:
    """Return the account of a user as the contract has one."""
    return {
        "id": user.uid,
        "username": user.name,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "phone": "",
        "active": user.enabled,
        "created_at": time(user.created_at),
        "modified_at": time(user.updated_at),
        "createdAt": time(user.created_at),
        "modifiedAt": time(user.updated_at),
        "last_login": time_or_none(user.last_sign_in_at),
        "emailVerified": bool(user.password_hash),
        "user_type": "CONSOLE" if user.kind == UserKind.PERSON.value else "API",
        "is_sso": False,
    }


def show_user(realm: Realm, user: User) -> dict[str, Any]:
    """Return a user as the contract has one."""
    return {"id": user.uid, "account": show_account(user), "username": user.name, "organization_id": realm.uid}


def show_project(realm: Realm, project: Project) -> dict[str, Any]:
    """Return a project as the contract has one."""
    created, modified = time(project.created_at), time(project.updated_at or project.created_at)
    return {
        "id": project.uid,
        "name": project.display_name or project.name,
        "description": project.description,
        "organization_id": realm.uid,
        "partner_id": PARTNER["id"],
        "created_at": created,
        "modified_at": modified,
        "createdAt": created,
        "modifiedAt": modified,
    }


def show_group(realm: Realm, group: Group) -> dict[str, Any]:
    """Return a group as the contract has one."""
    return {
        "id": group.uid,
        "name": group.display_name or group.name,
        "description": group.description,
        "organization_id": realm.uid,
        "created_at": time(group.created_at),
        "modified_at": time(group.updated_at or group.created_at),
    }


def direction(orders: tuple[str, ...] = ("name",)) -> str:
    """Return the order that `orderby` and `order` ask for, with a minus in front of it for the other direction.

    :param orders: what can be named.
    :raises InvalidValueError: something else is.
    """
    by, order = argument("orderby", orders[0]), argument("order", "ASC").upper()
    if by not in orders or order not in {"ASC", "DESC"}:
        raise InvalidValueError(f"orderby takes {', '.join(orders)}, and order takes ASC or DESC.")
    return "-name" if order == "DESC" else "name"


def listed(rows: list[Any], count: int, limit: int, offset: int, **more: Any) -> Response:
    """Answer with the part of a list.

    :param more: the same under other names, which some clients read.
    """
    return answer({"count": count, "limit": limit, "offset": offset, "results": rows} | more)
