"""Refresh tokens: worked out from a row and a pepper, and never stored (RFC 6749 §6, RFC 9700 §4.14).

`idp_rt_` + 22 characters for the authorization + 6 for its number in the line + 43 that only this server can work out + 6 of
checksum. So every token of a line is known for what it is, also one that has long been replaced; and for a client that has lost
the answer, the next one is worked out again: a line never forks.
"""

import uuid
from dataclasses import dataclass

from idp import crypto, vault

_KIND = "rt"
_PREFIX = len("idp_rt_")
_UID, _NUMBER = 22, 6


@dataclass(frozen=True, slots=True)
class Presented:
    """What a refresh token says of itself."""

    uid: str
    """Of the authorization."""
    generation: int


def write(uid: str, seed: bytes, pepper_id: str, generation: int) -> str:
    """Return the refresh token of an authorization with a number."""
    identity = crypto.base62(uuid.UUID(uid).int, _UID)
    number = crypto.base62(generation, _NUMBER)
    proof = crypto.keyed_hash(vault.pepper(pepper_id), f"refresh {identity} {number} {seed.hex()}")
    body = f"idp_{_KIND}_{identity}{number}{crypto.base62(int.from_bytes(proof), 43)}"
    return body + crypto.checksum(body)


def read(token: str) -> Presented | None:
    """Return what a text says of itself if it has the form of a refresh token, or None. Whether it is one, `write` tells."""
    if not crypto.is_well_formed(token, _KIND):
        return None
    identity, number = crypto.number_in(token[_PREFIX : _PREFIX + _UID]), token[_PREFIX + _UID : _PREFIX + _UID + _NUMBER]
    return Presented(str(uuid.UUID(int=identity)), crypto.number_in(number)) if identity < 1 << 128 else None
