"""Sealing the trail, each batch with a checkpoint that a key of its realm has signed."""

import json
import logging
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp import clock, runtime
from idp.db import db
from idp.errors import Sentence
from idp.keys import SigningKeyMissingError, key_ring
from idp.realms import MASTER, known_realm
from idp.trail import witness
from idp.trail.chain import Standing
from idp.trail.marks import Mark, mark_of, read_mark, thumbprint, write_mark
from idp.trail.models import AuditBatch
from idp.trail.sealing import Seal, seal_events
from idp.trail.verify import CHECKPOINT_TYPE

_log = logging.getLogger(__name__)


def seal_trail() -> int:
    """Seal what was written since the last time; return how many events that was."""
    sealer = _Sealer()
    sealed = seal_events(sealer)
    if sealed:
        witness.remember(sealer.sealed)
    return sealed


class _Sealer:
    """Looks at what came before, and signs what comes next."""

    def __init__(self) -> None:
        self._seen = witness.seen()  # before the database is asked, so that it cannot be ahead of that
        self.sealed: dict[str, Standing] = {}

    def doubt(self, session: Session, realm: str, newest: AuditBatch | None) -> str:
        """Return why the newest batch of a realm is not the one that was sealed last; empty if it is."""
        doubt = find_doubt(newest, read_mark(session, realm))
        return doubt or find_other_past(session, realm, newest, self._seen.get(realm))

    def sign(self, batch: AuditBatch, seal: Seal) -> None:
        """Give a batch its signed checkpoint (RFC 7515 §3.1), and keep how far the trail has come."""
        claims: dict[str, Any] = {**seal.standing._asdict(), "previous": seal.before._asdict()}
        if seal.doubt:
            claims["doubt"] = seal.doubt
            where = seal.realm or "the server"
            _log.error("the audit trail of %s is not as it was sealed: %s. Run: idp audit verify", where, seal.doubt)
        batch.checkpoint, key = sign_statement(seal.realm, CHECKPOINT_TYPE, int(seal.sealed_at.timestamp()), claims)
        mark = read_mark(db.session(), seal.realm)
        write_mark(seal.realm, mark_of(batch, (mark.keys if mark is not None else frozenset()) | {key}))
        self.sealed[seal.realm] = seal.standing


def find_doubt(newest: AuditBatch | None, mark: Mark | None) -> str:
    """Return why the newest batch of a trail is not the one that was sealed last; empty if it is."""
    if mark is None:
        return "there is no trustworthy record of how far it had come"
    if newest is None:
        return f"it had come to batch {mark.standing.number}, and there is none" if mark.standing.number else ""
    now = mark_of(newest, mark.keys)
    if now.standing != mark.standing:
        return f"it had come to batch {mark.standing.number}, and what ends at batch {newest.number} is something else"
    return "" if now.checkpoint == mark.checkpoint else f"the checkpoint of batch {newest.number} is not the one that was signed"


def find_other_past(session: Session, realm: str, newest: AuditBatch | None, known: Standing | None) -> str:
    """Return in what a trail differs from what this machine has seen of it before; empty for nothing.

    :param known: how far it had come then.
    """
    if known is None or (newest is not None and newest.number == known.number and newest.head == known.head):
        return ""
    if newest is None or newest.number <= known.number:
        return f"this machine has seen it come to batch {known.number}, and it is not there"
    query = select(AuditBatch.head).where(AuditBatch.realm == realm, AuditBatch.number == known.number)
    head = session.scalar(query)  # there is none if the batch was cut since
    return f"batch {known.number} is not the one that this machine has seen" if head not in {None, known.head} else ""


def sign_statement(realm: str, kind: str, at: int, claims: dict[str, Any]) -> tuple[str, str]:
    """Sign a statement about the trail of a realm (a compact JWS).

    The trail of the server as a whole, of a realm that was purged, and of one whose own keys cannot be used, is signed by
    the operators' realm.

    :param kind: its `typ`.
    :param at: `iat`, seconds since 1970.
    :returns: the statement, and the thumbprint of the key that has signed it.
    :raises SigningKeyMissingError: there is no key to sign with.
    """
    process = runtime.current()
    for name in dict.fromkeys((realm or MASTER, MASTER)):
        known = known_realm(process, name)
        if known is None:
            continue
        try:
            signer = key_ring(known).signer("ES256", clock.timestamp())
        except SigningKeyMissingError as error:
            _log.error("realm %s cannot sign for its audit trail: %s", name, error)
            continue
        text = json.dumps({"iss": known.issuer, "iat": at, "realm": realm, **claims})
        return signer.sign(kind, text), thumbprint(signer.public_jwk)
    raise SigningKeyMissingError(
        Sentence("Neither the {realm} nor the operators' {realm} has a key to sign the audit trail with.")
    )


def newest_checkpoint(realm: str) -> AuditBatch | None:
    """Return the newest batch of a realm, or None when nothing is sealed yet."""
    query = select(AuditBatch).where(AuditBatch.realm == realm).order_by(AuditBatch.number.desc()).limit(1)
    return db.session.scalar(query)
