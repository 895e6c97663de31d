"""Session tokens: 900 seconds, signed, of their own type, so that they are never taken for anything else."""

from dataclasses import dataclass

from idp import clock, keys
from idp.crypto import random_id
from idp.realms import KnownRealm
from idp.settings import SESSION_TOKEN_LIFETIME
from idp.tokens import Statement, close_claims, write_claims

_TYPE = "session+jwt"


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


def make_template(said: Statement) -> SessionTemplate:
    """Write out what the session tokens of one credential say.

    :raises TokenTooLargeError: it would not fit in a header.
    """
    return SessionTemplate(write_claims(said), said.held.valid_until, said.scope)


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
    token = signer.sign(_TYPE, close_claims(template.claims, now, expires, jti))
    return SessionToken(token, expires - now, jti, template.scope)
