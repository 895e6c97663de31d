"""How much goes on, hour by hour: counts that are kept beside the trail, so that a chart need not read a million events."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Index, String, cast, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.audit.tags import Tag
from idp.db import Base, db

KEEP = timedelta(days=400)
"""How long counts are kept: a year, and the month that it is compared with."""

LONGEST_REASON = 120

TOKENS_AND_CALLS = frozenset(
    {Tag.TOKEN_ISSUE, Tag.TOKEN_CODE, Tag.TOKEN_REFRESH, Tag.TOKEN_EXCHANGE, Tag.API_KEY_EXCHANGE, Tag.API_KEY_USE}
)
"""What a credential that works is used for."""

REFUSED_CREDENTIALS = frozenset({Tag.TOKEN_REFUSE, Tag.API_KEY_REFUSE, Tag.SIGN_IN_REFUSE})
"""What becomes of one that does not work."""

COUNTED = frozenset(
    {
        Tag.TOKEN_ISSUE, Tag.TOKEN_CODE, Tag.TOKEN_REFRESH, Tag.TOKEN_EXCHANGE, Tag.TOKEN_REFUSE, Tag.API_KEY_USE,
        Tag.API_KEY_EXCHANGE, Tag.API_KEY_REFUSE, Tag.SESSION_START, Tag.PASSWORD_USE, Tag.SIGN_IN_REFUSE,
    }
)  # fmt: skip # a list of words
"""The acts that come in numbers. What administrators do is in the trail itself."""


class ActivityCount(Base):
    """How often something happened in a realm in one hour."""

    __tablename__ = "activity_count"
    __table_args__ = (Index("ix_activity_count_hour", "hour"),)

    realm: Mapped[str] = mapped_column(String(64), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    """When the hour begins (UTC)."""
    tag: Mapped[str] = mapped_column(String(40), primary_key=True)
    reason: Mapped[str] = mapped_column(String(LONGEST_REASON), primary_key=True)
    """Why it was refused; empty for what succeeded."""
    count: Mapped[int] = mapped_column(BigInteger)


@dataclass(frozen=True, slots=True)
class Activity:
    """How often something happened in an hour."""

    hour: datetime
    tag: Tag
    reason: str
    count: int


def count_events(events: Iterable[dict[str, Any]]) -> None:
    """Add events to the counts of their hours, in the current transaction.

    Call it last: the rows that several workers add to are then locked for a moment only, and always in the same order.

    :param events: as `event_values` returns them; those that are not counted are passed over.
    """
    counts: Counter[tuple[str, datetime, str, str]] = Counter()
    for event in events:
        if event["tag"] in COUNTED:
            hour = event["at"].replace(minute=0, second=0, microsecond=0)
            reason = event["detail"].get("reason", "")[:LONGEST_REASON]
            counts[event["realm"], hour, event["tag"], reason] += event["detail"].get("count", 1)
    if not counts:
        return
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    new = insert(ActivityCount)
    added = new.on_conflict_do_update(
        index_elements=["realm", "hour", "tag", "reason"], set_={"count": ActivityCount.count + new.excluded.count}
    )
    db.session.connection().execute(
        added,
        [{"realm": r, "hour": h, "tag": t, "reason": why, "count": counts[r, h, t, why]} for r, h, t, why in sorted(counts)],
    )


def count_one(tag: Tag, realm: str, reason: str = "", *, number: int = 1) -> None:
    """Add one event that is recorded by itself, as `count_events` does.

    :param number: 0 to do the same work for one that is recorded later (T85).
    """
    count_events([{"tag": tag.value, "realm": realm, "at": clock.now(), "detail": {"reason": reason, "count": number}}])


def list_activity(realm: str, since: datetime, *, by_day: bool = False) -> Sequence[Activity]:
    """Return what happened in a realm since the beginning of an hour, hour by hour.

    :param by_day: day by day instead, each by its first hour: two months have fifty times as many rows by the hour.
    """
    counts = ActivityCount
    if not by_day:
        query = select(counts.hour, counts.tag, counts.reason, counts.count)
    else:
        # times are written alike in every database, in UTC, with the day before all else
        day = func.substr(cast(counts.hour, String), 1, 10)
        query = select(day, counts.tag, counts.reason, func.sum(counts.count)).group_by(day, counts.tag, counts.reason)
    query = query.where(counts.realm == realm, counts.hour >= since)
    rows = db.session.execute(query.order_by(query.selected_columns[0], counts.tag, counts.reason))
    return [Activity(_hour(at), Tag(tag), reason, int(count)) for at, tag, reason, count in rows]


def _hour(at: datetime | str) -> datetime:
    return datetime.fromisoformat(at).replace(tzinfo=UTC) if isinstance(at, str) else at


def forget_old_activity() -> None:
    """Remove counts that are no longer needed."""
    db.session.execute(delete(ActivityCount).where(ActivityCount.hour < clock.now() - KEEP))


def activity_totals(since: datetime) -> dict[str, int]:
    """Return by realm how many tokens were issued and keys exchanged since then."""
    issued = tuple(
        each.value for each in (Tag.TOKEN_ISSUE, Tag.TOKEN_CODE, Tag.TOKEN_REFRESH, Tag.TOKEN_EXCHANGE, Tag.API_KEY_EXCHANGE)
    )
    query = (
        select(ActivityCount.realm, func.sum(ActivityCount.count))
        .where(ActivityCount.hour >= since, ActivityCount.tag.in_(issued))
        .group_by(ActivityCount.realm)
    )
    return {realm: int(count) for realm, count in db.session.execute(query)}
