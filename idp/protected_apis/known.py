"""What a worker keeps of a protected API in memory, and the answer to who may call what."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from idp import clock
from idp.access import HeldRole
from idp.db import reading
from idp.protected_apis.models import ProtectedApi
from idp.protected_apis.paths import is_below, is_plain
from idp.realms import NAME_PATTERN, KnownRealm


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may call what."""

    methods: frozenset[str]
    path: str
    roles: frozenset[str]
    """One of these must be held; empty for everybody who can prove who they are."""
    project: str
    """The project that the role must be held on; empty for the realm."""
    open: bool
    """Whether the call passes without a caller."""


@dataclass(frozen=True, slots=True)
class KnownApi:
    """A protected API as of the last change to it."""

    name: str
    audience: str
    rules: tuple[Rule, ...]

    def rules_for(self, method: str, path: str) -> list[Rule]:
        """Return the rules that a call falls under; none means that nobody may make it."""
        if not is_plain(path):
            return []
        return [rule for rule in self.rules if method in rule.methods and is_below(path, rule.path)]


def is_open(rules: Iterable[Rule]) -> bool:
    """Tell whether one of the rules lets everybody through, without asking who it is."""
    return any(rule.open for rule in rules)


def allows(rules: Iterable[Rule], held_roles: Iterable[HeldRole]) -> bool:
    """Tell whether one of the rules lets somebody with these roles through."""
    now = clock.timestamp()
    held = {(each.project, each.role) for each in held_roles if now < each.until}
    return any(not rule.roles or any((rule.project, role) in held or ("", role) in held for role in rule.roles) for rule in rules)


def known_api(realm: KnownRealm, name: str) -> KnownApi | None:
    """Return a protected API from memory, read from the database at its first use; None when there is none."""
    cache = realm.runtime.feed.cache("protected-api")
    key = f"{realm.name}/{name}"
    found: KnownApi | None = cache.get(key)
    if found is None and NAME_PATTERN.fullmatch(name):
        found = cache.load(key, lambda: _read(realm, name))
    return found


def _read(realm: KnownRealm, name: str) -> KnownApi | None:
    with reading() as session:
        api = session.scalar(select(ProtectedApi).where(ProtectedApi.realm_id == realm.id, ProtectedApi.name == name))
        if api is None:
            return None
        return KnownApi(api.name, api.audience, tuple(_rule(rule) for rule in api.rules))


def _rule(rule: dict[str, Any]) -> Rule:
    return Rule(frozenset(rule["methods"]), rule["path"], frozenset(rule["roles"]), rule["project"], rule.get("open") is True)
