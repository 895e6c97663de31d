"""Nonces that clients put into their proofs (RFC 9449 §8): none is stored, and every node accepts those of every other.

A nonce is worked out from the time, in windows of two minutes, under a key that all nodes have. The one of the window before is
accepted, too. So a proof that carries one was made in the last four minutes, whatever the client's clock says.
"""

from idp import clock, crypto, vault
from idp.jose import Proof
from idp.proofs.binding import ProofError
from idp.realms import KnownRealm

WINDOW = 120
"""Seconds for which the same nonce is handed out."""

_LETTERS = 22


def current_nonce(realm: KnownRealm) -> str:
    """Return the nonce for proofs that are made from now on."""
    return _nonce(realm, clock.timestamp() // WINDOW)


def check_nonce(realm: KnownRealm, proof: Proof, *, demanded: bool) -> None:
    """See that the nonce of a proof is one of ours, and new enough.

    :param demanded: whether a proof without one is refused.
    :raises ProofError: it is not; the error has the nonce to try again with.
    """
    window = clock.timestamp() // WINDOW
    if not proof.nonce and not demanded:
        return
    # a node whose clock is ahead may have handed it out
    if not any(crypto.same(proof.nonce.encode(), _nonce(realm, each).encode()) for each in (window, window - 1, window + 1)):
        sentence = "Send the proof again with the nonce of the header DPoP-Nonce in it."
        raise ProofError(sentence, error="use_dpop_nonce", nonce=_nonce(realm, window))


def _nonce(realm: KnownRealm, window: int) -> str:
    digest = crypto.keyed_hash(vault.pepper(vault.newest_pepper()), f"dpop nonce {realm.uid} {window}")
    return crypto.b64url(digest).decode()[:_LETTERS]
