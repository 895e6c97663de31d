"""The signed documents by which a realm says what was taken back; docs/recall.md has their form."""

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from idp import clock, keys
from idp.realms import KnownRealm
from idp.recall.known import Cause, KnownCauses, known_causes, still_told
from idp.recall.marks import LIFE

RENEW_EVERY = 30
"""Seconds after which a document is made anew even if nothing has changed, on all workers at the same time."""

LIFETIME = 60
"""Seconds for which a document counts."""

MOST_KEPT = 32
"""Documents of one position that a worker keeps: one for each that somebody goes on from."""

_SINCE = re.compile(r"([A-Za-z0-9_-]{1,32})\.(\d{1,18})", re.ASCII)
_TAG = re.compile(r"([A-Za-z0-9_-]{1,32})\.(\d{1,18})\.(\d{1,12})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Edition:
    """Which document somebody has, or would get now."""

    epoch: str
    position: int
    round: int
    """Number of the 30 seconds in which it was made."""

    @property
    def tag(self) -> str:
        """What it is told apart by in the headers of HTTP, without quotes."""
        return f"{self.epoch}.{self.position}.{self.round}"

    @property
    def seconds_left(self) -> float:
        """For how many seconds no other is made, if nothing changes."""
        return (self.round + 1) * RENEW_EVERY - clock.timestamp()

    def is_news_to(self, tags: Iterable[str]) -> bool:
        """Tell whether it says anything to somebody who has one of these. The clock of another node may be a little ahead."""
        for tag in tags:
            match = _TAG.fullmatch(tag)
            if match and (match[1], int(match[2])) == (self.epoch, self.position) and int(match[3]) >= self.round:
                return False
        return True


def edition(realm: KnownRealm) -> tuple[Edition, KnownCauses]:
    """Return which document a realm gives now, and what it is made from."""
    known = known_causes(realm)
    return Edition(known.epoch, known.position, int(clock.timestamp() // RENEW_EVERY)), known


def document(realm: KnownRealm, wanted: Edition, known: KnownCauses, since: str = "") -> bytes:
    """Return a document, signed once for all who ask for the same.

    :param since: epoch and position, joined by a dot, that somebody goes on from; anything else gives the whole document.
    """
    match = _SINCE.fullmatch(since)
    after = int(match[2]) if match and match[1] == known.epoch and int(match[2]) <= known.position else None
    kept: bytes | None = known.derived.get((wanted.round, after))
    if kept is None:
        if len(known.derived) >= MOST_KEPT:
            known.derived.clear()
        written = json.dumps(_claims(realm, wanted, known, after), separators=(",", ":"))
        signer = keys.key_ring(realm).signer(realm.signing_algorithm, clock.timestamp())
        kept = known.derived[wanted.round, after] = signer.sign("revocations+jwt", written).encode()
    return kept


def _claims(realm: KnownRealm, wanted: Edition, known: KnownCauses, after: int | None) -> dict[str, Any]:
    made_at = wanted.round * RENEW_EVERY
    causes = still_told(known.causes.values() if after is None else known.since(after), made_at)
    standing = [each for each in causes if not each.lifted]
    base = standing[0].at if standing else made_at
    said: dict[str, Any] = {
        "iss": realm.issuer,
        "iat": made_at,
        "exp": made_at + LIFETIME,
        "epoch": known.epoch,
        "position": known.position,
    }
    if after is not None:
        said["since"] = after
    said |= {"life": LIFE, "base": base}
    if not realm.enabled:
        said["closed"] = True
    if realm.tokens_from:
        said["tokens_from"] = realm.tokens_from
    said["causes"] = {kind: _with_times(group, base) for kind, group in _by_kind(standing).items()}
    lifted = _by_kind(each for each in causes if each.lifted)
    if after is not None and lifted:
        said["lifted"] = {kind: _identifiers(group) for kind, group in lifted.items()}
    return said


def _by_kind(causes: Iterable[Cause]) -> dict[str, list[Cause]]:
    found: dict[str, list[Cause]] = {}
    for cause in causes:
        found.setdefault(cause.kind, []).append(cause)
    return found


def _with_times(causes: list[Cause], base: int) -> dict[str, Any]:
    times, before = [], base
    for cause in causes:
        times.append(cause.at - before)
        before = cause.at
    return {"ids": _identifiers(causes), "at": times}


def _identifiers(causes: list[Cause]) -> str:
    joined = bytes.fromhex("".join(cause.mark for cause in causes))
    return base64.urlsafe_b64encode(joined).rstrip(b"=").decode()
