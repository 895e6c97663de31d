"""Finding anything from anywhere: pages, acts, and what a realm has, by a part of its name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, jsonify, request

from idp import access, apikeys, applications, rules, users
from idp.console.browser import Visit, page
from idp.console.language import say
from idp.console.names import MOST, suggested
from idp.console.navigation import EVERYWHERE, SOMEWHERE, base, sections
from idp.console.render import part, render
from idp.paging import Listing


@dataclass(frozen=True)
class Found:
    """Something that can be gone to."""

    title: str
    url: str
    icon: str
    note: str = ""


_ACTS = (
    ("New application", "/new-application", "plus-lg", "applications:write", EVERYWHERE),
    ("New user", "/new-user", "person-plus", "users:write", EVERYWHERE),
    ("New API key", "/api-keys/new", "plus-lg", "api-keys:write", EVERYWHERE),
    ("New project", "/new-project", "folder-plus", "projects:write", EVERYWHERE),
    ("New group", "/new-group", "plus-lg", "users:write", EVERYWHERE),
    ("New role", "/new-role", "plus-lg", "roles:write", EVERYWHERE),
    ("New keyset", "/new-keyset", "plus-lg", "keysets:write", SOMEWHERE),
    ("Assign role", "/access/give", "person-check", "grants:write", SOMEWHERE),
)
"""What can be done: its name, where, its icon, what it takes, and whether on the realm or on a project of it."""


@page
def find(visit: Visit) -> str:
    """Show what has a text in its name; as a part of a page for a script that asks so."""
    text = request.args.get("q", "").strip()[:100]
    groups = [(title, found) for title, found in _search(visit, text) if found]
    template = "console/found.html" if request.args.get("part") else "console/find.html"
    return render(template, groups=groups, q=text)


def _search(visit: Visit, text: str) -> Sequence[tuple[str, list[Found]]]:
    here, words = base(visit.realm.name), text.lower().split()

    def named(title: str) -> bool:
        return all(word in title.lower() for word in words)

    pages = [
        Found(say(link.title), link.url, link.icon, say(section.title))
        for section in sections(visit)
        for link in section.links
        if named(f"{say(section.title)} {say(link.title)}")
    ]
    acts = [
        Found(say(title), here + end, icon)
        for title, end, icon, need, everywhere in _ACTS
        if named(say(title)) and (visit.can(need) if everywhere else visit.can_somewhere(need))
    ]
    if not text:
        return [(say("Actions"), acts), (say("Pages"), pages)]
    return [*_things(visit, here, text), (say("Actions"), acts), (say("Pages"), pages)]


def _things(visit: Visit, here: str, text: str) -> list[tuple[str, list[Found]]]:
    found: list[tuple[str, list[Found]]] = []

    def look(title: str, listing: Listing, show: Callable[[Any], Found]) -> None:
        found.append((title, [show(row) for row in listing.take("name", descending=False, after=None, limit=MOST)]))

    if visit.can_somewhere("applications:read"):
        look(
            say("Applications"),
            applications.application_listing(visit.realm, containing=text, projects=rules.applications.listed(visit.authority)),
            lambda row: Found(row.name, f"{here}/applications/{row.name}", "app-indicator", row.description[:60]),
        )
    if visit.can("users:read"):
        look(
            say("Users"),
            users.user_listing(visit.realm, containing=text),
            lambda row: Found(
                row.name, f"{here}/users/{part(row.uid)}", "person", f"{row.first_name} {row.last_name}".strip()[:60]
            ),
        )
    if rules.api_keys.sees_all(visit.authority):
        look(
            say("API keys"),
            apikeys.key_listing(visit.realm, containing=text),
            lambda row: Found(row.name, f"{here}/api-keys/{row.uid}", "key", row.public_part),
        )
    if visit.can_somewhere("projects:read"):
        look(
            say("Projects"),
            access.project_listing(visit.realm, containing=text, names=rules.projects.listed(visit.authority)),
            lambda row: Found(row.name, f"{here}/projects/{row.name}", "folder2", row.display_name[:60]),
        )
    return found


@page
def suggest(visit: Visit) -> Response:
    """Return names that a field could be filled with, as a JSON list; see `names.KINDS`."""
    kind, text = request.args.get("kind", ""), request.args.get("q", "").strip()[:100]
    return jsonify(suggested(visit, kind, text))
