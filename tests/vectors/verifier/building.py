"""What a vector is, and how a token is put together, rightly or wrongly."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.vectors.verifier.keys import EC_1, PS_1, RSA_1, encode

ISSUER = "https://id.example.com/auth/realms/acme"
AUDIENCE = "https://api.example.com"
NOW = 1_790_000_000
SUBJECT = "1f0e7c1c-5a0d-4a4e-9a51-1f9f6f0f7d10"

ACCEPTED = {
    "subject": SUBJECT,
    "client_id": "ci-bot",
    "roles": ["viewer"],
    "projects": {"vision": ["researcher"]},
}
"""What the base of all tokens says of who calls."""

Raw = bytes | dict[str, Any] | list[Any] | str | None
Token = str | list[str | dict[str, Any]]


@dataclass
class Vector:
    """One token, and what is to come of it."""

    name: str
    about: str
    """The section of an RFC, or the threat, that it is about."""
    token: Token
    expect: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    keys: str = "ordinary"
    time: float = NOW

    def as_json(self) -> dict[str, Any]:
        """Return what stands in the file."""
        members = {"name": self.name, "about": self.about, "settings": self.settings, "keys": self.keys, "time": self.time}
        return members | {"token": self.token, "expect": self.expect}


def accepted(**changes: Any) -> dict[str, Any]:
    """Return that a token is accepted, and whom it names."""
    return {"accepted": ACCEPTED | changes}


def refused(cause: str) -> dict[str, Any]:
    """Return that a token is refused, and for what."""
    return {"refused": cause}


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good token but for what is changed; what is None is left out."""
    base = {
        "iss": ISSUER,
        "sub": SUBJECT,
        "aud": AUDIENCE,
        "client_id": "ci-bot",
        "azp": "ci-bot",
        "typ": "Bearer",
        "iat": NOW,
        "exp": NOW + 3600,
        "jti": "5cbf9a",
        "realm_access": {"roles": ["viewer"]},
        "projects": [{"uid": "u", "name": "vision", "roles": ["researcher"]}],
    }
    return {name: value for name, value in (base | changes).items() if value is not None}


def header(alg: str = "ES256", **changes: Any) -> dict[str, Any]:
    """Return the header of a good token but for what is changed; what is None is left out."""
    kid = {"ES256": "ec-1", "RS256": "rsa-1", "PS256": "ps-1"}.get(alg, "ec-1")
    return {name: value for name, value in ({"alg": alg, "kid": kid, "typ": "at+jwt"} | changes).items() if value is not None}


_SIGNERS: dict[str, Callable[[bytes], bytes]] = {"ES256": EC_1.es256, "RS256": RSA_1.rs256, "PS256": PS_1.ps256}


def segment(value: Raw) -> str:
    """Return a segment of bytes, or of a value as JSON."""
    return encode(value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode())


def sign(body: Raw = None, head: Raw = None, signer: Callable[[bytes], bytes] | None = None) -> str:
    """Return a token; where nothing else is said, a good one of ec-1's.

    :param signer: what returns the signature of a message; by default the algorithm's key.
    """
    head, body = header() if head is None else head, claims() if body is None else body
    unsigned = f"{segment(head)}.{segment(body)}"
    if signer is None:
        alg = head.get("alg") if isinstance(head, dict) else "ES256"
        signer = _SIGNERS.get(alg if isinstance(alg, str) else "", EC_1.es256)
    return f"{unsigned}.{encode(signer(unsigned.encode()))}"


def with_json(text: str) -> bytes:
    """Return the claims of a good token with members written as they are given."""
    return (json.dumps(claims())[:-1] + ", " + text + "}").encode()


def unique(vectors: Iterator[Vector]) -> list[Vector]:
    """Return vectors as a list.

    :raises ValueError: two share a name.
    """
    made = list(vectors)
    if len({vector.name for vector in made}) != len(made):
        raise ValueError(f"two vectors share a name: {sorted(vector.name for vector in made)}")
    return made
