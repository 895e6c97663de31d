"""The overview of a realm: what goes on, what was refused and why, and what needs a look soon."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Response, request

from idp import apikeys, applications, audit, clock, keys, rules
from idp.audit import Activity, Tag
from idp.console.browser import Visit, page
from idp.console.charts import stacked_bars
from idp.console.render import render
from idp.console.signing_keys import next_step

SOON = timedelta(days=14)
"""Credentials that expire within this time are shown."""

UNUSED = timedelta(days=90)
"""Credentials that were not used for this time are shown."""

KEYS_SOON = timedelta(days=7)

_DONE = {
    "Tokens for applications": {Tag.TOKEN_ISSUE},
    "Tokens of people at applications": {Tag.TOKEN_CODE, Tag.TOKEN_REFRESH},
    "Exchanges": {Tag.TOKEN_EXCHANGE, Tag.API_KEY_EXCHANGE},
    "Calls with API keys": {Tag.API_KEY_USE},
}
_REFUSED = {
    "Applications": {Tag.TOKEN_REFUSE},
    "API keys": {Tag.API_KEY_REFUSE},
    "Sign-ins": {Tag.SIGN_IN_REFUSE},
}


_WHY = {
    "secret": "a wrong, expired or retired secret, or no such application",
    "unknown": "no such key",
    "address": "from an address that the key is not valid for",
    "": "unknown",
}
"""What the trail's short reasons mean, where they do not speak for themselves."""


@page
def show(visit: Visit) -> Response | str:
    """Show the overview."""
    rules.applications.check_overview(visit.authority)
    span = "month" if request.args.get("span") == "month" else "day"
    now = clock.now()
    begins = _steps(now, span)
    activity = audit.list_activity(visit.realm.name, begins[0])
    done, refused = _series(activity, begins, _DONE), _series(activity, begins, _REFUSED)
    reasons: Counter[tuple[str, str]] = Counter()
    for each in activity:
        for title, tags in _REFUSED.items():
            if each.tag in tags:
                reasons[title, _WHY.get(each.reason, each.reason)] += each.count
    labels = [f"{begin:%H:%M}" if span == "day" else f"{begin:%m-%d}" for begin in begins]
    return render(
        "console/realm/overview.html",
        span=span,
        labels=labels,
        done=done,
        refused=refused,
        done_chart=stacked_bars(labels, done, "Tokens, exchanges and calls over time"),
        refused_chart=stacked_bars(labels, refused, "Refusals over time"),
        reasons=reasons.most_common(10),
        **_needs_a_look(visit, now),
        is_new=not applications.list_applications(visit.realm, limit=1),
    )


def _steps(now: datetime, span: str) -> list[datetime]:
    """Return the beginnings of the last 24 hours, or of the last 30 days, the running one included."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    if span == "day":
        return [hour - timedelta(hours=number) for number in range(23, -1, -1)]
    return [hour.replace(hour=0) - timedelta(days=number) for number in range(29, -1, -1)]


def _series(activity: Sequence[Activity], begins: list[datetime], parts: dict[str, set[Tag]]) -> dict[str, list[int]]:
    width = begins[1] - begins[0]
    series = {title: [0] * len(begins) for title in parts}
    for each in activity:
        place = int((each.hour - begins[0]) / width)
        for title, tags in parts.items():
            if each.tag in tags and 0 <= place < len(begins):
                series[title][place] += each.count
    return series


def _needs_a_look(visit: Visit, now: datetime) -> dict[str, Any]:
    """Return what expires, what nobody uses, and which signing keys change soon."""
    found: dict[str, Any] = {"expiring": [], "unused": [], "expiring_count": 0, "unused_count": 0, "steps": []}
    if rules.applications.sees_all(visit.authority):
        for name, (rows, count) in (
            ("expiring", applications.expiring_secrets(visit.realm, now + SOON)),
            ("unused", applications.unused_secrets(visit.realm, now - UNUSED)),
        ):
            found[f"{name}_count"] += count
            found[name] += [
                ("secret", f"{application.name}: {secret.name}", f"/applications/{application.name}", secret)
                for secret, application in rows
            ]
    if rules.api_keys.sees_all(visit.authority):
        for name, (found_keys, count) in (
            ("expiring", apikeys.expiring_keys(visit.realm, now + SOON)),
            ("unused", apikeys.unused_keys(visit.realm, now - UNUSED)),
        ):
            found[f"{name}_count"] += count
            found[name] += [
                ("API key", f"{key.name} of {apikeys.owner_of(key).name}", f"/api-keys/{key.uid}", key) for key in found_keys
            ]
    if rules.signing_keys.can_read(visit.authority):
        steps = [(key, next_step(visit.realm, key, now)) for key in keys.list_keys(visit.realm)]
        found["steps"] = [(key, step) for key, step in steps if step is not None and step[1] < now + KEYS_SOON]
    return found
