"""Attempts that are counted before they are made, so that parallel ones cannot slip past the limit (T81).

The counters are rows of the database, which every worker and node shares. One statement takes a place; whoever gets none
is refused without a look at the password.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache

from sqlalchemy import Executable, Integer, bindparam, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from idp import clock
from idp.db import UtcDateTime, commit, db
from idp.errors import IdpError
from idp.ratelimit.models import AttemptCount


class TooManyAttemptsError(IdpError):
    """A limit is reached; `retry_after` says in how many seconds the next attempt is looked at."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many attempts. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Attempt:
    """A place that was taken in every counter. Give it back when the attempt succeeds: only failures count."""

    keys: tuple[str, ...]

    def give_back(self) -> None:
        """Take the attempt out of the counters again, in the current transaction."""
        # in the order in which they were taken, so that two requests never wait for each other
        in_order = select(AttemptCount.key).where(AttemptCount.key.in_(self.keys)).order_by(AttemptCount.key)
        db.session.execute(in_order.with_for_update(key_share=True))
        counted = update(AttemptCount).where(AttemptCount.key.in_(self.keys), AttemptCount.count > 0)
        db.session.execute(
            counted.values(count=AttemptCount.count - 1).execution_options(synchronize_session=False),
        )


def reserve_attempt(limits: Sequence[tuple[str, int]], window: int) -> Attempt:
    """Take a place in every counter, and commit that before anything is tried.

    :param limits: what is counted (such as `account:acme:ann@example.com`) and the most of it in a window.
    :param window: seconds.
    :raises TooManyAttemptsError: one of the counters is full; none of them has then moved.
    """
    # always in the same order, so that two requests never wait for each other
    taken = sorted((_key(what), limit) for what, limit in limits)
    now = clock.now()
    ends_at = now + timedelta(seconds=window)
    for key, limit in taken:
        full_until = _take(key, limit, now, ends_at)
        if full_until is not None:
            db.session.rollback()
            raise TooManyAttemptsError(max(1, int((full_until - now).total_seconds()) + 1))
    commit()
    return Attempt(tuple(key for key, _ in taken))


def _take(key: str, limit: int, now: datetime, ends_at: datetime) -> datetime | None:
    """Count one more. Returns None, or when the window ends if it is full. One statement decides."""
    statement = _take_a_place(db.engine.dialect.name)
    values = {"key": key, "limit": limit, "now": now, "ends_at": ends_at}
    if db.session.connection().execute(statement, values).first() is not None:
        return None
    full = db.session.get(AttemptCount, key, populate_existing=True)
    return full.window_ends_at if full is not None else ends_at


@cache
def _take_a_place(dialect: str) -> Executable:
    """Return the statement that counts one more unless the counter is full, written once: it runs three times a sign-in."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    ends_at = bindparam("ends_at", type_=UtcDateTime)
    over = AttemptCount.window_ends_at <= bindparam("now", type_=UtcDateTime)
    return (
        insert(AttemptCount)
        .values(key=bindparam("key"), count=1, window_ends_at=ends_at)
        .on_conflict_do_update(
            index_elements=[AttemptCount.key],
            set_={
                "count": case((over, 1), else_=AttemptCount.count + 1),
                "window_ends_at": case((over, ends_at), else_=AttemptCount.window_ends_at),
            },
            where=over | (AttemptCount.count < bindparam("limit", type_=Integer)),
        )
        .returning(AttemptCount.count)
    )


@lru_cache(maxsize=10_000)
def network_of(address: str) -> str:
    """Return what a client can be told by: its IPv4 address, or the /64 network that an IPv6 client has to itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    if parsed.version == 4 or mapped is not None:
        return str(mapped or parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def forget_old_attempts() -> None:
    """Remove counters whose window is over."""
    db.session.execute(delete(AttemptCount).where(AttemptCount.window_ends_at <= clock.now()))


def _key(what: str) -> str:
    return hashlib.sha256(what.encode()).hexdigest()
