"""Verifying the trail in a database."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select

from idp import clock, runtime
from idp.audit import AuditEvent
from idp.db import db, reading
from idp.jose import InvalidTokenError
from idp.realms import PurgedRealm, Realm
from idp.trail import witness
from idp.trail.chain import Entry, Standing, beginning
from idp.trail.marks import public_keys, read_mark
from idp.trail.models import AuditBatch, AuditCut, AuditMark, AuditSealing
from idp.trail.signing import find_doubt, find_other_past
from idp.trail.verify import (
    CUT_TYPE,
    Batch,
    Checkpoint,
    Cut,
    Keys,
    Kind,
    Piece,
    Report,
    read_keys,
    read_statement,
    unpack,
    unpack_cut,
    verify_chain,
)

_COLUMNS = tuple(getattr(AuditEvent, name) for name in Entry._fields)
_TOGETHER = 5_000

LEAST_PATIENCE = timedelta(minutes=10)
"""How long an entry may wait to be sealed, at the least, before it counts as forgotten."""

AT_END = 100
"""Batches that `look_at_end` looks at."""


def trail_names() -> list[str]:
    """Return the names of all trails there are: of realms, of purged ones, and the server's, which is empty."""
    tables = (AuditEvent.realm, AuditBatch.realm, AuditCut.realm, AuditMark.realm, Realm.name, PurgedRealm.name)
    named = {name for column in tables for name in db.session.scalars(select(column).distinct())}
    return sorted({"", *named, *witness.seen()})


def verify_trail(
    realm: str, keys: Keys | None = None, outside: Sequence[Checkpoint] = (), *, as_of: datetime | None = None
) -> Report:
    """Follow the chain of one realm from its beginning to what is not sealed yet, and see that it ends where it was sealed last.

    :param keys: the keys to trust; None for those that the database names, and that are known to have signed.
    :param outside: checkpoints that were kept elsewhere.
    :param as_of: the moment of which the database is, where that is not now: what waits to be sealed waited until then.
    """
    mark = read_mark(db.session(), realm)  # first: what is sealed meanwhile only makes the chain longer
    end = _newest_number(realm)  # and before the keys: what is sealed after they were read may be signed by a newer one
    trusted = keys if keys is not None else read_keys(public_keys(realm))
    kept = [*outside, *([Checkpoint(realm, *mark.standing)] if mark is not None and mark.standing.number else [])]
    report = verify_chain(
        realm, read_pieces(realm, last=end), lambda first, last: read_entries(realm, first, last), trusted, kept
    )
    late = _late(realm, end, [each.entry for each in report.problems if each.kind is Kind.INSERTED and each.entry is not None])
    report.problems = [each for each in report.problems if each.kind is not Kind.INSERTED or each.entry not in late]
    report.unsealed += len(late)
    if mark is None:
        report.add(Kind.UNSIGNED, None, "There is no trustworthy record of how far the trail had come.")
    if other := _other_past(realm):
        report.add(Kind.DOUBTED, None, f"The trail has a different past: {other}.")
    if waiting := count_forgotten(realm, report.seen_to, as_of):
        text = (
            f"{waiting} entries have waited too long to be sealed: start the server; if it does not seal them, its log says why."
        )
        report.add(Kind.UNSIGNED, None, text)
    return report


def _late(realm: str, end: int, numbers: Sequence[int]) -> set[int]:
    """Return which of these entries were written late, behind some that were sealed, and are sealed in the next batch.

    A transaction may commit a number after greater ones: sealing waits for it, see `AuditSealing.gaps`.

    :param end: number of the last batch that was followed. What has been sealed since is in a later one.
    """
    if not numbers:
        return set()
    with reading() as session:  # first what is waited for: what is no longer was sealed, and is in a batch
        waited_for = {gap[0] for gap in session.get_one(AuditSealing, 1).gaps}
    with reading() as session:
        query = select(AuditBatch).where(AuditBatch.realm == realm, AuditBatch.number > end)
        sealed = {number for row in session.scalars(query) for number in unpack(row).ids}
    return {number for number in numbers if number in waited_for or number in sealed}


def _newest_number(realm: str) -> int:
    return db.session.scalar(select(func.max(AuditBatch.number)).where(AuditBatch.realm == realm)) or 0


def _other_past(realm: str) -> str:
    """Return in what a trail differs from what this machine has seen of it before; empty for nothing."""
    known = witness.seen().get(realm)
    with reading() as session:  # begun after that was read: it cannot be ahead of the database
        query = select(AuditBatch).where(AuditBatch.realm == realm).order_by(AuditBatch.number.desc()).limit(1)
        return find_other_past(session, realm, session.scalar(query), known)


def count_forgotten(realm: str, after: int, as_of: datetime | None = None) -> int:
    """Return how many entries of a trail should have been sealed long ago, and are in no batch.

    :param after: number of the last entry that is.
    :param as_of: long before this moment; None for now.
    """
    patience = max(LEAST_PATIENCE, timedelta(seconds=10 * runtime.current().settings.audit_seal_seconds))
    due = (AuditEvent.realm == realm) & (AuditEvent.id > after) & (AuditEvent.at < (as_of or clock.now()) - patience)
    return db.session.scalar(select(func.count()).select_from(AuditEvent).where(due)) or 0


def look_at_end(realm: str) -> str:
    """Return what is wrong with the end of a trail, its last hundred batches; empty for nothing. It takes a moment only."""
    mark = read_mark(db.session(), realm)
    query = select(AuditBatch).where(AuditBatch.realm == realm).order_by(AuditBatch.number.desc()).limit(AT_END + 1)
    rows = list(db.session.scalars(query))
    newest = rows[0] if rows else None
    doubt = find_doubt(newest, mark) or _other_past(realm)
    if doubt and read_mark(db.session(), realm) != mark:
        return look_at_end(realm)  # a batch was sealed between two statements
    if doubt:
        return f"{doubt}."
    if waiting := count_forgotten(realm, max((number for row in rows for number in unpack(row).ids), default=0)):
        return f"{waiting} entries have waited too long to be sealed."
    if not rows:
        return ""
    before = rows.pop() if len(rows) > AT_END else None
    batches = [unpack(row) for row in reversed(rows)]
    start = Standing(before.number, before.total, before.head) if before is not None else _start_of(realm, batches[0])
    lowest = min(number for batch in batches for number in batch.ids)

    def fetch(first: int, last: int) -> Iterable[Entry]:
        return [] if last >= 2**63 - 1 else read_entries(realm, max(first, lowest), last)

    report = verify_chain(realm, batches, fetch, read_keys(public_keys(realm)), start=start)
    # what other batches hold lies between the entries of these
    return next((problem.text for problem in report.problems if problem.kind is not Kind.INSERTED), "")


def _start_of(realm: str, batch: Batch) -> Standing:
    """Return where the chain stood before the first batch that is left: at its beginning, or at the end of a cut."""
    cut = db.session.scalar(select(AuditCut).where(AuditCut.realm == realm, AuditCut.last == batch.number - 1))
    if cut is None:
        return beginning(realm)
    try:
        after = read_statement(cut.statement, CUT_TYPE, read_keys(public_keys(realm)))["after"]
        return Standing(after["number"], after["total"], after["head"])
    except (InvalidTokenError, KeyError, TypeError):
        return beginning(realm)


def read_pieces(realm: str, first: int = 1, last: int = 2**63 - 1) -> Iterator[Piece]:
    """Return the batches of a realm, and what is left of those that were cut, from one number to another, in order."""
    pieces: list[Iterable[Piece]] = [_read_cuts(realm, first), _read_batches(realm, first, last)]
    return heapq.merge(*pieces, key=lambda piece: piece.last if isinstance(piece, Cut) else piece.number)


def _read_batches(realm: str, first: int, last: int) -> Iterator[Batch]:
    number = first - 1
    wanted = (AuditBatch.realm == realm) & (AuditBatch.number <= last)
    query = select(AuditBatch).where(wanted).order_by(AuditBatch.number).limit(50)
    while rows := db.session.scalars(query.where(AuditBatch.number > number)).all():
        number = rows[-1].number
        for row in rows:
            db.session.expunge(row)  # a long chain does not gather in memory
            yield unpack(row)


def _read_cuts(realm: str, first: int) -> Iterator[Cut]:
    last = first - 1
    query = select(AuditCut).where(AuditCut.realm == realm).order_by(AuditCut.last).limit(50)
    while rows := db.session.scalars(query.where(AuditCut.last > last)).all():
        last = rows[-1].last
        for row in rows:
            db.session.expunge(row)
            yield unpack_cut(row)


def read_entries(realm: str, first: int, last: int) -> Iterable[Entry]:
    """Return the entries of a realm from one number to another, in order."""
    query = select(*_COLUMNS).where(AuditEvent.realm == realm, AuditEvent.id <= last).order_by(AuditEvent.id)
    while rows := db.session.execute(query.where(AuditEvent.id >= first).limit(_TOGETHER)).all():
        yield from map(Entry._make, rows)
        first = rows[-1].id + 1


def read_unsealed(realm: str) -> Iterable[Entry]:
    """Return the entries of a realm that no batch holds yet, in order."""
    state = db.session.get(AuditSealing, 1, populate_existing=True)
    return read_entries(realm, state.next_event if state is not None else 1, 2**63 - 1)
