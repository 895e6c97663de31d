"""What a worker keeps of the causes of a realm in memory. After a change it reads what is new, and not all of them again."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from idp import clock
from idp.crypto import b64url
from idp.db import db, reading
from idp.realms import KnownRealm
from idp.recall.marks import Kind, life_of, mark_of
from idp.recall.models import RecallCause, RecallClock
from idp.recall.writing import CACHED

MOST_KEPT = 1_000
"""Realms of which a worker remembers, beside what is true now, what it knew before the last change."""

READ_AGAIN_AFTER = 3_600
"""Seconds after which all causes are read again, without those that concern no token any more."""

_EPOCH_LENGTH = 11


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause as of the last change to it."""

    kind: str
    mark: str
    at: int
    """From when on it counts (seconds since 1970)."""
    position: int
    lifted: bool


@dataclass(frozen=True, slots=True)
class KnownCauses:
    """The causes of a realm as of one position."""

    epoch: str
    position: int
    causes: Mapping[tuple[str, str], Cause] = field(repr=False)
    """By kind and mark."""
    read_at: int
    """When all of them were read last (seconds since 1970)."""
    derived: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """What is worked out from the fields above, and kept for as long as they hold."""

    def since(self, position: int) -> list[Cause]:
        """Return what has come after a position."""
        return [cause for cause in self.causes.values() if cause.position > position]


def known_causes(realm: KnownRealm) -> KnownCauses:
    """Return the causes of a realm from memory, read from the database at their first use and after each change."""
    cache = realm.runtime.feed.cache(CACHED)
    found: KnownCauses | None = cache.get(realm.name)
    if found is None:
        kept: dict[str, KnownCauses] = realm.runtime.extensions.setdefault("recall", {})
        found = cache.load(realm.name, lambda: _read(realm, kept.get(realm.name)))
        kept[realm.name] = found
        if len(kept) > MOST_KEPT:
            kept.pop(next(iter(kept)), None)
    return found


def is_withdrawn(realm: KnownRealm, claims: Mapping[str, Any]) -> bool:
    """Tell whether what a token was issued for counts no more: a credential, or the word by which its subject, or who acts in it,
    was admitted.

    :param claims: those of a token of this realm that was opened.
    """
    credential = claims.get("credential")
    if credential is not None and _is_taken_away(realm, credential):
        return True
    return any(_is_over(realm, origin, claims["iat"]) for origin in _admissions(claims))


def _is_taken_away(realm: KnownRealm, credential: str | Sequence[str]) -> bool:
    causes = known_causes(realm).causes
    for name in (credential,) if isinstance(credential, str) else credential:
        cause = causes.get((Kind.CREDENTIAL.value, mark_of(Kind.CREDENTIAL, name)))
        if cause is not None and not cause.lifted:
            return True
    return False


def _admissions(claims: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    """Yield by whose word a token was issued: to its subject, and to all who have acted on the way to it."""
    said: Mapping[str, Any] | None = claims
    while said is not None:
        if "federation" in said:
            yield said["federation"]
        said = said.get("act")


def _is_over(realm: KnownRealm, origin: Mapping[str, str], issued_at: int) -> bool:
    causes = known_causes(realm).causes
    by_rule = ((Kind.RULE, origin["rule"]),) if "rule" in origin else ()  # people are admitted by none
    for kind, text in ((Kind.ISSUER, origin["iss"]), *by_rule):
        cause = causes.get((kind.value, mark_of(kind, text)))
        if cause is not None and issued_at <= cause.at:
            return True
    return False


def _read(realm: KnownRealm, former: KnownCauses | None) -> KnownCauses:
    """Read what has come after what was known of a realm, or all, where that is of another timeline or long ago."""
    now = clock.timestamp()
    timeline = _timeline()
    with reading() as session:
        position = session.scalar(select(RecallClock.position).where(RecallClock.realm_id == realm.id)) or 0
        epoch = _epoch(realm, timeline)
        goes_on = former is not None and former.epoch == epoch and former.position <= position
        begin = former if goes_on and former is not None and now - former.read_at < READ_AGAIN_AFTER else None
        query = select(RecallCause.kind, RecallCause.mark, RecallCause.at, RecallCause.position, RecallCause.lifted)
        query = query.where(RecallCause.realm_id == realm.id)
        if begin is not None:
            query = query.where(RecallCause.position > begin.position)
        rows = session.execute(query).all()
    causes = dict(begin.causes) if begin is not None else {}
    for kind, mark, at, number, lifted in rows:
        causes[kind, mark] = Cause(kind, mark, int(at.timestamp()), number, lifted)
    return KnownCauses(epoch, position, causes, begin.read_at if begin is not None else now)


def _epoch(realm: KnownRealm, timeline: str) -> str:
    """Return what tells a timeline from another in which the same positions may mean something else."""
    text = f"{realm.uid}\0{realm.tokens_from}\0{timeline}"
    return b64url(hashlib.sha256(text.encode()).digest()).decode()[:_EPOCH_LENGTH]


def _timeline() -> str:
    """Return the timeline of PostgreSQL, which each server that takes over begins anew; empty where that cannot be known."""
    if db.engine.dialect.name != "postgresql":
        return ""
    try:
        with reading() as session:
            return str(session.scalar(select(func.left(func.pg_walfile_name(func.pg_current_wal_lsn()), 8))))
    except SQLAlchemyError:
        return ""  # a service that works like PostgreSQL, and has no log of its own to show


def still_told(causes: Iterable[Cause], now: float) -> list[Cause]:
    """Return those causes that may concern a token, in the order of their times."""
    return sorted((each for each in causes if each.at + life_of(each.kind) >= now), key=lambda each: (each.at, each.mark))
