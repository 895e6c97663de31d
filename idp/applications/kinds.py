"""What kinds of applications there are, and which grants each may use (RFC 6749 §2.1, RFC 8252, RFC 8628)."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal


class Kind(StrEnum):
    """What an application is."""

    MACHINE = "machine"
    """Acts for itself, with a secret or a key of its own."""
    WEB = "web"
    """Runs on a server, keeps a secret, and people sign in to it."""
    NATIVE = "native"
    """Runs on the device of whoever uses it, and can keep no secret: a command line tool, an app, a television."""
    BROWSER = "browser"
    """Runs in a browser, and can keep no secret."""

    @property
    def is_public(self) -> bool:
        """Whether it cannot prove who it is (RFC 6749 §2.1)."""
        return self in {Kind.NATIVE, Kind.BROWSER}


GrantName = Literal["client_credentials", "token_exchange", "authorization_code", "refresh_token", "device_code"]

KindName = Literal["machine", "web", "native", "browser"]

_FOR_MACHINES: tuple[GrantName, ...] = ("client_credentials", "token_exchange")

FOR_PEOPLE = frozenset({"authorization_code", "refresh_token", "device_code"})
"""Grants by which an application acts for people."""

GRANTS_OF_KIND: dict[Kind, tuple[GrantName, ...]] = {
    Kind.MACHINE: _FOR_MACHINES,
    Kind.WEB: ("authorization_code", "refresh_token"),
    Kind.NATIVE: ("authorization_code", "refresh_token", "device_code"),
    Kind.BROWSER: ("authorization_code", "refresh_token"),
}
"""What an application may use of which nothing else is said."""


def allowed_grants(kind: Kind, chosen: Iterable[str]) -> frozenset[str]:
    """Return the grants that an application may use: the chosen ones, or those of its kind.

    Who cannot prove who it is acts for nobody but the person who is there.
    """
    grants = frozenset(chosen) or frozenset(GRANTS_OF_KIND[kind])
    return grants - frozenset(_FOR_MACHINES) if kind.is_public else grants
