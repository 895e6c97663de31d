"""The pages of those whom the audit trail names: found by the name alone, for nothing is looked up for a link."""

from urllib.parse import quote

from idp.audit import UNKNOWN
from idp.console.browser import current_visit
from idp.console.navigation import base
from idp.db import is_uid

_PAGES = {
    "application": ("applications", "applications:read"),
    "user": ("users", "users:read"),
    "group": ("groups", "users:read"),
    "project": ("projects", "projects:read"),
}
"""Where the things of a kind have their pages, and the permission with which somebody may open any of them."""


def page_of(party: str) -> str:
    """Return the URL of the page of an actor or a target, which may have been deleted since.

    :param party: as the trail names it, `<kind>:<name>`.
    :returns: empty for what is no thing of the realm that the page is about, or has no page that the reader may open.
    """
    visit = current_visit()
    kind, _, name = party.partition(":")
    folder, permission = _PAGES.get(kind, ("", ""))
    if visit is None or not folder or not name or name == UNKNOWN or is_uid(name) or not visit.can(permission):
        return ""
    return f"{base(visit.realm.name)}/{folder}/{quote(name, safe='')}"
