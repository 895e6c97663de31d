"""The kinds of causes, and how what they are about is told apart without being named."""

import hashlib
from enum import StrEnum

from idp.settings import CLOCK_LEEWAY, SESSION_TOKEN_LIFETIME, TOKEN_LIFETIME


class Kind(StrEnum):
    """What a cause is about; docs/recall.md says what of a token each is compared with."""

    SUBJECT = "subject"
    """The uid of an application or a user: disabled, or deleted."""
    SESSION = "session"
    """The session of a person."""
    KEY = "key"
    """The public part of an API key."""
    GRANT = "grant"
    """A person's sign-in to an application."""
    TOKEN = "token"  # noqa: S105 (a name)
    """A single token."""
    SIGNING_KEY = "signing_key"
    ISSUER = "issuer"
    """An issuer that is not trusted any more, by its `iss`: of what it has admitted until then."""
    RULE = "rule"
    """A rule of federation, by name: of what it has admitted until then."""
    CREDENTIAL = "credential"
    """A secret or a public key of an application, as tokens name it that were fetched with it."""


LIFE = TOKEN_LIFETIME + 2 * CLOCK_LEEWAY
"""Seconds after which a cause concerns no token any more: all of before have expired, by whatever clock."""

SESSION_LIFE = SESSION_TOKEN_LIFETIME + 2 * CLOCK_LEEWAY
"""The same for what concerns session tokens alone."""


def life_of(kind: str) -> int:
    """Return for how many seconds a cause of a kind is told. What can be lifted is told for as long as verifiers may know it."""
    return SESSION_LIFE if kind == Kind.SESSION else LIFE


def mark_of(kind: str, text: str) -> str:
    """Return what tells that which a cause is about, in hexadecimal digits: the first 64 bits of a hash."""
    return hashlib.sha256(f"{kind}\0{text}".encode()).hexdigest()[:16]
