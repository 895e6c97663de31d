"""How many tokens each application was issued and refused, day by day: added to where use is written, and shown in charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from idp import clock
from idp.applications.models import Application, DailyUse
from idp.db import commit, db
from idp.realms import Realm

KEEP = timedelta(days=90)
"""How long days are kept: the month that charts show, the one before it, and another for whoever looks late."""

PIECE, MOST_PIECES = 5_000, 50
"""Rows of one transaction of the tidying, and transactions of one."""


@dataclass(slots=True)
class DayCount:
    """How many tokens an application was issued and refused on a day."""

    issued: int = 0
    refused: int = 0


def day_of(time: datetime) -> datetime:
    """Return the beginning of the day of a time (UTC)."""
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def count_use(counts: Mapping[tuple[int, datetime], DayCount]) -> None:
    """Add to the days of applications, in the current transaction, and always in the order of their ids.

    Call it late: what several workers add to is then locked for a moment only. An application that has been deleted meanwhile is
    passed over; on PostgreSQL whoever is deleting it is waited for.

    :param counts: by the application's number and the beginning of the day.
    """
    if not counts:
        return
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    there = (
        select(
            Application.id,
            bindparam("day", type_=DailyUse.day.type),
            bindparam("issued", type_=DailyUse.issued.type),
            bindparam("refused", type_=DailyUse.refused.type),
        )
        .where(Application.id == bindparam("row"))
        .with_for_update(read=True, key_share=True)
    )
    new = insert(DailyUse).from_select(["application_id", "day", "issued", "refused"], there)
    added = new.on_conflict_do_update(
        index_elements=["application_id", "day"],
        set_={"issued": DailyUse.issued + new.excluded.issued, "refused": DailyUse.refused + new.excluded.refused},
    )
    rows: list[dict[str, Any]] = [
        {"row": row, "day": day, "issued": counts[row, day].issued, "refused": counts[row, day].refused}
        for row, day in sorted(counts)
    ]
    db.session.connection().execute(added, rows)


def list_use(application: Application, days: Sequence[datetime]) -> list[DayCount]:
    """Return what an application was issued and refused on each of these days.

    :param days: their beginnings, one after the other.
    """
    query = select(DailyUse).where(
        DailyUse.application_id == application.id, DailyUse.day >= min(days), DailyUse.day <= max(days)
    )
    found = {row.day: DayCount(row.issued, row.refused) for row in db.session.scalars(query)}
    return [found.get(day, DayCount()) for day in days]


def most_used(realm: Realm, since: datetime, limit: int) -> list[tuple[Application, int]]:
    """Return the applications of a realm that were issued most tokens since the beginning of a day, with how many."""
    issued = func.sum(DailyUse.issued)
    sums = (
        select(DailyUse.application_id, issued.label("issued"))
        .join(Application, Application.id == DailyUse.application_id)
        .where(Application.realm_id == realm.id, DailyUse.day >= since)
        .group_by(DailyUse.application_id)
        .having(issued > 0)
        .order_by(issued.desc(), DailyUse.application_id)
        .limit(limit)
        .subquery()
    )
    query = select(Application, sums.c.issued).join(sums, sums.c.application_id == Application.id)
    rows = db.session.execute(query.order_by(sums.c.issued.desc(), Application.id)).all()
    return [(application, int(count)) for application, count in rows]


def forget_old_use() -> None:
    """Remove days that no chart shows any more, piece by piece, each committed."""
    key = tuple_(DailyUse.application_id, DailyUse.day)
    for _ in range(MOST_PIECES):
        old = select(DailyUse.application_id, DailyUse.day).where(DailyUse.day < clock.now() - KEEP).limit(PIECE)
        removal = delete(DailyUse).where(key.in_(old)).execution_options(synchronize_session=False)
        removed = db.session.execute(removal)
        commit()
        if removed.rowcount < PIECE:  # type: ignore[attr-defined]
            break
