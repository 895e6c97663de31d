"""How often tokens may be fetched: by an application, in a realm; and how often an application may fail from one address."""

from idp import ratelimit
from idp.applications import KnownApplication
from idp.ratelimit import BURST, Rate, Use
from idp.realms import KnownRealm

TRY_AGAIN_EVERY = 6.0
"""Seconds between two tries of an application that has failed too often from one address."""

_LONGEST_NAME = 64


def refuse_failing(realm: KnownRealm, client_id: str, address: str) -> None:
    """Have an application wait that has failed too often from this address, whatever it shows now. Nobody else waits.

    It is counted under the name that was claimed, so that it does not tell which applications exist (T88).

    :raises RateExceededError: it has to wait.
    """
    ratelimit.limiter(realm.runtime).use([_failures(realm, client_id, address, 0)])


def count_failure(realm: KnownRealm, client_id: str, address: str) -> None:
    """Note that an application has failed to show who it is."""
    ratelimit.limiter(realm.runtime).try_use([_failures(realm, client_id, address, 1)])


def count_token(realm: KnownRealm, application: KnownApplication) -> None:
    """Count a token of an application.

    :raises RateExceededError: it fetches too many, or its realm does.
    """
    settings = realm.runtime.settings
    own = application.rate_per_second if application.rate_per_second is not None else settings.rate_application
    ratelimit.limiter(realm.runtime).use(
        [
            Use(Rate("application", own, BURST * own), application.uid),
            Use(Rate("realm", settings.rate_realm, BURST * settings.rate_realm), realm.uid),
        ]
    )


def _failures(realm: KnownRealm, client_id: str, address: str, cost: int) -> Use:
    limit = realm.runtime.settings.rate_failures
    rate = Rate("failed-authentication", 1 / TRY_AGAIN_EVERY, limit)
    return Use(rate, f"{realm.name}/{client_id[:_LONGEST_NAME]} {ratelimit.network_of(address)}", cost)
