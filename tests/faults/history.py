"""What clients did and were answered, and what is wrong with it."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from idp.patience import LONGEST_CALL

GRACE = 1.0
"""Seconds after the answer to a revocation, from which on nothing may be accepted any more."""

LATE = 1.5
"""Seconds that a busy machine may add to what the server's own limits add up to."""


class Act(StrEnum):
    """What was done."""

    CREATE = "create"
    ISSUE = "issue"
    """A token was asked for; the subject is the credential."""
    REVOKE = "revoke"
    """A token was revoked, a secret retired, an application disabled."""
    USE = "use"
    """Something was used that was revoked before; it is granted if that succeeds."""
    CHECK = "check"
    """A token that nobody has revoked was introspected; it is granted if it is active."""
    REDEEM = "redeem"
    """Something that works once was used."""
    SIGN_IN = "sign in"
    """Somebody has signed in with their password; it is granted if that led to a code."""
    COME_BACK = "come back"
    """Somebody who has signed in before wanted a code; it is granted if there was one."""
    SIGN_OUT = "sign out"
    """Somebody has signed out; the subject is their session."""
    ASK_MAIL = "ask for mail"
    """Something was done of which a mail goes to the subject."""
    VERIFY = "verify"
    """A token was verified with the key set that was fetched before; it is granted if that succeeds."""
    READ = "read"
    """Something public was read: key set, discovery."""


@dataclass(frozen=True, slots=True)
class Event:
    """One call."""

    act: Act
    subject: str
    begun: float
    ended: float
    status: int
    """0 for no answer."""
    granted: bool
    detail: str = ""

    @property
    def is_failed(self) -> bool:
        """Whether the server said that it cannot, or nothing."""
        return self.status == 0 or self.status >= 500


@dataclass
class History:
    """Everything that several clients did."""

    events: list[Event] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    """Calls that the server put off without saying until when (RFC 9110 §15.6.4)."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, act: Act, subject: str, begun: float, status: int, *, granted: bool, detail: str = "") -> None:
        """Note a call that has just ended."""
        with self._lock:
            self.events.append(Event(act, subject, begun, time.monotonic(), status, granted, detail))

    def of(self, *acts: Act) -> list[Event]:
        """Return what was done of some kinds."""
        return [event for event in list(self.events) if event.act in acts]

    def failed(self, since: float = 0.0, until: float = float("inf")) -> list[Event]:
        """Return the calls of a time that failed."""
        return [event for event in list(self.events) if event.is_failed and since <= event.begun < until]

    def latency(self, part: float, since: float = 0.0, until: float = float("inf")) -> float:
        """Return within how many seconds a part of the calls of a time was answered."""
        took = sorted(event.ended - event.begun for event in list(self.events) if since <= event.begun < until)
        return took[min(len(took) - 1, int(part * len(took)))] if took else 0.0

    def summary(self) -> str:
        """Return how many calls of each kind there were, and how many of them failed."""
        total, failed = Counter(e.act for e in self.events), Counter(e.act for e in self.failed())
        return ", ".join(f"{act} {number}" + (f" ({failed[act]} failed)" if failed[act] else "") for act, number in total.items())


def p99(events: Iterable[Event]) -> float:
    """Return the seconds within which 99 of 100 calls were answered; 0 for none."""
    took = sorted(event.ended - event.begun for event in events)
    return took[min(len(took) - 1, int(0.99 * len(took)))] if took else 0.0


def check(history: History, present: Iterable[str]) -> list[str]:
    """Return what is wrong with a history; nothing, if all of it may be so.

    :param present: the names of what was created, as read at the end.
    """
    return [*_lost(history, set(present)), *_twice(history), *_revived(history), *_wronged(history), *_badly_answered(history)]


def _lost(history: History, present: set[str]) -> Iterator[str]:
    for event in history.of(Act.CREATE):
        if event.granted and event.subject not in present:
            yield f"{event.subject} was created, acknowledged, and is gone"


def _twice(history: History) -> Iterator[str]:
    won = Counter(event.subject for event in history.of(Act.REDEEM) if event.granted)
    for subject, times in won.items():
        if times > 1:
            yield f"{subject} works once, and has worked {times} times"


def _revived(history: History) -> Iterator[str]:
    over = {event.subject: event.ended for event in history.of(Act.REVOKE) if event.granted}
    for event in history.of(Act.USE):
        if event.granted and event.subject in over and event.begun > over[event.subject] + GRACE:
            late = event.begun - over[event.subject]
            yield f"{event.subject} was revoked, and accepted {late:.1f} s later"


def _wronged(history: History) -> Iterator[str]:
    """Look for what was refused without a reason."""
    for event in history.of(Act.VERIFY):
        if not event.granted:
            yield f"a token does not verify with the key set of its time: {event.detail}"
    revoked = defaultdict(lambda: float("inf"))
    for event in history.of(Act.REVOKE):
        revoked[event.subject] = min(revoked[event.subject], event.begun)
    for event in history.of(Act.CHECK, Act.ISSUE, Act.CREATE, Act.SIGN_IN, Act.COME_BACK, Act.SIGN_OUT, Act.ASK_MAIL):
        if not event.granted and not event.is_failed and event.ended < revoked[event.subject]:
            yield f"{event.subject} is good, and was refused with {event.status} {event.detail}".rstrip()
    once = defaultdict(list)
    for event in history.of(Act.REDEEM):
        once[event.subject].append(event)
    for subject, events in once.items():
        if not any(event.granted or event.is_failed for event in events):
            yield f"{subject} works once, and has never worked"


def _badly_answered(history: History) -> Iterator[str]:
    for call in history.untold:
        yield f"{call} was answered 503, and not told when to try again"
    for event in history.events:
        if event.status == 500:
            yield f"{event.act} {event.subject} was answered 500"
        is_queued = (
            event.act is Act.SIGN_IN
        )  # its password is checked after those of others, for which a busy machine takes its time
        if event.ended - event.begun > LONGEST_CALL + LATE and not is_queued:
            yield f"{event.act} {event.subject} took {event.ended - event.begun:.1f} s"
