"""Rates: how often something may be done in a second, with bursts, counted in memory or in a Valkey that all processes share.

The generic cell rate algorithm (ITU-T I.371): one number for each thing that is limited, the time at which its bucket would be
full again. It is written here and not taken from a library, because every token passes it three times; docs/benchmarks.md has
what that costs.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from idp.errors import IdpError, Kind
from idp.ratelimit.shared import SharedCounters, StoreError
from idp.runtime import Runtime

BURST = 5
"""How many seconds' worth of calls may come at once."""

MOST_COUNTED = 200_000
"""Things that each process counts at the same time."""

STRICTER = 2
"""By how much each process lowers every rate while the shared counters cannot be reached: what one has let pass, the others
do not know."""

FORGOTTEN = 0.5
"""Seconds by which shared counters may say that a bucket is fuller than they have said before."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may be done."""

    name: str
    """What the `RateLimit` headers call it."""
    per_second: float
    burst: int
    """How many may come at once, after a pause."""


class Use:
    """One use of something that is limited. What is used again and again is made once."""

    __slots__ = ("cost", "key", "rate", "what")

    def __init__(self, rate: Rate, what: str, cost: int = 1) -> None:
        """Describe a use.

        :param what: who or what uses it: an address, an application, a key.
        :param cost: how many uses it counts for; 0 only asks whether there is room for one.
        """
        self.rate, self.what, self.cost = rate, what, cost
        self.key = f"{rate.name}/{what}"


class Standing(NamedTuple):
    """How it stands with a rate after a use."""

    rate: Rate
    remaining: int
    """How many more may come at once."""
    reset: int
    """Seconds until as many as ever may come at once."""


def rate_headers(rate: Rate, remaining: int, reset: int) -> dict[str, str]:
    """Return how it stands with a rate, as headers (draft-ietf-httpapi-ratelimit-headers §3)."""
    window = max(1, round(rate.burst / rate.per_second))
    return {
        "RateLimit-Policy": f'"{rate.name}";q={rate.burst};w={window}',
        "RateLimit": f'"{rate.name}";r={remaining};t={reset}',
    }


class RateExceededError(IdpError):
    """It was done too often; `retry_after` says in how many seconds it may be done again."""

    kind = Kind.TOO_MANY

    def __init__(self, rate: Rate, retry_after: float) -> None:
        self.retry_after = max(1, math.ceil(retry_after))
        super().__init__(f"Too many requests ({rate.name}). Try again in {self.retry_after} seconds.")
        self.rate = rate


class Refusal(NamedTuple):
    """Which of several uses has no room, and for how many seconds."""

    number: int
    wait: float


class _Bucket:
    """A leaky bucket: when it will be full again, and what it takes."""

    __slots__ = ("each", "full_at", "rate", "room")

    def __init__(self, rate: Rate, share: float) -> None:
        self.rate = rate
        self.full_at = 0.0
        self.take_share(share)

    def take_share(self, share: float) -> None:
        self.each = 1 / (self.rate.per_second * share)
        self.room = self.each * max(1, math.ceil(self.rate.burst * share))


class MemoryCounters:
    """Counters of one process.

    A lock is not needed: two threads at the same moment may count one use as one instead of two, which errs by one, once.
    """

    def __init__(self, share: float = 1) -> None:
        """Count a share of every rate: of several processes, each lets its part pass."""
        self.share = share
        self._buckets: dict[str, _Bucket] = {}

    def take_share(self, share: float) -> None:
        """Count another share of every rate from now on. What was used stays used."""
        if share != self.share:
            self.share = share
            for bucket in list(self._buckets.values()):
                bucket.take_share(share)

    def recall(self, uses: Sequence[Use]) -> list[float]:
        """Return the moment, on the steady clock, at which the bucket of each use will be full as far as is known."""
        now = time.monotonic()
        return [self._bucket(use, now).full_at for use in uses]

    def remember(self, uses: Sequence[Use], until_full: Sequence[float], known: Sequence[float]) -> bool:
        """Take over what others have counted, to go on from there.

        :param until_full: for each use the seconds until its bucket is full again, as they say.
        :param known: what `recall` has said before they were asked.
        :returns: False, and nothing is taken over, if they have forgotten what was known.
        """
        now = time.monotonic()
        if any(full_at - now > seconds + FORGOTTEN for full_at, seconds in zip(known, until_full, strict=True)):
            return False
        for use, seconds in zip(uses, until_full, strict=True):
            bucket = self._bucket(use, now)
            bucket.full_at = max(bucket.full_at, now + seconds)
        return True

    def use(self, uses: Sequence[Use]) -> list[float] | Refusal:
        """Count all uses or none, and return for each the seconds until its bucket is full again."""
        now = time.monotonic()
        found: list[float] = []
        for use in uses:
            bucket = self._bucket(use, now)
            full = max(now, bucket.full_at)
            wait = full + bucket.each * (use.cost or 1) - now - bucket.room
            if wait > 1e-9:
                return Refusal(len(found), wait)
            found.append(full + bucket.each * use.cost - now)
        for use, until_full in zip(uses, found, strict=True):
            if use.cost:
                self._buckets[use.key].full_at = now + until_full
        return found

    def _bucket(self, use: Use, now: float) -> _Bucket:
        bucket = self._buckets.get(use.key)
        if bucket is None or (bucket.rate is not use.rate and bucket.rate != use.rate):
            return self._new(use, now)
        return bucket

    def _new(self, use: Use, now: float) -> _Bucket:
        """Make the bucket of a use, or give it another rate; drop those that have run their time when there are too many."""
        former = self._buckets.get(use.key)
        bucket = _Bucket(use.rate, self.share)
        if former is not None:
            bucket.full_at = min(former.full_at, now + bucket.room)
        if len(self._buckets) >= MOST_COUNTED:
            kept = sorted(
                (item for item in list(self._buckets.items()) if item[1].full_at > now), key=lambda item: item[1].full_at
            )
            self._buckets = dict(kept[-MOST_COUNTED // 2 :])
        self._buckets[use.key] = bucket
        return bucket


class Limiter:
    """The rates of one process: shared with the others where there is a Valkey, its share of them where there is none."""

    def __init__(self, process: Runtime) -> None:
        self._workers = process.settings.workers
        share = 1 / self._workers
        self._memory = MemoryCounters(share)
        self._strict = MemoryCounters(share / STRICTER)
        url = process.settings.valkey_url
        self._shared = SharedCounters(url) if url else None

    def share_among(self, workers: int) -> None:
        """Count in memory the share of one of so many processes, on whatever nodes; at least those of this one."""
        share = 1 / max(workers, self._workers)
        self._memory.take_share(share)
        self._strict.take_share(share / STRICTER)

    def use(self, use: Use) -> Standing | None:
        """Count a use, and return how it stands with its rate after that; None when it has no limit.

        :raises RateExceededError: there is no room for it.
        """
        if use.rate.per_second <= 0:
            return None
        (until_full, *_), share = self._spend([use])
        rate = use.rate
        burst = max(1, math.ceil(rate.burst * share))
        remaining = max(0, burst - math.ceil(until_full * rate.per_second * share - 1e-6))
        return Standing(rate, remaining, math.ceil(until_full))

    def spend(self, uses: Sequence[Use]) -> None:
        """Count uses: all of them, or none. Those without a limit must be left out.

        :raises RateExceededError: there is no room for one of them.
        """
        if uses:
            self._spend(uses)

    def try_spend(self, use: Use) -> bool:
        """Count a use where there is room, and tell whether there was."""
        try:
            self.spend([use] if use.rate.per_second > 0 else [])
        except RateExceededError:
            return False
        return True

    def _spend(self, uses: Sequence[Use]) -> tuple[list[float], float]:
        """Return the seconds until each bucket is full again, and the share of the rates that this process has."""
        found, share = self._count(uses)
        if isinstance(found, Refusal):
            raise RateExceededError(uses[found.number].rate, found.wait)
        return found, share

    def _count(self, uses: Sequence[Use]) -> tuple[list[float] | Refusal, float]:
        if self._shared is None:
            return self._memory.use(uses), self._memory.share
        known = self._strict.recall(uses)
        try:
            found = self._shared.use([(use.key, use.rate.per_second, use.rate.burst, use.cost) for use in uses])
        except StoreError:
            return self._strict.use(uses), self._strict.share
        if isinstance(found, tuple):
            return Refusal(found[0], found[1]), 1.0
        if not self._strict.remember(uses, found, known):
            self._shared.leave_alone("it has forgotten what it counted")
            return self._strict.use(uses), self._strict.share
        return found, 1.0

    def close(self) -> None:
        """Give the connections to Valkey back."""
        if self._shared is not None:
            self._shared.close()


def limiter(process: Runtime) -> Limiter:
    """Return the limiter of this process."""
    found: Limiter | None = process.extensions.get("rates")
    return found if found is not None else process.extensions.setdefault("rates", Limiter(process))


def check_rate(process: Runtime, what: str, per_minute: int) -> None:
    """Count one use of something that may be used so often a minute.

    :raises RateExceededError: too often.
    """
    limiter(process).use(Use(Rate("credential", per_minute / 60, per_minute), what))
