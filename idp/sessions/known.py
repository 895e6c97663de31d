"""What a worker keeps of a session in memory."""

from dataclasses import dataclass

from sqlalchemy import select

from idp import feed
from idp.db import reading
from idp.realms import KnownRealm
from idp.sessions.models import UserSession
from idp.users.models import User


@dataclass(frozen=True, slots=True)
class KnownSession:
    """A session that had not ended when it was read."""

    uid: str
    user_uid: str
    auth_method: str
    started_at: float
    expires_at: float


def known_session(realm: KnownRealm, sid: str) -> KnownSession | None:
    """Return a session from memory, read from the database at its first use; None when there is none, or it has ended."""
    cache = realm.runtime.feed.cache("session")
    key = f"{realm.name}/{sid}"
    found: KnownSession | None = cache.get(key)
    return found if found is not None else cache.load(key, lambda: _read(realm, sid))


def publish_session(realm: str, sid: str) -> None:
    """Tell every worker that a session has ended."""
    feed.publish("session", f"{realm}/{sid}")


def _read(realm: KnownRealm, sid: str) -> KnownSession | None:
    with reading() as session:
        row = session.execute(
            select(UserSession, User.uid)
            .join(User, User.id == UserSession.user_id)
            .where(UserSession.realm_id == realm.id, UserSession.uid == sid, UserSession.ended_at.is_(None))
        ).first()
        if row is None:
            return None
        found, user_uid = row
        return KnownSession(
            uid=found.uid,
            user_uid=user_uid,
            auth_method=found.auth_method,
            started_at=found.created_at.timestamp(),
            expires_at=found.expires_at.timestamp(),
        )
