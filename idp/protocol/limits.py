"""How often tokens may be fetched: by an application, in a realm; and how often an application may fail from one address."""

from functools import cache

from idp import ratelimit
from idp.applications import KnownApplication
from idp.ratelimit import BURST, Rate, Use
from idp.realms import KnownRealm

TRY_AGAIN_EVERY = 6.0
"""Seconds between two tries of an application that has failed too often from one address."""

MOST_FAILING = 100_000
"""Applications at addresses that each process remembers to have failed."""

_LONGEST_NAME = 64
_USES = "uses of a token"


def refuse_failing(realm: KnownRealm, client_id: str, address: str) -> None:
    """Have an application wait that has failed too often from this address, whatever it shows now. Nobody else waits.

    It is counted under the name that was claimed, so that it does not tell which applications exist (T88).

    :raises RateExceededError: it has to wait.
    """
    limiter = ratelimit.limiter(realm.runtime)
    if limiter.failing:
        use = _failures(realm, client_id, address, 0)
        if use.key in limiter.failing:
            limiter.spend([use])


def count_failure(realm: KnownRealm, client_id: str, address: str) -> None:
    """Note that an application has failed to show who it is."""
    use = _failures(realm, client_id, address, 1)
    if use.rate.per_second > 0:
        limiter = ratelimit.limiter(realm.runtime)
        if len(limiter.failing) >= MOST_FAILING:
            limiter.failing.clear()  # those that go on failing are soon in it again
        limiter.failing.add(use.key)
        limiter.try_spend(use)


def count_token(realm: KnownRealm, application: KnownApplication) -> None:
    """Count a token of an application.

    :raises RateExceededError: it fetches too many, or its realm does.
    """
    uses: list[Use] | None = application.memo.get(_USES)
    if uses is None:
        uses = application.memo[_USES] = _uses(realm, application)
    ratelimit.limiter(realm.runtime).spend(uses)


def _uses(realm: KnownRealm, application: KnownApplication) -> list[Use]:
    """Return what a token counts for, made once for as long as the application stays as it is."""
    settings = realm.runtime.settings
    own = application.rate_per_second if application.rate_per_second is not None else settings.rate_application
    of_realm = settings.rate_realm
    uses = [
        Use(Rate("application", own, BURST * own), application.uid),
        Use(Rate("realm", of_realm, BURST * of_realm), realm.uid),
    ]
    return [use for use in uses if use.rate.per_second > 0]


@cache
def _failure_rate(limit: int) -> Rate:
    return Rate("failed-authentication", 1 / TRY_AGAIN_EVERY if limit else 0, limit)


def _failures(realm: KnownRealm, client_id: str, address: str, cost: int) -> Use:
    rate = _failure_rate(realm.runtime.settings.rate_failures)
    return Use(rate, f"{realm.name}/{client_id[:_LONGEST_NAME]} {ratelimit.network_of(address)}", cost)
