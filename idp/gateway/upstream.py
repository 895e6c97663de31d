"""What the gateway tells the API behind it: identity headers, and a short token of its own."""

from dataclasses import dataclass

from idp import clock, keys, tokens
from idp.access import HeldRole
from idp.callers import Caller
from idp.feed import Cache
from idp.keys import KeyRing
from idp.protected_apis import KnownApi
from idp.tokens import TokenRoles, roles_for_token

LIFETIME = 300
"""Seconds that an upstream token lives; it is made anew when half of that has passed."""

MOST_REMEMBERED = 10_000

LONGEST_HEADERS = 16_000
"""Characters of all identity headers together. A token has 8,000 at the most; `X-Auth-Projects` names a project once for each
role on it, and could grow beyond what proxies and servers take. The buffers in docs/examples are set for this."""

Headers = tuple[tuple[str, str], ...]

NOBODY: Headers = tuple(
    (name, "") for name in ("X-Auth-Subject", "X-Auth-Realm", "X-Auth-Roles", "X-Auth-Projects", "X-Auth-Token", "Authorization")
)
"""The headers of a call that passes without a caller: all there and empty, so that none a client sent passes."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    held_roles: tuple[HeldRole, ...]
    ring: KeyRing
    headers: Headers
    good_until: float


def identity_headers(caller: Caller, api: KnownApi) -> Headers:
    """Return the headers that tell the API who calls. All of them are always there, so that none a client sent passes.

    `X-Auth-Roles` names the roles on the realm, `X-Auth-Projects` each role on a project as `<project>:<role>`, both
    separated by commas. `Authorization` carries the token, and nothing else does: `X-Auth-Token`, which did, is empty.

    :raises TokenTooLargeError: they would not fit what proxies and servers take.
    """
    realm = caller.realm
    remembered: Cache[_Remembered] = realm.runtime.extensions.setdefault("upstream-tokens", Cache(MOST_REMEMBERED))
    key = f"{realm.name}/{api.name}/{caller.claims.get('jti', caller.credential_id)}"
    now, ring = clock.timestamp(), keys.key_ring(realm)
    found = remembered.get(key)
    if found is not None and found.held_roles is caller.held_roles and found.ring is ring and now < found.good_until:
        return found.headers
    expires = int(min(now + LIFETIME, caller.expires_at))
    held = roles_for_token(caller.held_roles, now)
    headers = _headers(caller, api, held, now, int(min(expires, held.valid_until)))
    good_until = min(now + LIFETIME / 2, expires, held.valid_until)
    fresh = _Remembered(caller.held_roles, ring, headers, good_until)
    remembered.load(key, lambda: fresh)
    return headers


def _headers(caller: Caller, api: KnownApi, held: TokenRoles, now: int, expires: int) -> Headers:
    subject = caller.subject
    token = tokens.issue_upstream_token(caller.realm, subject, held, audience=api.audience, now=now, expires=expires)
    pairs = [f"{project['name']}:{role}" for project in held.projects for role in project["roles"]]
    headers = (
        ("X-Auth-Subject", subject.uid),
        ("X-Auth-Realm", caller.realm.name),
        ("X-Auth-Roles", ",".join(held.roles)),
        ("X-Auth-Projects", ",".join(pairs)),
        ("X-Auth-Token", ""),
        ("Authorization", f"Bearer {token}"),
    )
    if sum(len(name) + len(value) for name, value in headers) > LONGEST_HEADERS:
        raise tokens.TokenTooLargeError(
            f"The caller's roles on {len(held.projects)} projects do not fit in the headers for the API. "
            "Use a key for fewer projects, or a token narrowed to those that are needed."
        )
    return headers
