"""Key sets as an issuer should not publish them, and what becomes of them."""

from collections.abc import Iterator
from typing import Any

from tests.vectors.verifier.building import Vector, accepted, header, refused, sign
from tests.vectors.verifier.keys import (
    EC_1,
    EC_384,
    EC_521,
    EC_STRANGER,
    PS_1,
    RSA,
    RSA_1,
    RSA_STRANGER,
    ed25519_jwk,
    encode,
    encode_number,
)

ORDINARY = [
    RSA_1.jwk(),
    PS_1.jwk(alg="PS256"),
    EC_1.jwk(),
    EC_384.jwk(),
    EC_521.jwk(),
    RSA("rsa-8192").jwk(),
    ed25519_jwk(),
]
OTHER = EC_STRANGER.jwk()
"""A key that keeps a set from being empty."""

SETS: dict[str, Any] = {"ordinary": {"keys": ORDINARY}}


def vectors() -> Iterator[Vector]:
    """Return the vectors, and put their key sets into SETS."""
    yield from _of_ec()
    yield from _of_rsa()
    yield from _of_sets()


def _vector(name: str, about: str, keys: Any, verdict: dict[str, Any], alg: str = "ES256") -> Vector:
    SETS[name] = {"keys": keys} if isinstance(keys, list) else keys
    settings = {"algorithms": ["RS256", "PS256", "ES256"]} if alg == "PS256" else {}
    return Vector(f"key set: {name}", about, sign(head=header(alg)), verdict, settings, keys=name)


def _of_ec() -> Iterator[Vector]:
    about = "RFC 7517 §4"
    yield _vector("without alg", about, [EC_1.jwk(alg=None)], accepted())
    yield _vector("with an empty alg", about, [EC_1.jwk(alg="")], accepted())
    yield _vector("without use", about, [EC_1.jwk(use=None)], accepted())
    yield _vector("with members that are unknown", about, [EC_1.jwk(more={"a": 1}, iat=1)], accepted())
    yield _vector("with key_ops verify", about, [EC_1.jwk(use=None, key_ops=["verify"])], accepted())
    yield _vector("with use and key_ops verify", about, [EC_1.jwk(key_ops=["verify"])], accepted())
    for name, members in {
        "for encryption": {"use": "enc"},
        "with use null": {"use": None},
        "with use in capitals": {"use": "SIG"},
        "with use in a list": {"use": ["sig"]},
        "with key_ops sign": {"key_ops": ["sign"]},
        "with key_ops that are null": {"key_ops": None},
        "with key_ops that are unknown": {"key_ops": ["verify", "admire"]},
        "with use sig and key_ops encrypt": {"key_ops": ["verify", "encrypt"]},
        "with kid a number": {"kid": 1},
        "with another kid": {"kid": "ec-2"},
        "with alg null": {"alg": None},
        "with alg a list": {"alg": ["ES256"]},
        "with alg of RSA": {"alg": "RS256"},
        "with alg ES384": {"alg": "ES384"},
        "with alg HS256": {"alg": "HS256"},
        "with alg none": {"alg": "none"},
        "with kty in small letters": {"kty": "ec"},
        "with kty oct": {"kty": "oct"},
        "with kty of RSA": {"kty": "RSA"},
        "with kty unknown": {"kty": "AKP"},
        "with kty a list": {"kty": ["EC"]},
        "with crv of another curve": {"crv": "P-384"},
        "with crv unknown": {"crv": "secp256k1"},
        "with crv in small letters": {"crv": "p-256"},
        "with crv a list": {"crv": ["P-256"]},
        "with x a number": {"x": 1},
        "with x and y swapped": {"x": EC_1.jwk()["y"], "y": EC_1.jwk()["x"]},
        "with a point that is not on the curve": {"y": EC_1.jwk()["x"]},
        "with the point 0, 0": {"x": "A" * 43, "y": "A" * 43},
        "with an x beyond the field": {"x": encode(b"\xff" * 32)},
        "with an empty x": {"x": ""},
        "with x with padding": {"x": EC_1.jwk()["x"] + "="},
        "with x in plain base64": {"x": "+" + EC_1.jwk()["x"][1:]},
        "with x with stray bits": {"x": EC_1.jwk()["x"][:-1] + "B"},
        "with a private part that is wrong": {"d": "AAAA"},
        "with a private part that is a number": {"d": 1},
        "with x5u that is no URL": {"x5u": "file:///etc/passwd"},
        "with x5c that is a text": {"x5c": "AAAA"},
        "with x5t that is a number": {"x5t": 1},
    }.items():
        yield _vector(name, about, [EC_1.jwk() | members, OTHER], refused("signature"))
    for name in ("kty", "kid", "crv", "x", "y"):
        yield _vector(f"without {name}", about, [EC_1.jwk(**{name: None}), OTHER], refused("signature"))
    letters = EC_1.jwk(use=None, key_ops="verify")
    yield _vector("with key_ops that are a text", about, [letters, OTHER], refused("signature"))
    yield _vector(
        "with the private key",
        "RFC 7517 §9.2: a private key that everybody can read",
        [EC_1.private_jwk(), OTHER],
        refused("signature"),
    )


def _of_rsa() -> Iterator[Vector]:
    about = "weak keys"
    yield _vector("RSA without alg", "RFC 7517 §4.4", [RSA_1.jwk(alg=None)], accepted(), "RS256")
    yield _vector(
        "RSA for PS256 without alg",
        "RFC 7517 §4.4: RS256 is what is meant",
        [PS_1.jwk(alg=None), OTHER],
        refused("signature"),
        "PS256",
    )
    yield _vector("RSA for PS256 with alg RS256", "RFC 7517 §4.4", [PS_1.jwk(), OTHER], refused("signature"), "PS256")
    yield _vector("RSA for RS256 with alg PS256", "RFC 7517 §4.4", [RSA_1.jwk(alg="PS256"), OTHER], refused("signature"), "RS256")
    yield _vector(
        "RSA with a zero before the modulus",
        "RFC 7518 §2 forbids it, and some do it",
        [RSA_1.jwk(n=encode(b"\0" + RSA_1.n.to_bytes(256, "big")))],
        accepted(),
        "RS256",
    )
    weak: dict[str, dict[str, Any]] = {
        "RSA with an even modulus": {"n": encode_number(RSA_1.n + 1)},
        "RSA with a factor of 3": {"n": encode_number(RSA_1.n // 3 * 3 + (3 if RSA_1.n // 3 % 2 == 0 else 0))},
        "RSA with the exponent 1": {"e": "AQ"},
        "RSA with the exponent 0": {"e": "AA"},
        "RSA with an even exponent": {"e": encode_number(65536)},
        "RSA with a huge exponent": {"e": encode_number(RSA_1.n - 2)},
        "RSA with an empty exponent": {"e": ""},
        "RSA with a modulus of zeros": {"n": "A" * 342},
        "RSA of 16384 bits": {"n": encode_number(RSA("rsa-8192").n << 8192 | 1)},
        "RSA with a modulus with padding": {"n": RSA_1.jwk()["n"] + "=="},
        "RSA with a modulus with stray bits": {"n": RSA_1.jwk()["n"][:-1] + "_"},
        "RSA with a modulus that is a number": {"n": 3},
        "RSA with an exponent that is a number": {"e": 65537},
        "RSA with a prime and no exponent": {"p": encode_number(RSA_1.p)},
        "RSA with other primes": {"oth": []},
    }
    for name, members in weak.items():
        yield _vector(name, about, [RSA_1.jwk(**members), OTHER], refused("signature"), "RS256")
        yield _vector(f"only {name}", about, [RSA_1.jwk(**members)], refused("keys"), "RS256")
    yield _vector(
        "RSA with the private key",
        "RFC 7517 §9.2: a private key that everybody can read",
        [RSA_1.private_jwk(), OTHER],
        refused("signature"),
        "RS256",
    )
    for name, bits in (("rsa-1024", 1024), ("rsa-2040", 2040)):
        key = RSA(name)
        vector = _vector(f"RSA of {bits} bits", "NIST SP 800-131A", [key.jwk(), OTHER], refused("signature"))
        vector.token = sign(head=header("RS256", kid=name), signer=key.rs256)
        yield vector
    roca = RSA("rsa-roca")
    vector = _vector("RSA of the library of CVE-2017-15361", "ROCA", [roca.jwk(), OTHER], refused("signature"))
    vector.token = sign(head=header("RS256", kid="rsa-roca"), signer=roca.rs256)
    yield vector
    cubic = RSA("ps-1", exponent=65539)
    vector = _vector("RSA with another exponent", "RFC 8017 §3.1", [cubic.jwk(kid="odd")], accepted())
    vector.token = sign(head=header("RS256", kid="odd"), signer=cubic.rs256)
    yield vector


def _of_sets() -> Iterator[Vector]:
    two = "RFC 7517 §4.5: two keys with one kid; the last that can be used counts"
    other = EC_STRANGER.jwk(kid="ec-1")
    yield _vector("kid twice, the right one last", two, [other, EC_1.jwk()], accepted())
    yield _vector("kid twice, the right one first", two, [EC_1.jwk(), other], refused("signature"))
    yield _vector("kid twice, the last for encryption", two, [EC_1.jwk(), other | {"use": "enc"}], accepted())
    yield _vector("kid twice, the last broken", two, [EC_1.jwk(), other | {"x": "AA"}], accepted())
    yield _vector("kid twice, the last of another type", two, [EC_1.jwk(), RSA_STRANGER.jwk(kid="ec-1")], refused("signature"))
    yield _vector("kid twice, the first of another type", two, [RSA_STRANGER.jwk(kid="ec-1"), EC_1.jwk()], accepted())
    yield _vector(
        "key besides rubbish",
        "RFC 7517 §5: what is not understood is passed over",
        ["x", None, 1, [], {}, {"kty": "oct", "k": "AAAA", "kid": "ec-1"}, EC_1.jwk()],
        accepted(),
    )
    yield _vector("21 keys", "many keys", [EC_STRANGER.jwk(kid=f"k{count}") for count in range(20)] + [EC_1.jwk()], accepted())
    none = "a key set without a usable key is as none"
    for name, keys in {
        "no key": [],
        "only keys for encryption": [EC_1.jwk(use="enc")],
        "only private keys": [EC_1.private_jwk()],
        "only weak keys": [RSA("rsa-1024").jwk(), RSA("rsa-roca").jwk()],
        "only keys that cannot verify": [EC_1.jwk(key_ops=["sign"])],
        "without keys": {},
        "keys that are null": {"keys": None},
        "keys that are an object": {"keys": {"ec-1": EC_1.jwk()}},
        "a list": None,
    }.items():
        vector = _vector(name, none, keys, refused("keys"))
        if keys is None:
            SETS[name] = [EC_1.jwk()]
        yield vector
    yield _vector("only a key on Ed25519", "a key that can be used, and is not asked for", [ed25519_jwk()], refused("signature"))
    yield _vector(
        "only a key on P-384", "a key that can be used, and is not asked for", [EC_384.jwk(alg="ES384")], refused("signature")
    )
    yield _vector("only Ed25519 short of a byte", none, [ed25519_jwk(x=encode(bytes(31)))], refused("keys"))
    yield _vector("only Ed448", none, [ed25519_jwk(crv="Ed448", x=encode(bytes(57)))], refused("keys"))
