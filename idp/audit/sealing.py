"""Sealing: adding events to the hash chain of their realm, some time after they were written, in batches.

Writers do not know of it. On PostgreSQL numbers are given out before the commit, so an event can appear behind one with a
larger number; the numbers that are missing are looked for again until no transaction that could bring them is left.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.orm import Session

from idp import clock
from idp.audit.chain import Entry, first_head, follow, pack_ids
from idp.audit.models import AuditBatch, AuditEvent, AuditSealing
from idp.db import commit, db, reading

BATCH = 1_000
"""Events that are sealed in one go, which takes some 15 ms of a processor beside the requests."""

FORGET_GAP_AFTER = timedelta(minutes=10)
"""How long a missing number is looked for at least."""

MOST_GAPS = 50_000
"""How far back numbers that are missing are looked for."""

Sign = Callable[["Seal"], str]
"""Returns the signed checkpoint of a batch, or an empty text when its realm cannot sign."""


class Seal(NamedTuple):
    """A batch before it is signed."""

    realm: str
    number: int
    total: int
    head: str
    sealed_at: datetime
    ids: list[int]
    digests: list[bytes]


class _Work(NamedTuple):
    turn: int
    next_event: int
    gaps: list[list[Any]]
    seals: list[Seal]


def seal_events(sign: Sign) -> int:
    """Seal what was written since the last time, and return how many events that was. Every worker may call it at once.

    Reading and hashing keep no writer waiting; what was found is then written in one short transaction, which gives way
    when somebody else was first.
    """
    with reading() as session:
        work = _look(session)
    if work is None:
        return 0
    batches = [
        AuditBatch(
            realm=seal.realm, number=seal.number, total=seal.total, sealed_at=seal.sealed_at, head=seal.head,
            event_ids=pack_ids(seal.ids), digests=b"".join(seal.digests), checkpoint=sign(seal),
        )
        for seal in work.seals
    ]  # fmt: skip
    claim = update(AuditSealing).where(AuditSealing.id == 1, AuditSealing.turn == work.turn)
    claim = claim.values(turn=work.turn + 1, next_event=work.next_event, gaps=work.gaps)
    if db.session.execute(claim).rowcount != 1:  # type: ignore[attr-defined]
        db.session.rollback()
        return 0
    db.session.add_all(batches)
    commit()
    return sum(len(seal.ids) for seal in work.seals)


def _look(session: Session) -> _Work | None:
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
    seals = _seal(session, [_entry(row) for row in [*late, *found]], now)
    return _Work(state.turn, next_event, gaps, seals)


def _read(session: Session, where: Any, limit: int) -> Sequence[Row[Any]]:
    return session.execute(select(*ENTRY_COLUMNS).where(where).order_by(AuditEvent.id).limit(limit)).all()


ENTRY_COLUMNS = tuple(getattr(AuditEvent, name) for name in Entry._fields)


def _entry(row: Row[Any]) -> Entry:
    return Entry._make(row)


def _seal(session: Session, entries: list[Entry], now: datetime) -> list[Seal]:
    seals = []
    by_realm = sorted(((entry.realm, entry) for entry in entries), key=itemgetter(0))  # keeps the order within each
    for realm, group in groupby(by_realm, key=itemgetter(0)):
        own = [entry for _, entry in group]
        last = session.execute(
            select(AuditBatch.number, AuditBatch.total, AuditBatch.head)
            .where(AuditBatch.realm == realm)
            .order_by(AuditBatch.number.desc())
            .limit(1)
        ).first()
        number, total, head = (last.number, last.total, bytes.fromhex(last.head)) if last else (0, 0, first_head(realm))
        digests = [entry.digest() for entry in own]
        head = follow(head, digests)
        seals.append(Seal(realm, number + 1, total + len(own), head.hex(), now, [entry.id for entry in own], digests))
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


def count_unsealed() -> int:
    """Return how many events wait to be sealed."""
    with reading() as session:
        state = session.get_one(AuditSealing, 1)
        found = session.scalar(select(func.count()).select_from(AuditEvent).where(AuditEvent.id >= state.next_event))
        return int(found or 0)
