"""The counts that a worker keeps for a while, by realm; see `counts`."""

import time

from idp import runtime

Kept = dict[int, tuple[float, dict[str, int]]]
"""When a realm's things were counted (monotonic seconds), and the numbers by the end of the page's URL."""


def kept_counts() -> Kept:
    """Return what this worker has counted."""
    kept: Kept = runtime.current().extensions.setdefault("console counts", {})
    return kept


def forget_counts(realm_id: int) -> None:
    """Count anew, for something was changed here."""
    kept_counts().pop(realm_id, None)
    _changes()[realm_id] = time.monotonic()


def recently_changed(realm_id: int, since: float) -> bool:
    """Tell whether something of a realm was changed by this worker since a time (monotonic seconds)."""
    return _changes().get(realm_id, 0.0) >= since > 0


def _changes() -> dict[int, float]:
    changes: dict[int, float] = runtime.current().extensions.setdefault("console changes", {})
    return changes
