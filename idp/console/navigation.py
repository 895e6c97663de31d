"""Which pages there are for whom: the only list of them that a page shows."""

from dataclasses import dataclass

from idp import realms
from idp.console.browser import Visit


@dataclass(frozen=True)
class Link:
    """A page in the navigation."""

    title: str
    url: str


@dataclass(frozen=True)
class Section:
    """Pages that belong together."""

    title: str
    links: list[Link]


_REALM_PAGES = (
    ("Overview", "", "applications:read"),
    ("Applications", "/applications", "applications:read"),
    ("Users", "/users", "users:read"),
    ("Groups", "/groups", "users:read"),
    ("Roles", "/roles", "roles:read"),
    ("Projects", "/projects", "projects:read"),
    ("Access review", "/access", "grants:read"),
    ("API keys", "/api-keys", "api-keys:read"),
    ("Personal tokens", "/personal-tokens", "personal-tokens:read"),
    ("Sessions", "/sessions", "sessions:read"),
    ("Signing keys", "/signing-keys", "keys:read"),
    ("Audit trail", "/audit", "audit:read"),
    ("Settings | General", "/settings", "realm:read"),
)
"""Title, end of the URL, and what a caller must be permitted somewhere in the realm to be shown it."""

ONE_OWN = Section(
    "My tools",
    [
        Link("Manage keys", "/console/my/keys"),
        Link("Personal tokens", "/console/my/personal-tokens"),
        Link("Sessions", "/console/my/sessions"),
        Link("Password", "/console/my/password"),
    ],
)


def base(realm: str) -> str:
    """Return the beginning of the URLs of a realm's pages."""
    return f"/console/realms/{realm}"


def sections(visit: Visit) -> list[Section]:
    """Return the navigation for a caller."""
    found = []
    if visit.is_operator and visit.caller.may("realm:read", realm=realms.MASTER):
        found.append(Section("This server", [Link("Organisations", "/console/organisations")]))
    links = [
        Link(title, base(visit.realm.name) + end)
        for title, end, need in _REALM_PAGES
        if (visit.may_somewhere(need) if end else visit.may(need))
    ]
    if links:
        found.append(Section(visit.realm.display_name or visit.realm.name, links))
    return [*found, ONE_OWN]


def home(visit: Visit) -> str:
    """Return the page that somebody begins with."""
    return sections(visit)[0].links[0].url
