"""The language of the console: what somebody has chosen, or else what their browser asks for.

Code says its texts in English. `say` is for those that are put together while a page is made; what stands in a constant, such as
the title of a column, is translated where a template shows it, by the filter `said`.
"""

from typing import Any

from flask import Response, g, has_request_context

from idp.web import cookies
from idp.web.languages import Language, choose_language, codes, language

_COOKIE = "realmgate-language"
_LIFETIME = 365 * 86_400


def current_language() -> Language:
    """Return the language that the page is in."""
    if not has_request_context():
        return language(codes()[0])
    found: Language | None = g.get("language")
    if found is None:
        found = g.language = choose_language(cookies.shown_cookie(_COOKIE))
    return found


def keep_language(response: Response, code: str) -> Response:
    """Have the browser keep a language; one that there is not is none."""
    kept = code if code in codes() else ""
    cookies.set_cookie(response, _COOKIE, kept, _LIFETIME if kept else 0)
    return response


def all_languages() -> list[Language]:
    """Return the languages that there are to choose from."""
    return [language(code) for code in codes()]


def say(english: str, **values: Any) -> str:
    """Return a text in the language of the page, with values in its gaps, such as `{name}`.

    :param english: a constant; what comes from outside is among the values.
    """
    return current_language().fill(english, values)


def say_count(one: str, several: str, count: int, **values: Any) -> str:
    """Return a text with a number in it, in the gap `{count}`.

    :param one: what the English says of one, such as "{count} key is deleted.".
    :param several: of any other number.
    """
    return current_language().count(one, several, count, **values)


def count_of(count: int, what: str) -> str:
    """Return a number of things: `1 key`, `2,000 keys`.

    :param what: one of them, in English; it takes an s.
    """
    return say_count(f"{{count}} {what}", f"{{count}} {what}s", count)
