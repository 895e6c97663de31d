"""Limits: what may be tried how often in a time, counted in the database, and how often a second, counted in memory."""

from idp.networks import network_of
from idp.ratelimit.attempts import (
    Attempt,
    Limit,
    TooManyAttemptsError,
    forget_old_attempts,
    network_limits,
    prove_counting,
    reserve_attempt,
    take_places,
)
from idp.ratelimit.models import AttemptCount
from idp.ratelimit.rates import BURST, Rate, RateExceededError, Standing, Use, check_rate, limiter, rate_headers

__all__ = [
    "BURST",
    "Attempt",
    "AttemptCount",
    "Limit",
    "Rate",
    "RateExceededError",
    "Standing",
    "TooManyAttemptsError",
    "Use",
    "check_rate",
    "forget_old_attempts",
    "limiter",
    "network_limits",
    "network_of",
    "prove_counting",
    "rate_headers",
    "reserve_attempt",
    "take_places",
]
