"""Which secrets need a look: those that stop working soon, and those that nobody seems to use."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from idp import clock
from idp.applications.models import Application, ApplicationSecret
from idp.db import db
from idp.paging import MOST_COUNTED, count_up_to
from idp.realms import Realm

QUIET_AFTER = timedelta(hours=72)
"""A secret beside another that is in use, and that was not used for so long, can be retired: nobody will miss it."""

FoundSecret = tuple[ApplicationSecret, Application]


def secret_works(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a secret works; see `ApplicationSecret.state`."""
    end = ApplicationSecret.expires_at
    return and_(ApplicationSecret.retired_at.is_(None), or_(end.is_(None), end > now))


def expires_before(time: datetime) -> ColumnElement[bool]:
    """Return the condition that a secret works, and stops working before a time."""
    soon = and_(ApplicationSecret.expires_at > clock.now(), ApplicationSecret.expires_at < time)
    return and_(ApplicationSecret.retired_at.is_(None), soon)


def is_idle_since(time: datetime) -> ColumnElement[bool]:
    """Return the condition that a secret works, is older than a time, and was not used since then."""
    last = ApplicationSecret.last_used_at
    quiet = and_(ApplicationSecret.created_at < time, or_(last.is_(None), last < time))
    return and_(secret_works(clock.now()), quiet)


def expiring_secrets(realm: Realm, limit: int = 10) -> Sequence[FoundSecret]:
    """Return live secrets of applications that are enabled and that expire soon, the next first."""
    # the sum keeps the database from going through all applications of the realm: few secrets expire soon
    soon = and_(Application.realm_id + 0 == realm.id, expires_before(clock.now() + clock.SOON))
    return _find(soon, ApplicationSecret.expires_at, limit)


def count_expiring(before: datetime) -> int:
    """Return how many live secrets of all realms expire before a time; of more than `MOST_COUNTED`, so many."""
    return count_up_to(MOST_COUNTED, select(ApplicationSecret.id).where(expires_before(before)))


def unused_secrets(realm: Realm, limit: int = 10) -> Sequence[FoundSecret]:
    """Return live secrets of applications that are enabled, and that were not used for long."""
    return _find(and_(Application.realm_id == realm.id, is_idle_since(clock.now() - clock.UNUSED)), None, limit)


def safe_to_retire(secret: ApplicationSecret, others: Sequence[ApplicationSecret]) -> datetime | None:
    """Return since when a secret has not been used, if another of the application's is used instead; None if it is needed.

    :param others: all secrets of the application.
    """
    now = clock.now()
    since = secret.last_used_at or secret.created_at
    if secret.retired_at is not None or now - since < QUIET_AFTER:
        return None
    moved = any(
        other.id != secret.id and other.is_live(now) and other.last_used_at is not None and other.last_used_at > since
        for other in others
    )
    return since if moved else None


def _find(condition: ColumnElement[bool], order: Any, limit: int) -> Sequence[FoundSecret]:
    found = (
        select(ApplicationSecret, Application)
        .join(Application, Application.id == ApplicationSecret.application_id)
        .where(Application.enabled, condition)
    )
    return [(row[0], row[1]) for row in db.session.execute(found.order_by(order).limit(limit))]
