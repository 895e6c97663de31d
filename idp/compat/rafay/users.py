"""Users: `/auth/v1/users`, `/auth/v2/users`."""

from flask import Response, request

from idp import access, rules, users
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
from idp.rules import Authority
from idp.web.answers import NO_STORE, answer


@takes(*LISTED)
def list_users(authority: Authority) -> Response:
    """List users."""
    rules.users.check_listing(authority)
    listing = users.user_listing(authority.realm, containing=argument("q")[:200], named=request.args.get("name"))
    rows, count, limit, offset = cut(listing, direction(("username", "name")), most=MOST)
    shown = [show_user(authority.realm, row) for row in rows]
    return listed(shown, count, limit, offset, users=shown)


@takes("options.name", "options.q", "limit", "offset")
def find_users(authority: Authority) -> Response:
    """Find the user of a name, or else those whose name contains it: clients take the first."""
    rules.users.check_listing(authority)
    name, containing = request.args.get("options.name"), argument("options.q")[:200]
    listing = users.user_listing(authority.realm, containing=containing, named=name)
    if name and not listing.count():
        listing = users.user_listing(authority.realm, containing=containing, parts={"name": name[:200]})
    rows, count, _, _ = cut(listing, "name", most=MOST)
    return answer({"accounts": [show_account(row) for row in rows], "count": count})


def get_user(authority: Authority, uid: str) -> Response:
    """Show a user."""
    return answer(show_user(authority.realm, rules.users.visible(authority, uid)))


def delete_user(authority: Authority, uid: str) -> Response:
    """Delete a user with all that is theirs."""
    users.delete_user(authority.realm, rules.users.manageable(authority, uid))
    return Response(b"", 204, NO_STORE)


def current(authority: Authority) -> Response:
    """Show who calls."""
    home = authority.at_home
    return answer(show_user(home.realm, rules.users.visible(home, home.caller.user.uid)))


def profile(authority: Authority) -> Response:
    """Show who calls, with organisation and roles."""
    caller, realm = authority.caller, authority.at_home.realm
    names = sorted({each.role for each in caller.held_roles if not each.project})
    roles = [{"role": show_role(access.get_role(realm, name))} for name in names]
    account = {"id": caller.subject.uid, "username": caller.name.partition(":")[2]}
    return answer({"account": account, "organization": show_organization(realm), "partner": PARTNER, "roles": roles})
