"""Sealing the trail, each batch with a checkpoint that a key of its realm has signed."""

import json

from sqlalchemy import select

from idp import clock, runtime
from idp.audit import CHECKPOINT_TYPE, AuditBatch, Seal, seal_events
from idp.db import db
from idp.errors import IdpError
from idp.keys import key_ring
from idp.realms import MASTER, known_realm


def seal_trail() -> int:
    """Seal what was written since the last time; return how many events that was."""
    return seal_events(sign_checkpoint)


def sign_checkpoint(seal: Seal) -> str:
    """Return the signed checkpoint of a batch (RFC 7515 §3.1), or an empty text when its realm cannot sign.

    The trail of the server as a whole, and of a realm that was purged, is signed by the operators' realm.
    """
    process = runtime.current()
    realm = known_realm(process, seal.realm or MASTER) or known_realm(process, MASTER)
    if realm is None:
        return ""
    claims = {
        "iss": realm.issuer,
        "iat": int(seal.sealed_at.timestamp()),
        "realm": seal.realm,
        "number": seal.number,
        "total": seal.total,
        "head": seal.head,
    }
    try:
        return key_ring(realm).signer("ES256", clock.timestamp()).sign(CHECKPOINT_TYPE, json.dumps(claims))
    except IdpError:
        return ""  # a realm whose keys are revoked: the checkpoints that follow cover this batch, too


def newest_checkpoint(realm: str) -> AuditBatch | None:
    """Return the newest batch of a realm, or None when nothing is sealed yet."""
    query = select(AuditBatch).where(AuditBatch.realm == realm).order_by(AuditBatch.number.desc()).limit(1)
    return db.session.scalar(query)
