"""Sealing: adding events to the hash chain of their realm, some time after they were written, in batches.

Writers do not know of it. On PostgreSQL numbers are given out before the commit, so an event can appear behind one with a
larger number; the numbers that are missing are looked for again until no transaction that could bring them is left.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.orm import Session

from idp import clock
from idp.audit import AuditEvent
from idp.db import commit, db, reading
from idp.trail.chain import Entry, Standing, beginning, follow, pack_ids
from idp.trail.models import AuditBatch, AuditSealing

BATCH = 1_000
"""Events that are sealed in one go, which takes some 15 ms of a processor beside the requests."""

FORGET_GAP_AFTER = timedelta(minutes=10)
"""How long a missing number is looked for at least."""

MOST_GAPS = 50_000
"""How far back numbers that are missing are looked for."""


class Seal(NamedTuple):
    """A batch before it is signed."""

    realm: str
    standing: Standing
    before: Standing
    """Where the chain stood before."""
    doubt: str
    """Why what came before is not proved; empty if it is. The batch permanently says so."""
    sealed_at: datetime
    ids: list[int]
    digests: list[bytes]


class Sealer(Protocol):
    """What sealing needs of those who have keys."""

    def doubt(self, session: Session, realm: str, newest: AuditBatch | None) -> str:
        """Return why the newest batch of a realm is not the one that was sealed last; empty if it is.

        :param session: the one in which it was read: another worker may have sealed since.
        """

    def sign(self, batch: AuditBatch, seal: Seal) -> None:
        """Give a batch its signed checkpoint, and keep in the current transaction how far the trail has come.

        :raises IdpError: nothing can be signed now.
        """


class _Work(NamedTuple):
    turn: int
    next_event: int
    gaps: list[list[Any]]
    seals: list[Seal]


def seal_events(sealer: Sealer) -> int:
    """Seal what was written since the last time, and return how many events that was. Every worker may call it at once.

    A chain is followed up only after a look at whether its newest batch is the one that was sealed last. Where it is not, the
    batch that follows says so: what was forged is never signed for.

    Reading and hashing keep no writer waiting; what was found is then written in one short transaction, which gives way
    when somebody else was first.
    """
    with reading() as session:
        work = _look(session, sealer)
    if work is None:
        return 0
    claim = update(AuditSealing).where(AuditSealing.id == 1, AuditSealing.turn == work.turn)
    claim = claim.values(turn=work.turn + 1, next_event=work.next_event, gaps=work.gaps)
    if db.session.execute(claim).rowcount != 1:  # type: ignore[attr-defined]
        db.session.rollback()
        return 0
    for seal in work.seals:
        number, total, head = seal.standing
        batch = AuditBatch(
            realm=seal.realm,
            number=number,
            total=total,
            sealed_at=seal.sealed_at,
            head=head,
            event_ids=pack_ids(seal.ids),
            digests=b"".join(seal.digests),
        )
        sealer.sign(batch, seal)
        db.session.add(batch)
    commit()
    return sum(len(seal.ids) for seal in work.seals)


def _look(session: Session, sealer: Sealer) -> _Work | None:
    """Return what there is to seal; None for nothing."""
    state = session.get_one(AuditSealing, 1)
    # the horizon first: what begins after it is not missed, for its numbers have not been looked for
    horizon, finished = _horizon(session)
    found = list(_read(session, AuditEvent.id >= state.next_event, limit=BATCH))
    missing = [gap[0] for gap in state.gaps]
    late = list(_read(session, AuditEvent.id.in_(missing), limit=BATCH)) if missing else []
    next_event = found[-1].id + 1 if found else state.next_event
    there = {row.id for row in found}
    now = clock.now()
    # a jump of the sequence leaves more numbers out than any transaction could bring
    new = [number for number in range(max(state.next_event, next_event - MOST_GAPS), next_event) if number not in there]
    kept = {row.id for row in late}
    oldest = (now - FORGET_GAP_AFTER).isoformat()
    gaps = [gap for gap in state.gaps if gap[0] not in kept and (gap[1] > oldest or gap[2] > finished)]
    gaps += [[number, now.isoformat(), horizon] for number in new]
    if not found and not late and gaps == state.gaps:
        return None
    seals = _seal(session, [_entry(row) for row in [*late, *found]], now, sealer)
    return _Work(state.turn, next_event, gaps, seals)


def _read(session: Session, where: Any, limit: int) -> Sequence[Row[Any]]:
    return session.execute(select(*ENTRY_COLUMNS).where(where).order_by(AuditEvent.id).limit(limit)).all()


ENTRY_COLUMNS = tuple(getattr(AuditEvent, name) for name in Entry._fields)


def _entry(row: Row[Any]) -> Entry:
    return Entry._make(row)


def _seal(session: Session, entries: list[Entry], now: datetime, sealer: Sealer) -> list[Seal]:
    seals = []
    by_realm = sorted(((entry.realm, entry) for entry in entries), key=itemgetter(0))  # keeps the order within each
    for realm, group in groupby(by_realm, key=itemgetter(0)):
        own = [entry for _, entry in group]
        query = select(AuditBatch).where(AuditBatch.realm == realm).order_by(AuditBatch.number.desc()).limit(1)
        newest = session.scalar(query)
        before = Standing(newest.number, newest.total, newest.head) if newest is not None else beginning(realm)
        digests = [entry.digest() for entry in own]
        head = follow(bytes.fromhex(before.head), digests).hex()
        standing = Standing(before.number + 1, before.total + len(own), head)
        ids = [entry.id for entry in own]
        seals.append(Seal(realm, standing, before, sealer.doubt(session, realm, newest), now, ids, digests))
    return seals


def _horizon(session: Session) -> tuple[int, int]:
    """Return the transaction number that the next transaction gets, and the one below which all have ended.

    SQLite has one writer at a time, and gives out numbers in the order of commits: there is nothing to wait for.
    """
    if db.engine.dialect.name == "sqlite":
        return 0, 1
    query = "SELECT pg_snapshot_xmax(s)::text::bigint, pg_snapshot_xmin(s)::text::bigint FROM pg_current_snapshot() AS s"
    latest, oldest = session.execute(text(query)).one()
    return int(latest), int(oldest)


def gaps_elsewhere(gaps: list[list[Any]]) -> list[list[Any]]:
    """Return `AuditSealing.gaps` as a copy of the database has them.

    Transactions are numbered by each database for itself, and none that a number was missed for will ever commit there.
    """
    return [[number, seen_at, 0] for number, seen_at, _ in gaps]


def count_unsealed() -> int:
    """Return how many events wait to be sealed."""
    with reading() as session:
        state = session.get_one(AuditSealing, 1)
        found = session.scalar(select(func.count()).select_from(AuditEvent).where(AuditEvent.id >= state.next_event))
        return int(found or 0)
