"""From templates to pages: the frame around each page, and how times, numbers and lists are written."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Flask, g, render_template, request
from jinja2 import StrictUndefined
from markupsafe import Markup, escape

from idp import callers, clock, runtime
from idp.access import Grant
from idp.console.agents import agent_name
from idp.console.assets import ASSETS, accent_url
from idp.console.browser import Visit, current_draft, current_visit, draft_promise, form_token
from idp.console.icons import icon
from idp.console.language import all_languages, count_of, current_language, say, say_count
from idp.console.lists import here
from idp.console.navigation import base, sections
from idp.console.recent import recent_organisations
from idp.console.theme import THEMES, chosen_theme, this_page
from idp.console.trail_words import page_of, why
from idp.console.urls import page_url
from idp.console.zones import is_zone_known, shown_time, zone_cookie, zone_name
from idp.db import is_uid
from idp.public_url import origin_of
from idp.users import User
from idp.web import cookies

NOTICES = {
    "created": "Created.",
    "saved": "Saved.",
    "deleted": "Deleted.",
    "linked": "Linked.",
    "unlinked": "Unlinked. Grants for this person are refused.",
    "enabled": "Enabled. It works again.",
    "disabled": "Disabled. It can be enabled again at any time.",
    "granted": "Role assigned.",
    "taken": "Role removed.",
    "retired": "Retired. Every worker refuses it within a second.",
    "revoked": "Revoked permanently.",
    "deactivated": "Deactivated. It can be activated again at any time.",
    "activated": "Activated. It works again.",
    "ended": "Ended.",
    "disconnected": "Disconnected. The application is refused within a second.",
    "replaced": "Replaced. New leases receive the new values.",
    "invited": "The invitation is on its way by email.",
    "reset": "An email with a link to choose a new password is on its way.",
    "fetching": "Its keys are fetched in a moment.",
    "rotated": "A successor has been announced.",
    "approved": "Approved. It can be used now.",
    "restored": "Restored, but not active yet.",
    "password": "Your password has been changed, and all your other sessions have ended.",
    "address": "A link is on its way to the address. Follow it within a day.",
    "address-verified": "The email address is verified.",
    "waiting": "Created. The invitation waits in the outbox because no mail server is configured.",
    "signed-out": "You have signed out.",
    "signed-up": "Your organisation has been created. Sign in as its administrator.",
    "awaits-approval": "Your email address is verified. An operator will review your organisation, and you will get an email.",
    "over": "Your session has ended. Sign in again; what you typed on the previous page was not saved.",
    "kept": "Your session has ended. Sign in again to get back what you typed, except passwords and other secrets.",
    "chosen": "Your password has been set. Sign in with it.",
}
"""What a page says after a form has done its work; the URL names which, and cannot bring a text of its own."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1"})

_UNITS = ((365, 86_400 * 365, "year"), (100, 86_400 * 30, "month"), (1, 86_400, "day"))
"""From how many days on a length of time is told in which unit."""

_SHORT_UNITS = ((3_600, "hour"), (60, "minute"))

_AGO = {
    "year": ("{count} year ago", "{count} years ago"),
    "month": ("{count} month ago", "{count} months ago"),
    "day": ("{count} day ago", "{count} days ago"),
    "hour": ("{count} hour ago", "{count} hours ago"),
    "minute": ("{count} minute ago", "{count} minutes ago"),
}
_AHEAD = {
    "year": ("in {count} year", "in {count} years"),
    "month": ("in {count} month", "in {count} months"),
    "day": ("in {count} day", "in {count} days"),
    "hour": ("in {count} hour", "in {count} hours"),
    "minute": ("in {count} minute", "in {count} minutes"),
}
"""How far off a time is, by unit."""


def render(template: str, **values: Any) -> str:
    """Return a page."""
    return render_template(template, **values)


def set_up_templates(app: Flask) -> None:
    """Add what templates use. Every value is escaped; a name that is not there is an error."""
    environment = app.jinja_env
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.undefined = StrictUndefined
    environment.filters |= {
        "when": when,
        "ago": ago,
        "duration": duration,
        "number": number,
        "day": day,
        "count_of": count_of,
        "part": part,
        "coded": coded,
        "as_json": as_json,
        "exactly": exactly,
        "to_second": to_second,
        "why": why,
        "plainly": plainly,
        "agent_name": agent_name,
        "said": said,
        "sentence": sentence,
        "ended": ended,
        "address": address,
    }
    environment.globals |= {"asset": ASSETS.url, "page_url": page_url, "form_token": form_token}
    environment.globals |= {"draft_promise": draft_promise, "url_with": here, "icon": icon, "themes": THEMES}
    environment.globals |= {"_": lambda english, **values: current_language().say(english, **values), "plural": say_count}
    environment.globals |= {"all_languages": all_languages, "page_of": page_of}

    @app.context_processor
    def frame() -> dict[str, Any]:
        """What every page is given."""
        visit = current_visit()
        public_url = runtime.current().settings.public_url
        branding = _branding(visit)
        pages = sections(visit) if visit is not None else []
        return {
            "visit": visit,
            "base": base(visit.realm.name) if visit is not None else "",
            "sections": pages,
            "here": _section_of(
                page_url(request.path),
                [link.url for section in pages for link in section.links],
                visit.realm.name if visit else "",
            ),
            "is_elsewhere": visit is not None and not visit.is_home,
            "recent_organisations": recent_organisations() if visit is not None and visit.is_operator else [],
            "theme": chosen_theme(),
            "language": current_language().code,
            "zone": zone_name(),
            "is_zone_known": is_zone_known(),
            "zone_cookie": zone_cookie(),
            "session_left": g.get("session_left", 0) if visit is not None else 0,
            "this_page": this_page(),
            "accent": accent_url(branding) if branding else "",
            "notice": say(NOTICES.get(request.args.get("done", ""), "")),
            "is_restored": current_draft() is not None,
            "has_several_sessions": len(cookies.session_names()) > 1,
            "path": page_url(request.path),
            "public_origin": origin_of(public_url),
            "now": clock.now(),
            "public_url": public_url,
            "is_misplaced": _is_misplaced(request.host, urlsplit(public_url).netloc),
        }


def _branding(visit: Visit | None) -> str:
    """Return the colour of the branding of the realm that a page is about; empty for none."""
    return visit.realm.brand_color if visit is not None else ""


def _section_of(path: str, urls: Sequence[str], realm: str) -> str:
    """Return the page of the navigation that a page is below of; empty for none."""
    below = [url for url in urls if path.startswith(f"{url}/") and not url.endswith(f"/realms/{realm}")]
    return max(below, key=len, default="")


def _is_misplaced(host: str, public_host: str) -> bool:
    """Tell whether a page was opened by another name of this machine than the public URL has: forms would be refused."""
    return host != public_host and {host.partition(":")[0], public_host.partition(":")[0]} <= _LOOPBACK


def when(time: datetime | None, missing: str = "never") -> Markup | str:
    """Write a time with its zone, and in words."""
    if time is None:
        return say(missing)
    return Markup('<time datetime="{}">{} <span class="text-body-secondary">({})</span></time>').format(
        time.isoformat(timespec="seconds"), shown_time(time), words(time, clock.now())
    )


def ago(time: datetime | None, missing: str = "never") -> Markup | str:
    """Write how long ago a time was, for a list; where the pointer or the keyboard is, the time itself."""
    if time is None:
        return say(missing)
    exact = shown_time(time)
    return Markup('<time datetime="{}" title="{}"><span class="away">{}</span><span class="exact">{}</span></time>').format(
        time.isoformat(timespec="seconds"), exact, words(time, clock.now()), exact
    )


def exactly(time: datetime) -> Markup:
    """Write a time to the millisecond, with its zone."""
    text = shown_time(time, f"%Y-%m-%d %H:%M:%S.{time.microsecond // 1000:03} %Z")
    return Markup('<time datetime="{}">{}</time>').format(time.isoformat(timespec="milliseconds"), text)


def to_second(time: datetime) -> Markup:
    """Write a time to the second, in the zone that the page names; in words where the pointer is."""
    text, away = shown_time(time, "%Y-%m-%d %H:%M:%S"), words(time, clock.now())
    return Markup('<time datetime="{}" title="{}">{}</time>').format(time.isoformat(timespec="seconds"), away, text)


def plainly(time: datetime) -> Markup:
    """Write a time with its zone, and nothing else."""
    return Markup('<time class="nowrap" datetime="{}">{}</time>').format(time.isoformat(timespec="seconds"), shown_time(time))


def as_json(value: Any) -> str:
    """Write a value of the trail as it is exported; a text by itself."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def words(time: datetime, now: datetime) -> str:
    """Return how long ago a time was, or how far it is off, in words."""
    seconds = (time - now).total_seconds()
    count, unit = _in_units(abs(seconds))
    if unit == "second":
        return say("just now") if seconds <= -1 else say("now")
    return say_count(*(_AHEAD if seconds > 0 else _AGO)[unit], count)


def duration(span: timedelta | int) -> str:
    """Return a length of time in words.

    :param span: or a number of seconds.
    """
    return count_of(*_in_units(span.total_seconds() if isinstance(span, timedelta) else float(span)))


def _in_units(seconds: float) -> tuple[int, str]:
    """Return a length of time as a whole number of a unit."""
    for days, size, unit in _UNITS:
        if seconds >= days * 86_400:
            return int(seconds // size), unit
    return next(((int(seconds // size), unit) for size, unit in _SHORT_UNITS if seconds >= size), (int(seconds), "second"))


def day(time: datetime) -> str:
    """Write the day of a time."""
    return shown_time(time, "%Y-%m-%d")


def number(value: float) -> str:
    """Write a number so that it can be read."""
    return current_language().number(value)


def said(english: str) -> str:
    """Translate a constant of the code, such as the title of a column; what is no text of ours stays what it is."""
    return current_language().said.get(str(english)) or english


def ended(text: str) -> str:
    """End a sentence that another one follows, unless it has an end."""
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."


def sentence(english: str) -> str:
    """Translate what a domain says, with values in it."""
    return current_language().plain(str(english))


def address(of: Grant | User) -> str:
    """Return what stands for a user, or for who holds a grant, in the address of a page; see `callers.address_of_holder`."""
    if isinstance(of, Grant):
        return callers.address_of_holder(of)
    return of.uid if is_uid(of.name) else of.name


def coded(text: str) -> Markup:
    """Write a text in which code stands between backticks."""
    pieces, code = str(text).split("`"), Markup("<code>{}</code>")
    if len(pieces) % 2 == 0:
        return escape(text)
    return Markup("").join(code.format(each) if number % 2 else escape(each) for number, each in enumerate(pieces))


def part(text: str) -> str:
    """Quote a part of a URL's path."""
    return quote(text, safe="")
