"""`/v1/audit`: the trail of a realm searched, exported and proved. Reading it is recorded in it."""

from typing import Any, Literal
from urllib.parse import urlencode

from flask import Response
from pydantic import Field
from typing_extensions import TypedDict

from idp import audit, rules, trail
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Query, Timestamp, When
from idp.audit import AuditEvent
from idp.rules import Authority
from idp.web.answers import NO_STORE, time
from idp.web.calls import begin_writing


class EventQuery(PageQuery):
    """Which events. Newest first."""

    actor: str = Field(default="", max_length=200)
    """Of this one, `<kind>:<name>`, or of whatever has this name."""
    target: str = Field(default="", max_length=300)
    """On this one."""
    tag: str = Field(default="", max_length=40)
    """Whose tag begins with this, such as `admin:` or `admin:secret`."""
    outcome: Literal["", "success", "refused"] = ""
    since: When | None = None
    until: When | None = None
    scope: Literal["", "server"] = ""
    """`server` for the trail of the server as a whole, which operators see."""
    realm: str = Field(default="", max_length=64)
    """Name of an organisation, for operators: also of one that was purged, of which the trail is left."""


class ScopeQuery(Query):
    """Whose trail."""

    scope: Literal["", "server"] = ""
    """`server` for the trail of the server as a whole, which operators see."""
    realm: str = Field(default="", max_length=64)
    """Name of an organisation, for operators: also of one that was purged, of which the trail is left."""


class ExportQuery(ScopeQuery):
    """Which part of the trail."""

    first: int = Field(default=1, ge=1, le=2**53)
    """Number of the batch to begin with."""


class Event(TypedDict):
    """An entry of the trail."""

    id: int
    at: Timestamp
    realm: str
    tag: str
    actor: str
    target: str
    address: str
    outcome: str
    detail: dict[str, Any]


class CheckpointShown(TypedDict):
    """The newest signed statement of how far the trail goes."""

    realm: str
    number: int
    total: int
    head: str
    checkpoint: str
    sealedAt: Timestamp


class CheckpointAnswer(TypedDict):
    """The newest checkpoint, and how many events it does not cover yet, on the whole server."""

    checkpoint: CheckpointShown | None
    unsealed: int


@signed_in(records=True)
def list_events(authority: Authority, query: EventQuery) -> Page[Event]:
    """Search the audit trail, newest first. `count` is unknown, and always -1."""
    name = _trail(authority, query)
    listing = audit.event_listing(
        name,
        tag=query.tag or None,
        actor=query.actor or None,
        target=query.target or None,
        outcome=query.outcome or None,
        since=query.since,
        until=query.until,
    )
    found = page(authority.caller, query, listing, _shown, "-creationTimestamp")
    record_reading(name, "search")
    return found


@signed_in(records=True, answers=bytes, media_type="application/x-ndjson")
def export_events(authority: Authority, query: ExportQuery) -> Response:
    """Export the trail with its hash chain as JSON lines, which `idp audit verify --export` can verify anywhere.

    About 20,000 events at a time: the header `Link` leads to the next part. Written one after the other, they are the export.
    """
    name = _trail(authority, query)
    part = trail.export_part(name, query.first)
    record_reading(name, "export")
    headers = {**NO_STORE, "Content-Disposition": f'attachment; filename="audit-{name or "server"}-{query.first}.jsonl"'}
    response = Response("".join(part.lines), 200, headers, content_type="application/x-ndjson")
    if part.next_batch is not None:
        response.headers["Link"] = (
            f'<?{urlencode({"scope": query.scope, "realm": query.realm, "first": part.next_batch})}>; rel="next"'
        )
    return response


@signed_in
def get_checkpoint(authority: Authority, query: ScopeQuery) -> CheckpointAnswer:
    """Show the newest checkpoint. Keep it elsewhere: with it, `idp audit verify` notices if the end was cut off."""
    name = _trail(authority, query)
    row = trail.newest_checkpoint(name)
    shown: CheckpointShown | None = None
    if row is not None:
        shown = {
            "realm": name,
            "number": row.number,
            "total": row.total,
            "head": row.head,
            "checkpoint": row.checkpoint,
            "sealedAt": time(row.sealed_at),
        }
    return {"checkpoint": shown, "unsealed": trail.count_unsealed()}


def _trail(authority: Authority, query: EventQuery | ScopeQuery) -> str:
    """Return the name of the trail that is asked for, if the caller may read it."""
    if query.scope == "server" or (query.realm and query.realm != authority.realm.name):
        rules.audit.check_reading_any(authority)
        return query.realm
    rules.audit.check_reading(authority)
    return authority.realm.name


def record_reading(name: str, how: str) -> None:
    """Record that a trail was read.

    :param name: of the realm; empty for the trail of the server as a whole.
    :param how: `search` or `export`.
    """
    begin_writing()
    audit.record(audit.Tag.AUDIT_READ, name, f"realm:{name}" if name else "server:realmgate", how=how)


def _shown(event: AuditEvent) -> Event:
    return {
        "id": event.id,
        "at": event.at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "realm": event.realm,
        "tag": event.tag,
        "actor": event.actor,
        "target": event.target,
        "address": event.address,
        "outcome": event.outcome,
        "detail": event.detail,
    }
