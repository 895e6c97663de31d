"""Groups: `/auth/v1/groups`. Their name is what they are shown as; see `realms.called`."""

from typing import Any

from flask import Response, request

from idp import realms, rules, users
from idp.compat.calls import cut, json_body, text_of
from idp.compat.parameters import argument, takes
from idp.compat.rafay.shapes import LISTED, MOST, direction, listed, show_group
from idp.errors import NotFoundError
from idp.rules import Authority
from idp.users import Group, GroupSheet
from idp.web.answers import NO_STORE, answer


@takes(*LISTED)
def list_groups(authority: Authority) -> Response:
    """List groups."""
    rules.groups.check_listing(authority)
    listing = users.group_listing(authority.realm, containing=argument("q")[:200], shown=request.args.get("name"))
    rows, count, limit, offset = cut(listing, direction(), most=MOST)
    shown = [show_group(authority.realm, row) for row in rows]
    return listed(shown, count, limit, offset, items=shown)


def create_group(authority: Authority) -> Response:
    """Make a group."""
    body = json_body()
    rules.groups.check_creating(authority)
    named = realms.called("group", text_of(body, "name"))
    group = users.create_group(authority.realm, named.name, _sheet(body, named.display_name))
    return answer(show_group(authority.realm, group), 201)


def get_group(authority: Authority, uid: str) -> Response:
    """Show a group."""
    return answer(show_group(authority.realm, _find_group(authority, uid)))


def put_group(authority: Authority, uid: str) -> Response:
    """Set what a group says of itself, and what it is shown as."""
    body = json_body()
    group = rules.groups.manageable(authority, _find_group(authority, uid))
    name = text_of(body, "name", group.display_name or group.name)
    users.update_group(authority.realm, group, _sheet(body, name))
    return answer(show_group(authority.realm, group))


def delete_group(authority: Authority, uid: str) -> Response:
    """Delete a group; its members stay."""
    users.delete_group(authority.realm, rules.groups.manageable(authority, _find_group(authority, uid)).name)
    return Response(b"", 204, NO_STORE)


def _sheet(body: dict[str, Any], shown: str) -> GroupSheet:
    return GroupSheet.read({"description": text_of(body, "description", ""), "display_name": shown})


def _find_group(authority: Authority, uid: str) -> Group:
    group = users.find_group_by_uid(authority.realm, uid)
    if group is None or not rules.groups.sees(authority):
        raise NotFoundError("The group does not exist (not found).")
    return group
