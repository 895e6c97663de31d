"""The book of rules: who may see, make, change and give what, one file for each resource.

Every edge asks here, with an `Authority`: who calls, and in which realm. What is not allowed is refused by `DeniedError`, or is
not there (`NotFoundError`) where the caller may not even see it (T73).
"""

from idp.rules import (
    api_keys,
    applications,
    audit,
    connections,
    delegation,
    federation,
    grants,
    groups,
    keysets,
    personal_tokens,
    projects,
    protected_apis,
    realms,
    registrations,
    roles,
    sessions,
    signals,
    signing_keys,
    users,
)
from idp.rules.authority import Authority, permitted, permitted_on

__all__ = [
    "Authority",
    "api_keys",
    "applications",
    "audit",
    "connections",
    "delegation",
    "federation",
    "grants",
    "groups",
    "keysets",
    "permitted",
    "permitted_on",
    "personal_tokens",
    "projects",
    "protected_apis",
    "realms",
    "registrations",
    "roles",
    "sessions",
    "signals",
    "signing_keys",
    "users",
]
