"""Marks: how far each trail has come and by which keys, kept where only who has the master key can write them."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp import vault
from idp.crypto import DamagedError, MasterKeyError
from idp.db import db
from idp.keys import SigningKey
from idp.realms import MASTER, PurgedRealm, Realm
from idp.trail.chain import Standing, beginning
from idp.trail.models import AuditBatch, AuditMark

_SHOWN = ("kty", "crv", "x", "y", "n", "e")
"""What a public key is made of."""


@dataclass(frozen=True)
class Mark:
    """How far a trail has come."""

    standing: Standing
    checkpoint: str
    """SHA-256 of the newest checkpoint, in hexadecimal digits; empty while there is none."""
    keys: frozenset[str]
    """Thumbprints of the keys by which its checkpoints were signed."""


def thumbprint(jwk: dict[str, Any]) -> str:
    """Return what tells a public key from every other (RFC 7638 §3, but for the encoding)."""
    members = {name: jwk[name] for name in sorted(_SHOWN) if name in jwk}
    return hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).hexdigest()


def begin_trail(realm: str) -> None:
    """Let the trail of a new realm begin; empty for the server's own. One that has begun goes on as it is."""
    if db.session.get(AuditMark, realm) is None:
        write_mark(realm, Mark(beginning(realm), "", frozenset()))


def begin_marks() -> None:
    """Mark how far every trail has come, at the upgrade to the version that has marks."""
    names = {"", *db.session.scalars(select(Realm.name)), *db.session.scalars(select(PurgedRealm.name))}
    for name in names | set(db.session.scalars(select(AuditBatch.realm).distinct())):
        newest = db.session.scalar(select(AuditBatch).where(AuditBatch.realm == name).order_by(AuditBatch.number.desc()).limit(1))
        keys = frozenset(map(thumbprint, named_keys(name)))
        write_mark(name, Mark(beginning(name), "", keys) if newest is None else mark_of(newest, keys))


def mark_of(newest: AuditBatch, keys: frozenset[str]) -> Mark:
    """Return the mark of a trail whose newest batch this is."""
    checkpoint = hashlib.sha256(newest.checkpoint.encode()).hexdigest()
    return Mark(Standing(newest.number, newest.total, newest.head), checkpoint, keys)


def read_mark(session: Session, realm: str) -> Mark | None:
    """Return how far a trail has come; None if there is no mark, or none of ours."""
    row = session.get(AuditMark, realm, populate_existing=True)
    if row is None:
        return None
    try:
        value = json.loads(vault.unseal(row.sealed, context=_context(realm)))
    except (DamagedError, MasterKeyError):
        return None
    standing = Standing(value["number"], value["total"], value["head"])
    return Mark(standing, value["checkpoint"], frozenset(value["keys"]))


def write_mark(realm: str, mark: Mark) -> None:
    """Keep how far a trail has come, in the current transaction."""
    value = {**mark.standing._asdict(), "checkpoint": mark.checkpoint, "keys": sorted(mark.keys)}
    sealed = vault.seal(json.dumps(value).encode(), context=_context(realm))
    db.session.merge(AuditMark(realm=realm, sealed=sealed))


def named_keys(realm: str) -> list[dict[str, Any]]:
    """Return the public keys that the database names for a trail, whether or not they are what they are said to be."""
    query = select(SigningKey.public_jwk).join(Realm, Realm.id == SigningKey.realm_id).order_by(SigningKey.id)
    purged = db.session.scalar(select(PurgedRealm.public_keys).where(PurgedRealm.name == realm)) or []
    own = db.session.scalars(query.where(Realm.name == realm)).all()
    # the operators' realm signs for the server, for realms that were purged, and for those that cannot
    return [*purged, *own, *(db.session.scalars(query.where(Realm.name == MASTER)) if realm != MASTER else ())]


def public_keys(realm: str) -> list[dict[str, Any]]:
    """Return the public keys of a trail that are known to have signed for it: what signed a checkpoint may be long gone."""
    mark = read_mark(db.session(), realm)
    return only_known(named_keys(realm), mark.keys if mark is not None else ())


def only_known(jwks: Iterable[dict[str, Any]], thumbprints: Iterable[str]) -> list[dict[str, Any]]:
    """Leave out keys that are not among those with these thumbprints."""
    known = set(thumbprints)
    return [jwk for jwk in jwks if thumbprint(jwk) in known]


def _context(realm: str) -> str:
    return f"mark of the audit trail of {realm or 'the server'}"


vault.register_sealed(
    AuditMark.sealed,
    select(AuditMark.realm, AuditMark.sealed, AuditMark.realm),
    _context,
)
