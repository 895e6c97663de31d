"""Which pages there are for whom: the only list of them that a page shows."""

from dataclasses import dataclass

from idp import rules
from idp.console.browser import Visit
from idp.console.urls import page_url


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


_EVERYWHERE, _SOMEWHERE = True, False
_REALM_PAGES = (
    ("Overview", "", "applications:read", _EVERYWHERE),
    ("Applications", "/applications", "applications:read", _SOMEWHERE),
    ("Users", "/users", "users:read", _SOMEWHERE),
    ("Groups", "/groups", "users:read", _SOMEWHERE),
    ("Roles", "/roles", "roles:read", _SOMEWHERE),
    ("Projects", "/projects", "projects:read", _SOMEWHERE),
    ("Access review", "/access", "grants:read", _SOMEWHERE),
    ("API keys", "/api-keys", "api-keys:read", _EVERYWHERE),
    ("Keysets", "/keysets", "keysets:read", _SOMEWHERE),
    ("Leases", "/leases", "keysets:read", _SOMEWHERE),
    ("Protected APIs", "/apis", "realm:read", _EVERYWHERE),
    ("Personal tokens", "/personal-tokens", "personal-tokens:read", _EVERYWHERE),
    ("Sessions", "/sessions", "sessions:read", _EVERYWHERE),
    ("Signing keys", "/signing-keys", "keys:read", _EVERYWHERE),
    ("Audit trail", "/audit", "audit:read", _EVERYWHERE),
    ("Settings | General", "/settings", "realm:read", _EVERYWHERE),
)
"""Title, end of the URL, what a caller must be permitted to be shown it, and whether on the realm or on a project of it."""

_OWN_PAGES = (
    ("Manage keys", "/console/my/keys"),
    ("Personal tokens", "/console/my/personal-tokens"),
    ("Sessions", "/console/my/sessions"),
    ("Connected applications", "/console/my/applications"),
    ("Email address", "/console/my/email"),
    ("Password", "/console/my/password"),
)


def base(realm: str) -> str:
    """Return the beginning of the URLs of a realm's pages."""
    return page_url(f"/console/realms/{realm}")


def sections(visit: Visit) -> list[Section]:
    """Return the navigation for a caller."""
    found = []
    if rules.realms.is_operator(visit.caller):
        found.append(Section("This server", [Link("Organisations", page_url("/console/organisations"))]))
    links = [
        Link(title, base(visit.realm.name) + end)
        for title, end, need, everywhere in _REALM_PAGES
        if (visit.can(need) if everywhere else visit.can_somewhere(need))
    ]
    if links:
        found.append(Section(visit.realm.display_name or visit.realm.name, links))
    return [*found, Section("My tools", [Link(title, page_url(path)) for title, path in _OWN_PAGES])]


def home(visit: Visit) -> str:
    """Return the page that somebody begins with."""
    return sections(visit)[0].links[0].url
