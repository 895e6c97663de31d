"""The hash chain over the audit trail: what an entry's digest is, and how each head follows from the one before.

Everything that a verifier needs to know is here, and it needs nothing else: see docs/audit.md for the same in words.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

DIGEST_SIZE = 32
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=True, check_circular=False).encode


class Entry(NamedTuple):
    """An event of the trail, as its digest covers it."""

    id: int
    at: datetime
    realm: str
    tag: str
    actor: str
    target: str
    address: str
    outcome: str
    detail: dict[str, Any]

    def digest(self) -> bytes:
        """Return the SHA-256 of the entry: of a JSON array of its values, without spaces, in ASCII, names in order."""
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        values = [self.id, at, self.realm, self.tag, self.actor, self.target, self.address, self.outcome, self.detail]
        return hashlib.sha256(_encode(values).encode()).digest()


class Standing(NamedTuple):
    """How far a chain has come."""

    number: int
    """Of its last batch."""
    total: int
    """Entries up to there."""
    head: str
    """In hexadecimal digits."""


def beginning(realm: str) -> Standing:
    """Return where the chain of a realm begins."""
    return Standing(0, 0, first_head(realm).hex())


def first_head(realm: str) -> bytes:
    """Return the head of a realm's chain before its first entry."""
    return hashlib.sha256(b"realmgate audit trail 1\n" + realm.encode()).digest()


def follow(head: bytes, digests: Iterable[bytes]) -> bytes:
    """Return the head after entries: each is the SHA-256 of the head before it and the entry's digest."""
    for digest in digests:
        head = hashlib.sha256(head + digest).digest()
    return head


def pack_ids(ids: Iterable[int]) -> bytes:
    """Return numbers of entries as eight bytes each."""
    return b"".join(number.to_bytes(8, "big") for number in ids)


def unpack_ids(packed: bytes) -> list[int]:
    """Return the numbers that `pack_ids` packed."""
    return [int.from_bytes(packed[n : n + 8], "big") for n in range(0, len(packed), 8)]


def fingerprint(ids: Iterable[int], digests: Iterable[bytes]) -> str:
    """Return the SHA-256, in hexadecimal digits, of numbers of entries and their digests."""
    return hashlib.sha256(pack_ids(ids) + b"".join(digests)).hexdigest()


def unpack_digests(packed: bytes) -> list[bytes]:
    """Return digests that stand one after the other."""
    return [packed[n : n + DIGEST_SIZE] for n in range(0, len(packed), DIGEST_SIZE)]
