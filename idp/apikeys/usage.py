"""Which key was used when, from where, for what: gathered in memory, and written in batches.

One event stands for all uses of a key from one address for one purpose within a second.
"""

import threading
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, update

from idp import audit, clock
from idp.apikeys.models import ApiKey
from idp.audit import AuditEvent, Tag
from idp.db import commit, db, storage_errors
from idp.runtime import Runtime

if TYPE_CHECKING:
    from idp.apikeys.known import KnownKey

MOST_KINDS = 50_000
"""Different uses told apart between two writes; the rest are counted as one, so that nobody can flood the trail."""


@dataclass(frozen=True, slots=True)
class _Use:
    key_id: int
    realm: str
    public_part: str
    actor: str
    address: str
    tag: Tag
    reason: str


_OTHER = _Use(0, "", "(unknown)", "unauthenticated", "", Tag.API_KEY_REFUSE, "other refusals")


class KeyUsage:
    """What one worker has not written yet."""

    def __init__(self) -> None:
        self._uses: Counter[_Use] = Counter()
        self._last: dict[int, tuple[datetime, str]] = {}
        self._lock = threading.Lock()

    def used(self, key: "KnownKey", address: str, tag: Tag) -> None:
        """Note that a key was used."""
        use = _Use(key.id, key.realm, key.public_part, f"api-key:{key.public_part}", address, tag, "")
        with self._lock:
            self._uses[use] += 1
            self._last[key.id] = (clock.now(), address)

    def refused(self, key: "KnownKey | None", address: str, reason: str) -> None:
        """Note that a key was refused; None for one that nobody has."""
        use = (
            _OTHER
            if key is None
            else _Use(key.id, key.realm, key.public_part, "unauthenticated", address, Tag.API_KEY_REFUSE, "")
        )
        use = _Use(use.key_id, use.realm, use.public_part, "unauthenticated", address, Tag.API_KEY_REFUSE, reason)
        with self._lock:
            full = use not in self._uses and len(self._uses) >= MOST_KINDS
            self._uses[_OTHER if full else use] += 1

    def flush(self) -> int:
        """Write what was gathered, in one transaction, and return the number of events. Runs in an application context.

        When it cannot be written, everything is kept for the next time.
        """
        with self._lock:
            uses, self._uses = self._uses, Counter()
            last, self._last = self._last, {}
        if not uses:
            return 0
        try:
            with storage_errors():
                _write(uses, last)
        except BaseException:
            with self._lock:
                self._uses.update(uses)
                self._last = last | self._last
            raise
        return len(uses)


def key_usage(process: Runtime) -> KeyUsage:
    """Return the usage gathered by this process."""
    found: KeyUsage | None = process.extensions.get("key-usage")
    return found if found is not None else process.extensions.setdefault("key-usage", KeyUsage())


def _write(uses: Counter[_Use], last: dict[int, tuple[datetime, str]]) -> None:
    counts: Counter[int] = Counter()
    for use, number in uses.items():
        if use.tag is not Tag.API_KEY_REFUSE:
            counts[use.key_id] += number
    # always in the order of their ids, so that two workers never wait for each other
    rows = [{"row": row, "n": counts[row], "at": last[row][0], "address": last[row][1]} for row in sorted(counts)]
    connection = db.session.connection()
    if rows:
        connection.execute(
            update(ApiKey)
            .where(ApiKey.id == bindparam("row"))
            .values(
                use_count=ApiKey.use_count + bindparam("n"),
                last_used_at=bindparam("at"),
                last_used_address=bindparam("address"),
            ),
            rows,
        )
    events = [_event(use, number) for use, number in uses.items()]
    connection.execute(insert(AuditEvent), events)
    audit.count_events(events)
    commit()


def _event(use: _Use, number: int) -> dict[str, object]:
    outcome = "refused" if use.tag is Tag.API_KEY_REFUSE else "success"
    detail: dict[str, object] = {"count": number} | ({"reason": use.reason} if use.reason else {})
    target = f"api-key:{use.public_part}"
    return audit.event_values(clock.now(), use.realm, use.tag, use.actor, target, use.address, outcome, **detail)
