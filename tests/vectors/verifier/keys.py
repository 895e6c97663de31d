"""Keys that nobody uses but these vectors, and signatures that are the same every time."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

_PRIMES: dict[str, list[str]] = json.loads((Path(__file__).parent / "rsa_primes.json").read_text())
"""The two primes of each RSA key: to look for new ones each time would take seconds, and change every vector."""

_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""What PKCS #1 puts before a SHA-256 hash (RFC 8017 §9.2, note 1)."""

CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def encode(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode_number(number: int, size: int = 0) -> str:
    """Return a number as JWKs have it (RFC 7518 §2), in at least so many bytes."""
    return encode(number.to_bytes(max(size, (number.bit_length() + 7) // 8), "big"))


class RSA:
    """An RSA key."""

    def __init__(self, name: str, exponent: int = 65537) -> None:
        self.name, self.e = name, exponent
        self.p, self.q = (int(prime, 16) for prime in _PRIMES[name])
        self.n = self.p * self.q
        self.d = pow(exponent, -1, (self.p - 1) * (self.q - 1))
        self.size = (self.n.bit_length() + 7) // 8

    def jwk(self, **members: Any) -> dict[str, Any]:
        """Return the public key; a member given as None is left out."""
        own = {
            "kty": "RSA",
            "kid": self.name,
            "use": "sig",
            "alg": "RS256",
            "n": encode_number(self.n),
            "e": encode_number(self.e),
        }
        return _without_none(own | members)

    def private_jwk(self) -> dict[str, Any]:
        """Return the private key, as no key set should have it."""
        numbers = {"d": self.d, "p": self.p, "q": self.q, "dp": self.d % (self.p - 1), "dq": self.d % (self.q - 1)}
        return self.jwk(
            **{name: encode_number(number) for name, number in numbers.items()}, qi=encode_number(pow(self.q, -1, self.p))
        )

    def rs256(self, message: bytes) -> bytes:
        """Sign with RSASSA-PKCS1-v1_5 (RFC 8017 §8.2)."""
        info = _SHA256_INFO + hashlib.sha256(message).digest()
        return self.apply(b"\0\1" + b"\xff" * (self.size - len(info) - 3) + b"\0" + info)

    def ps256(self, message: bytes, salt: bytes = bytes(range(32))) -> bytes:
        """Sign with RSASSA-PSS (RFC 8017 §8.1, §9.1.1) and a salt that should have been random."""
        hashed = hashlib.sha256(bytes(8) + hashlib.sha256(message).digest() + salt).digest()
        block = bytes(self.size - len(salt) - len(hashed) - 2) + b"\1" + salt
        mask = b"".join(hashlib.sha256(hashed + count.to_bytes(4, "big")).digest() for count in range(len(block) // 32 + 1))
        masked = bytearray(a ^ b for a, b in zip(block, mask, strict=False))
        masked[0] &= 0x7F
        return self.apply(bytes(masked) + hashed + b"\xbc")

    def apply(self, block: bytes) -> bytes:
        """Return a block to the power of the private exponent."""
        number = int.from_bytes(block, "big")
        a, b = pow(number % self.p, self.d % (self.p - 1), self.p), pow(number % self.q, self.d % (self.q - 1), self.q)
        return (b + self.q * ((a - b) * pow(self.q, -1, self.p) % self.p)).to_bytes(self.size, "big")


class EC:
    """A key on a curve of NIST's."""

    def __init__(self, name: str, curve: str = "P-256") -> None:
        self.name, self.curve = name, curve
        scalar = int.from_bytes(hashlib.sha256(f"Realmgate's test key {name}".encode()).digest(), "big") >> 8
        self.key = ec.derive_private_key(scalar, CURVES[curve])
        self.size = (CURVES[curve].key_size + 7) // 8

    def jwk(self, **members: Any) -> dict[str, Any]:
        """Return the public key; a member given as None is left out."""
        numbers = self.key.public_key().public_numbers()
        own = {"kty": "EC", "kid": self.name, "use": "sig", "alg": "ES256", "crv": self.curve}
        return _without_none(own | {"x": encode_number(numbers.x, self.size), "y": encode_number(numbers.y, self.size)} | members)

    def private_jwk(self) -> dict[str, Any]:
        """Return the private key, as no key set should have it."""
        return self.jwk(d=encode_number(self.key.private_numbers().private_value, self.size))

    def der(self, message: bytes) -> bytes:
        """Sign with ECDSA and SHA-256, in DER."""
        return self.key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def numbers(self, message: bytes) -> tuple[int, int]:
        """Sign with ECDSA and SHA-256, and return r and s."""
        return decode_dss_signature(self.der(message))

    def es256(self, message: bytes) -> bytes:
        """Sign as ES256 does on P-256 (RFC 7518 §3.4)."""
        return b"".join(number.to_bytes(self.size, "big") for number in self.numbers(message))


def ed25519_jwk(**members: Any) -> dict[str, Any]:
    """Return a public key on Ed25519."""
    public = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
    return _without_none(
        {"kty": "OKP", "kid": "ed-1", "use": "sig", "alg": "EdDSA", "crv": "Ed25519", "x": encode(public)} | members
    )


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


RSA_1, PS_1, RSA_STRANGER = RSA("rsa-1"), RSA("ps-1"), RSA("rsa-stranger")
EC_1, EC_STRANGER = EC("ec-1"), EC("ec-stranger")
EC_384, EC_521 = EC("ec-384", "P-384"), EC("ec-521", "P-521")
