"""What the audit trail says in short, as a page says it: who and what it names, and why something was refused."""

from urllib.parse import quote

from idp.audit import UNKNOWN
from idp.console.browser import current_visit
from idp.console.navigation import base
from idp.db import is_uid

_PAGES = {
    "application": ("applications", "applications:read"),
    "api-key": ("api-keys", "api-keys:read"),
    "user": ("users", "users:read"),
    "group": ("groups", "users:read"),
    "project": ("projects", "projects:read"),
}
"""Where the things of a kind have their pages, and the permission with which somebody may open any of them."""


_WHY = {
    "secret": "a wrong, expired or retired secret, or no such application",
    "password": "a wrong password",
    "unknown": "no such key",
    "address": "from an address that the key is not valid for",
    "": "for a reason that was not recorded",
}
"""What the trail's short reasons mean, where they do not speak for themselves."""


def why(reason: str) -> str:
    """Return why something was refused, in words, untranslated."""
    return _WHY.get(reason, reason)


def page_of(party: str) -> str:
    """Return the URL of the page of an actor or a target: found by the name alone, for nothing is looked up for a link.

    The thing may have been deleted since.

    :param party: as the trail names it, `<kind>:<name>`.
    :returns: empty for what is no thing of the realm that the page is about, or has no page that the reader may open.
    """
    visit = current_visit()
    kind, _, name = party.partition(":")
    folder, permission = _PAGES.get(kind, ("", ""))
    if visit is None or not folder or not name or name == UNKNOWN or is_uid(name) or not visit.can(permission):
        return ""
    return f"{base(visit.realm.name)}/{folder}/{quote(name, safe='')}"
