"""`/v1/audits`: the audit trail as Palette's clients read it. Reading it is recorded in it."""

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict

from idp import access, applications, audit, rules, users
from idp.api.answers import metadata
from idp.api.audit_trail import record_reading
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Metadata, When
from idp.audit import AuditEvent
from idp.errors import NotFoundError
from idp.paging import Listing
from idp.realms import Realm
from idp.rules import Authority

Action = Literal["create", "update", "delete", "publish", "deploy", "activity", "action"]


class AuditQuery(PageQuery):
    """Which events. Newest first."""

    startTime: When | None = None
    endTime: When | None = None
    userUid: str = Field(default="", max_length=64)
    """Of this user."""
    projectUid: str = Field(default="", max_length=64)
    """On this project."""
    tenantUid: str = Field(default="", max_length=64)
    """Of this realm; there are none of another one."""
    resourceKind: str = Field(default="", max_length=40, pattern="^[a-z-]*$")
    """On things of this kind, such as `user`."""
    resourceUid: str = Field(default="", max_length=64)
    """On this user, group, role, project or application."""
    actionType: Action | None = None


class AuditUser(TypedDict):
    """A user who did something."""

    uid: str
    firstName: str
    lastName: str
    emailId: str
    org: str


class AuditActor(TypedDict, total=False):
    """Who did something."""

    actorType: Literal["user", "system", "service"]
    serviceName: str
    user: AuditUser


class AuditResource(TypedDict):
    """On what. The trail knows it by its name, which stands for its uid too."""

    kind: str
    label: str
    name: str
    uid: str


class AuditSpec(TypedDict):
    """What happened."""

    actionMsg: str
    actionType: Action
    actor: AuditActor
    contentMsg: str
    resource: AuditResource
    userMsg: str


class Audit(TypedDict):
    """An entry of the trail."""

    metadata: Metadata
    spec: AuditSpec


class AuditMessage(TypedDict):
    """What happened, in words."""

    actionMsg: str
    contentMsg: str


@signed_in(records=True)
def list_audits(authority: Authority, query: AuditQuery) -> Page[Audit]:
    """Search the audit trail, newest first. `count` is unknown, and always -1."""
    rules.audit.check_reading(authority)
    found = page(
        authority.caller,
        query,
        _listing(authority.realm, query),
        lambda event: _shown(authority.realm, event),
        "-creationTimestamp",
    )
    record_reading(authority.realm.name, "search")
    return found


@signed_in(records=True)
def get_audit(authority: Authority, uid: str) -> Audit:
    """Show an event."""
    shown = _shown(authority.realm, _find(authority, uid))
    record_reading(authority.realm.name, "search")
    return shown


@signed_in(records=True)
def get_message(authority: Authority, uid: str) -> AuditMessage:
    """Return the message of an event."""
    event = _find(authority, uid)
    message: AuditMessage = {"actionMsg": _action(event), "contentMsg": _content(event)}
    record_reading(authority.realm.name, "search")
    return message


def _find(authority: Authority, uid: str) -> AuditEvent:
    rules.audit.check_reading(authority)
    event = audit.find_event(authority.realm.name, int(uid)) if uid.isascii() and uid.isdigit() and len(uid) < 19 else None
    if event is None:
        raise NotFoundError("There is no event with this uid (not found).")
    return event


def _listing(realm: Realm, query: AuditQuery) -> Listing:
    user = users.find_user_by_uid(realm, query.userUid) if query.userUid else None
    project = access.find_project_by_uid(realm, query.projectUid) if query.projectUid else None
    targets = [f"project:{project.name}"] if project is not None else []
    if query.resourceUid:
        targets.append(_target(realm, query.resourceUid))
    unknown = (query.userUid and user is None) or (query.projectUid and project is None) or "" in targets
    if unknown or query.tenantUid not in {"", realm.uid} or len(set(targets)) > 1:
        return audit.no_events()
    return audit.event_listing(
        realm.name,
        actor=f"user:{user.name}" if user is not None else None,
        target=targets[0] if targets else None,
        kind=query.resourceKind,
        action=query.actionType,
        since=query.startTime,
        until=query.endTime,
    )


def _target(realm: Realm, uid: str) -> str:
    """Return what the trail knows a resource by; empty if there is none with this uid."""
    finders = (
        ("user", users.find_user_by_uid),
        ("group", users.find_group_by_uid),
        ("project", access.find_project_by_uid),
        ("role", access.find_role_by_uid),
        ("application", applications.find_application_by_uid),
    )
    for kind, find in finders:
        row = find(realm, uid)
        if row is not None:
            return f"{kind}:{row.name}"
    return ""


def _shown(realm: Realm, event: AuditEvent) -> Audit:
    kind, _, name = event.target.partition(":")
    return {
        "metadata": metadata(str(event.id), event.tag, event.at, event.at),
        "spec": {
            "actionMsg": _action(event),
            "actionType": audit.action_of(event.tag),
            "actor": _actor(realm, event),
            "contentMsg": _content(event),
            "resource": {"kind": kind, "label": name, "name": name, "uid": name},
            "userMsg": "",
        },
    }


def _action(event: AuditEvent) -> str:
    return f"{event.tag} by {event.actor}" + ("" if event.outcome == "success" else f" ({event.outcome})")


def _content(event: AuditEvent) -> str:
    details = ", ".join(f"{name}: {value}" for name, value in event.detail.items() if value is not None)
    return f"{event.target}: {details}" if details else event.target


def _actor(realm: Realm, event: AuditEvent) -> AuditActor:
    kind, _, name = event.actor.partition(":")
    if kind == "application":
        return {"actorType": "service", "serviceName": name}
    user = users.find_user_by_name(realm, name) if kind == "user" else None
    if user is None:
        return {"actorType": "system", "serviceName": event.actor}
    shown: AuditUser = {
        "uid": user.uid,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "emailId": user.email,
        "org": realm.name,
    }
    return {"actorType": "user", "user": shown}
