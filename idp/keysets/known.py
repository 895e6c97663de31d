"""What a worker keeps of a keyset in memory: enough to lend it without reading it. Its values stay sealed there."""

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from idp.db import reading
from idp.feed import Cache
from idp.keysets.models import Keyset
from idp.keysets.sealing import open_values, types_of
from idp.realms import KnownRealm


@dataclass(frozen=True, slots=True)
class KnownKeyset:
    """A keyset as of the last change to it."""

    id: int
    uid: str
    name: str
    version: int
    max_lease_seconds: int
    projects: tuple[str, ...]
    """Names of those that it is for; none for the whole realm."""
    types: tuple[str, ...]
    """Of the keys that it has."""
    sealed_data_key: str = field(repr=False)
    sealed_values: tuple[tuple[str, bytes], ...] = field(repr=False)

    def open(self, realm: KnownRealm) -> dict[str, str]:
        """Return its values by type.

        :raises KeysetDamagedError: they do not open.
        """
        return open_values(realm.uid, self.uid, self.name, self.version, self.sealed_data_key, self.sealed_values, self.types)


def known_keyset(realm: KnownRealm, named: str) -> KnownKeyset | None:
    """Return a keyset by uid, or by its name where only one has it, from memory; None when there is none."""
    feed = realm.runtime.feed
    keysets: Cache[KnownKeyset | None] = feed.cache("keyset")
    names: Cache[str | None] = feed.cache("keyset-name")
    key = f"{realm.name}/{named}"
    uid = names.get(key) or names.load(key, lambda: _uid_of(realm, named))
    if not uid:
        return None
    return keysets.get(f"{realm.name}/{uid}") or keysets.load(f"{realm.name}/{uid}", lambda: _read(realm, uid))


def _uid_of(realm: KnownRealm, named: str) -> str | None:
    """Return the uid of the keyset that has this uid, or alone has this name."""
    with reading() as session:
        query = select(Keyset.uid).where(Keyset.realm_id == realm.id)
        by_uid = session.scalar(query.where(Keyset.uid == named))
        found = [by_uid] if by_uid else session.scalars(query.where(Keyset.name == named).limit(2)).all()
        return found[0] if len(found) == 1 else None


def _read(realm: KnownRealm, uid: str) -> KnownKeyset | None:
    with reading() as session:
        query = select(Keyset).where(Keyset.realm_id == realm.id, Keyset.uid == uid)
        row = session.scalar(query.options(selectinload(Keyset.keys), selectinload(Keyset.projects)))
        if row is None:
            return None
        return KnownKeyset(
            id=row.id,
            uid=row.uid,
            name=row.name,
            version=row.version,
            max_lease_seconds=row.max_lease_seconds,
            projects=tuple(project.name for project in row.projects),
            types=types_of(row),
            sealed_data_key=row.sealed_data_key,
            sealed_values=tuple((key.key_type, key.sealed_value) for key in row.keys),
        )
