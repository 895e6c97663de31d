"""Finding anything from anywhere: pages, acts, and what a realm has, by a part of its name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, jsonify, request

from idp import access, apikeys, applications, rules, users
from idp.console.browser import Visit, page
from idp.console.language import say
from idp.console.names import MOST, suggested
from idp.console.navigation import base, sections
from idp.console.render import part, render
from idp.paging import Listing


@dataclass(frozen=True)
class Found:
    """Something that can be gone to."""

    title: str
    url: str
    icon: str
    note: str = ""


_ACTS: tuple[tuple[str, str, str, Callable[[Visit], bool]], ...] = (
    ("New application", "/new-application", "plus-lg", lambda visit: visit.can("applications:write")),
    ("New user", "/new-user", "person-plus", lambda visit: visit.can("users:write")),
    ("New API key", "/api-keys/new", "plus-lg", lambda visit: visit.can("api-keys:write")),
    ("New project", "/new-project", "folder-plus", lambda visit: visit.can("projects:write")),
    ("New group", "/new-group", "plus-lg", lambda visit: visit.can("users:write")),
    ("New role", "/new-role", "plus-lg", lambda visit: visit.can("roles:write")),
    ("New keyset", "/new-keyset", "plus-lg", lambda visit: visit.can_somewhere("keysets:write")),
    ("New trusted issuer", "/new-issuer", "plus-lg", lambda visit: rules.federation.can_change_issuers(visit.authority)),
    ("New federation rule", "/new-federation-rule", "plus-lg", lambda visit: visit.can("applications:write")),
    ("New protected API", "/new-api", "plus-lg", lambda visit: rules.protected_apis.can_change(visit.authority)),
    ("Assign role", "/access/give", "person-check", lambda visit: visit.can_somewhere("grants:write")),
    ("Explain an assertion", "/explain", "search", lambda visit: rules.federation.can_explain(visit.authority)),
)
"""What can be done: its name, where, its icon, and whether somebody may."""


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
    acts = [Found(say(title), here + end, icon) for title, end, icon, may in _ACTS if named(say(title)) and may(visit)]
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
