"""The one source of the time of day, so that tests can set it."""

import time
from datetime import UTC, datetime, timedelta

SOON = timedelta(days=30)
"""How long before its end anything is said to expire or to end soon, in every list and number."""

UNUSED = timedelta(days=90)
"""After how long anything that was not used is said to be unused."""


def now() -> datetime:
    """Return the current time, aware and in UTC."""
    return datetime.now(UTC)


def this_second() -> datetime:
    """Return the beginning of the current second, for dates that tokens, which know whole seconds only, depend on."""
    return now().replace(microsecond=0)


def timestamp() -> int:
    """Return the current time in whole seconds since 1970-01-01T00:00:00Z, as JWT claims carry it (RFC 7519 §2)."""
    return int(time.time())
