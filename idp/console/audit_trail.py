"""The audit trail: searched, checked as far as it can be, exported."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from idp import audit, clock, rules, trail
from idp.audit import AuditEvent, Tag
from idp.console.browser import Visit, page
from idp.console.lists import BATCH, after_number, file_pieces, one_page
from idp.console.navigation import base
from idp.console.render import render
from idp.console.zones import ZONE, reader_zone, shown_time, typed_zone, zone_name
from idp.db import commit, db
from idp.errors import InvalidValueError
from idp.web.downloads import download

MOST_EXPORTED = 20_000
"""Events of one export; the times of the search lead to others, and `idp audit list` to all of them."""


TOKENS_AND_CALLS, REFUSED_CREDENTIALS = "tokens-and-calls", "refused-credentials"
"""Kinds of events, as the URL names them, that the overview counts together."""

_TOGETHER = {
    TOKENS_AND_CALLS: ("Tokens and calls", audit.TOKENS_AND_CALLS),
    REFUSED_CREDENTIALS: ("Refused credentials", audit.REFUSED_CREDENTIALS),
}

EVENTS = 20
"""Events of a page, each with all that is known of it."""

_TIME = "%Y-%m-%dT%H:%M"
"""How a field of a form has a time."""

_RANGES = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last 24 hours", timedelta(days=1)),
    "week": ("Last 7 days", timedelta(days=7)),
    "month": ("Last 30 days", timedelta(days=30)),
}
"""Times up to now, by what the URL calls them: they begin anew whenever the page is opened."""


@page
def list_events(visit: Visit) -> Response | str:
    """Show events, newest first, narrowed by actor, target, action and time."""
    rules.audit.check_reading(visit.authority)
    filters = _filters()
    before = after_number()
    found = audit.list_events(visit.realm.name, before=before, limit=EVENTS + 1, **_query(filters))
    rows, more = one_page(found, lambda row: row.id, EVENTS)
    if request.args.get("part"):  # a script that follows the trail; that it began to was recorded with the page
        return render("console/realm/events.html", rows=rows)
    subjects = sorted({tag.value.rpartition(":")[0] for tag in Tag})
    response = render(
        "console/realm/audit.html",
        rows=rows,
        more=more,
        first=before is None,
        filters=filters,
        export=f"{base(visit.realm.name)}/audit.jsonl?{urlencode(filters | {ZONE: zone_name()})}",
        ranges=[(name, title) for name, (title, _) in _RANGES.items()],
        subjects=subjects,
        together=[(name, title) for name, (title, _) in _TOGETHER.items()],
        guarded=trail.is_guarded(),
        most=MOST_EXPORTED,
        trail=visit.realm.name,
        sealed=trail.newest_checkpoint(visit.realm.name),
    )
    _record(visit, "search")
    return response


@page
def export(visit: Visit) -> Response:
    """Return events as JSON lines, newest first."""
    rules.audit.check_reading(visit.authority)
    query, name = _query(_filters()), visit.realm.name
    _record(visit, "export")

    def fetch(before: int | None) -> Sequence[AuditEvent]:
        return audit.list_events(name, before=before, limit=BATCH, **query)

    pieces = file_pieces(fetch, lambda event: json.dumps(_facts(event)) + "\n", most=MOST_EXPORTED)
    return download(f"audit-{name}.jsonl", "application/jsonl", pieces)


def _record(visit: Visit, how: str) -> None:
    """Note in the trail that it was read. What was to be read has been."""
    name = visit.realm.name
    db.session.rollback()
    audit.record(Tag.AUDIT_READ, name, f"realm:{name}", how=how)
    commit()


def _filters() -> dict[str, str]:
    """Return what the URL narrows the trail by, its times in the reader's zone."""
    given = {name: request.args.get(name, "")[:300].strip() for name in ("actor", "target", "tag", "outcome", "since", "until")}
    asked = request.args.get("range", "")
    if asked in _RANGES:
        since = clock.now() - _RANGES[asked][1]
        return given | {"since": shown_time(since, _TIME), "until": "", "range": asked}
    return given | {name: _shown(given[name], typed_zone()) for name in ("since", "until")} | {"range": ""}


def _query(filters: dict[str, str]) -> dict[str, Any]:
    return {
        "actor": filters["actor"] or None,
        "target": filters["target"] or None,
        "tag": None if filters["tag"] in _TOGETHER else filters["tag"] or None,
        "tags": _TOGETHER[filters["tag"]][1] if filters["tag"] in _TOGETHER else (),
        "outcome": filters["outcome"] or None,
        "since": clock.now() - _RANGES[filters["range"]][1] if filters["range"] else _time(filters["since"], reader_zone()),
        "until": _time(filters["until"], reader_zone()),
    }


def _shown(text: str, zone: tzinfo) -> str:
    """Return a time of another zone as one of the reader's."""
    time = _time(text, zone)
    return shown_time(time, _TIME) if time is not None else ""


def _time(text: str, zone: tzinfo) -> datetime | None:
    """Read a time of the form, which is in a zone."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValueError("Write a time as 2026-11-22T13:00.") from None


def _facts(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": event.at.isoformat(),
        "realm": event.realm,
        "tag": event.tag,
        "actor": event.actor,
        "target": event.target,
        "address": event.address,
        "outcome": event.outcome,
        "detail": event.detail,
    }
