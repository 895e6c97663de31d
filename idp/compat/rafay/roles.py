"""Roles, identity providers and the audit trail: `/auth/v1/roles`, `/auth/v1/ssos`, `/auth/v1/audit`."""

from typing import Any, NoReturn

from flask import Response, request

from idp import access, audit, rules
from idp.audit import AuditEvent
from idp.compat.calls import cut, not_served
from idp.compat.parameters import argument, takes
from idp.compat.rafay.shapes import LISTED, MOST, direction, listed, show_role
from idp.db import commit
from idp.errors import NotFoundError
from idp.rules import Authority
from idp.web.answers import answer
from idp.web.calls import begin_writing


@takes(*LISTED)
def list_roles(authority: Authority) -> Response:
    """List the roles that somebody can be given."""
    rules.roles.check_listing(authority)
    listing = access.role_listing(authority.realm, containing=argument("q")[:200], named=request.args.get("name"))
    rows, count, limit, offset = cut(listing, direction(), most=MOST)
    return listed([show_role(row) for row in rows], count, limit, offset)


def get_role(authority: Authority, uid: str) -> Response:
    """Show a role."""
    rules.roles.check_listing(authority)
    return answer(show_role(access.get_role(authority.realm, access.find_role_name(authority.realm, uid))))


change_roles = not_served("the contract describes what a role permits by its own products. Make roles at /v1/roles.")


@takes("limit", "offset")
def list_providers(authority: Authority) -> Response:
    """List the identity providers by which people sign in: there are none."""
    rules.realms.check_reading(authority)
    return listed([], 0, MOST, 0)


def get_provider(authority: Authority, uid: str) -> NoReturn:  # noqa: ARG001 (every view of the contract takes it)
    """Say that an identity provider is not there."""
    rules.realms.check_reading(authority)
    raise NotFoundError("There is no identity provider with this id (not found): they are not served here.")


change_providers = not_served("people sign in at this server, and by no other identity provider.")


@takes("limit", "offset")
def list_events(authority: Authority) -> Response:
    """List the events of the audit trail, newest first. They are not counted: `count` is -1. That they were read is recorded."""
    name = authority.realm.name
    rules.audit.check_reading(authority)
    rows, count, limit, offset = cut(audit.event_listing(name), f"-{audit.NEWEST}", most=MOST)
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
