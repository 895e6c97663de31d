"""The numbers of an overview for which all credentials of a realm are looked at: once in a while, and never while somebody waits
for the page of a large realm.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask, current_app

from idp import apikeys, applications, clock, posture, realms, runtime
from idp.access import Holder
from idp.apikeys import ApiKey
from idp.applications.review import FoundSecret
from idp.console.kept_counts import recently_changed
from idp.db import db, only_read
from idp.paging import MOST_COUNTED
from idp.posture import Answer
from idp.realms import Realm

MOST_LOOKED_AT = 8
"""Secrets, and API keys, that the overview may name of those that need a look; the lists have all of them."""

LARGE = 5_000
"""Applications or API keys beyond which a realm's credentials are counted beside the requests, which would wait too long."""

_KEPT_FOR = 60.0
"""Seconds for which the numbers are shown again."""

_LONG = 0.2
"""Seconds from which on finding something takes long."""

_MOST_KEPT = 1_000
"""Realms whose numbers a worker keeps."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanting:
    """What needs a look, by whether it is `expiring` or `unused`: some of each."""

    secrets: Mapping[str, Sequence[FoundSecret]]
    keys: Mapping[str, Sequence[ApiKey]]
    owners: Mapping[int, Holder]
    """Whose those keys are, by their row numbers."""


NOTHING = Wanting({"expiring": [], "unused": []}, {"expiring": [], "unused": []}, {})
"""What is known to need a look before anything was counted."""


@dataclass(frozen=True)
class Count:
    """How many rows two lists have."""

    applications: int
    keys: int


@dataclass(frozen=True)
class Numbers:
    """What is counted: as many of each as the list has that shows them."""

    answers: Sequence[Answer]
    enabled: int
    expiring: Count
    """API keys that expire soon, and applications with a secret that does."""
    unused: Count
    """API keys that were not used for long, and applications with a secret that was not."""
    wanting: Wanting
    """Of a large realm; the overview of any other looks for it each time."""
    is_large: bool
    """Whether the realm is one of those that are counted beside the requests."""


def numbers_of(realm: Realm) -> Numbers | None:
    """Return the numbers of a realm; None for one that is large and whose numbers are being counted for the first time."""
    kept = _kept()
    at, found = kept.get(realm.id, (0.0, None))
    is_fresh = found is not None and time.monotonic() - at <= _KEPT_FOR and not recently_changed(realm.id, at)
    if is_fresh:
        return found
    if not _is_large(realm):
        found = count_numbers(realm, is_large=False)
        _keep(realm.id, time.monotonic(), found)
        return found
    _count_beside(current_app._get_current_object(), realm)  # type: ignore[attr-defined] # noqa: SLF001 (Flask's documented way)
    return found


Top = list[tuple[str, int, datetime | None]]
"""Applications with most tokens: name, how many, when last."""


def top_of(realm: Realm, since: datetime) -> Top:
    """Return the applications that were issued most tokens since the beginning of a day.

    Where it takes long to find them, they are shown again for a while.
    """
    day = applications.day_of(since)
    kept: dict[tuple[int, datetime], tuple[float, Top]] = runtime.current().extensions.setdefault("console top", {})
    at, found = kept.get((realm.id, day), (0.0, []))
    begun = time.monotonic()
    if at and begun - at <= _KEPT_FOR and not recently_changed(realm.id, at):
        return list(found)
    rows = applications.most_used(realm, day, 5)
    found = [(application.name, count, application.last_used_at) for application, count in rows]
    if time.monotonic() - begun > _LONG:
        _put(kept, (realm.id, day), (time.monotonic(), found))
    return found


def _is_large(realm: Realm) -> bool:
    listings = (applications.application_listing(realm), apikeys.key_listing(realm))
    return any(listing.count(most=LARGE + 1) > LARGE for listing in listings)


def look_at(realm: Realm) -> Wanting:
    """Return what expires soon, and what nobody has used for long."""
    keys = {
        "expiring": apikeys.expiring_keys(realm, MOST_LOOKED_AT),
        "unused": apikeys.unused_keys(realm, MOST_LOOKED_AT // 2),
    }
    secrets = {
        "expiring": applications.expiring_secrets(realm, MOST_LOOKED_AT),
        "unused": applications.unused_secrets(realm, MOST_LOOKED_AT // 2),
    }
    return Wanting(secrets, keys, apikeys.owners_of([key for some in keys.values() for key in some]))


def _count(realm: Realm, of_secrets: str, of_keys: str) -> Count:
    """Return how many applications, and API keys, are in these states."""
    found = applications.application_listing(realm, state=of_secrets), apikeys.key_listing(realm, state=of_keys)
    return Count(*(listing.count(MOST_COUNTED) for listing in found))


def count_numbers(realm: Realm, *, is_large: bool) -> Numbers:
    """Look at all of a realm's credentials."""
    return Numbers(
        answers=posture.answers(realm, clock.now()),
        enabled=applications.application_listing(realm, state="enabled").count(MOST_COUNTED),
        expiring=_count(realm, "expiring", "expiring"),
        unused=_count(realm, "idle", "unused"),
        wanting=look_at(realm) if is_large else NOTHING,
        is_large=is_large,
    )


def _count_beside(app: Flask, realm: Realm) -> None:
    """Begin to count in a thread of its own, unless one is at it."""
    running: set[int] = runtime.current().extensions.setdefault("console numbers being counted", set())
    number, name = realm.id, realm.name
    if number in running:
        return
    running.add(number)

    def count() -> None:
        try:
            with app.app_context():
                begun = time.monotonic()
                only_read()
                found = count_numbers(realms.get_realm(name), is_large=True)
                db.session.expunge_all()
                _keep(number, begun, found)
        except Exception:  # noqa: BLE001 (whoever looks next begins anew)
            _log.exception("the numbers of realm %s could not be counted", name)
        finally:
            running.discard(number)

    threading.Thread(target=count, name="numbers", daemon=True).start()


Kept = dict[int, tuple[float, Numbers]]


def _keep(number: int, at: float, found: Numbers) -> None:
    _put(_kept(), number, (at, found))


def _put(kept: dict[Any, Any], key: Any, value: Any) -> None:
    if len(kept) > _MOST_KEPT:
        kept.clear()
    kept[key] = value


def _kept() -> Kept:
    """Return what this worker has counted: by realm, when (monotonic seconds), and the numbers."""
    kept: Kept = runtime.current().extensions.setdefault("console numbers", {})
    return kept
