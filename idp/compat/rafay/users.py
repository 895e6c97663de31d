"""Users: `/auth/v1/users`, `/auth/v2/users`."""

from flask import Response, request

from idp import access, callers, realms, users
from idp.api.answers import answer
from idp.api.errors import NO_STORE
from idp.api.requests import realm_of
from idp.callers import Caller
from idp.compat.calls import cut
from idp.compat.parameters import argument, takes
from idp.compat.rafay.shapes import (
    LISTED,
    MOST,
    PARTNER,
    direction,
    listed,
    show_account,
    show_organization,
    show_role,
    show_user,
)


@takes(*LISTED)
def list_users(caller: Caller) -> Response:
    """List users."""
    realm = realm_of(caller)
    caller.require("users:read", realm=realm.name)
    listing = users.user_listing(realm, containing=argument("q")[:200], named=request.args.get("name"))
    rows, count, limit, offset = cut(listing, direction(("username", "name")), most=MOST)
    shown = [show_user(realm, row) for row in rows]
    return listed(shown, count, limit, offset, users=shown)


@takes("options.name", "options.q", "limit", "offset")
def find_users(caller: Caller) -> Response:
    """Find the user of a name, or else those whose name contains it: clients take the first."""
    realm = realm_of(caller)
    caller.require("users:read", realm=realm.name)
    name, containing = request.args.get("options.name"), argument("options.q")[:200]
    listing = users.user_listing(realm, containing=containing, named=name)
    if name and not listing.count():
        listing = users.user_listing(realm, containing=containing, parts={"name": name[:200]})
    rows, count, _, _ = cut(listing, "name", most=MOST)
    return answer({"accounts": [show_account(row) for row in rows], "count": count})


def get_user(caller: Caller, uid: str) -> Response:
    """Show a user."""
    realm = realm_of(caller)
    return answer(show_user(realm, callers.visible_user(caller, realm, uid)))


def delete_user(caller: Caller, uid: str) -> Response:
    """Delete a user with all that is theirs."""
    realm = realm_of(caller)
    users.delete_user(realm, callers.manageable_user(caller, realm, uid))
    return Response(b"", 204, NO_STORE)


def current(caller: Caller) -> Response:
    """Show who calls."""
    user = callers.visible_user(caller, realms.get_realm(caller.realm.name), caller.user.uid)
    return answer(show_user(realms.get_realm(caller.realm.name), user))


def profile(caller: Caller) -> Response:
    """Show who calls, with organisation and roles."""
    realm = realms.get_realm(caller.realm.name)
    names = sorted({each.role for each in caller.held_roles if not each.project})
    roles = [{"role": show_role(access.get_role(realm, name))} for name in names]
    account = {"id": caller.subject.uid, "username": caller.name.partition(":")[2]}
    return answer({"account": account, "organization": show_organization(realm), "partner": PARTNER, "roles": roles})
