"""Algorithms and signatures."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, RSAKey

from tests.vectors.verifier.building import NOW, Vector, accepted, claims, header, refused, sign
from tests.vectors.verifier.keys import (
    EC_1,
    EC_384,
    EC_521,
    EC_STRANGER,
    P256_ORDER,
    PS_1,
    RSA,
    RSA_1,
    RSA_STRANGER,
)

ALL = {"algorithms": ["RS256", "PS256", "ES256"]}


def vectors() -> Iterator[Vector]:
    """Return the vectors."""
    yield Vector("ES256", "RFC 7518 §3.4", sign(), accepted())
    yield Vector("RS256", "RFC 7518 §3.3", sign(head=header("RS256")), accepted())
    yield Vector("PS256 where it is configured", "RFC 7518 §3.5", sign(head=header("PS256")), accepted(), ALL)
    yield Vector("PS256 where it is not configured", "RFC 8725 §3.1", sign(head=header("PS256")), refused("algorithm"))
    yield Vector(
        "RS256 where only ES256 is configured",
        "RFC 8725 §3.1",
        sign(head=header("RS256")),
        refused("algorithm"),
        {"algorithms": ["ES256"]},
    )
    yield Vector("ES256 where only ES256 is configured", "RFC 8725 §3.1", sign(), accepted(), {"algorithms": ["ES256"]})
    for alg in ("none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512"):
        yield Vector(
            f"alg {alg or 'empty'}",
            "T5: algorithms that nobody allowed",
            sign(head=header(alg, kid="ec-1")),
            refused("algorithm"),
            ALL,
        )
    for alg in ("EdDSA", "Ed25519", "ES256K", "es256", "rs256", "RSA1_5", "dir", "ES256 ", "HS256\0"):
        yield Vector(
            f"alg {json.dumps(alg)}",
            "T5: algorithms that nobody allowed",
            sign(head=header(alg, kid="ec-1")),
            refused("algorithm"),
            ALL,
        )
    for name, alg in (("null", None), ("a number", 0), ("a list", ["ES256"]), ("an object", {"ES256": 1}), ("true", True)):
        yield Vector(f"alg is {name}", "RFC 7515 §4.1.1", sign(head=header() | {"alg": alg}), refused("algorithm"))
    yield Vector("no alg", "RFC 7515 §4.1.1", sign(head={"kid": "ec-1", "typ": "at+jwt"}), refused("algorithm"))
    yield Vector(
        "none without a signature", "RFC 8725 §2.1", sign(head=header("none")).rpartition(".")[0] + ".", refused("malformed")
    )
    yield from _passwords()
    yield from _of_other_keys()
    yield from _ecdsa()
    yield from _rsa()


def _passwords() -> Iterator[Vector]:
    """A public key is no password (T1 to T4)."""
    rsa, ecdsa = RSAKey.import_key(RSA_1.jwk()), ECKey.import_key(EC_1.jwk())
    for name, key, jwk in (("RSA", rsa, RSA_1.jwk()), ("EC", ecdsa, EC_1.jwk())):
        public: Any = key.public_key
        passwords = {
            "as PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "as DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "as OpenSSH has it": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
            "as a JWK": json.dumps(jwk, separators=(",", ":")).encode(),
        }
        for form, password in passwords.items():

            def mac(message: bytes, password: bytes = password) -> bytes:
                return hmac.digest(password, message, hashlib.sha256)

            about = "T1: a public key is no password"
            yield Vector(
                f"HS256 with the {name} key {form}",
                about,
                sign(head=header("HS256", kid=jwk["kid"]), signer=mac),
                refused("algorithm"),
            )
            yield Vector(
                f"{jwk['alg']} with a MAC by the {name} key {form}",
                about,
                sign(head=header(jwk["alg"]), signer=mac),
                refused("signature"),
            )


def _of_other_keys() -> Iterator[Vector]:
    about = "RFC 8725 §3.1: a key signs with its own algorithm"
    for alg, kid, signer in (
        ("RS256", "ec-1", RSA_1.rs256),
        ("ES256", "rsa-1", EC_1.es256),
        ("PS256", "rsa-1", RSA_1.ps256),
        ("RS256", "ps-1", PS_1.rs256),
        ("PS256", "ec-1", PS_1.ps256),
        ("ES256", "ps-1", EC_1.es256),
    ):
        yield Vector(f"{alg} by the kid {kid}", about, sign(head=header(alg, kid=kid), signer=signer), refused("signature"), ALL)
    for alg, kid, signer in (
        ("PS256", "rsa-1", RSA_1.rs256),
        ("ES256", "rsa-1", RSA_1.rs256),
        ("RS256", "ec-1", EC_1.es256),
        ("RS256", "ps-1", PS_1.ps256),
    ):
        token = sign(head=header(alg, kid=kid), signer=signer)
        yield Vector(f"{alg} by the kid {kid}, signed as that key signs", about, token, refused("signature"), ALL)
    yield Vector("PS256 signed as RS256", about, sign(head=header("PS256"), signer=PS_1.rs256), refused("signature"), ALL)
    yield Vector("RS256 signed as PS256", about, sign(head=header("RS256"), signer=RSA_1.ps256), refused("signature"), ALL)
    yield Vector("ES256 by another key", "RFC 7515 §5.2", sign(signer=EC_STRANGER.es256), refused("signature"))
    yield Vector(
        "RS256 by another key", "RFC 7515 §5.2", sign(head=header("RS256"), signer=RSA_STRANGER.rs256), refused("signature")
    )
    yield Vector(
        "ES256 by a key on P-384", "RFC 7518 §3.4", sign(head=header(kid="ec-384"), signer=EC_384.es256), refused("signature")
    )
    yield Vector(
        "ES256 by a key on P-521", "RFC 7518 §3.4", sign(head=header(kid="ec-521"), signer=EC_521.es256), refused("signature")
    )
    stranger = RSA_STRANGER.jwk(kid="rsa-1")
    yield Vector(
        "key in the header",
        "T6: CVE-2026-27962",
        sign(head=header("RS256", jwk=stranger), signer=RSA_STRANGER.rs256),
        refused("header"),
    )


def _ecdsa() -> Iterator[Vector]:
    about = "RFC 7518 §3.4: a signature is r and s, 32 bytes each"

    def made(change: Any) -> str:
        return sign(signer=lambda message: change(*EC_1.numbers(message)))

    def pair(r: int, s: int) -> bytes:
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    yield Vector(
        "ES256 with a high s", "RFC 7518 §3.4 asks for no low s", made(lambda r, s: pair(r, max(s, P256_ORDER - s))), accepted()
    )
    yield Vector("ES256 with a low s", "RFC 7518 §3.4", made(lambda r, s: pair(r, min(s, P256_ORDER - s))), accepted())
    for name, change in {
        "ES256 of zeros": lambda r, s: bytes(64),
        "ES256 with r 0": lambda r, s: pair(0, s),
        "ES256 with s 0": lambda r, s: pair(r, 0),
        "ES256 with r and s 1": lambda r, s: pair(1, 1),
        "ES256 with r the order": lambda r, s: pair(P256_ORDER, s),
        "ES256 with s the order": lambda r, s: pair(r, P256_ORDER),
        "ES256 with r beyond the order": lambda r, s: pair((r + P256_ORDER) % 2**256, s),
        "ES256 of ones": lambda r, s: b"\xff" * 64,
        "ES256 with r and s swapped": lambda r, s: pair(s, r),
        "ES256 short of a byte": lambda r, s: pair(r, s)[:-1],
        "ES256 of half a signature": lambda r, s: pair(r, s)[:32],
        "ES256 with a byte more": lambda r, s: pair(r, s) + b"\0",
        "ES256 with a zero before r": lambda r, s: b"\0" + pair(r, s),
        "ES256 in 48 bytes each": lambda r, s: r.to_bytes(48, "big") + s.to_bytes(48, "big"),
        "ES256 of one byte": lambda r, s: b"\0",
    }.items():
        yield Vector(
            name, "CVE-2022-21449 and its kin" if "0" in name or "zeros" in name else about, made(change), refused("signature")
        )
    yield Vector("ES256 in DER", about, sign(signer=EC_1.der), refused("signature"))
    yield Vector("ES256 over other claims", "RFC 7515 §5.2", _moved(sign(), sign(claims(sub="other"))), refused("signature"))


def _rsa() -> Iterator[Vector]:
    about = "RFC 8017 §8.2.2"
    head = header("RS256")

    def made(change: Any) -> str:
        return sign(head=head, signer=lambda message: change(RSA_1.rs256(message)))

    yield Vector("RS256 short of a byte", about, made(lambda whole: whole[:-1]), refused("signature"))
    yield Vector("RS256 with a zero in front", about, made(lambda whole: b"\0" + whole), refused("signature"))
    yield Vector("RS256 with a zero behind", about, made(lambda whole: whole + b"\0"), refused("signature"))
    yield Vector("RS256 of zeros", about, made(lambda whole: bytes(256)), refused("signature"))
    yield Vector("RS256 of the number 1", about, made(lambda whole: bytes(255) + b"\1"), refused("signature"))
    yield Vector("RS256 of more than the modulus", about, made(lambda whole: b"\xff" * 256), refused("signature"))
    yield Vector("RS256 plus the modulus", about, made(_plus_modulus), refused("signature"))

    def padded(padding: bytes, tail: bytes = b"") -> str:
        def signer(message: bytes) -> bytes:
            info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(message).digest()
            block = padding + b"\0" + info + tail
            return RSA_1.apply(block + bytes(256 - len(block)))

        return sign(head=head, signer=signer)

    yield Vector(
        "RS256 with little padding and much behind",
        "CVE-2006-4339",
        padded(b"\0\1" + b"\xff" * 8, b"\xaa" * 100),
        refused("signature"),
    )
    yield Vector("RS256 with block type 2", about, padded(b"\0\2" + b"\xff" * 202), refused("signature"))

    def of_sha1(message: bytes) -> bytes:
        info = bytes.fromhex("3021300906052b0e03021a05000414") + hashlib.sha1(message).digest()
        return RSA_1.apply(b"\0\1" + b"\xff" * (256 - len(info) - 3) + b"\0" + info)

    yield Vector("RS256 over SHA-1", about, sign(head=head, signer=of_sha1), refused("signature"))
    ps = header("PS256")
    for length in (0, 20, 64, 222):
        token = sign(head=ps, signer=lambda message, length=length: PS_1.ps256(message, bytes(length)))
        yield Vector(
            f"PS256 with a salt of {length} bytes",
            "RFC 7518 §3.5: the salt is as long as the hash",
            token,
            refused("signature"),
            ALL,
        )
    large = RSA("rsa-8192")
    token = sign(claims(exp=NOW + 60), header("RS256", kid="rsa-8192"), large.rs256)
    yield Vector("RS256 by a key of 8192 bits", "the largest key that is taken", token, accepted())


def _plus_modulus(signature: bytes) -> bytes:
    """Return a number that is the same modulo n, if it fits: a signature has one form (RFC 8017 §5.2.2)."""
    number = int.from_bytes(signature, "big") + RSA_1.n
    return number.to_bytes(257, "big") if number.bit_length() > 2048 else number.to_bytes(256, "big")


def _moved(signature_of: str, claims_of: str) -> str:
    return ".".join((claims_of.rpartition(".")[0], signature_of.rpartition(".")[2]))
