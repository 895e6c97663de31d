"""How long a key may be valid, and what it may be restricted to."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from idp import access, clock
from idp.errors import IdpError, InvalidValueError, Kind
from idp.networks import read_network
from idp.realms import Realm

MOST_HOURS = 87_600
"""Ten years: longer than that is said by `never`, by who may."""

MOST_ENTRIES = 50
MOST_PER_MINUTE = 1_000_000


class LifetimeError(IdpError):
    """The requested lifetime is longer than the organisation allows."""

    kind = Kind.DENIED
    code = "LifetimeExceeded"


def longest_hours(realm: Realm, user_hours: int | None) -> int:
    """Return the longest lifetime of one's own key in hours: the organisation's setting or the user's, whichever is more."""
    return max(realm.api_key_hours, user_hours or 0)


def choose_expiry(
    realm: Realm,
    user_hours: int | None,
    *,
    hours: int | None = None,
    at: datetime | None = None,
    never: bool = False,
    may_exceed: bool = False,
) -> datetime | None:
    """Return when a new key expires; None for never.

    By default, the lifetime is the organisation's setting or the user's own, whichever is more. That is also the most that
    the owner can ask for. Callers who may exceed it can ask for any lifetime, or for a key that never expires.

    :param user_hours: the user's own setting, if there is one.
    :raises LifetimeError: it is more than is allowed.
    :raises InvalidValueError: it is not a usable time.
    """
    if (hours is not None) + (at is not None) + never > 1:
        raise InvalidValueError("Give only one of a number of hours, an expiry time, or never to expire.")
    limit = longest_hours(realm, user_hours)
    now = clock.this_second()
    if never:
        if not may_exceed:
            raise LifetimeError(
                f"Your keys can be valid for at most {limit} hours. Ask an administrator for one that never expires."
            )
        return None
    if at is not None:
        at = _in_utc(at)
    else:
        wished = limit if hours is None else hours
        if not 1 <= wished <= MOST_HOURS:
            raise InvalidValueError(f"A key can be valid for 1 to {MOST_HOURS} hours, not {wished}.")
        at = now + timedelta(hours=wished)
    if not may_exceed and at > now + timedelta(hours=limit, minutes=1):
        raise LifetimeError(
            f"A key of yours lives {limit} hours at most: choose a time up to {now + timedelta(hours=limit):%Y-%m-%d %H:%M} UTC, "
            "or ask an administrator to create the key or to raise your limit."
        )
    if at > now + timedelta(hours=MOST_HOURS, minutes=1):
        raise InvalidValueError(f"A key can be valid for at most {MOST_HOURS} hours, or forever: use one that never expires.")
    if at < now + timedelta(minutes=1):
        raise InvalidValueError("A key must be valid for at least an hour." if hours is not None else "The time has passed.")
    return at.replace(microsecond=0)  # whole seconds, like the tokens that must not outlive it


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise InvalidValueError("The expiry is out of range.") from None


def check_roles(realm: Realm, roles: Sequence[str]) -> list[str]:
    """Return the roles that a key is restricted to. They must exist; a key carries those that its owner also holds.

    :raises NotFoundError: there is no such role.
    """
    return sorted({access.get_role(realm, role).name for role in roles})


def check_projects(realm: Realm, projects: Sequence[str]) -> list[str]:
    """Return the projects that a key is restricted to.

    :raises NotFoundError: there is no such project.
    """
    return sorted({access.get_project(realm, project).name for project in projects})


def check_addresses(addresses: Sequence[str]) -> list[str]:
    """Return the networks that a key is accepted from, in canonical form.

    :raises InvalidValueError: one of them is neither an address nor a network.
    """
    networks = []
    for address in addresses:
        try:
            networks.append(str(read_network(address, strict=False)))
        except ValueError:
            raise InvalidValueError(
                f"{address[:80]!r} is neither an address nor a network: use 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32."
            ) from None
    return sorted(set(networks))
