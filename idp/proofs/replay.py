"""Each proof once (RFC 9449 §11.1)."""

import hashlib
from datetime import UTC, datetime

from sqlalchemy import delete

from idp import clock
from idp.db import db, insert_alone
from idp.jose import Proof
from idp.proofs.binding import ProofError
from idp.proofs.models import UsedProof
from idp.settings import CLOCK_LEEWAY


def use_up(proof: Proof) -> None:
    """Use a proof up, which whoever has sent it must have shown a right to be remembered by. Commits that by itself.

    One statement decides, on every worker and node. Nobody waits for the disk: should the machine fail at this moment, what is
    forgotten is that of a proof which is a minute old when it is back.

    :raises ProofError: it was used before.
    """
    expires_at = datetime.fromtimestamp(proof.until + CLOCK_LEEWAY, UTC)
    if not insert_alone(UsedProof, proof_hash=_hash(proof), expires_at=expires_at):
        raise ProofError("The DPoP proof was used before. Make a new one for each request.")


def _hash(proof: Proof) -> str:
    return hashlib.sha256(f"{proof.thumbprint} {proof.jti}".encode()).hexdigest()


def forget_used_proofs() -> None:
    """Remove those that are too old to be accepted anyway."""
    db.session.execute(delete(UsedProof).where(UsedProof.expires_at < clock.now()))
