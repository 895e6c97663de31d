"""The overview of a realm: what goes on, what was refused and why, and what needs a look soon."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Response, request

from idp import applications, audit, clock, keys, posture, rules, runtime
from idp.audit import Activity, Tag
from idp.console.browser import Visit, page
from idp.console.charts import Chart, day_label, last_days
from idp.console.kept_counts import recently_changed
from idp.console.kept_numbers import NOTHING, Numbers, look_at, numbers_of
from idp.console.language import say
from idp.console.navigation import base, sections
from idp.console.render import number, render, words
from idp.console.signing_keys import next_step
from idp.console.zones import shown_time
from idp.posture import Question

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


_POSTURE: dict[Question, tuple[str, str, str, str]] = {
    Question.OFFBOARDING: (
        "Forgotten identities",
        "that nobody has used for 90 days, or whose owner is disabled",
        "/applications?state=unused",
        "Disable them",
    ),
    Question.LEAKAGE: ("Secrets that scanners cannot find", "imported, without our prefix", "/applications", "Replace them"),
    Question.THIRD_PARTIES: (
        "Applications that registered themselves",
        "review what they may do",
        "/registration-tokens",
        "Review",
    ),
    Question.AUTHENTICATION: (
        "Static secrets",
        "where a key pair would prove the identity without one",
        "/applications",
        "Use public keys",
    ),
    Question.PRIVILEGES: (
        "Programs that can assign roles",
        "on the whole organisation",
        "/access?role=administrator",
        "Narrow them",
    ),
    Question.CONFIGURATION: ("Signing keys without rotation", "they are rotated manually only", "/settings", "Turn it on"),
    Question.LONG_LIVED: (
        "Long-lived credentials",
        "secrets older than a year, keys that never expire",
        "/api-keys",
        "Rotate them",
    ),
    Question.ISOLATION: ("Programs in more than three projects", "one leak reaches all of them", "/access", "Separate them"),
    Question.REUSE: ("Identities that seem shared", "with more than three secrets that work", "/applications", "Separate them"),
    Question.HUMAN_USE: (
        "Keys that carry all that a person may do",
        "without an end",
        "/api-keys",
        "Narrow them",
    ),
}
"""What is said of each question: what is counted, what that means, where the things are, and what to do."""

_LOOKED_AT_FOR = 60.0
"""Seconds for which what takes long to find is shown again."""

_BEING_COUNTED = "…"


@page
def show(visit: Visit) -> Response | str:
    """Show the overview."""
    rules.applications.check_overview(visit.authority)
    span = "month" if request.args.get("span") == "month" else "day"
    now = clock.now()
    begins = _steps(now, span)
    width = begins[1] - begins[0]
    before = [begin - width * len(begins) for begin in begins]
    activity = audit.list_activity(visit.realm.name, before[0], by_day=span == "month")
    recent = [each for each in activity if each.hour >= begins[0]]
    done, refused = _series(recent, begins, _DONE), _series(recent, begins, _REFUSED)
    reasons: Counter[tuple[str, str]] = Counter()
    for each in recent:
        for title, tags in _REFUSED.items():
            if each.tag in tags:
                reasons[title, _WHY.get(each.reason, each.reason)] += each.count
    numbers = numbers_of(visit.realm)
    labels = [shown_time(begin, "%H:%M") if span == "day" else day_label(begin) for begin in begins]
    return render(
        "console/realm/overview.html",
        span=span,
        done_chart=Chart(labels, done, "Tokens, exchanges and calls over time"),
        refused_chart=Chart(labels, refused, "Refusals over time"),
        reasons=reasons.most_common(10),
        figures=_figures(
            visit, (done, refused), (_series(activity, before, _DONE), _series(activity, before, _REFUSED)), now, numbers
        ),
        is_being_counted=numbers is None,
        posture=[(answer, *_POSTURE[answer.question]) for answer in numbers.answers] if numbers else [],
        may_open=_pages_of(visit),
        top=_top(visit, begins[0]),
        refusals=audit.list_events(visit.realm.name, outcome="refused", limit=6) if rules.audit.can_read(visit.authority) else [],
        **_needs_a_look(visit, now, numbers),
        is_new=not applications.list_applications(visit.realm, limit=1),
    )


@dataclass(frozen=True)
class Figure:
    """A number at the head of the page."""

    title: str
    value: str
    note: str
    url: str
    is_bad: bool = False


_Series = dict[str, list[int]]


def _figures(
    visit: Visit, current: tuple[_Series, _Series], past: tuple[_Series, _Series], now: datetime, numbers: Numbers | None
) -> list[Figure]:
    """Return the six numbers."""
    done, refused = (sum(map(sum, series.values())) for series in current)
    done_before, refused_before = (sum(map(sum, series.values())) for series in past)
    share = say("{share} % of all", share=number(round(100 * refused / (done + refused), 1))) if refused else say("none of all")
    steps = [step[1] for key in keys.list_keys(visit.realm) if (step := next_step(visit.realm, key, now)) is not None]
    return [
        Figure(say("Tokens and calls"), number(done), _trend(done, done_before), "/audit?tag=token"),
        Figure(
            say("Refusals"),
            number(refused),
            f"{share}, {_trend(refused, refused_before)}",
            "/audit?outcome=refused",
            bool(refused),
        ),
        Figure(
            say("Applications enabled"),
            number(numbers.enabled) if numbers else _BEING_COUNTED,
            say("of this organisation"),
            "/applications?state=enabled",
        ),
        Figure(say("Static secrets"), _some(numbers.secrets) if numbers else _BEING_COUNTED, say("that work"), "/applications"),
        Figure(
            say("Expiring within 30 days"),
            _some(numbers.expiring) if numbers else _BEING_COUNTED,
            say("secrets and API keys"),
            "/api-keys?state=expiring",
            bool(numbers and numbers.expiring),
        ),
        Figure(
            say("Next change of keys"),
            words(min(steps), now) if steps else say("none"),
            say("of those that sign"),
            "/signing-keys",
        ),
    ]


def _pages_of(visit: Visit) -> Callable[[str], bool]:
    """Return what tells whether the caller may open a page of the realm, by the end of its URL."""
    urls = {link.url for section in sections(visit) for link in section.links}
    return lambda end: base(visit.realm.name) + end.partition("?")[0] in urls


def _some(count: int) -> str:
    return f"{number(count)}+" if count >= posture.MOST_COUNTED else number(count)


def _trend(count: int, before: int) -> str:
    """Say how a number stands to the one of the same time before."""
    if not before:
        return say("none before") if not count else say("new")
    change = round(100 * (count - before) / before)
    return say("{change} % on the time before", change=f"{change:+d}") if change else say("as before")


_MOST_KEPT = 1_000
"""Realms whose applications with most tokens a worker keeps."""


def _top(visit: Visit, since: datetime) -> list[tuple[str, int, datetime | None]]:
    """Return the applications that were issued most tokens since the beginning of a day: name, how many, when last.

    Where it takes long to find them, they are shown again for a while.
    """
    day = applications.day_of(since)
    kept = runtime.current().extensions.setdefault("console top", {})
    at, found = kept.get((visit.realm.id, day), (0.0, []))
    begun = time.monotonic()
    if at and begun - at <= _LOOKED_AT_FOR and not recently_changed(visit.realm.id, at):
        return list(found)
    rows = applications.most_used(visit.realm, day, 5)
    found = [(application.name, count, application.last_used_at) for application, count in rows]
    if time.monotonic() - begun > _LONG:
        if len(kept) > _MOST_KEPT:
            kept.clear()
        kept[visit.realm.id, day] = (time.monotonic(), found)
    return found


_LONG = 0.2
"""Seconds from which on finding something takes long."""


def _steps(now: datetime, span: str) -> list[datetime]:
    """Return the beginnings of the last 24 hours, or of the last 30 days, the running one included."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    if span == "day":
        return [hour - timedelta(hours=number) for number in range(23, -1, -1)]
    return last_days(now)


def _series(activity: Sequence[Activity], begins: list[datetime], parts: dict[str, set[Tag]]) -> dict[str, list[int]]:
    width = begins[1] - begins[0]
    series = {title: [0] * len(begins) for title in parts}
    for each in activity:
        place = int((each.hour - begins[0]) / width)
        for title, tags in parts.items():
            if each.tag in tags and 0 <= place < len(begins):
                series[title][place] += each.count
    return series


def _needs_a_look(visit: Visit, now: datetime, numbers: Numbers | None) -> dict[str, Any]:
    """Return what expires, what nobody uses, and which signing keys change soon."""
    found: dict[str, Any] = {"expiring": [], "unused": [], "expiring_count": 0, "unused_count": 0, "steps": []}
    wanting = NOTHING if numbers is None else numbers.wanting if numbers.is_large else look_at(visit.realm, now)
    if rules.applications.sees_all(visit.authority):
        for name, (rows, count) in wanting.secrets.items():
            found[f"{name}_count"] += count
            found[name] += [
                (say("secret"), f"{application.name}: {secret.name}", f"/applications/{application.name}", secret)
                for secret, application in rows
            ]
    if rules.api_keys.sees_all(visit.authority):
        for name, (some, count) in wanting.keys.items():
            found[f"{name}_count"] += count
            found[name] += [
                (
                    say("API key"),
                    say("{name} of {owner}", name=key.name, owner=wanting.owners[key.id].name),
                    f"/api-keys/{key.uid}",
                    key,
                )
                for key in some
            ]
    if rules.signing_keys.can_read(visit.authority):
        steps = [(key, next_step(visit.realm, key, now)) for key in keys.list_keys(visit.realm)]
        found["steps"] = [(key, step) for key, step in steps if step is not None and step[1] < now + KEYS_SOON]
    return found
