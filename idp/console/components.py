"""Every component of the console on one page, for whoever develops it. A server that others can reach has no such page."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any
from urllib.parse import urlsplit

import wtforms
from flask import Response
from werkzeug.exceptions import NotFound

from idp import clock, runtime
from idp.audit import AuditEvent, Tag
from idp.console import design
from idp.console.browser import Visit, page
from idp.console.charts import REFUSALS, USES, Chart, day_label, last_days
from idp.console.dialogs import see_other
from idp.console.forms import ChecksField, DurationField, Form, LinesField, TimeField, choices, password, text
from idp.console.lists import Act, Column, Filter, ListPage, ListView, here
from idp.console.navigation import sections
from idp.console.render import render
from idp.console.urls import page_url
from idp.networks import is_loopback
from idp.realms import contrast

URL = "/console/design"

SIZES = ("xs", "s", "m", "l", "xl", "xxl")
"""The type scale of the style sheet."""


def show() -> Response | str:
    """Show every component.

    :raises NotFound: others can reach this server.
    """
    if not is_development(runtime.current().settings.public_url):
        raise NotFound
    return _show()


def is_development(public_url: str) -> bool:
    """Tell whether a public URL is one that only this machine can open: plain HTTP to itself, as `make serve` has it."""
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    return parts.scheme == "http" and (host == "localhost" or is_loopback(host))


class _Sample(Form):
    """Fields of every kind."""

    name = text("Name", "A lower-case letter, then lower-case letters, digits, - and _.", required=True)
    missing = text("Email address", "Where the invitation goes.", required=True)
    lines = LinesField("Redirect URIs", "Where people are sent back to.")
    lifetime = DurationField("Lifetime", unit="hour")
    until = TimeField("Until")
    algorithm = wtforms.SelectField("Signing algorithm", choices=choices(["ES256", "RS256", "Ed25519"]))
    secret = password("Password")
    roles = ChecksField("Roles", choices=choices(["viewer", "researcher", "ml-engineer", "administrator"]))
    open = wtforms.BooleanField("Open to everybody", description="Nobody is asked who they are.")


@dataclass(frozen=True)
class _Row:
    """A row of the list."""

    name: str
    description: str
    state: str
    tokens: int
    used: datetime | None


@dataclass(frozen=True)
class _Pair:
    """A colour that stands on another, in one theme."""

    ink: str
    ground: str

    @property
    def ratio(self) -> float:
        """Their contrast, from 1 to 21."""
        return contrast(self.ink, self.ground)


@dataclass(frozen=True)
class _Contrast:
    """What stands on what, by day and by night."""

    ink: str
    ground: str
    by_day: _Pair
    by_night: _Pair


_VIEW = ListView(
    "Programs",
    (
        Column("name", "Name", "name"),
        Column("description", "Description"),
        Column("state", "State"),
        Column("tokens", "Tokens", "tokens", newest_first=True, is_number=True),
        Column("used", "Last used", "used", newest_first=True),
    ),
    search="Name or description",
    filters=(Filter("state", "State", {"": "Any state", "enabled": "Enabled", "disabled": "Disabled"}),),
    order="name",
    acts=(Act("enable", "Enable"), Act("delete", "Delete", is_danger=True)),
)


@page
def _show(visit: Visit) -> Response | str:
    if visit.posted is not None:
        return see_other(page_url(URL))  # whatever is pressed here does nothing
    now = clock.now()
    return render(
        "console/design/show.html",
        sample=_sample(),
        programs=_programs(now),
        drawings=_drawings(now),
        examples=_events(visit.realm.name, now),
        themes_shown={"Light": design.DAY, "Dark": design.NIGHT},
        contrasts=[(title, _pairs(pairs), least) for title, pairs, least in _CONTRASTS],
        sizes=SIZES,
        icons=sorted(_icons_of_templates() | {link.icon for section in sections(visit) for link in section.links}),
        url=page_url(URL),
    )


_CONTRASTS = (
    ("Texts", design.READ_ON, design.READABLE),
    ("Edges and drawings", design.SEEN_ON, design.VISIBLE),
)


def _sample() -> _Sample:
    """Return the form with what was typed right and what was not."""
    sample = _Sample(None)
    sample.name.data, sample.lifetime.data, sample.roles.data = "nightly-build", 90 * 24, ["viewer"]
    sample.missing.errors = ["This field is required."]
    sample.roles.errors = ["Choose at most one role."]
    sample.refuse("Some fields are not valid.", 400)
    return sample


def _programs(now: datetime) -> ListPage:
    rows = [
        _Row("nightly-build", "Builds and tests what was merged", "enabled", 1_204_311, now - timedelta(minutes=2)),
        _Row("report-mailer", "Mails the weekly figures", "enabled", 52, now - timedelta(days=6)),
        _Row("a-name-that-is-as-long-as-a-name-of-a-program-can-be-in-this-list", "", "disabled", 0, None),
    ]
    return ListPage(
        _VIEW, _VIEW.asked(), rows, 1, 120, has_more_than_counted=False, previous="", next=here(after="x"), acts=_VIEW.acts
    )


def _drawings(now: datetime) -> list[Chart]:
    """Return charts of every colour, and one of nothing."""
    days = [day_label(day) for day in last_days(now)]
    parts = [[(part * 5 + number * 7) % 23 for number in range(len(days))] for part in range(4)]

    def named(word: str, count: int) -> dict[str, list[int]]:
        return {f"{word} {part + 1}": parts[part] for part in range(count)}

    return [
        Chart(days, named("Use", len(USES)), "Four kinds of use"),
        Chart(days, named("Refusal", len(REFUSALS)), "Three kinds of refusals", REFUSALS),
        Chart(days, {"Nothing": [0] * len(days)}, "Nothing on any day"),
    ]


def _events(realm: str, now: datetime) -> list[AuditEvent]:
    """Return events that never happened, and are stored nowhere."""

    def event(number: int, tag: Tag, actor: str, target: str, outcome: str, **detail: Any) -> AuditEvent:
        at = now - timedelta(minutes=number)
        shown = {"actor": actor, "target": target, "address": "192.0.2.7", "outcome": outcome, "detail": detail}
        return AuditEvent(id=number, at=at, realm=realm, tag=tag.value, **shown)

    return [
        event(2, Tag.TOKEN_ISSUE, "application:nightly-build", "token:6d1f3b2a", "success", method="client_secret"),
        event(1, Tag.TOKEN_REFUSE, "unauthenticated", "application:nightly-build", "refused", reason="secret", count=3),
    ]


def _pairs(pairs: tuple[tuple[str, str], ...]) -> list[_Contrast]:
    """Return pairs of colours by day and by night."""
    day, night = design.DAY, design.NIGHT
    return [_Contrast(ink, ground, _Pair(day[ink], day[ground]), _Pair(night[ink], night[ground])) for ink, ground in pairs]


@cache
def _icons_of_templates() -> frozenset[str]:
    """Return the names of the icons that templates name."""
    return frozenset(re.findall(r'icon\("([a-z0-9-]+)"\)', "".join(_texts_in(files("idp.console") / "templates"))))


def _texts_in(folder: Traversable) -> list[str]:
    """Return what the files of a folder say."""
    found: list[str] = []
    for each in folder.iterdir():
        found += _texts_in(each) if each.is_dir() else [each.read_text(encoding="utf-8")]
    return found
