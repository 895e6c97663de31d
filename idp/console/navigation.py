"""Which pages there are for whom: the only list of them that a page shows."""

from dataclasses import dataclass

from idp import rules
from idp.console.browser import Visit
from idp.console.counts import counts_of
from idp.console.urls import page_url


@dataclass(frozen=True)
class Link:
    """A page in the navigation."""

    title: str
    url: str
    icon: str
    count: int | None = None
    """How many of them there are, where that is worth knowing."""


@dataclass(frozen=True)
class Section:
    """Pages that belong together."""

    title: str
    links: list[Link]


EVERYWHERE, SOMEWHERE = True, False
"""Whether a permission is needed on the realm, or at least on one project of it."""
_REALM_PAGES = (
    (
        "Programs",
        (
            ("Overview", "", "speedometer2", "applications:read", EVERYWHERE),
            ("Applications", "/applications", "app-indicator", "applications:read", SOMEWHERE),
            ("API keys", "/api-keys", "key", "api-keys:read", EVERYWHERE),
            ("Trusted issuers", "/issuers", "patch-check", "realm:read", EVERYWHERE),
            ("Federation rules", "/federation-rules", "signpost-split", "applications:read", EVERYWHERE),
            ("Protected APIs", "/apis", "shield-lock", "realm:read", EVERYWHERE),
            ("Keysets", "/keysets", "safe", "keysets:read", SOMEWHERE),
            ("Leases", "/leases", "hourglass-split", "keysets:read", SOMEWHERE),
        ),
    ),
    (
        "People and access",
        (
            ("Users", "/users", "people", "users:read", SOMEWHERE),
            ("Groups", "/groups", "collection", "users:read", SOMEWHERE),
            ("Roles", "/roles", "person-badge", "roles:read", SOMEWHERE),
            ("Projects", "/projects", "folder2", "projects:read", SOMEWHERE),
            ("Access review", "/access", "clipboard-check", "grants:read", SOMEWHERE),
        ),
    ),
    (
        "Security",
        (
            ("Audit trail", "/audit", "list-columns-reverse", "audit:read", EVERYWHERE),
            ("Sessions", "/sessions", "display", "sessions:read", EVERYWHERE),
            ("Personal tokens", "/personal-tokens", "ticket-perforated", "personal-tokens:read", EVERYWHERE),
            ("Signing keys", "/signing-keys", "pen", "keys:read", EVERYWHERE),
            ("Settings | General", "/settings", "gear", "realm:read", EVERYWHERE),
        ),
    ),
)
"""Title, end of the URL, icon, what a caller must be permitted to be shown it, and whether on the realm or on a project of it."""

_OWN_PAGES = (
    ("Manage keys", "/console/my/keys", "key"),
    ("My personal tokens", "/console/my/personal-tokens", "ticket-perforated"),
    ("My sessions", "/console/my/sessions", "display"),
    ("Connected applications", "/console/my/applications", "plug"),
    ("Email address", "/console/my/email", "envelope"),
    ("Password", "/console/my/password", "lock"),
)


def base(realm: str) -> str:
    """Return the beginning of the URLs of a realm's pages."""
    return page_url(f"/console/realms/{realm}")


def sections(visit: Visit) -> list[Section]:
    """Return the navigation for a caller."""
    found = []
    if rules.realms.is_operator(visit.caller):
        found.append(Section("This server", [Link("Organisations", page_url("/console/organisations"), "buildings")]))
    counts = counts_of(visit)
    for title, pages in _REALM_PAGES:
        links = [
            Link(name, base(visit.realm.name) + end, icon, counts.get(end))
            for name, end, icon, need, everywhere in pages
            if (visit.can(need) if everywhere else visit.can_somewhere(need))
        ]
        if links:
            found.append(Section(title, links))
    return [*found, Section("My tools", [Link(title, page_url(path), icon) for title, path, icon in _OWN_PAGES])]


def home(visit: Visit) -> str:
    """Return the page that somebody begins with."""
    return sections(visit)[0].links[0].url
