"""Each proof once (RFC 9449 §11.1)."""

import hashlib

from sqlalchemy import delete

from idp import clock, runtime
from idp.db import db
from idp.jose import Proof
from idp.proofs.binding import ProofError
from idp.proofs.claims import Claims
from idp.proofs.models import UsedProof
from idp.settings import CLOCK_LEEWAY

_CLAIMS = "used proofs"
"""Where a process keeps what claims proofs."""


def use_up(proof: Proof) -> None:
    """Use a proof up, which whoever has sent it must have shown a right to be remembered by. Commits that by itself.

    One statement decides, on every worker and node. Nobody waits for the disk: should the machine fail at this moment, what is
    forgotten is that of a proof which is a minute old when it is back.

    :raises ProofError: it was used before.
    """
    process = runtime.current()
    claims: Claims | None = process.extensions.get(_CLAIMS)
    if claims is None:
        claims = process.extensions.setdefault(_CLAIMS, Claims(process.settings))
    digest = hashlib.sha256(f"{proof.thumbprint} {proof.jti}".encode()).hexdigest()
    if not claims.claim(_time(proof.until + CLOCK_LEEWAY) + digest):
        raise ProofError("The DPoP proof was used before. Make a new one for each request.")


def _time(seconds: float) -> str:
    return f"{int(seconds):010x}"


def forget_used_proofs() -> None:
    """Remove those that are too old to be accepted anyway."""
    db.session.execute(delete(UsedProof).where(UsedProof.proof < _time(clock.timestamp())))
