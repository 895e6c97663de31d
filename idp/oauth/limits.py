"""How often tokens may be fetched: by an application, in a realm; and how often an application may fail from one address."""

from functools import cache

from idp import ratelimit
from idp.applications import KnownApplication
from idp.ratelimit import BURST, Rate, Use
from idp.realms import KnownRealm

TRY_AGAIN_EVERY = 6.0
"""Seconds between two failures of an application that are answered as such, once it has failed too often from one address."""

_LONGEST_NAME = 64

_REMEMBERED = Rate("remembered-request", 5, 100)
"""Pushed requests and devices of one network, for an application that anybody can name."""

_USES = "uses of a token"


def count_failure(realm: KnownRealm, client_id: str, address: str) -> None:
    """Count a failed authentication of an application. Correct credentials are not counted.

    It is counted under the name that was claimed, so that it does not tell which applications exist (T88).

    :raises RateExceededError: it has failed too often from this address.
    """
    rate = _failure_rate(realm.runtime.settings.rate_failures)
    what = f"{realm.name}/{client_id[:_LONGEST_NAME]} {ratelimit.network_of(address)}"
    ratelimit.limiter(realm.runtime).use(Use(rate, what))


def count_token(realm: KnownRealm, application: KnownApplication, address: str) -> None:
    """Count a token of an application; of one that cannot prove who it is, by itself for each network that it calls from.

    :raises RateExceededError: it fetches too many, or its realm does.
    """
    if application.kind.is_public:
        # its realm's share is for those who can prove who they are: a stranger can name this one
        uses = _uses(realm, application, f"{application.uid} {ratelimit.network_of(address)}")[:1]
        ratelimit.limiter(realm.runtime).spend(uses)
        return
    found: list[Use] | None = application.derived.get(_USES)
    if found is None:
        found = application.derived[_USES] = _uses(realm, application, application.uid)
    ratelimit.limiter(realm.runtime).spend(found)


def count_request(realm: KnownRealm, application: KnownApplication, address: str) -> None:
    """Count a request that the database has to remember for a while; of strangers, by far fewer than tokens.

    :raises RateExceededError: there are too many.
    """
    count_token(realm, application, address)
    if application.kind.is_public and realm.runtime.settings.rate_application:
        ratelimit.limiter(realm.runtime).use(Use(_REMEMBERED, f"{application.uid} {ratelimit.network_of(address)}"))


def _uses(realm: KnownRealm, application: KnownApplication, counted: str) -> list[Use]:
    """Return what a token counts for, made once for as long as the application stays as it is."""
    settings = realm.runtime.settings
    own = application.rate_per_second if application.rate_per_second is not None else settings.rate_application
    of_realm = settings.rate_realm
    uses = [
        Use(Rate("application", own, BURST * own), counted),
        Use(Rate("realm", of_realm, BURST * of_realm), realm.uid),
    ]
    return [use for use in uses if use.rate.per_second > 0]


@cache
def _failure_rate(limit: int) -> Rate:
    return Rate("failed-authentication", 1 / TRY_AGAIN_EVERY if limit else 0, limit)
