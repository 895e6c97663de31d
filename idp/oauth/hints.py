"""ID tokens that a client shows to say whom it means (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2)."""

from dataclasses import dataclass

from idp import tokens
from idp.jose import InvalidTokenError, Kind
from idp.realms import KnownRealm

_EVER = float("inf")


@dataclass(frozen=True, slots=True)
class Hint:
    """What an ID token of ours says, however long ago it was issued."""

    subject: str
    client_id: str
    sid: str
    """The session of the browser; empty where it says none."""


def open_hint(realm: KnownRealm, token: str) -> Hint:
    """Return what an ID token says. That it has expired does not matter: it proves nothing about now (R76).

    :raises InvalidTokenError: it is none that this realm has issued, or its key is long gone.
    """
    claims = tokens.open_token_of(realm, token, {Kind.ID}, late=_EVER).claims
    subject, party = claims.get("sub"), claims.get("azp")
    if not isinstance(subject, str) or not isinstance(party, str) or claims.get("aud") != party:
        raise InvalidTokenError("The token is no ID token of an application.")
    return Hint(subject, party, claims.get("sid", ""))
