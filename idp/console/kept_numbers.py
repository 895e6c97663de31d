"""The numbers of an overview for which all credentials of a realm are looked at: once in a while, and never while somebody waits
for the page of a large realm.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Flask, current_app

from idp import apikeys, applications, clock, posture, realms, runtime
from idp.access import Holder
from idp.apikeys import ApiKey
from idp.applications.review import FoundSecret
from idp.console.kept_counts import recently_changed
from idp.db import db, only_read
from idp.posture import Answer
from idp.realms import Realm

SOON = timedelta(days=14)
"""Credentials that expire within this time are shown."""

_MOST_LOOKED_AT = 4
"""Secrets, and API keys, that the overview names of those that need a look; the lists have all of them."""

LARGE = 5_000
"""Applications or API keys beyond which a realm's credentials are counted beside the requests, which would wait too long."""

_KEPT_FOR = 60.0
"""Seconds for which the numbers are shown again."""

_MOST_KEPT = 1_000
"""Realms whose numbers a worker keeps."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanting:
    """What needs a look, by whether it is `expiring` or `unused`: some of each, and how many there are."""

    secrets: Mapping[str, tuple[Sequence[FoundSecret], int]]
    keys: Mapping[str, tuple[Sequence[ApiKey], int]]
    owners: Mapping[int, Holder]
    """Whose those keys are, by their row numbers."""


NOTHING = Wanting({"expiring": ([], 0), "unused": ([], 0)}, {"expiring": ([], 0), "unused": ([], 0)}, {})
"""What is known to need a look before anything was counted."""


@dataclass(frozen=True)
class Numbers:
    """What is counted."""

    answers: Sequence[Answer]
    enabled: int
    secrets: int
    expiring: int
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


def _is_large(realm: Realm) -> bool:
    listings = (applications.application_listing(realm), apikeys.key_listing(realm))
    return any(listing.count(most=LARGE + 1) > LARGE for listing in listings)


def look_at(realm: Realm, now: datetime) -> Wanting:
    """Return what expires soon, and what nobody has used for long."""
    keys = {
        "expiring": apikeys.expiring_keys(realm, now + SOON, _MOST_LOOKED_AT),
        "unused": apikeys.unused_keys(realm, now - posture.UNUSED, _MOST_LOOKED_AT),
    }
    secrets = {
        "expiring": applications.expiring_secrets(realm, now + SOON, _MOST_LOOKED_AT),
        "unused": applications.unused_secrets(realm, now - posture.UNUSED, _MOST_LOOKED_AT),
    }
    return Wanting(secrets, keys, apikeys.owners_of([key for some, _ in keys.values() for key in some]))


def count_numbers(realm: Realm, *, is_large: bool) -> Numbers:
    """Look at all of a realm's credentials."""
    now = clock.now()
    return Numbers(
        answers=posture.answers(realm, now),
        enabled=applications.application_listing(realm, enabled=True).count(),
        secrets=posture.count_static_secrets(realm, now),
        expiring=posture.count_expiring(realm, now, now + posture.SOON),
        wanting=look_at(realm, now) if is_large else NOTHING,
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
    kept = _kept()
    if len(kept) > _MOST_KEPT:
        kept.clear()
    kept[number] = (at, found)


def _kept() -> Kept:
    """Return what this worker has counted: by realm, when (monotonic seconds), and the numbers."""
    kept: Kept = runtime.current().extensions.setdefault("console numbers", {})
    return kept
