"""Which keys need a look: those that stop working soon, and those that nobody seems to use."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, select

from idp import clock
from idp.apikeys.models import ApiKey
from idp.apikeys.service import key_listing
from idp.db import db
from idp.paging import MOST_COUNTED, count_up_to
from idp.realms import Realm


def expiring_keys(realm: Realm, limit: int = 10) -> Sequence[ApiKey]:
    """Return keys that work and expire soon, the next first; `key_listing` has all of them."""
    return _first(realm, "expiring", limit)


def unused_keys(realm: Realm, limit: int = 10) -> Sequence[ApiKey]:
    """Return keys that work and were not used for long, those that expire first; `key_listing` has all of them."""
    return _first(realm, "unused", limit)


def count_expiring(before: datetime) -> int:
    """Return how many live keys of all realms expire before a time; of more than `MOST_COUNTED`, so many."""
    soon = and_(ApiKey.expires_at > clock.now(), ApiKey.expires_at < before, ApiKey.revoked_at.is_(None), ApiKey.active)
    return count_up_to(MOST_COUNTED, select(ApiKey.id).where(soon))


def _first(realm: Realm, state: str, limit: int) -> Sequence[ApiKey]:
    """Return the keys in a state that expire next; at the end those that never do."""
    query = select(ApiKey).where(ApiKey.id.in_(key_listing(realm, state=state).query.with_only_columns(ApiKey.id)))
    ordered = query.order_by(ApiKey.expires_at.is_(None), ApiKey.expires_at, ApiKey.id)
    return db.session.scalars(ordered.limit(limit)).all()
