"""Users, groups and contracts, as the clients of the IONOS Cloud API manage them: `/cloudapi/v6`.

A privilege of a group, such as `accessAndManageMonitoring`, is a role of the realm that the group holds, of the same name in
lower case with hyphens: `access-and-manage-monitoring`.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request

from idp import access, callers, realms, runtime, users
from idp.access import HeldRole
from idp.api.answers import answer, time
from idp.api.requests import identify
from idp.callers import Caller, CredentialError
from idp.compat.calls import cut, flag_of, json_body, signed_in, text_of
from idp.compat.ionos import HARMLESS, answer_error, contract_of_request, password_caller
from idp.compat.parameters import add_calls, takes
from idp.errors import ConflictError, InvalidValueError, NotFoundError
from idp.realms import Realm
from idp.users import Group, LinkPurpose, User, UserKind
from idp.wire.credentials import Credentials, Shown, read_credentials
from idp.wire.edges import answer_errors

PREFIX = "/cloudapi/v6"
ADMINISTRATOR = "administrator"

PRIVILEGES = (
    "createDataCenter", "createSnapshot", "reserveIp", "accessActivityLog", "createPcc", "s3Privilege", "createBackupUnit",
    "createInternetAccess", "createK8sCluster", "createFlowLog", "accessAndManageMonitoring", "accessAndManageCertificates",
    "manageDBaaS", "accessAndManageDns", "manageRegistry", "manageDataplatform",
)  # fmt: skip


def register(app: Flask) -> None:
    """Add the URLs of the contract to the application."""
    routes: tuple[tuple[str, str, Callable[..., Response]], ...] = (
        ("GET", f"{PREFIX}/um/users", list_users),
        ("POST", f"{PREFIX}/um/users", create_user),
        ("GET", f"{PREFIX}/um/users/<uid>", get_user),
        ("PUT", f"{PREFIX}/um/users/<uid>", put_user),
        ("DELETE", f"{PREFIX}/um/users/<uid>", delete_user),
        ("GET", f"{PREFIX}/um/users/<uid>/groups", groups_of_user),
        ("GET", f"{PREFIX}/um/groups", list_groups),
        ("POST", f"{PREFIX}/um/groups", create_group),
        ("GET", f"{PREFIX}/um/groups/<uid>", get_group),
        ("PUT", f"{PREFIX}/um/groups/<uid>", put_group),
        ("DELETE", f"{PREFIX}/um/groups/<uid>", delete_group),
        ("GET", f"{PREFIX}/um/groups/<uid>/users", users_of_group),
        ("POST", f"{PREFIX}/um/groups/<uid>/users", add_to_group),
        ("DELETE", f"{PREFIX}/um/groups/<uid>/users/<user>", remove_from_group),
        ("GET", f"{PREFIX}/contracts", contracts),
    )
    add_calls(app, "ionos", ((method, path, _call(view)) for method, path, view in routes), harmless=HARMLESS)
    answer_errors(app, f"{PREFIX}/", answer_error)


def _call(view: Callable[..., Response]) -> Callable[..., Response]:
    """Take Bearer as every other call does, and Basic with a password, which is checked anew for each."""
    with_token = signed_in(view, _credentials)

    @functools.wraps(view)
    def called(**arguments: Any) -> Response:
        if read_credentials(request.environ).shown is Shown.PASSWORD:
            return password_caller(lambda caller: view(caller, **arguments))
        return with_token(**arguments)

    return called


def _credentials() -> Credentials:
    credentials = read_credentials(request.environ)
    if credentials.by_cookie:
        raise CredentialError
    contract = contract_of_request()
    if contract is not None and identify(credentials).realm.name != contract:
        raise CredentialError
    return credentials


@takes("limit", "offset")
def list_users(caller: Caller) -> Response:
    """List users."""
    realm = _realm(caller)
    caller.require("users:read", realm=realm.name)
    rows, count, limit, offset = cut(users.user_listing(realm, kind=UserKind.PERSON), "name", default=100, most=1_000)
    return _collection("users", [_user(realm, row) for row in rows], count, limit, offset)


def create_user(caller: Caller) -> Response:
    """Add a person, who is mailed an invitation to choose a password: one that is sent here is not used (R107)."""
    realm, wanted = _realm(caller), _properties()
    caller.require("users:write", realm=realm.name)
    user = users.create_user(
        realm, text_of(wanted, "email", longest=254), UserKind.PERSON, first_name=text_of(wanted, "firstname", ""),
        last_name=text_of(wanted, "lastname", ""), enabled=flag_of(wanted, "active") is not False,
    )  # fmt: skip
    if flag_of(wanted, "administrator"):
        callers.give_role(caller, realm, users.holder_of(user), ADMINISTRATOR)
    if user.enabled:
        users.send_link(realm, user, LinkPurpose.INVITATION)
    return answer(_user(realm, user), 202)


def get_user(caller: Caller, uid: str) -> Response:
    """Show a user."""
    realm = _realm(caller)
    return answer(_user(realm, callers.visible_user(caller, realm, uid)))


def put_user(caller: Caller, uid: str) -> Response:
    """Set what a user is."""
    realm, wanted = _realm(caller), _properties()
    user = callers.manageable_user(caller, realm, uid)
    fields: dict[str, Any] = {"first_name": text_of(wanted, "firstname", ""), "last_name": text_of(wanted, "lastname", "")}
    fields |= {"email": text_of(wanted, "email", user.email, longest=254)}
    active, administrator = flag_of(wanted, "active"), flag_of(wanted, "administrator")
    callers.change_user(caller, realm, user.uid, **fields, **({"enabled": active} if active is not None else {}))
    if administrator is not None and administrator != _is_administrator(realm, user):
        change = callers.give_role if administrator else callers.take_role
        change(caller, realm, users.holder_of(user), ADMINISTRATOR)
    return answer(_user(realm, user), 202)


def delete_user(caller: Caller, uid: str) -> Response:
    """Delete a user with all that is theirs."""
    realm = _realm(caller)
    users.delete_user(realm, callers.manageable_user(caller, realm, uid))
    return answer({}, 202)


def groups_of_user(caller: Caller, uid: str) -> Response:
    """List the groups that a user is in."""
    realm = _realm(caller)
    user = callers.visible_user(caller, realm, uid)
    rows = [_group(realm, group) for group in users.groups_of(user)]
    return _collection(f"users/{uid}/groups", rows, len(rows), len(rows), 0)


@takes("limit", "offset")
def list_groups(caller: Caller) -> Response:
    """List groups."""
    realm = _realm(caller)
    caller.require("users:read", realm=realm.name)
    rows, count, limit, offset = cut(users.group_listing(realm), "name", default=100, most=1_000)
    return _collection("groups", [_group(realm, row) for row in rows], count, limit, offset)


def create_group(caller: Caller) -> Response:
    """Make a group with privileges."""
    realm, wanted = _realm(caller), _properties()
    caller.require("users:write", realm=realm.name)
    group = users.create_group(realm, text_of(wanted, "name", longest=64))
    _set_privileges(caller, realm, group, wanted)
    return answer(_group(realm, group), 202)


def get_group(caller: Caller, uid: str) -> Response:
    """Show a group."""
    realm = _realm(caller)
    return answer(_group(realm, _find_group(caller, realm, uid)))


def put_group(caller: Caller, uid: str) -> Response:
    """Set the privileges of a group; those that are left out are taken from it."""
    realm, wanted = _realm(caller), _properties()
    group = callers.manageable_group(caller, realm, _find_group(caller, realm, uid))
    if text_of(wanted, "name", group.name) != group.name:
        raise ConflictError("The name of a group cannot be changed.")
    _set_privileges(caller, realm, group, dict.fromkeys(PRIVILEGES, False) | wanted)
    return answer(_group(realm, group), 202)


def delete_group(caller: Caller, uid: str) -> Response:
    """Delete a group; its members stay."""
    realm = _realm(caller)
    users.delete_group(realm, callers.manageable_group(caller, realm, _find_group(caller, realm, uid)).name)
    return answer({}, 202)


@takes("limit", "offset")
def users_of_group(caller: Caller, uid: str) -> Response:
    """List the users in a group."""
    realm = _realm(caller)
    listing = users.member_listing(_find_group(caller, realm, uid))
    rows, count, limit, offset = cut(listing, "name", default=100, most=1_000)
    return _collection(f"groups/{uid}/users", [_user(realm, row) for row in rows], count, limit, offset)


def add_to_group(caller: Caller, uid: str) -> Response:
    """Put a user into a group."""
    realm = _realm(caller)
    group = _find_group(caller, realm, uid)
    return answer(_user(realm, callers.put_into_group(caller, realm, group, text_of(json_body(), "id", longest=64))), 202)


def remove_from_group(caller: Caller, uid: str, user: str) -> Response:
    """Take a user out of a group."""
    realm = _realm(caller)
    callers.take_out_of_group(caller, realm, _find_group(caller, realm, uid), user)
    return answer({}, 202)


def contracts(caller: Caller) -> Response:
    """Show the contract, which is the realm."""
    realm = _realm(caller)
    owner = caller.user.name if hasattr(caller.subject, "name") else ""
    properties: dict[str, Any] = {
        "contractNumber": realm.contract_number,
        "owner": owner,
        "status": "BILLABLE" if realm.enabled else "CEASED",
        "regDomain": realm.name,
        "resourceLimits": {},
    }
    return _collection(
        "contracts",
        [
            {
                "id": str(realm.contract_number),
                "type": "contract",
                "href": f"{runtime.current().settings.public_url}{PREFIX}/contracts",
                "properties": properties,
            }
        ],
        1,
        1,
        0,
        base=PREFIX,
    )


def _realm(caller: Caller) -> Realm:
    return realms.get_realm(caller.realm.name)


def _properties() -> dict[str, Any]:
    wanted = json_body().get("properties")
    if not isinstance(wanted, dict):
        raise InvalidValueError("properties is missing.")
    return wanted


def _find_group(caller: Caller, realm: Realm, uid: str) -> Group:
    group = users.find_group_by_uid(realm, uid)
    if group is None or not caller.may("users:read", realm=realm.name):
        raise NotFoundError("There is no group with this id (not found).")
    return group


def _role_of(privilege: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", privilege).lower()


def _set_privileges(caller: Caller, realm: Realm, group: Group, wanted: dict[str, Any]) -> None:
    """Give a group the roles that privileges stand for, which are made at their first use, and take them."""
    holder = users.group_holder(group)
    held = _held(group)
    for privilege in PRIVILEGES:
        flag, role = flag_of(wanted, privilege), _role_of(privilege)
        if flag and role not in held:
            if role not in {each.name for each in access.list_roles(realm)}:
                callers.make_role(caller, realm, role, f"Privilege {privilege}", [])
            callers.give_role(caller, realm, holder, role)
        elif flag is False and role in held:
            callers.take_role(caller, realm, holder, role)


def _held(group: Group) -> set[str]:
    held: list[HeldRole] = callers.held_by(users.group_holder(group))
    return {each.role for each in held if not each.project}


def _is_administrator(realm: Realm, user: User) -> bool:
    return access.find_grant(realm, users.holder_of(user), ADMINISTRATOR) is not None


def _user(realm: Realm, user: User) -> dict[str, Any]:
    return {
        "id": user.uid,
        "type": "user",
        "href": f"{_base()}/users/{user.uid}",
        "metadata": {"createdDate": time(user.created_at), "lastModifiedDate": time(user.updated_at)},
        "properties": {
            "firstname": user.first_name,
            "lastname": user.last_name,
            "email": user.email,
            "administrator": _is_administrator(realm, user),
            "forceSecAuth": False,
            "secAuthActive": False,
            "active": user.enabled,
        },
    }


def _group(_realm: Realm, group: Group) -> dict[str, Any]:
    held = _held(group)
    return {
        "id": group.uid,
        "type": "group",
        "href": f"{_base()}/groups/{group.uid}",
        "properties": {"name": group.name} | {each: _role_of(each) in held for each in PRIVILEGES},
    }


def _base() -> str:
    return f"{runtime.current().settings.public_url}{PREFIX}/um"


def _collection(name: str, rows: list[Any], count: int, limit: int, offset: int, *, base: str = "") -> Response:
    href = f"{runtime.current().settings.public_url}{base}/{name}" if base else f"{_base()}/{name}"
    links = {"self": href}
    if offset + limit < count:
        links["next"] = f"{href}?offset={offset + limit}&limit={limit}"
    body = {"id": name, "type": "collection", "href": href, "items": rows, "offset": offset, "limit": limit, "_links": links}
    return answer(body)
