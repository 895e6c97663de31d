"""The theme that somebody has chosen. It is kept by the browser, in a cookie that says nothing about anybody."""

import re

from flask import Response, request

from idp.web import cookies

_COOKIE = "realmgate-theme"
_LIFETIME = 365 * 86_400

THEMES = {"": ("System", "circle-half"), "light": ("Light", "sun"), "dark": ("Dark", "moon-stars")}
"""The themes, with what they are called and the icon of each; empty for what the browser asks for."""

OWN_PAGE = re.compile(r"/console(?!.*(?:\.\.|//))/[A-Za-z0-9_\-/?=&%.+:@~,]*")
"""A page of the console that somebody can be led back to."""


def chosen_theme() -> str:
    """Return the theme that somebody has chosen; empty for the one that their browser asks for."""
    shown = cookies.shown_cookie(_COOKIE)
    return shown if shown in THEMES else ""


def keep_theme(response: Response, theme: str) -> Response:
    """Have the browser keep a theme; one that there is not is none."""
    kept = theme if theme in THEMES else ""
    cookies.set_cookie(response, _COOKIE, kept, _LIFETIME if kept else 0)
    return response


def this_page() -> str:
    """Return the page that is being looked at, for a form that leads back to it."""
    return request.full_path.rstrip("?") if request.method == "GET" else request.path
