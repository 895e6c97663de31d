"""Verifying the trail in a database."""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import select

from idp.audit import (
    AuditBatch,
    AuditEvent,
    AuditSealing,
    Batch,
    Checkpoint,
    Entry,
    Keys,
    Report,
    read_keys,
    unpack,
    verify_chain,
)
from idp.db import db
from idp.keys import SigningKey
from idp.realms import MASTER, PurgedRealm, Realm

_COLUMNS = tuple(getattr(AuditEvent, name) for name in Entry._fields)
_TOGETHER = 5_000


def trail_names() -> list[str]:
    """Return the names of all trails there are: of realms, of purged ones, and the server's, which is empty."""
    with_events = db.session.scalars(select(AuditEvent.realm).distinct()).all()
    with_batches = db.session.scalars(select(AuditBatch.realm).distinct()).all()
    return sorted({*with_events, *with_batches})


def public_keys(realm: str) -> list[dict[str, object]]:
    """Return all keys that a realm has or had, as JWKs: what signed a checkpoint may have left the key set long ago."""
    query = select(SigningKey.public_jwk).join(Realm, Realm.id == SigningKey.realm_id).order_by(SigningKey.id)
    purged = db.session.scalar(select(PurgedRealm.public_keys).where(PurgedRealm.name == realm))
    found = list(db.session.scalars(query.where(Realm.name == (realm or MASTER))))
    if purged is None:
        return list(found)
    return [*purged, *db.session.scalars(query.where(Realm.name == MASTER))]  # which signs what follows the purge


def verify_trail(realm: str, keys: Keys | None = None, outside: Sequence[Checkpoint] = ()) -> Report:
    """Follow the chain of one realm from its beginning to what is not sealed yet.

    :param keys: the keys to trust; None for those that the database names.
    :param outside: checkpoints that were kept elsewhere.
    """
    trusted = keys if keys is not None else read_keys(public_keys(realm))
    return verify_chain(realm, read_batches(realm), lambda first, last: read_entries(realm, first, last), trusted, outside)


def read_batches(realm: str, first: int = 1) -> Iterator[Batch]:
    """Return the batches of a realm from a number on, in order."""
    number = first - 1
    query = select(AuditBatch).where(AuditBatch.realm == realm).order_by(AuditBatch.number).limit(50)
    while rows := db.session.scalars(query.where(AuditBatch.number > number)).all():
        number = rows[-1].number
        for row in rows:
            db.session.expunge(row)  # a long chain does not gather in memory
            yield unpack(row)


def read_entries(realm: str, first: int, last: int) -> Iterable[Entry]:
    """Return the entries of a realm from one number to another, in order."""
    query = select(*_COLUMNS).where(AuditEvent.realm == realm, AuditEvent.id <= last).order_by(AuditEvent.id)
    while rows := db.session.execute(query.where(AuditEvent.id >= first).limit(_TOGETHER)).all():
        yield from map(Entry._make, rows)
        first = rows[-1].id + 1


def read_unsealed(realm: str) -> Iterable[Entry]:
    """Return the entries of a realm that no batch holds yet, in order."""
    state = db.session.get(AuditSealing, 1, populate_existing=True)
    return read_entries(realm, state.next_event if state is not None else 1, 2**63 - 1)
