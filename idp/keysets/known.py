"""What a worker keeps of a keyset in memory: enough to lease it without reading it. Its values stay encrypted there."""

import functools
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from idp.db import is_meant, reading
from idp.feed import Cache
from idp.keysets.models import Keyset, KeysetVersion
from idp.keysets.sealing import open_values, types_of
from idp.realms import KnownRealm


@dataclass(frozen=True, slots=True)
class KnownKeyset:
    """A keyset as of the last change to it."""

    id: int
    uid: str
    name: str
    version: int
    updated_at: datetime
    max_lease_seconds: int
    projects: tuple[str, ...]
    """Names of those that it is for; none for the whole realm."""
    types: tuple[str, ...]
    """Of the keys that it must have; none where the stored version is not the latest that there was."""
    sealed_data_key: str = field(repr=False)
    sealed_values: tuple[tuple[str, bytes], ...] = field(repr=False)

    def open(self, realm: KnownRealm) -> dict[str, str]:
        """Return its values by type.

        :raises KeysetDamagedError: they do not open.
        """
        return open_values(realm.uid, self.uid, self.name, self.version, self.sealed_data_key, self.sealed_values, self.types)


def known_keysets(realm: KnownRealm, named: str) -> list[KnownKeyset]:
    """Return the keyset of this uid, or those of this name, from memory. A name is one of its category and entity only."""
    feed = realm.runtime.feed
    key = f"{realm.name}/{named}"
    names: Cache[tuple[str, ...] | None] = feed.cache("keyset-name")
    uids = names.get(key) or names.load(key, lambda: _uids_of(realm, named)) or ()
    keysets: Cache[KnownKeyset | None] = feed.cache("keyset")
    found = []
    for uid in uids:
        known = f"{realm.name}/{uid}"
        keyset = keysets.get(known) or keysets.load(known, functools.partial(_read, realm, uid))
        if keyset is not None:
            found.append(keyset)
    return found


def _uids_of(realm: KnownRealm, named: str) -> tuple[str, ...] | None:
    """Return the uid of the keyset that has this uid, or those of the ones that have this name; None where there are none."""
    with reading() as session:
        meant = select(Keyset.uid).where(Keyset.realm_id == realm.id, is_meant(Keyset, named))
        return tuple(session.scalars(meant.order_by(Keyset.id)).all()) or None


def _read(realm: KnownRealm, uid: str) -> KnownKeyset | None:
    with reading() as session:
        query = select(Keyset).where(Keyset.realm_id == realm.id, Keyset.uid == uid)
        row = session.scalar(query.options(selectinload(Keyset.keys), selectinload(Keyset.projects)))
        if row is None:
            return None
        latest = session.scalar(select(func.max(KeysetVersion.number)).where(KeysetVersion.keyset_id == row.id))
        return KnownKeyset(
            id=row.id,
            uid=row.uid,
            name=row.name,
            version=row.version,
            updated_at=row.updated_at,
            max_lease_seconds=row.max_lease_seconds,
            projects=tuple(project.name for project in row.projects),
            types=types_of(row) if row.version == latest else (),
            sealed_data_key=row.sealed_data_key,
            sealed_values=tuple((key.key_type, key.sealed_value) for key in row.keys),
        )
