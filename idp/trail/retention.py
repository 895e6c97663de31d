"""Retention: token events of the audit trail go when their time is over, whole batches at a time. Acts of people stay.

What goes is written to an archive first, where one is set. What stays of the batches is signed: how many events went, which
stayed, and where the chain stood before and after, so that the trail can be followed over the cut. Nothing is cut of a trail
that is not whole: a cut must not hide what was done to it.
"""

import logging
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, select, update

from idp import audit, clock, runtime
from idp.audit import AuditEvent, Tag
from idp.db import commit, db
from idp.realms import LEAST_AUDIT_DAYS, MASTER, PurgedRealm, Realm
from idp.trail.chain import Entry, Standing, beginning, fingerprint, pack_ids
from idp.trail.export import end_line, piece_lines, trail_line
from idp.trail.marks import public_keys
from idp.trail.models import AuditBatch, AuditCut, AuditSealing
from idp.trail.signing import sign_statement
from idp.trail.stored import read_entries
from idp.trail.verify import CHECKPOINT_TYPE, CUT_TYPE, Batch, read_keys, read_statement, unpack, verify_chain

PASSING = frozenset(
    {
        Tag.TOKEN_ISSUE, Tag.TOKEN_CODE, Tag.TOKEN_REFRESH, Tag.TOKEN_EXCHANGE, Tag.TOKEN_REFUSE, Tag.TOKEN_REVOKE,
        Tag.AUTHORIZATION_END, Tag.API_KEY_USE, Tag.API_KEY_EXCHANGE, Tag.API_KEY_REFUSE,
        Tag.SESSION_START, Tag.SESSION_REFRESH, Tag.SESSION_END, Tag.SESSION_REPLAY, Tag.SIGN_IN_REFUSE,
        Tag.LEASE_TAKE, Tag.LEASE_GIVE_BACK, Tag.LEASE_DIE, Tag.EVENTS_LOST,
    }
)  # fmt: skip # a list of words
"""What comes by the million and goes: that a credential was used or refused. What people do to others' things stays."""

TOGETHER = 200
"""Batches of one cut."""

MOST_CUTS = 50
"""Cuts of one realm in a row; the rest is left for the next time."""

_IDS_AT_ONCE = 1_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Plan:
    """What is cut in one go."""

    realm: str
    before: Standing
    batches: list[Batch]
    kept: list[tuple[int, bytes]]
    gone: list[int]

    @property
    def after(self) -> Standing:
        last = self.batches[-1]
        return Standing(last.number, last.total, last.head)


def cut_old_events() -> int:
    """Remove token events that are older than their realm keeps them; return how many. Every worker may call it at once."""
    cut = 0
    for name, days in _retentions():
        until = clock.now() - timedelta(days=days)
        for _ in range(MOST_CUTS):
            plan = _plan(name, until)
            db.session.rollback()
            if plan is None:
                break
            _archive(plan)
            cut += _carry_out(plan)
    return cut


def _retentions() -> list[tuple[str, int]]:
    """Return trails and for how many days each keeps its token events. The operators' realm says it for what has no realm."""
    by_realm = {row.name: row.audit_days for row in db.session.execute(select(Realm.name, Realm.audit_days))}
    of_master = by_realm.get(MASTER, 0)
    others = ["", *db.session.scalars(select(PurgedRealm.name))]
    found = [*by_realm.items(), *((name, of_master) for name in others)]
    db.session.rollback()
    return [(name, max(days, LEAST_AUDIT_DAYS)) for name, days in found if days]


def _plan(realm: str, until: datetime) -> _Plan | None:
    """Return what there is to cut of a trail; None for nothing. The newest batch always stays."""
    last_cut = db.session.scalar(select(AuditCut).where(AuditCut.realm == realm).order_by(AuditCut.last.desc()).limit(1))
    query = select(AuditBatch).where(AuditBatch.realm == realm).order_by(AuditBatch.number).limit(TOGETHER + 1)
    rows = db.session.scalars(query).all()
    old = [row for row in rows[:-1] if row.sealed_at < until]
    if not old or (len(old) < min(TOGETHER, len(rows) - 1) and (until - old[0].sealed_at) < timedelta(days=1)):
        return None  # a day's worth at a time, so that cuts do not come by the million instead
    keys = read_keys(public_keys(realm))
    before = beginning(realm)
    if last_cut is not None:
        before = Standing(**read_statement(last_cut.statement, CUT_TYPE, keys)["after"])
    batches = [unpack(row) for row in old]
    report = verify_chain(realm, batches, lambda first, last: _entries(realm, first, last), keys, start=before)
    signed_at = [int(read_statement(batch.checkpoint, CHECKPOINT_TYPE, keys)["iat"]) for batch in batches if not report.problems]
    if any(at >= until.timestamp() for at in signed_at):
        _log.error("the audit trail of %s has dates that are not those that were signed: nothing is cut", realm or "the server")
        return None
    if report.problems:
        _log.error(
            "nothing is cut of the audit trail of %s, which is not whole: %s", realm or "the server", report.problems[0].text
        )
        return None
    return _sort_out(realm, before, batches)


def _entries(realm: str, first: int, last: int) -> list[Entry]:
    return [] if last >= 2**63 - 1 else list(read_entries(realm, first, last))


def _sort_out(realm: str, before: Standing, batches: list[Batch]) -> _Plan:
    ids = [number for batch in batches for number in batch.ids]
    tags: dict[int, str] = {}
    for start in range(0, len(ids), _IDS_AT_ONCE):
        query = select(AuditEvent.id, AuditEvent.tag).where(AuditEvent.id.in_(ids[start : start + _IDS_AT_ONCE]))
        tags.update((row.id, row.tag) for row in db.session.execute(query))
    kept = [
        (number, digest)
        for batch in batches
        for number, digest in zip(batch.ids, batch.digests, strict=True)
        if tags[number] not in PASSING
    ]
    return _Plan(realm, before, batches, kept, [number for number in ids if tags[number] in PASSING])


def _archive(plan: _Plan) -> None:
    """Write what is going to be cut, whole and durably, in the form of an export.

    :raises OSError: it cannot be written; nothing is then cut.
    """
    folder = runtime.current().settings.audit_archive_dir
    if folder is None:
        return
    first, last = plan.batches[0].number, plan.batches[-1]
    path = Path(folder) / f"audit-{plan.realm or '(server)'}-{first:09}-{last.number:09}.jsonl"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(trail_line(plan.realm, plan.before if plan.before.number else None))
        for batch in plan.batches:
            file.writelines(piece_lines(plan.realm, batch))
        file.write(end_line(plan.after, last.checkpoint, 0))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    db.session.rollback()


def _carry_out(plan: _Plan) -> int:
    """Cut, in one transaction. Of several workers at once one does it."""
    first, last = plan.batches[0].number, plan.batches[-1].number
    # the row that sealing changes too: whoever has it is alone, and the triggers let nobody else remove anything
    db.session.execute(update(AuditSealing).where(AuditSealing.id == 1).values(cutting=True))
    of_plan = (AuditBatch.realm == plan.realm) & AuditBatch.number.between(first, last)
    gone = db.session.scalars(delete(AuditBatch).where(of_plan).returning(AuditBatch.number)).all()
    if len(gone) != len(plan.batches):
        db.session.rollback()
        return 0
    for start in range(0, len(plan.gone), _IDS_AT_ONCE):
        db.session.execute(delete(AuditEvent).where(AuditEvent.id.in_(plan.gone[start : start + _IDS_AT_ONCE])))
    ids, digests = [number for number, _ in plan.kept], [digest for _, digest in plan.kept]
    claims = {
        "first": first,
        "last": last,
        "before": plan.before._asdict(),
        "after": plan.after._asdict(),
        "cut": len(plan.gone),
        "kept": fingerprint(ids, digests),
    }
    statement, _ = sign_statement(plan.realm, CUT_TYPE, clock.timestamp(), claims)
    db.session.add(
        AuditCut(
            realm=plan.realm, first=first, last=last, kept_ids=pack_ids(ids), kept_digests=b"".join(digests), statement=statement
        )
    )
    db.session.execute(update(AuditSealing).where(AuditSealing.id == 1).values(cutting=False))
    with audit.acting_as(audit.SYSTEM):
        audit.record(Tag.AUDIT_CUT, plan.realm, "server:realmgate", first=first, last=last, cut=len(plan.gone), kept=len(ids))
    commit()
    return len(plan.gone)
