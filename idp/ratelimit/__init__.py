"""Limits: what may be tried how often, counted where every worker sees it."""

from idp.ratelimit.attempts import Attempt, TooManyAttemptsError, forget_old_attempts, network_of, reserve_attempt
from idp.ratelimit.models import AttemptCount
from idp.ratelimit.rates import RateExceededError, check_rate

__all__ = [
    "Attempt",
    "AttemptCount",
    "RateExceededError",
    "TooManyAttemptsError",
    "check_rate",
    "forget_old_attempts",
    "network_of",
    "reserve_attempt",
]
