"""Which keys need a look: those that stop working soon, and those that nobody seems to use."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select

from idp import clock
from idp.apikeys.models import ApiKey
from idp.db import db
from idp.realms import Realm


def expiring_keys(realm: Realm, before: datetime, limit: int = 10) -> tuple[Sequence[ApiKey], int]:
    """Return keys that expire before a time, the next first, and how many there are."""
    return _find(realm, and_(ApiKey.expires_at > clock.now(), ApiKey.expires_at < before), limit)


def count_expiring(before: datetime) -> int:
    """Return how many live keys of all realms expire before a time."""
    soon = and_(ApiKey.expires_at > clock.now(), ApiKey.expires_at < before, ApiKey.revoked_at.is_(None), ApiKey.active)
    return db.session.scalar(select(func.count()).select_from(ApiKey).where(soon)) or 0


def unused_keys(realm: Realm, since: datetime, limit: int = 10) -> tuple[Sequence[ApiKey], int]:
    """Return keys that are older than a time and were not used since then, and how many there are."""
    quiet = and_(ApiKey.created_at < since, or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < since))
    return _find(realm, and_(quiet, or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > clock.now())), limit)


def _find(realm: Realm, condition: ColumnElement[bool], limit: int) -> tuple[Sequence[ApiKey], int]:
    found = select(ApiKey).where(ApiKey.realm_id == realm.id, ApiKey.revoked_at.is_(None), ApiKey.active, condition)
    count = db.session.scalar(found.with_only_columns(func.count())) or 0
    ordered = found.order_by(ApiKey.expires_at.is_(None), ApiKey.expires_at, ApiKey.id)
    return (db.session.scalars(ordered.limit(limit)).all() if count else []), count
