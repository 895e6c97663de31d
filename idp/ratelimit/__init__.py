"""Limits: what may be tried how often in a time, counted in the database, and how often a second, counted in memory."""

from idp.ratelimit.attempts import Attempt, TooManyAttemptsError, forget_old_attempts, network_of, reserve_attempt
from idp.ratelimit.models import AttemptCount
from idp.ratelimit.rates import BURST, Rate, RateExceededError, Standing, Use, check_rate, limiter, rate_headers

__all__ = [
    "BURST",
    "Attempt",
    "AttemptCount",
    "Rate",
    "RateExceededError",
    "Standing",
    "TooManyAttemptsError",
    "Use",
    "check_rate",
    "forget_old_attempts",
    "limiter",
    "network_of",
    "rate_headers",
    "reserve_attempt",
]
