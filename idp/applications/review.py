"""Which secrets need a look: those that stop working soon, and those that nobody seems to use."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from idp import clock
from idp.applications.models import Application, ApplicationSecret
from idp.db import db
from idp.realms import Realm

QUIET_AFTER = timedelta(hours=72)
"""A secret beside another that is in use, and that was not used for so long, can be retired: nobody will miss it."""

MOST_COUNTED = 1_000
"""Secrets that are counted; there may be more."""

FoundSecret = tuple[ApplicationSecret, Application]


def expiring_secrets(realm: Realm, before: datetime, limit: int = 10) -> tuple[Sequence[FoundSecret], int]:
    """Return live secrets that expire before a time, the next first, and how many there are, up to a thousand."""
    soon = and_(ApplicationSecret.expires_at > clock.now(), ApplicationSecret.expires_at < before)
    # the sum keeps the database from going through all applications of the realm: few secrets expire soon
    return _find(and_(Application.realm_id + 0 == realm.id, soon), ApplicationSecret.expires_at, limit)


def count_expiring(before: datetime) -> int:
    """Return how many live secrets of all realms expire before a time."""
    soon = (ApplicationSecret.expires_at > clock.now()) & (ApplicationSecret.expires_at < before)
    query = select(func.count()).select_from(ApplicationSecret).where(soon, ApplicationSecret.retired_at.is_(None))
    return db.session.scalar(query) or 0


def unused_secrets(realm: Realm, since: datetime, limit: int = 10) -> tuple[Sequence[FoundSecret], int]:
    """Return live secrets that are older than a time and were not used since then, and how many there are, up to a thousand."""
    last = ApplicationSecret.last_used_at
    quiet = and_(ApplicationSecret.created_at < since, or_(last.is_(None), last < since))
    alive = or_(ApplicationSecret.expires_at.is_(None), ApplicationSecret.expires_at > clock.now())
    return _find(and_(Application.realm_id == realm.id, quiet, alive), None, limit)


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


def _find(condition: ColumnElement[bool], order: Any, limit: int) -> tuple[Sequence[FoundSecret], int]:
    found = (
        select(ApplicationSecret, Application)
        .join(Application, Application.id == ApplicationSecret.application_id)
        .where(Application.enabled, ApplicationSecret.retired_at.is_(None), condition)
    )
    some = found.with_only_columns(ApplicationSecret.id).limit(MOST_COUNTED).subquery()
    count = db.session.scalar(select(func.count()).select_from(some)) or 0
    rows = db.session.execute(found.order_by(order).limit(limit)).all() if count else []
    return [(row[0], row[1]) for row in rows], count
