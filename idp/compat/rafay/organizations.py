"""Organisations, their people and their sign-up: `/auth/v1/organizations`, `/auth/v1/signup`."""

from typing import Any

from flask import Response

from idp import access, manifest, organisations, realms, rules, users
from idp.compat.calls import cut, flag_of, json_body, not_served, text_of
from idp.compat.parameters import argument, takes
from idp.compat.rafay.shapes import MOST, ROLE_NAMES, listed, show_organization, show_role, show_user
from idp.errors import InvalidValueError, NotFoundError
from idp.organisations import SignUpWish
from idp.realms import Realm, RealmSheet, RealmState
from idp.rules import Authority
from idp.users import LinkPurpose, UserKind, UserSheet
from idp.web.answers import NO_STORE, answer
from idp.web.calls import address


def sign_up() -> Response:
    """Ask for an organisation; it exists once the code that is mailed has been used. Off unless the operator allows it.

    A password that is sent along is not used: whoever can read the mail chooses it (R107).
    """
    body = json_body()
    named = realms.called("realm", text_of(body, "organization_name"))
    row = organisations.sign_up(
        SignUpWish(
            named.name,
            text_of(body, "username"),
            named.shown,
            text_of(body, "first_name", ""),
            text_of(body, "last_name", ""),
        ),
        address(),
    )
    return answer({"id": row.uid, "organization": named.name, "status": "verification mailed"}, 201)


sign_up_by_offer = not_served("there are no offers of partners. Sign up at /auth/v1/signup/organization.")


@takes("name", "external_id", "referer", "limit", "offset")
def list_organizations(authority: Authority) -> Response:
    """List organisations: for operators all, for anybody else their own."""
    own = rules.realms.listed(authority.caller)
    listing = realms.realm_listing(containing=argument("name")[:200], uid=own, deleted=False)
    if argument("external_id") or argument("referer"):
        listing = realms.realm_listing(uid="none has such a mark here")
    rows, count, limit, offset = cut(listing, "name", most=MOST)
    return listed([show_organization(row) for row in rows], count, limit, offset)


def create_organization(authority: Authority) -> Response:
    """Make an organisation. Operators only."""
    rules.realms.check_operator(authority.caller)
    body = json_body()
    named = realms.called("realm", text_of(body, "name"))
    realm = manifest.create_empty_realm(
        named.name, RealmSheet.read({"display_name": named.shown}), pending=flag_of(body, "approved") is False
    )
    return answer(show_organization(realm), 201)


def get_organization(authority: Authority, uid: str) -> Response:
    """Show an organisation."""
    return answer(show_organization(_find_realm(authority, uid)))


def put_organization(authority: Authority, uid: str) -> Response:
    """Change an organisation: `approved` approves, `active` activates and deactivates; the rest of the object may come along."""
    realm = _find_realm(authority, uid, lock=True)
    rules.realms.check_changing(Authority(authority.caller, realm))
    body = json_body()
    approved, active = flag_of(body, "approved"), flag_of(body, "active")
    name = text_of(body, "name", longest=200) if "name" in body else None
    if name is not None and name not in {realm.display_name, realm.name}:
        realms.update_realm(realm, RealmSheet.of(realm).changed({"display_name": name}))
    if approved and realm.state is RealmState.PENDING:
        rules.realms.check_operator(authority.caller)
        organisations.approve(realm)
    elif active is not None and active != (realm.state is RealmState.ACTIVE) and realm.state is not RealmState.PENDING:
        rules.realms.check_operator(authority.caller)
        (realms.activate_realm if active else realms.deactivate_realm)(realm)
    return answer(show_organization(realm))


def delete_organization(authority: Authority, uid: str) -> Response:
    """Stop an organisation for good; for 30 days an operator can restore it."""
    rules.realms.check_operator(authority.caller)
    realms.delete_realm(_find_realm(authority, uid, lock=True))
    return Response(b"", 204, NO_STORE)


def list_roles(authority: Authority, uid: str) -> Response:
    """List the roles that users of an organisation can be given."""
    realm = _find_realm(authority, uid)
    rules.roles.check_listing(Authority(authority.caller, realm))
    rows = [show_role(role) for role in access.list_roles(realm)]
    return listed(rows, len(rows), len(rows), 0)


def add_user(authority: Authority, uid: str) -> Response:
    """Add a person to an organisation with roles, and mail an invitation."""
    realm = _find_realm(authority, uid, lock=True)
    there = Authority(authority.caller, realm)
    rules.users.check_creating(there)
    body = json_body()
    account = body.get("account")
    if not isinstance(account, dict):
        raise InvalidValueError("account is missing.")
    called = {name: text_of(account, name, "") for name in ("first_name", "last_name")}
    user = users.create_user(realm, text_of(account, "username"), UserKind.PERSON, UserSheet.read(called))
    for project, roles in _wanted_roles(realm, body).items():
        rules.grants.set_roles(there, users.holder_of(user), sorted(roles), project=project)
    users.send_link(realm, user, LinkPurpose.INVITATION)
    return answer(show_user(realm, user), 201)


def _wanted_roles(realm: Realm, body: dict[str, Any]) -> dict[str, set[str]]:
    """Return the roles that somebody is to have, by project; those on the whole organisation under an empty name."""
    several, one = body.get("roles"), body.get("role")
    entries = several if isinstance(several, list) else []
    entries = entries or ([{"role": one}] if one else [])
    found: dict[str, set[str]] = {}
    for entry in entries:
        role = entry.get("role", entry) if isinstance(entry, dict) else None
        if not isinstance(role, dict):
            raise InvalidValueError('A role is an object such as {"id": "...", "name": "ADMIN"}.')
        project, name = _project_of(realm, entry), text_of(role, "name", "")
        if name.startswith("PROJECT_") and not project:
            raise InvalidValueError('Roles of a project take the project: {"role": {...}, "project": {"id": "..."}}.')
        found.setdefault(project, set()).add(_role_name(realm, text_of(role, "id", ""), name))
    return found


def _project_of(realm: Realm, entry: dict[str, Any]) -> str:
    named = entry.get("project")
    uid = text_of(named, "id", "") if isinstance(named, dict) else text_of(entry, "project_id", "")
    if not uid:
        return ""
    project = access.find_project_by_uid(realm, uid)
    if project is None:
        raise NotFoundError("The project does not exist (not found).")
    return project.name


def _role_name(realm: Realm, uid: str, name: str) -> str:
    """Return the role that an id means in this realm, or else a name."""
    for named in (uid, ROLE_NAMES.get(name, name)):
        try:
            return access.find_role_name(realm, named)
        except NotFoundError:
            continue
    raise NotFoundError("There is no such role (not found).")


def _find_realm(authority: Authority, uid: str, *, lock: bool = False) -> Realm:
    realm = realms.find_realm_by_uid_or_name(uid)
    gone = realm is None or realm.state is RealmState.DELETED
    if realm is None or gone or not rules.realms.sees(authority.caller, realm):
        raise NotFoundError("The organization does not exist (not found).")
    return (realms.lock_realm(realm.name) or realm) if lock else realm
