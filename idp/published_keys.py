"""Public keys that others publish at a URL: fetched beside all requests, kept in the database, and from there with all workers.

A request only says that keys are wanted. Whichever worker of all nodes claims a key set first fetches it. Who does not answer
keeps their last keys for as long as is said for them.
"""

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import JSON, ColumnElement, String, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock, outbound, runtime
from idp.db import commit, db, reading
from idp.jose import InvalidTokenError, Key, import_key
from idp.outbound import Document, OutboundError, Reach

LONGEST_DOCUMENT = 262_144
"""Bytes of a key set, or of a document that leads to one."""

LEAST_KEPT, MOST_KEPT, USUALLY_KEPT = timedelta(minutes=5), timedelta(days=1), timedelta(hours=1)
"""For how long a key set is kept before it is fetched again, whatever its server says, and if it says nothing."""

AGAIN_AFTER, AGAIN_AT_LAST = timedelta(seconds=15), timedelta(minutes=15)
"""Between two tries of a server that does not answer: longer and longer."""

CLAIMED_FOR = timedelta(seconds=60)
"""For how long nobody else fetches the keys that a worker has begun to fetch: it may have died meanwhile."""

COOL_DOWN = timedelta(seconds=60)
"""Between two fetches because an assertion has named a key that is not there."""

MOST_AT_ONCE = 20
"""Key sets that are fetched before a worker looks anew at which are due."""

_KEY_ALGORITHMS = {
    "RSA": ("RS256", "PS256", "RS384", "PS384", "RS512", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA", "Ed25519"),
}
"""What a key may sign with, by its type or curve (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2)."""

_KEPT = ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "use")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that somebody signs their assertions with."""

    kid: str | None
    algorithms: tuple[str, ...]
    key: Key
    x5t: str = ""
    """SHA-256 of its certificate, as base64url; empty where it came without one."""
    credential: str = ""
    """What tokens name it by that are fetched with it; empty for one that is published elsewhere."""


def algorithms_of(jwk: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the algorithms that a public key may be used with, by its type and curve."""
    return _KEY_ALGORITHMS["RSA" if jwk["kty"] == "RSA" else jwk["crv"]]


def public_key_of(jwk: dict[str, str]) -> PublicKey:
    """Bind a key to the algorithms it may be used with: its own `alg`, or those of its type (RFC 8725 §3.1).

    :raises InvalidTokenError: it is none that can be used.
    """
    algorithms = tuple(each for each in algorithms_of(jwk) if each == jwk.get("alg", each))
    return PublicKey(kid=jwk.get("kid"), algorithms=algorithms, key=import_key(jwk), x5t=jwk.get("x5t#S256", ""))


class Published:
    """Columns of what has a key set that is fetched."""

    fetched_keys: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """The keys as they were fetched last, reduced to what is needed."""
    fetched_at: Mapped[datetime | None]
    fetch_at: Mapped[datetime] = mapped_column(default=clock.now, index=True)
    """When they are to be fetched next."""
    wanted_at: Mapped[datetime | None]
    """When an assertion last named a key that is not among them."""
    fetch_error: Mapped[str] = mapped_column(String(300), default="")
    """Why the last try has failed; empty if it has not."""
    failing_since: Mapped[datetime | None]


Row = TypeVar("Row", bound=Published)


def may_want(what: str, remembered: dict[Any, Any], now: datetime) -> bool:
    """Tell whether something may be wanted again: once in a minute is enough. If so, that minute begins.

    :param remembered: what is kept in memory of whose it is, for as long as that holds.
    """
    last = remembered.get(what)
    if last is not None and now - last < COOL_DOWN:
        return False
    remembered[what] = now
    return True


@dataclass(frozen=True)
class Fetcher(Generic[Row]):
    """Fetches the key sets of one table."""

    table: type[Row]
    is_fetched: Callable[[], ColumnElement[bool]]
    """Returns the condition that the keys of a row are fetched at all."""
    address: Callable[[Row], Hashable]
    """Returns where those of a row are."""
    fetch: Callable[[Any], tuple[list[dict[str, Any]], timedelta]]
    """Returns the keys that are at such an address, and for how long they are to be kept; raises OutboundError for none."""
    tell: Callable[[Row], None]
    """Tells all workers that what they know of a row is out of date."""
    title: Callable[[Row], str]
    """Returns what the log calls a row."""

    def want(self, condition: ColumnElement[bool], remembered: dict[Any, Any]) -> None:
        """Say that an assertion has named a key which a row may have by now, and commit.

        Within a minute, once is enough; this worker asks no more often either, so that assertions of strangers cost no statement.

        :param remembered: what is kept of the row in memory, for as long as it holds.
        """
        now, table = clock.now(), self.table
        if not may_want("keys", remembered, now):
            return
        statement = update(table).where(condition, or_(table.wanted_at.is_(None), table.wanted_at < now - COOL_DOWN))
        db.session.execute(statement.values(wanted_at=now, fetch_at=now).execution_options(synchronize_session=False))
        commit()

    def fetch_due(self) -> int:
        """Fetch the key sets that are due, each in no transaction, and commit; return how many were fetched."""
        table: Any = self.table
        with reading() as session:
            due = select(table.id).where(self.is_fetched(), table.fetch_at <= clock.now())
            found = list(session.scalars(due.order_by(table.fetch_at).limit(MOST_AT_ONCE)))
        return sum(self.fetch_one(number) for number in found if self._claim(number))

    def _claim(self, number: int) -> bool:
        """Claim the next fetch of a row, and commit. One statement decides: True for exactly one caller."""
        now, table = clock.now(), self.table
        key: Any = table
        claim = update(table).where(key.id == number, table.fetch_at <= now).values(fetch_at=now + CLAIMED_FOR)
        is_ours = db.session.execute(claim.returning(key.id)).first() is not None
        commit()
        return is_ours

    def fetch_one(self, number: int) -> bool:
        """Fetch the key set of one row, and commit what became of that; tell whether it was fetched."""
        with reading() as session:
            row = session.get(self.table, number)
            if row is None:
                return False
            address = self.address(row)
        try:
            keys, kept = self.fetch(address)
            problem = ""
        except OutboundError as error:
            keys, kept, problem = [], timedelta(), str(error)
        self._note(number, address, keys, kept, problem)
        return not problem

    def _note(self, number: int, address: Hashable, keys: Sequence[dict[str, Any]], kept: timedelta, problem: str) -> None:
        row = db.session.get(self.table, number, with_for_update=True)
        if row is None or self.address(row) != address:  # it has moved meanwhile: this is of somebody else
            db.session.rollback()
            return
        now = clock.now()
        if problem:
            row.failing_since = row.failing_since or now
            row.fetch_error, row.fetch_at = problem[:300], now + _pause(row.failing_since, now)
            _log.warning("the key set of %s was not fetched: %s", self.title(row), problem)
        else:
            changed = row.fetched_keys != keys
            row.fetched_keys, row.fetched_at, row.fetch_at = list(keys), now, now + kept
            row.fetch_error, row.failing_since = "", None
            if changed:
                _log.info("%s has other keys", self.title(row))
        self.tell(row)
        commit()


def _pause(failing_since: datetime, now: datetime) -> timedelta:
    """Return how long to wait for the next try: as long as it has failed so far, within bounds."""
    return min(max(now - failing_since, AGAIN_AFTER), AGAIN_AT_LAST)


def fetch_document(url: str) -> Document:
    """Fetch a key set, or a document that leads to one.

    :raises OutboundError: it is not to be had.
    """
    reach = Reach(networks=runtime.current().settings.outbound_networks)
    return outbound.fetch_json(url, reach=reach, longest=LONGEST_DOCUMENT)


def fetch_key_set(url: str, most: int) -> tuple[list[dict[str, Any]], timedelta]:
    """Return the usable keys of a key set, and for how long they are to be kept.

    :param most: keys that it may have.
    :raises OutboundError: they are not to be had.
    """
    fetched = fetch_document(url)
    kept = USUALLY_KEPT if fetched.max_age is None else timedelta(seconds=fetched.max_age)
    return usable_keys(fetched.content, most), min(max(kept, LEAST_KEPT), MOST_KEPT)


def usable_keys(document: dict[str, Any], most: int) -> list[dict[str, Any]]:
    """Return the keys of a key set that assertions may be signed with, reduced to what is needed.

    :param most: keys that it may have.
    :raises OutboundError: it has none, or too many.
    """
    keys = document.get("keys")
    if not isinstance(keys, list) or len(keys) > most:
        raise OutboundError(f"The key set is no list of at most {most} keys.")
    found = [usable for usable in map(_usable, keys) if usable is not None]
    if not found:
        raise OutboundError("The key set has no key that assertions can be signed with here.")
    return found


def _usable(jwk: Any) -> dict[str, Any] | None:
    """Return what is needed of a key; None if assertions cannot be signed with it."""
    # a SPIFFE bundle says `jwt-svid` for what everything else calls `sig`
    if not isinstance(jwk, dict) or jwk.get("use", "sig") not in ("sig", "jwt-svid"):
        return None
    key = jwk | ({"use": "sig"} if "use" in jwk else {})
    try:
        public_key_of(key)
    except (InvalidTokenError, KeyError, TypeError):
        return None
    return {name: key[name] for name in _KEPT if name in key}
