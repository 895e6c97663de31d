"""Groups: `/auth/v1/groups`. Their name is what they are shown as; see `realms.called`."""

from flask import Response, request

from idp import callers, realms, users
from idp.api.answers import answer
from idp.api.errors import NO_STORE
from idp.api.requests import realm_of
from idp.callers import Caller
from idp.compat.calls import cut, json_body, text_of
from idp.compat.parameters import argument, takes
from idp.compat.rafay.shapes import LISTED, MOST, direction, listed, show_group
from idp.errors import NotFoundError
from idp.realms import Realm
from idp.users import Group


@takes(*LISTED)
def list_groups(caller: Caller) -> Response:
    """List groups."""
    realm = realm_of(caller)
    caller.require("users:read", realm=realm.name)
    listing = users.group_listing(realm, containing=argument("q")[:200], shown=request.args.get("name"))
    rows, count, limit, offset = cut(listing, direction(), most=MOST)
    shown = [show_group(realm, row) for row in rows]
    return listed(shown, count, limit, offset, items=shown)


def create_group(caller: Caller) -> Response:
    """Make a group."""
    realm, body = realm_of(caller), json_body()
    caller.require("users:write", realm=realm.name)
    named = realms.called("group", text_of(body, "name"))
    group = users.create_group(realm, named.name, text_of(body, "description", ""), named.display_name)
    return answer(show_group(realm, group), 201)


def get_group(caller: Caller, uid: str) -> Response:
    """Show a group."""
    realm = realm_of(caller)
    return answer(show_group(realm, _find_group(caller, realm, uid)))


def put_group(caller: Caller, uid: str) -> Response:
    """Set what a group says of itself, and what it is shown as."""
    realm, body = realm_of(caller), json_body()
    group = callers.manageable_group(caller, realm, _find_group(caller, realm, uid))
    name = text_of(body, "name", group.display_name or group.name)
    users.describe_group(realm, group.name, text_of(body, "description", ""), name)
    return answer(show_group(realm, group))


def delete_group(caller: Caller, uid: str) -> Response:
    """Delete a group; its members stay."""
    realm = realm_of(caller)
    users.delete_group(realm, callers.manageable_group(caller, realm, _find_group(caller, realm, uid)).name)
    return Response(b"", 204, NO_STORE)


def _find_group(caller: Caller, realm: Realm, uid: str) -> Group:
    group = users.find_group_by_uid(realm, uid)
    if group is None or not caller.may("users:read", realm=realm.name):
        raise NotFoundError("The group does not exist (not found).")
    return group
