"""How many there are of what a realm has: shown in the navigation, so counted once in a while and not for each page."""

import time
from collections.abc import Callable, Mapping

from idp import access, apikeys, applications, federation, keysets, protected_apis, rules, users
from idp.console.browser import Visit
from idp.console.kept_counts import kept_counts
from idp.realms import Realm

_COUNTED_FOR = 10.0
"""Seconds for which a count is shown, where others have changed something meanwhile."""

_COUNTS: Mapping[str, tuple[Callable[[Visit], bool], Callable[[Realm], int]]] = {
    "/applications": (
        lambda visit: rules.applications.sees_all(visit.authority),
        lambda realm: applications.application_listing(realm).count(),
    ),
    "/api-keys": (lambda visit: rules.api_keys.sees_all(visit.authority), lambda realm: apikeys.key_listing(realm).count()),
    "/issuers": (lambda visit: visit.can("realm:read"), lambda realm: len(federation.list_issuers(realm))),
    "/federation-rules": (
        lambda visit: visit.can("applications:read"),
        lambda realm: federation.rule_listing(realm).count(),
    ),
    "/apis": (lambda visit: visit.can("realm:read"), lambda realm: len(protected_apis.list_apis(realm))),
    "/keysets": (lambda visit: visit.can("keysets:read"), lambda realm: keysets.keyset_listing(realm).count()),
    "/users": (lambda visit: visit.can("users:read"), lambda realm: users.user_listing(realm).count()),
    "/groups": (lambda visit: visit.can("users:read"), lambda realm: users.group_listing(realm).count()),
    "/projects": (lambda visit: visit.can("projects:read"), lambda realm: access.project_listing(realm).count()),
}
"""Who may know a number, and how it is counted, by the end of the page's URL."""


def counts_of(visit: Visit) -> dict[str, int]:
    """Return how many there are of each thing that the caller may see all of, by the end of its page's URL."""
    counted, number = kept_counts(), visit.realm.id
    now = time.monotonic()
    at, found = counted.get(number, (0.0, {}))
    if not found or now - at > _COUNTED_FOR:
        found = {}
    wanted = [end for end, (may, _) in _COUNTS.items() if may(visit)]
    missing = [end for end in wanted if end not in found]
    if missing:
        found = found | {end: _COUNTS[end][1](visit.realm) for end in missing}
        if len(counted) > 1_000:
            counted.clear()
        counted[number] = (at if at and now - at <= _COUNTED_FOR else now, found)
    return {end: found[end] for end in wanted}
