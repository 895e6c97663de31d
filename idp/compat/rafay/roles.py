"""Roles, identity providers and the audit trail: `/auth/v1/roles`, `/auth/v1/ssos`, `/auth/v1/audit`."""

from typing import Any, NoReturn

from flask import Response, request

from idp import access, audit
from idp.api.answers import answer
from idp.api.requests import begin_writing, realm_of
from idp.audit import AuditEvent
from idp.callers import Caller
from idp.compat.calls import cut, not_served
from idp.compat.parameters import argument, takes
from idp.compat.rafay.shapes import LISTED, MOST, direction, listed, show_role
from idp.db import commit
from idp.errors import NotFoundError


@takes(*LISTED)
def list_roles(caller: Caller) -> Response:
    """List the roles that somebody can be given."""
    realm = realm_of(caller)
    caller.require("roles:read", realm=realm.name)
    listing = access.role_listing(realm, containing=argument("q")[:200], named=request.args.get("name"))
    rows, count, limit, offset = cut(listing, direction(), most=MOST)
    return listed([show_role(row) for row in rows], count, limit, offset)


def get_role(caller: Caller, uid: str) -> Response:
    """Show a role."""
    realm = realm_of(caller)
    caller.require("roles:read", realm=realm.name)
    return answer(show_role(access.get_role(realm, access.find_role_name(realm, uid))))


change_roles = not_served("the contract describes what a role permits by its own products. Make roles at /v1/roles.")


@takes("limit", "offset")
def list_providers(caller: Caller) -> Response:
    """List the identity providers by which people sign in: there are none."""
    caller.require("realm:read", realm=realm_of(caller).name)
    return listed([], 0, MOST, 0)


def get_provider(caller: Caller, uid: str) -> NoReturn:  # noqa: ARG001
    """Say that an identity provider is not there."""
    caller.require("realm:read", realm=realm_of(caller).name)
    raise NotFoundError("There is no identity provider with this id (not found): they are not served here.")


change_providers = not_served("people sign in at this server, and by no other identity provider.")


@takes("limit", "offset")
def list_events(caller: Caller) -> Response:
    """List the events of the audit trail, newest first. They are not counted: `count` is -1. That they were read is recorded."""
    name = realm_of(caller).name
    caller.require("audit:read", realm=name)
    rows, count, limit, offset = cut(audit.event_listing(name), "-id", most=MOST)
    shown = [_event(row) for row in rows]
    begin_writing()
    audit.record(audit.Tag.AUDIT_READ, name, f"realm:{name}", how="search")
    commit()
    return listed(shown, count, limit, offset)


def _event(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": str(event.id),
        "timestamp": event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "type": event.tag,
        "actor": event.actor,
        "target": event.target,
        "client_ip": event.address,
        "outcome": event.outcome,
        "detail": event.detail,
    }
