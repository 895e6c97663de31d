"""Passwords that were shown without a session beginning, and names that nobody has: gathered in memory, written in batches.

One event stands for all uses of a password from one address for one purpose within a second.
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import insert

from idp import audit
from idp.audit import AuditEvent, Gathering, Refusal, Refusals, Tag
from idp.db import commit, db, storage_errors
from idp.runtime import Runtime

MOST_KINDS = 10_000
"""Different uses told apart between two writes. Further ones are counted, and the count is recorded."""


class PasswordPurpose(StrEnum):
    """What a password is shown for when no session begins."""

    CALL = "call"
    """A call that shows it, by Basic."""
    CHANGE = "change"
    """To choose another."""
    ADDRESS = "address"
    """To verify an email address, or change it."""


@dataclass(frozen=True, slots=True)
class _Use:
    realm: str
    user: str
    address: str
    purpose: PasswordPurpose


class PasswordUsage:
    """What one worker has not written yet."""

    def __init__(self) -> None:
        self._uses: Gathering[_Use] = Gathering(MOST_KINDS)
        self._refusals = Refusals()

    def used(self, realm: str, user: str, address: str, purpose: PasswordPurpose) -> None:
        """Note that a right password was shown."""
        self._uses.add(_Use(realm, user, address, purpose))

    def refused(self, reason: str, address: str) -> None:
        """Note that somebody tried a name that nobody has."""
        self._refusals.add(Refusal(Tag.SIGN_IN_REFUSE, "", f"user:{audit.UNKNOWN}", reason, address))

    def flush(self) -> int:
        """Write what was gathered, in one transaction, and return the number of events. Runs in an application context.

        When it cannot be written, it is kept for the next time.
        """
        with self._uses.written() as used, self._refusals.written() as refused, storage_errors():
            events = [
                audit.event_values(
                    tally.at,
                    use.realm,
                    Tag.PASSWORD_USE,
                    f"user:{use.user}",
                    f"user:{use.user}",
                    use.address,
                    "success",
                    purpose=use.purpose.value,
                    count=tally.count,
                )
                for use, tally in used.tallies.items()
            ]
            events += audit.refusal_events(refused) + audit.lost_events("password", used.lost)
            if events:
                db.session.connection().execute(insert(AuditEvent), events)
                audit.count_events(events)
                commit()
        return len(events)


def password_usage(process: Runtime) -> PasswordUsage:
    """Return the usage gathered by this process."""
    found: PasswordUsage | None = process.extensions.get("password-usage")
    return found if found is not None else process.extensions.setdefault("password-usage", PasswordUsage())
