"""Proofs of possession: that they were not used before, what they bind tokens to, and nonces for them (RFC 9449)."""

from idp.proofs.binding import ANYBODYS, Binding, ProofError, bound_to, check_binding
from idp.proofs.models import UsedProof
from idp.proofs.nonces import check_nonce, current_nonce
from idp.proofs.replay import forget_used_proofs, use_up

__all__ = [
    "ANYBODYS",
    "Binding",
    "ProofError",
    "UsedProof",
    "bound_to",
    "check_binding",
    "check_nonce",
    "current_nonce",
    "forget_used_proofs",
    "use_up",
]
