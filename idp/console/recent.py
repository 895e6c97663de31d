"""Organisations that an operator has looked at lately; their browser remembers the names."""

from flask import Response

from idp import realms, runtime
from idp.realms import KnownRealm
from idp.web import cookies

_COOKIE = "realmgate-recent"
_LIFETIME = 30 * 86_400
_MOST = 6


def recent_organisations() -> list[KnownRealm]:
    """Return those that are still there, the latest first."""
    process = runtime.current()
    found = (realms.known_realm(process, name) for name in _names())
    return [realm for realm in found if realm is not None]


def remember_organisation(response: Response, name: str) -> Response:
    """Have the browser put an organisation first."""
    names = _names()
    if names[:1] != [name] and not cookies.sets(response, _COOKIE):
        kept = [name, *(each for each in names if each != name)][:_MOST]
        cookies.set_cookie(response, _COOKIE, ".".join(kept), _LIFETIME)
    return response


def _names() -> list[str]:
    return [name for name in cookies.shown_cookie(_COOKIE).split(".")[:_MOST] if name]
