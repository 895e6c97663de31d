"""Groups and their members, as the clients of the IONOS Cloud API manage them: `/cloudapi/v6/um/groups`.

A privilege of a group, such as `accessAndManageMonitoring`, is a role of the realm that the group holds, of the same name in
lower case with hyphens: `access-and-manage-monitoring`. The name of a group is what it is shown as; see `realms.called`.
"""

import re
from typing import Any

from flask import Response

from idp import access, clock, realms, rules, runtime, users
from idp.access import RoleSheet
from idp.compat.calls import flag_of, json_body, text_of
from idp.compat.ionos import users as people
from idp.compat.ionos.lists import PAGED, PREFIX, collection, filter_names, flag, sent_filters
from idp.compat.ionos.users import properties_of_body, show_user
from idp.compat.parameters import argument, takes
from idp.errors import NotFoundError
from idp.paging import Listing
from idp.rules import Authority
from idp.users import Group, GroupSheet, User
from idp.web.answers import answer

PRIVILEGES = (
    "createDataCenter",
    "createSnapshot",
    "reserveIp",
    "accessActivityLog",
    "createPcc",
    "s3Privilege",
    "createBackupUnit",
    "createInternetAccess",
    "createK8sCluster",
    "createFlowLog",
    "accessAndManageMonitoring",
    "accessAndManageCertificates",
    "manageDBaaS",
    "accessAndManageDns",
    "manageRegistry",
    "manageDataplatform",
    "accessAndManageLogging",
    "accessAndManageCdn",
    "accessAndManageVpn",
    "accessAndManageApiGateway",
    "accessAndManageKaas",
    "accessAndManageNetworkFileStorage",
    "accessAndManageAiModelHub",
    "accessAndManageIamResources",
    "createNetworkSecurityGroups",
)

_PROTECTED = "secAuthProtection"
"""Of groups as the resources of a user: none takes a second factor."""

_ORDERS = {"name": "shown"} | dict.fromkeys(PRIVILEGES, "role")
_FILTERS = filter_names("name", *PRIVILEGES)


def _listing(authority: Authority, member: User | None = None) -> Listing | None:
    """Return the groups that the filters of a request ask for; None where they ask for what no group here has.

    :raises DeniedError: they are told apart by what they hold, which the caller may not see.
    """
    sent, order, realm = sent_filters(), argument("orderBy"), authority.realm
    if order in PRIVILEGES or sent.keys() & set(PRIVILEGES):
        rules.grants.check_listing(authority, "")
    holding = {_role_of(each): flag(each, sent[each]) for each in PRIVILEGES if each in sent}
    listing = users.group_listing(
        realm,
        shown_with=sent.get("name", ""),
        holding=holding,
        member=member,
        by_role=_role_of(order) if order in PRIVILEGES else "",
    )
    return None if _PROTECTED in sent and flag(_PROTECTED, sent[_PROTECTED]) else listing


@takes(*PAGED, *_FILTERS, f"filter.{_PROTECTED}")
def groups_of_user(authority: Authority, uid: str) -> Response:
    """List the groups that a user is in."""
    user = rules.users.visible(authority, uid)
    orders = _ORDERS | {_PROTECTED: "id"}
    return collection(
        f"um/users/{uid}/groups", _listing(authority, user), orders, lambda row: show_group(authority, row), default="shown"
    )


@takes(*PAGED, *_FILTERS)
def list_groups(authority: Authority) -> Response:
    """List groups."""
    rules.groups.check_listing(authority)
    return collection("um/groups", _listing(authority), _ORDERS, lambda row: show_group(authority, row), default="shown")


def create_group(authority: Authority) -> Response:
    """Make a group with privileges."""
    wanted = properties_of_body()
    rules.groups.check_creating(authority)
    named = realms.called("group", text_of(wanted, "name"))
    group = users.create_group(authority.realm, named.name, GroupSheet.read({"display_name": named.display_name}))
    _set_privileges(authority, group, wanted)
    return answer(show_group(authority, group), 202)


def get_group(authority: Authority, uid: str) -> Response:
    """Show a group."""
    return answer(show_group(authority, find_group(authority, uid)))


def put_group(authority: Authority, uid: str) -> Response:
    """Set what a group is shown as, and its privileges; those that are left out are taken from it."""
    wanted = properties_of_body()
    group = rules.groups.manageable(authority, find_group(authority, uid))
    shown = {"display_name": text_of(wanted, "name", group.display_name or group.name)}
    users.update_group(authority.realm, group, GroupSheet.of(group).changed(shown))
    left_out = dict.fromkeys(PRIVILEGES, False) if rules.grants.sees_all(authority) else {}
    _set_privileges(authority, group, left_out | wanted)
    return answer(show_group(authority, group), 202)


def delete_group(authority: Authority, uid: str) -> Response:
    """Delete a group; its members stay."""
    users.delete_group(authority.realm, rules.groups.manageable(authority, find_group(authority, uid)).name)
    return answer({}, 202)


@takes(*PAGED, *people.FILTERS)
def users_of_group(authority: Authority, uid: str) -> Response:
    """List the users in a group."""
    group = find_group(authority, uid)
    every = people.user_listing(authority)
    listing = users.member_listing(group, every) if every is not None else None
    return collection(f"um/groups/{uid}/users", listing, people.ORDERS, lambda row: show_user(authority, row))


def add_to_group(authority: Authority, uid: str) -> Response:
    """Put a user into a group."""
    group = find_group(authority, uid)
    return answer(show_user(authority, rules.groups.add_member(authority, group, text_of(json_body(), "id", longest=64))), 202)


def remove_from_group(authority: Authority, uid: str, user: str) -> Response:
    """Take a user out of a group."""
    rules.groups.remove_member(authority, find_group(authority, uid), user)
    return answer({}, 202)


def find_group(authority: Authority, uid: str) -> Group:
    """Return a group that the caller may see; any other is not there (T73).

    :raises NotFoundError: there is none.
    """
    group = users.find_group_by_uid(authority.realm, uid)
    if group is None or not rules.groups.sees(authority):
        raise NotFoundError("There is no group with this id (not found).")
    return group


def _role_of(privilege: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", privilege).lower()


def _set_privileges(authority: Authority, group: Group, wanted: dict[str, Any]) -> None:
    """Give a group the roles that privileges stand for, which are made at their first use, and take them.

    Who may not see what is held takes nothing: to them every privilege is false, and that is what they send back.
    """
    holder = users.group_holder(group)
    held = _held(group)
    for privilege in PRIVILEGES:
        flag, role = flag_of(wanted, privilege), _role_of(privilege)
        if flag and role not in held:
            if role not in {each.name for each in access.list_roles(authority.realm)}:
                rules.roles.create(authority, role, RoleSheet.read({"description": f"Privilege {privilege}"}))
            rules.grants.give(authority, holder, role)
        elif flag is False and role in held and rules.grants.sees_all(authority):
            rules.grants.take(authority, holder, role)


def _held(group: Group) -> set[str]:
    held = rules.delegation.held_by(users.group_holder(group))
    return {each.role for each in held if not each.project and clock.timestamp() < each.until}


def show_group(authority: Authority, group: Group) -> dict[str, Any]:
    """Return a group as the contract has one. Its privileges, those are told who may see what everybody holds."""
    held = _held(group) if rules.grants.sees_all(authority) else set()
    return {
        "id": group.uid,
        "type": "group",
        "href": f"{runtime.current().settings.public_url}{PREFIX}/um/groups/{group.uid}",
        "properties": {"name": group.display_name or group.name} | {each: _role_of(each) in held for each in PRIVILEGES},
    }
