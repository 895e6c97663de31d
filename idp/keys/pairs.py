"""Key pairs, generated in advance: an RSA one takes up to half a second, in which nobody should wait for a transaction."""

import os
import threading
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, RSAKey

from idp.algorithms import SIGNING_ALGORITHMS


@dataclass(frozen=True, slots=True, repr=False)
class KeyPair:
    """A key pair that nobody has yet."""

    private_der: bytes
    """PKCS #8."""
    public_jwk: dict[str, Any]


class _Ready(threading.local):
    """The pairs that a thread has made and not used: no other thread can take them between its first step and its last.

    What somebody had made who was then refused serves the next, so asking in vain again and again costs nothing.
    """

    def __init__(self) -> None:
        self.pairs: dict[str, list[KeyPair]] = {algorithm: [] for algorithm in SIGNING_ALGORITHMS}

    def clear(self) -> None:
        """Forget them: a process that begins as a copy of another must not use the same pairs."""
        for pairs in self.pairs.values():
            pairs.clear()


_ready = _Ready()
os.register_at_fork(after_in_child=_ready.clear)


def prepare(count: int = 1) -> None:
    """Have key pairs ready for what this thread is about to do. Call it before the transaction begins.

    Whatever makes keys takes those that are ready, and makes others on the spot only when there are none.

    :param count: how many of each algorithm: as many realms as will be made, or rotations of one algorithm.
    """
    for algorithm, pairs in _ready.pairs.items():
        while len(pairs) < count:
            pairs.append(generate(algorithm))


def take(algorithm: str) -> KeyPair:
    """Return a key pair that nobody else gets."""
    pairs = _ready.pairs[algorithm]
    return pairs.pop() if pairs else generate(algorithm)


def generate(algorithm: str) -> KeyPair:
    """Generate a key pair (RFC 7518 §3.3, §3.4). Other threads keep running."""
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm == "RS256":
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        jwk = RSAKey.import_key(private).as_dict(private=False)
    else:
        private = ec.generate_private_key(ec.SECP256R1())
        jwk = ECKey.import_key(private).as_dict(private=False)
    return KeyPair(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), dict(jwk))
