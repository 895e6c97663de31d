"""The outbox of what applications are told: that a person has signed out. Nobody who signs out waits for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from idp import clock
from idp.authorizations.models import Authorization, LogoutNotice
from idp.db import Base, commit, db, reading

LEASE = timedelta(minutes=1)
"""How long a notice belongs to the worker that sends it. One that dies leaves it to the next after that."""

WAITS = (5, 30, 120, 600, 1800, 3600)
"""Seconds between one try and the next; after the last, the notice is given up: by then the tokens have expired."""


@dataclass(frozen=True, slots=True)
class DueNotice:
    """A notice that was claimed to be sent."""

    id: int
    realm_id: int
    application_id: int
    subject: str
    session_uid: str
    created_at: datetime
    tries: int


def enqueue(ended: Iterable[Authorization]) -> None:
    """Note whom to tell of authorizations that have just ended: each application that wants to be told, once for a session."""
    application, user = Base.metadata.tables["application"], Base.metadata.tables["user_account"]
    for row in {(each.application_id, each.sid): each for each in ended}.values():
        wants = select(application.c.backchannel_logout_uri).where(application.c.id == row.application_id)
        if db.session.scalar(wants):
            subject = db.session.scalar(select(user.c.uid).where(user.c.id == row.user_id)) or ""
            notice = LogoutNotice(
                realm_id=row.realm_id,
                application_id=row.application_id,
                subject=subject,
                session_uid=row.sid,
                due_at=clock.now(),
            )
            db.session.add(notice)


def claim() -> DueNotice | None:
    """Claim a notice that is due, in one statement, and commit that; None if there is none."""
    now = clock.now()
    due = select(LogoutNotice.id).where(LogoutNotice.due_at <= now).order_by(LogoutNotice.id).limit(1)
    with reading() as session:
        if session.scalar(due) is None:
            return None  # the usual case, found out without keeping a writer waiting
    row = db.session.execute(
        update(LogoutNotice)
        .where(LogoutNotice.id == due.scalar_subquery(), LogoutNotice.due_at <= now)
        .values(due_at=now + LEASE, tries=LogoutNotice.tries + 1)
        .returning(
            LogoutNotice.id,
            LogoutNotice.realm_id,
            LogoutNotice.application_id,
            LogoutNotice.subject,
            LogoutNotice.session_uid,
            LogoutNotice.created_at,
            LogoutNotice.tries,
        )
    ).first()
    commit()
    return DueNotice(*row) if row is not None else None


def done(notice: DueNotice) -> None:
    """Forget a notice that was delivered, or is of no use any more."""
    db.session.execute(delete(LogoutNotice).where(LogoutNotice.id == notice.id))
    commit()


def put_off(notice: DueNotice) -> bool:
    """Try a notice again later; tell whether there is a later."""
    if notice.tries > len(WAITS):
        done(notice)
        return False
    due_at = clock.now() + timedelta(seconds=WAITS[notice.tries - 1])
    db.session.execute(update(LogoutNotice).where(LogoutNotice.id == notice.id).values(due_at=due_at))
    commit()
    return True
