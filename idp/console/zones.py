"""The zone that times are shown and typed in: the reader's own, which a script of the console has the browser tell in a cookie.

A form says in which zone it was shown, so that what is typed into it means what whoever typed it saw.
"""

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from flask import Response, g, request

from idp.web import cookies

ZONE = "zone"
"""Field of a form, or parameter of a URL: the zone of the times in it."""

_COOKIE = "realmgate-zone"
_LIFETIME = 365 * 86_400
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,30}(?:/[A-Za-z0-9_+-]{1,30}){0,2}")


@lru_cache(maxsize=512)
def zone_named(name: str) -> tzinfo:
    """Return a zone of the IANA database; UTC for a name that is none."""
    if not _NAME.fullmatch(name):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # there is no such zone, or no database of them
        return UTC


def reader_zone() -> tzinfo:
    """Return the zone that the page shows its times in."""
    found: tzinfo | None = g.get("zone")
    if found is None:
        found = g.zone = zone_named(cookies.shown_cookie(_COOKIE))
    return found


def zone_name(zone: tzinfo | None = None) -> str:
    """Return the name of a zone, such as `Europe/Berlin`; of the reader's, if none is given."""
    found = zone or reader_zone()
    return found.key if isinstance(found, ZoneInfo) else "UTC"


def is_zone_known() -> bool:
    """Tell whether the browser has told its zone, or a zone was chosen."""
    return bool(cookies.shown_cookie(_COOKIE))


def zone_cookie() -> str:
    """Return the name of the cookie in which the browser tells its zone."""
    return cookies.cookie_name(_COOKIE)


def keep_zone(response: Response, name: str) -> Response:
    """Have the browser keep a zone; without one it tells its own again."""
    cookies.set_cookie(response, _COOKIE, name, _LIFETIME if name else 0)
    return response


def shown_time(time: datetime, form: str = "%Y-%m-%d %H:%M %Z") -> str:
    """Write a time in the reader's zone."""
    return time.astimezone(reader_zone()).strftime(form)


def typed_zone() -> tzinfo:
    """Return the zone of the times that were typed into the form that was sent, or that stand in the URL; UTC if it says none."""
    found: tzinfo | None = g.get("typed_zone")
    return found if found is not None else zone_named(request.args.get(ZONE, ""))
