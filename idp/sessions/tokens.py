"""Session tokens: 900 seconds, signed, of their own type, so that they are never taken for anything else."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from idp import clock, keys
from idp.access import HeldRole
from idp.crypto import random_id
from idp.realms import KnownRealm
from idp.settings import SESSION_TOKEN_LIFETIME
from idp.tokens.claims import LONGEST_CLAIMS, TokenTooLargeError, open_json, what_is_held

_TYPE = "session+jwt"


class Subject(Protocol):
    """Whose token it is: a user or an application, as a worker knows it."""

    @property
    def uid(self) -> str:
        """`sub`."""


@dataclass(frozen=True, slots=True)
class SessionToken:
    """A session token that was just issued."""

    token: str
    expires_in: int
    """Seconds."""
    jti: str
    scope: str
    """What was granted, if a scope was requested; otherwise empty."""


@dataclass(frozen=True, slots=True)
class SessionTemplate:
    """Everything of a session token that does not change from one to the next, written out once."""

    claims: str
    """JSON without the closing brace."""
    valid_until: float
    """When the next of the roles in it ends (seconds since 1970)."""
    scope: str


def make_template(realm: KnownRealm, held_roles: Iterable[HeldRole], now: float, identity: dict[str, Any]) -> SessionTemplate:
    """Write out what the session tokens of one credential say.

    :param identity: `sub`, `preferred_username`, `sid`, `auth_method` and what else tells who it is.
    :raises TokenTooLargeError: it would not fit in a header.
    """
    held = what_is_held(held_roles, now)
    access = {"realm_access": held.on_realm, "projects": held.projects}
    claims = {"iss": realm.issuer, "aud": realm.issuer, **identity, **access}
    text = open_json(claims)
    if len(text) > LONGEST_CLAIMS:
        raise TokenTooLargeError(
            f"Grants on {len(held.projects)} projects do not fit in one session token. Use a key for fewer projects."
        )
    return SessionTemplate(text, held.valid_until, identity.get("scope", ""))


def issue_session_token(
    realm: KnownRealm, template: SessionTemplate, *, until: float = float("inf"), algorithm: str = "", jti: str = ""
) -> SessionToken:
    """Issue a session token from now on.

    :param until: when what it stands for ends (seconds since 1970): the token never outlives that.
    :param algorithm: empty for the realm's.
    :param jti: its id, where that had to be known before; by default a new one.
    """
    now = clock.timestamp()
    jti = jti or random_id()
    expires = int(min(now + SESSION_TOKEN_LIFETIME, until))
    signer = keys.key_ring(realm).signer(algorithm or realm.signing_algorithm, now)
    token = signer.sign(_TYPE, f'{template.claims},"iat":{now},"nbf":{now},"exp":{expires},"jti":"{jti}"}}')
    return SessionToken(token, expires - now, jti, template.scope)
