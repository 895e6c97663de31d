"""Attempts that are counted before they are made, so that parallel ones cannot slip past the limit (T81).

The counters are rows of the database, which every worker and node shares. One statement takes a place; whoever gets none
is refused without a look at the password.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from sqlalchemy import Executable, Integer, bindparam, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from idp.db import SharedNow, commit, db, write_alone
from idp.errors import IdpError, Kind, Sentence, Term
from idp.networks import network_of, wide_network_of
from idp.ratelimit.models import AttemptCount
from idp.settings import CLOCK_LEEWAY
from idp.telemetry import count

WIDER = 5
"""How many times as much as one network of IPv6 the wider network around it may try, where there are 65,536 of them."""


_WORD = re.compile("[a-z-]*")


class TooManyAttemptsError(IdpError):
    """A limit is reached; `retry_after` says in how many seconds the next attempt is looked at."""

    kind = Kind.TOO_MANY

    def __init__(self, retry_after: int, what: str = "attempts") -> None:
        sentence = "Too many {what}. Try again in {seconds} seconds."
        super().__init__(Sentence(sentence, what=Term(what), seconds=retry_after))
        self.retry_after = retry_after


class Limit(NamedTuple):
    """A counter, and how far it goes."""

    what: str
    """What is counted, such as `reset from 192.0.2.7`. Metrics have the word that it begins with, of which there are a few."""
    most: int
    """The most of it in a window."""
    places: int = 1
    """How many places an attempt takes: 0 only asks whether there is room for one, at the same cost."""


@dataclass(frozen=True)
class Attempt:
    """A place that was taken in every counter. Give it back when the attempt succeeds: only failures count."""

    keys: tuple[str, ...]
    """The counters in which a place was taken."""

    def give_back(self) -> None:
        """Take the attempt out of the counters again, in the current transaction."""
        # in the order in which they were taken, so that two requests never wait for each other
        in_order = select(AttemptCount.key).where(AttemptCount.key.in_(self.keys)).order_by(AttemptCount.key)
        db.session.execute(in_order.with_for_update(key_share=True))
        counted = update(AttemptCount).where(AttemptCount.key.in_(self.keys), AttemptCount.count > 0)
        db.session.execute(
            counted.values(count=AttemptCount.count - 1).execution_options(synchronize_session=False),
        )


def network_limits(what: str, address: str, most: int) -> list[Limit]:
    """Return the limits of the network that a client is in: with IPv6, also of the wider one around it.

    :param what: what is counted there.
    :param most: the most of it from one network; the wider one may have several times as much.
    """
    network, wide = network_of(address), wide_network_of(address)
    limits = [Limit(f"{what} {network}", most)]
    return limits if wide == network else [*limits, Limit(f"{what} {wide}", WIDER * most)]


def reserve_attempt(limits: Sequence[Limit | tuple[str, int]], window: int) -> Attempt:
    """Take a place in every counter, and commit that before anything is tried.

    :param limits: what is counted and the most of it in a window.
    :param window: seconds.
    :raises TooManyAttemptsError: one of the counters is full; none of them has then moved.
    """
    try:
        keys = take_places(limits, window)
    except TooManyAttemptsError:
        db.session.rollback()
        raise
    commit()
    return Attempt(keys)


def take_places(limits: Sequence[Limit | tuple[str, int]], window: int) -> tuple[str, ...]:
    """Take a place in every counter as a part of the current transaction: what it does is counted if it is done.

    Another that takes a place in one of them waits until this one has ended, so that parallel ones cannot slip past the limit.

    :param limits: see `reserve_attempt`.
    :returns: the keys of the counters.
    :raises TooManyAttemptsError: one of the counters is full; others may have moved, and what is done must be undone.
    """
    # always in the same order, so that two requests never wait for each other
    counters = sorted((_key(limit.what), limit) for limit in (Limit(*each) for each in limits))
    for key, limit in counters:
        if (left := _take(key, limit, window)) is not None:
            count("realmgate_attempts_refused", 1, _WORD.match(limit.what)[0])  # type: ignore[index]  # it matches any text
            raise TooManyAttemptsError(max(1, int(left) + 1))
    return tuple(key for key, limit in counters if limit.places)


def _take(key: str, limit: Limit, window: int) -> float | None:
    """Take the places. Returns None, or the seconds until the window ends if it is full. One statement decides."""
    statement = _take_a_place(db.engine.dialect.name)
    values = {"key": key, "limit": limit.most, "places": limit.places, "window": window}
    if db.session.connection().execute(statement, values).first() is not None:
        return None
    full = db.session.execute(select(AttemptCount.window_ends_at, SharedNow()).where(AttemptCount.key == key)).first()
    return (full[0] - full[1]).total_seconds() if full is not None else window


def prove_counting(*, within: float) -> None:
    """Count one more in a counter of no use, and commit that: who can do it can sign people in. It is one row, whoever asks.

    :param within: seconds that it may take.
    :raises StorageUnavailableError: the database takes no writes.
    """
    values = {"key": "proof", "limit": 2**31 - 1, "places": 1, "window": 3600}
    write_alone(_take_a_place(db.engine.dialect.name), values, within=within)


@cache
def _take_a_place(dialect: str) -> Executable:
    """Return the statement that takes places unless the counter is full, written once: it runs several times a sign-in.

    A window that ends later than one would that begins now was begun by a clock that has been set back since: it is over, too.
    """
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    window, places = bindparam("window", type_=Integer), bindparam("places", type_=Integer)
    ends_at = SharedNow(window)
    over = (AttemptCount.window_ends_at <= SharedNow()) | (AttemptCount.window_ends_at > SharedNow(window + CLOCK_LEEWAY))
    return (
        insert(AttemptCount)
        .values(key=bindparam("key"), count=places, window_ends_at=ends_at)
        .on_conflict_do_update(
            index_elements=[AttemptCount.key],
            set_={
                "count": case((over, places), else_=AttemptCount.count + places),
                "window_ends_at": case((over, ends_at), else_=AttemptCount.window_ends_at),
            },
            where=over | (AttemptCount.count < bindparam("limit", type_=Integer)),
        )
        .returning(AttemptCount.count)
    )


def forget_old_attempts() -> None:
    """Remove counters whose window is over."""
    db.session.execute(delete(AttemptCount).where(AttemptCount.window_ends_at <= SharedNow()))


def _key(what: str) -> str:
    return hashlib.sha256(what.encode()).hexdigest()
