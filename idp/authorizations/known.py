"""What a worker keeps of an authorization in memory: enough to tell whether its access tokens still count."""

from dataclasses import dataclass

from sqlalchemy import select

from idp import clock
from idp.authorizations.models import Authorization
from idp.db import Base, reading
from idp.realms import KnownRealm


@dataclass(frozen=True, slots=True)
class KnownAuthorization:
    """An authorization that had not ended when it was read."""

    user_id: int
    client_id: str
    application_uid: str
    auth_time: float
    expires_at: float

    def lives_after(self, signed_out_at: float) -> bool:
        """Tell whether it still counts of a person who signed out everywhere at a time (seconds since 1970)."""
        return signed_out_at < self.auth_time and clock.timestamp() < self.expires_at


def known_authorization(realm: KnownRealm, uid: str) -> KnownAuthorization | None:
    """Return an authorization from memory, read from the database at its first use; None when there is none, or it has ended."""
    cache = realm.runtime.feed.cache("authorization")
    key = f"{realm.name}/{uid}"
    found: KnownAuthorization | None = cache.get(key)
    return found if found is not None else cache.load(key, lambda: read_authorization(realm, uid))


def read_authorization(realm: KnownRealm, uid: str) -> KnownAuthorization | None:
    """Return an authorization as the database has it now; None when there is none, or it has ended."""
    with reading() as session:
        application = Base.metadata.tables["application"]
        row = session.execute(
            select(
                Authorization.user_id,
                application.c.name,
                application.c.uid,
                Authorization.auth_time,
                Authorization.expires_at,
            )
            .join(application, application.c.id == Authorization.application_id)
            .where(Authorization.realm_id == realm.id, Authorization.uid == uid, Authorization.ended_at.is_(None))
        ).first()
        if row is None:
            return None
        return KnownAuthorization(row.user_id, row.name, row.uid, row.auth_time.timestamp(), row.expires_at.timestamp())
