"""Which key was used when, from where, for what: gathered in memory, and written in batches.

One event stands for all uses of a key from one address for one purpose within a second.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, update

from idp import audit
from idp.apikeys.known import KnownKey
from idp.apikeys.models import ApiKey
from idp.audit import AuditEvent, Gathering, Refusal, Refusals, Tag, Tally
from idp.db import commit, db, storage_errors
from idp.runtime import Runtime

MOST_KINDS = 50_000
"""Different uses told apart between two writes, and kept while the database cannot be written. Further ones are counted, and the
count is recorded."""


@dataclass(frozen=True, slots=True)
class _Use:
    key_id: int
    realm: str
    public_part: str
    address: str
    tag: Tag


class KeyUsage:
    """What one worker has not written yet."""

    def __init__(self) -> None:
        self._uses: Gathering[_Use] = Gathering(MOST_KINDS)
        self._refusals = Refusals()

    def used(self, key: KnownKey, address: str, tag: Tag) -> None:
        """Note that a key was used."""
        self._uses.add(_Use(key.id, key.realm, key.public_part, address, tag))

    def refused(self, key: KnownKey | None, address: str, reason: str) -> None:
        """Note that a key was refused; None for one that nobody has."""
        realm, name = (key.realm, key.public_part) if key is not None else ("", audit.UNKNOWN)
        self._refusals.add(Refusal(Tag.API_KEY_REFUSE, realm, f"api-key:{name}", reason, address))

    def flush(self) -> int:
        """Write what was gathered, in one transaction, and return the number of events. Runs in an application context.

        When it cannot be written, it is kept for the next time.
        """
        with self._uses.written() as used, self._refusals.written() as refused, storage_errors():
            events = [_event(use, tally) for use, tally in used.tallies.items()]
            events += audit.refusal_events(refused) + audit.lost_events("api-key", used.lost)
            if events:
                _write(used.tallies, events)
        return len(events)


def key_usage(process: Runtime) -> KeyUsage:
    """Return the usage gathered by this process."""
    found: KeyUsage | None = process.extensions.get("key-usage")
    return found if found is not None else process.extensions.setdefault("key-usage", KeyUsage())


def _write(uses: Mapping[_Use, Tally], events: list[dict[str, Any]]) -> None:
    counts: Counter[int] = Counter()
    last: dict[int, tuple[Tally, _Use]] = {}
    for use, tally in uses.items():
        counts[use.key_id] += tally.count
        if use.key_id not in last or last[use.key_id][0].at <= tally.at:
            last[use.key_id] = tally, use
    # always in the order of their ids, so that two workers never wait for each other
    rows = [{"row": row, "n": counts[row], "at": last[row][0].at, "address": last[row][1].address} for row in sorted(counts)]
    connection = db.session.connection()
    connection.execute(insert(AuditEvent), events)
    if rows:  # after the events: other workers that add to these rows wait for the commit only
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
    audit.count_events(events)
    commit()


def _event(use: _Use, tally: Tally) -> dict[str, Any]:
    name = f"api-key:{use.public_part}"
    return audit.event_values(tally.at, use.realm, use.tag, name, name, use.address, "success", count=tally.count)
