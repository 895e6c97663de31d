"""Access rules, which are grants: a subject has a role on a scope, the tenant (a realm) or a project of it."""

import uuid
from typing import Any

from flask import Response, request

from idp import access, callers, clock, rules, users
from idp.access import Grant, GrantState, HolderKind, Project
from idp.compat.calls import cut, json_body, text_of
from idp.compat.filters import Same, Term, Words, narrowed, words
from idp.compat.parameters import argument, arguments, takes
from idp.compat.runai.answers import CONDITIONS, LISTED, Shape, flag_argument, maker, narrowed_by_conditions, page
from idp.compat.runai.roles import find_role
from idp.db import db
from idp.errors import ConflictError, IdpError, InvalidValueError, NotFoundError
from idp.paging import Comparison, Listing
from idp.realms import Realm
from idp.rules import Authority
from idp.web.answers import answer, done, time
from idp.web.errors import classify

MOST_AT_ONCE = 200
"""Access rules of one batch, and subjects that a list can be asked for."""

_KINDS = {
    "user": HolderKind.USER,
    "app": HolderKind.APPLICATION,
    "service-account": HolderKind.APPLICATION,
    "group": HolderKind.GROUP,
}
_SUBJECTS = {HolderKind.USER.value: "user", HolderKind.APPLICATION.value: "app", HolderKind.GROUP.value: "group"}
_PLACES = {"tenant": ["realm"], "project": ["project"]}
_PHASES = {"Ready": ["live"], "NotReady": ["ended"]}

_EXACT = ("subjectType", "scopeType", "scopeId", "roleId", "clusterId")
"""Parameters that are compared as `filterBy` does with `==`."""


def _terms(realm: Realm) -> dict[str, Term]:
    return {
        "id": "number",
        "subjectId": Words("holder", lambda text: [each.number for each in callers.holders_named(realm, [text])], "holder-name"),
        "subjectType": words("holder-kind", {name: [kind.value] for name, kind in _KINDS.items()}),
        "roleId": "role-number",
        "roleName": "role",
        "scopeType": words("place", _PLACES),
        "scopeId": "place-uid",
        "scopeName": "place-name",
        "createdAt": "created",
        "createdBy": "maker",
        "phase": words("state", _PHASES),
        # no rule that was taken away is kept, and none is of a cluster
        "deletedAt": Same(),
        "clusterId": Same(),
    }


@takes(*LISTED, *_EXACT, "subjectIdFilter", "lastUpdated", "includeDeleted", "search", many=(*CONDITIONS, "subjectIds"))
def list_rules(authority: Authority) -> Response:
    """List who holds which role where."""
    rows, count, *_ = page(_listing(authority), _terms(authority.realm), default=50)
    return answer(_shown_list(authority.realm, rows, count))


@takes("includeDeleted", "search", many=CONDITIONS)
def count_rules(authority: Authority) -> Response:
    """Count who holds which role where."""
    return answer({"count": narrowed_by_conditions(_listing(authority), _terms(authority.realm)).count()})


def _listing(authority: Authority) -> Listing:
    """Return the rules that the parameters ask for besides `filterBy`."""
    flag_argument("includeDeleted")
    holders = callers.holders_named(authority.realm, _subjects()) if "subjectIds" in request.args else None
    projects = rules.grants.listed(authority)
    listing = _searched(access.grant_listing(authority.realm, projects=projects, holders=holders))
    terms = _terms(authority.realm) | {"subjectIdFilter": "holder-name", "lastUpdated": "updated"}
    comparisons = dict.fromkeys(_EXACT, Comparison.EQUAL)
    comparisons |= {"subjectIdFilter": Comparison.CONTAINS, "lastUpdated": Comparison.AT_LEAST}
    for name, comparison in comparisons.items():
        if name in request.args:
            listing = narrowed(listing, terms[name], comparison, request.args[name])
    return listing


def _subjects() -> list[str]:
    found = arguments("subjectIds")
    if len(found) > MOST_AT_ONCE:
        raise InvalidValueError(f"subjectIds takes at most {MOST_AT_ONCE} ids.")
    return found


def _searched(listing: Listing) -> Listing:
    return listing.searched(argument("search"), "holder-name", "role", "place-name")


@takes("limit", "offset", "search")
def list_own_rules(authority: Authority) -> Response:
    """List what the caller holds, themselves and by groups."""
    rows, count, *_ = cut(_own(authority.at_home), "")
    return answer({"accessRules": _shown_list(authority.at_home.realm, rows, count)})


@takes("search")
def count_own_rules(authority: Authority) -> Response:
    """Count what the caller holds."""
    return answer({"count": _own(authority.at_home).count()})


def _own(authority: Authority) -> Listing:
    holders = [rules.api_keys.own_holder(authority.caller)]
    if holders[0].kind is HolderKind.USER:
        user = rules.users.visible(authority, authority.caller.subject.uid)
        holders += [users.group_holder(group) for group in users.groups_of(user)]
    return _searched(access.grant_listing(authority.realm, holders=holders))


def create_rule(authority: Authority) -> Response:
    """Give somebody a role on the tenant or on a project."""
    return answer(_shown(authority.realm, _make(authority, json_body())), 201)


def create_rules(authority: Authority) -> Response:
    """Give a role to each of several subjects on each of several scopes; what cannot be given is told one by one."""
    payload = json_body().get("payload")
    if not isinstance(payload, dict):
        raise InvalidValueError("payload takes roleId, subjects and scopes.")
    subjects, scopes = (_objects(payload, name) for name in ("subjects", "scopes"))
    if len(subjects) * len(scopes) > MOST_AT_ONCE:
        raise InvalidValueError(f"subjects times scopes come to more than {MOST_AT_ONCE} rules. Send several calls.")
    succeeded: list[Shape] = []
    failed: list[Shape] = []
    for wanted in (subject | scope | {"roleId": payload.get("roleId")} for subject in subjects for scope in scopes):
        try:
            succeeded.append(_shown(authority.realm, _make(authority, wanted)))
        except IdpError as error:
            failed.append({"payload": wanted} | _reason(error))
    return answer({"succeeded": succeeded, "failed": failed})


def _objects(values: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = values.get(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidValueError(f"{name} takes a list of objects.")
    return found


def delete_rules(authority: Authority) -> Response:
    """Take several roles away, or see whether they could be; what cannot is told one by one."""
    body = json_body()
    action, ids = text_of(body, "action"), body.get("ids")
    if action not in {"delete", "validate_delete"}:
        raise InvalidValueError("action takes delete or validate_delete.")
    if not isinstance(ids, list) or len(ids) > MOST_AT_ONCE or not all(isinstance(each, str) for each in ids):
        raise InvalidValueError(f"ids takes a list of at most {MOST_AT_ONCE} ids, as texts.")
    succeeded: list[str] = []
    failed: list[Shape] = []
    for each in ids:
        try:
            _take(authority, int(each) if each.isascii() and each.isdigit() and len(each) < 10 else 0, really=action == "delete")
            succeeded.append(each)
        except IdpError as error:
            failed.append({"id": each} | _reason(error))
    return answer({"id": str(uuid.uuid4()), "succeeded": succeeded, "failed": failed})


def _reason(error: IdpError) -> Shape:
    status, _, message, _ = classify(error)
    return {"code": status, "message": message}


def _make(authority: Authority, body: dict[str, Any]) -> Grant:
    kind = _KINDS.get(text_of(body, "subjectType"))
    if kind is None:
        raise InvalidValueError(f"subjectType takes one of {', '.join(_KINDS)}.")
    project = _scope(authority.realm, text_of(body, "scopeType"), text_of(body, "scopeId", ""))
    name = project.name if project is not None else ""
    rules.grants.check_giving(authority, name)
    role = find_role(authority.realm, body.get("roleId"))
    holder = callers.find_holder(authority.realm, kind, text_of(body, "subjectId", longest=300))
    if access.find_grant(authority.realm, holder, role.name, project=name or None) is not None:
        raise ConflictError("Resource with this name already exists")
    rules.grants.give(authority, holder, role.name, project=name)
    db.session.flush()
    grant = access.find_grant(authority.realm, holder, role.name, project=name or None)
    if grant is None:
        raise NotFoundError("The access rule is gone.")
    return grant


def _scope(realm: Realm, kind: str, uid: str) -> Project | None:
    """Return the project that a rule is about, or None for the whole tenant."""
    if kind in {"tenant", "system"}:
        return None
    if kind != "project":
        raise InvalidValueError("scopeType takes project, tenant or system: there are no clusters and departments here.")
    project = access.find_project_by_uid(realm, uid)
    if project is None:
        raise NotFoundError("There is no project with this id (not found).")
    return project


def get_rule(authority: Authority, number: int) -> Response:
    """Show an access rule."""
    return answer(_shown(authority.realm, _find(authority, number)))


def delete_rule(authority: Authority, number: int) -> Response:
    """Take a role from somebody."""
    _take(authority, number, really=True)
    return done()


def _take(authority: Authority, number: int, *, really: bool) -> None:
    grant = _find(authority, number)
    project = grant.project.name if grant.project else ""
    act = rules.grants.take if really else rules.grants.check_taking
    act(authority, callers.holder_of_grant(authority.realm, grant), grant.role.name, project=project)


def _find(authority: Authority, number: int) -> Grant:
    grant = access.find_grant_by_number(authority.realm, number)
    if grant is None or not rules.grants.sees(authority, grant):
        raise NotFoundError("There is no access rule with this id (not found).")
    return grant


def _shown_list(realm: Realm, rows: list[Grant], count: int) -> Shape:
    return {"totalRecords": count, "displayRecords": len(rows), "accessRules": [_shown(realm, row) for row in rows]}


def _shown(realm: Realm, grant: Grant) -> Shape:
    return {
        "id": grant.id,
        "subjectId": callers.address_of_holder(grant),
        "subjectType": _SUBJECTS[grant.holder_kind],
        "roleId": grant.role.id,
        "roleName": grant.role.name,
        "scopeId": grant.project.uid if grant.project else realm.uid,
        "scopeName": grant.project.name if grant.project else realm.name,
        "scopeType": "project" if grant.project else "tenant",
        "tenantId": realm.id,
        "createdBy": maker(grant.granted_by),
        "createdAt": time(grant.created_at),
        "updatedAt": time(grant.updated_at or grant.created_at),
        "deletedAt": None,
        "status": {"phase": "Ready" if grant.state(clock.now()) is GrantState.LIVE else "NotReady"},
    }
