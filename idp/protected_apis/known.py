"""What a worker keeps of a protected API in memory."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from idp.db import reading
from idp.protected_apis.models import ProtectedApi
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
        return as_known(api)


def as_known(api: ProtectedApi) -> KnownApi:
    """Return what the gateway knows of a protected API that is stored so."""
    return KnownApi(api.name, api.audience, tuple(_rule(rule) for rule in api.rules))


def _rule(rule: dict[str, Any]) -> Rule:
    return Rule(frozenset(rule["methods"]), rule["path"], frozenset(rule["roles"]), rule["project"], rule.get("open") is True)
