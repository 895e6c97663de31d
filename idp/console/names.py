"""Names that people type: what there is of each kind, of what the caller may see, for suggestions and for near matches."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from idp import access, applications, keysets, rules, users
from idp.console.browser import Visit
from idp.paging import Listing

MOST = 6
"""Names of a kind that are suggested."""

MOST_TYPED = 20
"""Texts of a form that are compared with what there is, each no longer than `LONGEST_TYPED`."""

LONGEST_TYPED = 254

MOST_NEAR = 300
"""Names that share a part with one that was mistyped, which it is compared with."""


@dataclass(frozen=True)
class Kind:
    """What has names."""

    look: Callable[[Visit, str], Listing | None]
    """Returns those whose name, or what they are called besides, contains a text; None where the caller may see none."""
    prefix: str = ""
    """What stands before its names where things of several kinds can be named, such as `group:`."""


def _applications(visit: Visit, text: str) -> Listing | None:
    if not visit.can_somewhere("applications:read"):
        return None
    return applications.application_listing(visit.realm, containing=text, projects=rules.applications.listed(visit.authority))


def _users(visit: Visit, text: str) -> Listing | None:
    return users.user_listing(visit.realm, containing=text) if visit.can("users:read") else None


def _groups(visit: Visit, text: str) -> Listing | None:
    return users.group_listing(visit.realm, containing=text) if visit.can("users:read") else None


def _projects(visit: Visit, text: str) -> Listing | None:
    if not visit.can_somewhere("projects:read"):
        return None
    return access.project_listing(visit.realm, containing=text, names=rules.projects.listed(visit.authority))


def _roles(visit: Visit, text: str) -> Listing | None:
    return access.role_listing(visit.realm, containing=text) if visit.can_somewhere("roles:read") else None


def _keysets(visit: Visit, text: str) -> Listing | None:
    if not visit.can_somewhere("keysets:read"):
        return None
    return keysets.keyset_listing(visit.realm, containing=text, projects=rules.keysets.listed(visit.authority))


_USER, _APPLICATION, _GROUP = Kind(_users), Kind(_applications, "application:"), Kind(_groups, "group:")

KINDS: Mapping[str, Sequence[Kind]] = {
    "user": (_USER,),
    "group": (Kind(_groups),),
    "application": (Kind(_applications),),
    "project": (Kind(_projects),),
    "role": (Kind(_roles),),
    "keyset": (Kind(_keysets),),
    "owner": (_APPLICATION, _USER),
    "holder": (_USER, _GROUP, _APPLICATION),
}
"""By what a field asks for in `data-suggest`."""

_REMEDIES: Mapping[str, str] = {f"list {kind}s": kind for kind in ("user", "group", "application", "project", "role", "keyset")}
"""What was mistyped, by what a refusal says would lead on; see `errors.Remedy`."""


def suggested(visit: Visit, kind: str, text: str) -> list[str]:
    """Return names that a field could be filled with.

    :param text: a part of them, perhaps with a kind before a colon.
    """
    part = text.rpartition(":")[2]
    return [name for each in KINDS.get(kind, ()) for name in _names(visit, each, part, MOST)]


def nearest(visit: Visit, remedy: str, typed: Sequence[str]) -> str:
    """Return the name that was perhaps meant by one of those that were typed; empty for none.

    :param remedy: what the refusal says would lead on, such as `list projects`.
    """
    for kind in KINDS.get(_REMEDIES.get(remedy, ""), ()):
        for each in [text for text in typed if len(text) <= LONGEST_TYPED][:MOST_TYPED]:
            mistyped = each.rpartition(":")[2].strip()
            known = {name for part in _parts(mistyped) for name in _names(visit, kind, part, MOST_NEAR)}
            near = [] if mistyped in known else get_close_matches(mistyped, sorted(known), n=1)
            if near:
                return near[0]
    return ""


def _names(visit: Visit, kind: Kind, text: str, most: int) -> list[str]:
    listing = kind.look(visit, text)
    if listing is None:
        return []
    return [f"{kind.prefix}{row.name}" for row in listing.take("name", descending=False, after=None, limit=most)]


def _parts(name: str) -> Iterator[str]:
    """Go through the thirds of a name: with up to two letters mistyped, one of them is in what was meant."""
    size = -(-len(name) // 3)
    for start in range(0, len(name), size or 1):
        yield name[start : start + size]
