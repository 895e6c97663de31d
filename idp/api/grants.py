"""`/v1/grants`: who holds which role where; and `/v1/accessReview`: who can call what, since when, until when, given by whom."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from flask import Response
from pydantic import Field
from typing_extensions import TypedDict

from idp import access, callers, clock, protected_apis, realms, rules, users
from idp.access import Grant, HolderKind, Project
from idp.api.answers import metadata
from idp.api.pages import CREATION, Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Created, Made, Metadata, Reference, Schema, Timestamp, When
from idp.errors import NotFoundError
from idp.realms import Realm
from idp.rules import Authority
from idp.web.answers import answer, time, time_or_none
from idp.web.downloads import download
from idp.web.table import csv_line

Kind = Literal["application", "user", "group"]

MOST_MEMBERS = 100
"""Members of a group that a page of a review names; the table names all."""

ROWS, MEMBERS = 250, 1_000
"""Grants of a table that are read at once, and members of a large group."""

COLUMNS = ("kind", "holder", "via", "role", "permissions", "project", "since", "until", "givenBy", "state", "lastUsedAt")


class HolderBody(Schema):
    """Who gets a role."""

    read_only = frozenset({"name"})

    kind: Kind
    uid: str = Field(min_length=1, max_length=300)
    """uid or name."""


class NewGrantSpec(Schema):
    """`spec` of a grant."""

    holder: HolderBody
    role: str = Field(max_length=64)
    """uid or name."""
    projectUid: str | None = None
    """Left out for the project of the header `ProjectUid`, or the whole realm."""
    until: When | None = None


class NewGrant(Schema):
    """`POST /v1/grants`."""

    read_only = frozenset({"metadata"})

    spec: NewGrantSpec


class EndSpec(Schema):
    """`spec` of a change: a grant gets another end, and nothing else."""

    read_only = frozenset({"holder", "role", "project"})

    until: When | None
    """null for no end."""


class GrantChange(Schema):
    """`PUT` and `PATCH /v1/grants/{uid}`."""

    read_only = frozenset({"metadata"})

    spec: EndSpec


class GrantQuery(PageQuery):
    """Which grants."""

    holder: str = Field(default="", max_length=300)
    """Those of holders whose name, or kind and name (`application:ci-bot`), contains this."""
    role: str = Field(default="", max_length=64)
    """Those of this role, by name."""
    state: Literal["", "live", "ended", "ending"] = ""
    """Those that are live, have ended, or end within 30 days."""
    orderBy: Literal["creationTimestamp", "-creationTimestamp", "holder", "-holder"] = "creationTimestamp"


class ReviewQuery(GrantQuery):
    """Whose access is reviewed."""

    state: Literal["", "live", "ended", "ending"] = "live"
    permission: str = Field(default="", max_length=64)
    """Those whose role permits this at this server, such as `applications:write`."""
    api: str = Field(default="", max_length=64)
    """Those who can call this protected API, by name."""
    format: Literal["json", "csv"] = "json"
    """`csv` for the whole review as a table."""


class HolderShown(TypedDict):
    """Who holds a role."""

    kind: Kind
    uid: str
    name: str


class GrantSpec(TypedDict):
    """What a grant gives."""

    holder: HolderShown
    role: Reference
    project: Reference | None
    until: Timestamp | None


class GrantStatus(TypedDict):
    """How a grant fares."""

    givenBy: str
    state: Literal["live", "ended"]


class GrantResource(TypedDict):
    """A role that somebody holds."""

    metadata: Metadata
    spec: GrantSpec
    status: GrantStatus


class ReviewItem(TypedDict):
    """Somebody who can call something."""

    uid: str
    holder: HolderShown
    members: list[Reference]
    memberCount: int
    role: Reference
    permissions: list[str]
    project: Reference | None
    since: Timestamp
    until: Timestamp | None
    givenBy: str
    state: Literal["live", "ended"]
    lastUsedAt: Timestamp | None


@signed_in
def list_grants(authority: Authority, project: Project | None, query: GrantQuery) -> Page[GrantResource]:
    """List grants; with `ProjectUid`, those on the project."""
    listing = access.grant_listing(authority.realm, **_filters(authority, project, query))
    return page(authority.caller, query, listing, show_grant, query.orderBy, prepare=callers.read_holders)


@signed_in
def create_grant(authority: Authority, project: Project | None, body: NewGrant) -> Created[Made]:
    """Assign a role, up to what the caller holds; it ends no later than the caller's own."""
    spec = body.spec
    if spec.projectUid is not None:
        project = access.find_project_by_uid(authority.realm, spec.projectUid)
        if project is None:
            raise NotFoundError("There is no project with this uid (not found).")
    name = project.name if project is not None else ""
    rules.grants.check_giving(authority, name)
    holder = callers.find_holder(authority.realm, HolderKind(spec.holder.kind), spec.holder.uid)
    role = access.find_role_name(authority.realm, spec.role)
    grant = rules.grants.create(authority, holder, role, project=name, until=spec.until)
    return Created({"uid": grant.uid}, f"/v1/grants/{grant.uid}")


@signed_in
def get_grant(authority: Authority, uid: str) -> GrantResource:
    """Show a grant."""
    return show_grant(rules.grants.visible(authority, uid))


@signed_in(current=get_grant)
def replace_grant(authority: Authority, body: GrantChange, uid: str) -> None:
    """Change when a grant ends; nothing else about it can be changed."""
    _change_end(authority, uid, body.spec.until)


@signed_in(current=get_grant)
def change_grant(authority: Authority, body: GrantChange, uid: str) -> None:
    """Change when a grant ends."""
    _change_end(authority, uid, body.spec.until)


def _change_end(authority: Authority, uid: str, until: datetime | None) -> None:
    grant = rules.grants.visible(authority, uid)
    project = grant.project.name if grant.project else ""
    holder = callers.holder_of_grant(authority.realm, grant)
    rules.grants.give(authority, holder, grant.role.name, project=project, until=until)


@signed_in(current=get_grant)
def delete_grant(authority: Authority, uid: str) -> None:
    """Remove a role from its holder."""
    grant = rules.grants.visible(authority, uid)
    project = grant.project.name if grant.project else ""
    rules.grants.take(authority, callers.holder_of_grant(authority.realm, grant), grant.role.name, project=project)


@signed_in(answers=Page[ReviewItem], media_type="application/json, text/csv")
def review_access(authority: Authority, project: Project | None, query: ReviewQuery) -> Response:
    """Show who can call what, in which project, since when, until when, and who assigned it.

    With `format=csv` the whole review is one table, a line for each holder and, of a group, for each member.
    """
    filters = _filters(authority, project, query)
    if project is not None:
        filters["reaching"] = filters.pop("project")  # what is held on the whole realm counts on the project
    if query.permission:
        access.check_permissions([query.permission])
    filters["permitting"] = query.permission
    if query.api:
        rules.realms.check_reading(authority)
        filters["roles"] = _roles_of_api(authority.realm, query.api)
    if query.format == "csv":
        name = authority.realm.name
        return download(f"access-{name}.csv", "text/csv", _table(name, filters))
    members: Members = {}

    def prepare(grants: list[Grant]) -> None:
        callers.read_holders(grants)
        members.update(_first_members(grants))

    listing = access.grant_listing(authority.realm, **filters)
    return answer(page(authority.caller, query, listing, lambda grant: _review(grant, members), query.orderBy, prepare=prepare))


def _filters(authority: Authority, project: Project | None, query: GrantQuery) -> dict[str, Any]:
    filters: dict[str, Any] = {"holder": query.holder, "role": query.role, "state": query.state}
    if project is not None:
        rules.grants.check_listing(authority, project.name)
        return filters | {"project": project.name}
    return filters | {"projects": rules.grants.listed(authority)}


def _roles_of_api(realm: Realm, name: str) -> list[str] | None:
    """Return the roles of which one is needed to call a protected API; None when anybody may who can prove who they are."""
    rules = protected_apis.get_api(realm, name).rules
    if any(not rule["roles"] for rule in rules):
        return None
    return sorted({role for rule in rules for role in rule["roles"]})


def show_grant(grant: Grant) -> GrantResource:
    """Return what is known of a grant."""
    name = f"{grant.holder_name}: {grant.role.name}"
    return {
        "metadata": metadata(grant.uid, name, grant.created_at, grant.updated_at),
        "spec": {
            "holder": _holder(grant),
            "role": {"uid": grant.role.uid, "name": grant.role.name},
            "project": _project(grant),
            "until": time_or_none(grant.until),
        },
        "status": {"givenBy": grant.granted_by, "state": _state(grant)},
    }


def _holder(grant: Grant) -> HolderShown:
    kinds: dict[str, Kind] = {"application": "application", "user": "user", "group": "group"}
    return {"kind": kinds[grant.holder_kind], "uid": callers.uid_of_holder(grant), "name": grant.holder_name}


def _project(grant: Grant) -> Reference | None:
    return {"uid": grant.project.uid, "name": grant.project.name} if grant.project else None


def _state(grant: Grant) -> Literal["live", "ended"]:
    return grant.state(clock.now()).value


Members = dict[int, tuple[list[users.Member], int]]
"""The first members of groups, and how many there are, by the group's row number."""


def _first_members(grants: list[Grant]) -> Members:
    groups = {grant.holder_id for grant in grants if grant.holder_kind == HolderKind.GROUP.value}
    return users.first_members(groups, MOST_MEMBERS) if groups else {}


def _review(grant: Grant, known: Members) -> ReviewItem:
    members, count = known[grant.holder_id] if grant.holder_kind == HolderKind.GROUP.value else ([], 0)
    return {
        "uid": grant.uid,
        "holder": _holder(grant),
        "members": [{"uid": member.uid, "name": member.name} for member in members],
        "memberCount": count,
        "role": {"uid": grant.role.uid, "name": grant.role.name},
        "permissions": grant.role.permissions,
        "project": _project(grant),
        "since": time(grant.created_at),
        "until": time_or_none(grant.until),
        "givenBy": grant.granted_by,
        "state": _state(grant),
        "lastUsedAt": time_or_none(callers.last_use_of_holder(grant)),
    }


def _table(name: str, filters: dict[str, Any]) -> Iterator[str]:
    """Return a review as a table, piece by piece; see `download`.

    :param name: of the realm.
    """
    text, after = csv_line(COLUMNS), None
    while True:
        listing = access.grant_listing(realms.get_realm(name), **filters)
        grants = listing.take(CREATION, descending=False, after=after, limit=ROWS)
        callers.read_holders(grants)
        known = _first_members(grants)
        items = [(grant.holder_id, _review(grant, known)) for grant in grants]
        after = listing.place(CREATION, grants[-1]) if len(grants) == ROWS else None
        del grants
        for holder_id, item in items:
            text += csv_line(_cells(item, item["holder"]["kind"], item["holder"]["name"], ""))
            text += _member_lines(item, item["members"])
            last = item["members"][-1]["name"] if item["memberCount"] > len(item["members"]) else ""
            while last:
                yield text
                members = users.members_after(holder_id, last, MEMBERS)
                text = _member_lines(item, [{"uid": member.uid, "name": member.name} for member in members])
                last = members[-1].name if len(members) == MEMBERS else ""
        yield text
        if after is None:
            return
        text = ""


def _member_lines(item: ReviewItem, members: list[Reference]) -> str:
    via = f"group:{item['holder']['name']}"
    return "".join(csv_line(_cells(item, "user", member["name"], via)) for member in members)


def _cells(item: ReviewItem, kind: str, name: str, via: str) -> tuple[str, ...]:
    return (
        kind,
        name,
        via,
        item["role"]["name"],
        " ".join(item["permissions"]),
        item["project"]["name"] if item["project"] else "",
        item["since"],
        item["until"] or "",
        item["givenBy"],
        item["state"],
        item["lastUsedAt"] or "",
    )
