"""The overview of a realm: what goes on, what was refused and why, and what needs a look soon."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from idp import applications, audit, clock, keys, rules
from idp.audit import Activity, AuditEvent, Tag
from idp.console.audit_trail import REFUSED_CREDENTIALS, TOKENS_AND_CALLS
from idp.console.browser import Visit, page
from idp.console.charts import REFUSALS, Chart, day_label, last_days
from idp.console.kept_numbers import MOST_LOOKED_AT, NOTHING, Count, Numbers, look_at, numbers_of, top_of
from idp.console.language import count_of, say
from idp.console.navigation import base, sections
from idp.console.render import number, render, words
from idp.console.reviewing import LINES, REVIEW
from idp.console.signing_keys import next_step
from idp.console.trail_words import why
from idp.console.zones import ZONE, shown_time, zone_name
from idp.paging import MOST_COUNTED
from idp.posture import Answer, Question

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
                reasons[title, why(each.reason)] += each.count
    numbers = numbers_of(visit.realm)
    labels = [shown_time(begin, "%H:%M") if span == "day" else day_label(begin) for begin in begins]
    past = _series(activity, before, _DONE), _series(activity, before, _REFUSED)
    return render(
        "console/realm/overview.html",
        span=span,
        done_chart=Chart(labels, done, "Tokens, exchanges and calls over time"),
        refused_chart=Chart(labels, refused, "Refusals over time", REFUSALS),
        reasons=reasons.most_common(10),
        figures=[*_of_activity(span, begins[0], (done, refused), past), *_of_credentials(visit, now, numbers)],
        numbers=numbers,
        lines=[(answer, LINES[answer.question], _ways(answer)) for answer in numbers.answers] if numbers else [],
        may_open=_pages_of(visit),
        top=top_of(visit.realm, begins[0]),
        refusals=_refusals(visit),
        **_needs_a_look(visit, now, numbers),
        is_new=not applications.list_applications(visit.realm, limit=1),
    )


def _refusals(visit: Visit) -> list[tuple[AuditEvent, str]]:
    """Return what was refused most recently, with the reason in words."""
    if not rules.audit.can_read(visit.authority):
        return []
    found = audit.list_events(visit.realm.name, outcome="refused", limit=6)
    return [(event, why(str(event.detail["reason"])) if event.detail.get("reason") else "") for event in found]


@dataclass(frozen=True)
class Way:
    """Where the things are that were counted: a list of just those."""

    count: int
    text: str
    url: str
    """The end of its URL."""


@dataclass(frozen=True)
class Figure:
    """A number at the head of the page."""

    title: str
    value: str
    note: str
    url: str = ""
    """Where it leads; empty where it has several parts."""
    parts: Sequence[Way] = ()
    is_bad: bool = False


_Series = dict[str, list[int]]


def _of_activity(span: str, since: datetime, current: tuple[_Series, _Series], past: tuple[_Series, _Series]) -> list[Figure]:
    """Return the numbers of what went on."""
    done, refused = (sum(map(sum, series.values())) for series in current)
    done_before, refused_before = (sum(map(sum, series.values())) for series in past)
    trend = _trend(refused, refused_before, span)
    if refused:
        trend = say("{share}% of requests; {trend}", share=number(round(100 * refused / (done + refused), 1)), trend=trend)
    begun = urlencode({"since": shown_time(since, "%Y-%m-%dT%H:%M"), ZONE: zone_name()})
    return [
        Figure(say("Tokens and calls"), number(done), _trend(done, done_before, span), f"/audit?tag={TOKENS_AND_CALLS}&{begun}"),
        Figure(say("Refusals"), number(refused), trend, f"/audit?tag={REFUSED_CREDENTIALS}&{begun}", is_bad=bool(refused)),
    ]


def _of_credentials(visit: Visit, now: datetime, numbers: Numbers | None) -> list[Figure]:
    """Return the numbers of what there is."""
    steps = [step[1] for key in keys.list_keys(visit.realm) if (step := next_step(visit.realm, key, now)) is not None]
    secrets = next((each for each in numbers.answers if each.question is Question.AUTHENTICATION), None) if numbers else None
    expiring = _ways_to(numbers.expiring, "expiring", "expiring") if numbers else []
    return [
        Figure(
            say("Applications"),
            _some(numbers.enabled) if numbers else _BEING_COUNTED,
            say("enabled"),
            "/applications?state=enabled",
        ),
        Figure(
            say("Static secrets"),
            _some(secrets.count) if secrets else _BEING_COUNTED,
            say("applications that use them"),
            f"/applications?{REVIEW}={Question.AUTHENTICATION.value}",
        ),
        Figure(
            say("Expiring soon"),
            _some(sum(way.count for way in expiring)) if numbers else _BEING_COUNTED,
            say("within 30 days"),
            parts=expiring,
            is_bad=any(way.count for way in expiring),
        ),
        Figure(
            say("Next key rotation"),
            words(min(steps), now) if steps else say("none"),
            say("of those that sign"),
            "/signing-keys",
        ),
    ]


def _ways_to(count: Count, of_secrets: str, of_keys: str) -> list[Way]:
    """Return where the applications and API keys are that were counted."""
    return [
        Way(count.applications, count_of(count.applications, "application"), f"/applications?state={of_secrets}"),
        Way(count.keys, count_of(count.keys, "API key"), f"/api-keys?state={of_keys}"),
    ]


def _ways(answer: Answer) -> list[Way]:
    """Return where the things are that an answer counts."""
    asked = f"{REVIEW}={answer.question.value}"
    ways = [
        Way(answer.applications, count_of(answer.applications, "application"), f"/applications?{asked}"),
        Way(answer.keys, count_of(answer.keys, "API key"), f"/api-keys?{asked}"),
        Way(answer.settings, count_of(answer.settings, "setting"), "/settings"),
    ]
    return [way for way in ways if way.count]


def _pages_of(visit: Visit) -> Callable[[str], bool]:
    """Return what tells whether the caller may open a page of the realm, by the end of its URL."""
    urls = {link.url for section in sections(visit) for link in section.links}
    return lambda end: base(visit.realm.name) + end.partition("?")[0] in urls


def _some(count: int) -> str:
    return f"{number(count)}+" if count >= MOST_COUNTED else number(count)


def _trend(count: int, before: int, span: str) -> str:
    """Say how a number stands to the one of the time before."""
    if not before:
        return say("none in the previous period")
    change = round(100 * (count - before) / before)
    if not change:
        return say("as before")
    signed = ("+" if change > 0 else "\N{MINUS SIGN}") + number(abs(change))
    if span == "day":
        return say("{change}% vs previous 24 hours", change=signed)
    return say("{change}% vs previous 30 days", change=signed)


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
    found: dict[str, Any] = {"expiring": [], "unused": [], "steps": []}
    wanting = NOTHING if numbers is None else numbers.wanting if numbers.is_large else look_at(visit.realm)
    if rules.applications.sees_all(visit.authority):
        for name, rows in wanting.secrets.items():
            found[name] += [
                (say("secret"), f"{application.name}: {secret.name}", f"/applications/{application.name}", secret)
                for secret, application in rows
            ]
    if rules.api_keys.sees_all(visit.authority):
        for name, some in wanting.keys.items():
            found[name] += [
                (
                    say("API key"),
                    say("{name} of {owner}", name=key.name, owner=wanting.owners[key.id].name),
                    f"/api-keys/{key.uid}",
                    key,
                )
                for key in some
            ]
    found["expiring"] = sorted(found["expiring"], key=lambda row: row[-1].expires_at)[:MOST_LOOKED_AT]
    ways = {
        "expiring_ways": _ways_to(numbers.expiring, "expiring", "expiring") if numbers else [],
        "unused_ways": _ways_to(numbers.unused, "idle", "unused") if numbers else [],
    }
    if rules.signing_keys.can_read(visit.authority):
        steps = [(key, next_step(visit.realm, key, now)) for key in keys.list_keys(visit.realm)]
        found["steps"] = [(key, step) for key, step in steps if step is not None and step[1] < now + KEYS_SOON]
    return found | ways
