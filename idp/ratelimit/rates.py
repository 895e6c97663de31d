"""Rates: how often something may be done in a minute, counted in the memory of one worker."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from idp.errors import IdpError
from idp.runtime import Runtime


class RateExceededError(IdpError):
    """It was done too often; `retry_after` says in how many seconds it may be done again."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"The rate of this credential is exceeded. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


def check_rate(process: Runtime, what: str, per_minute: int) -> None:
    """Count one use.

    Each worker allows its share, so that all of them together allow no more than the whole.

    :raises RateExceededError: this worker's share of the minute is used up.
    """
    limiter = process.extensions.get("rates")
    if limiter is None:
        limiter = process.extensions.setdefault("rates", SlidingWindowCounterRateLimiter(MemoryStorage()))
    share = RateLimitItemPerMinute(math.ceil(per_minute / process.settings.workers))
    if not limiter.hit(share, what):
        reset: float = limiter.get_window_stats(share, what).reset_time
        raise RateExceededError(max(1, math.ceil(reset - time.time())))
