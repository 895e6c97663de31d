"""SSH public keys: whether one is usable, and its fingerprint."""

import base64
import binascii
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from idp.jose import SHORTEST_RSA, weakness_of_rsa


def fingerprint(public_key: str) -> str:
    """Return the fingerprint of an SSH public key (RFC 4253 §6.6) as `ssh-keygen -l` shows it: `SHA256:` and base64.

    :param public_key: one line: type, base64, and perhaps a comment.
    :raises ValueError: it is none, or too weak. The sentence does not repeat it.
    """
    if "PRIVATE KEY" in public_key:
        raise ValueError("This is a private key. Send the public one: the line in the .pub file")
    parts = public_key.split()
    if len(parts) < 2 or len(public_key.strip().splitlines()) != 1:
        raise ValueError("This is not an SSH public key: send the one line of the .pub file")
    try:
        key = load_ssh_public_key(f"{parts[0]} {parts[1]}".encode())
        blob = base64.b64decode(parts[1], validate=True)
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        raise ValueError("This is not an SSH public key: send the one line of the .pub file") from None
    if isinstance(key, DSAPublicKey) or (isinstance(key, RSAPublicKey) and key.key_size < SHORTEST_RSA):
        raise ValueError(f"This SSH key is too weak: use ed25519, ECDSA, or RSA of at least {SHORTEST_RSA} bits")
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        weakness = weakness_of_rsa(numbers.n, numbers.e, longest=16_384)
        if weakness:
            raise ValueError(weakness.removesuffix("."))
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"
