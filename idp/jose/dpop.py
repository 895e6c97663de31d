"""Proofs that a request comes from whoever holds a key (RFC 9449 §4), checked without knowing anything of the server."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from joserfc import jws

from idp.jose.reader import MAX_TOKEN, InvalidTokenError, Key, decode_segment, import_key, read_segment

PROOF_ALGORITHMS = (
    "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "EdDSA", "Ed25519",
)  # fmt: skip # a list of words
"""What proofs may be signed with: asymmetric ones only (RFC 9449 §4.2)."""

LONGEST_AGE = 60
"""Seconds since a proof was made for which it is accepted."""

EARLY = 30
"""Seconds by which a proof may be from the future, since clocks differ."""

_MEMBERS = frozenset({"typ", "alg", "jwk", "kid", "cty"})
"""Members of the header that may be there. What a proof may be checked with stands in `jwk`, and is fetched from nowhere."""

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

_REQUIRED = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}
"""What a thumbprint is made from (RFC 7638 §3.2)."""

_OF_CURVE = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",), "Ed25519": ("EdDSA", "Ed25519")}

_PORTS = {"https": 443, "http": 80}

_PATH = "/:@!$&'()*+,;=-._~"
"""What stands in a path as it is (RFC 3986 §3.3)."""

_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]")

_LATEST = 253_402_300_800


_ALGORITHMS = {name: jws.JWSRegistry.algorithms[name] for name in PROOF_ALGORITHMS}


class InvalidProofError(InvalidTokenError):
    """A proof is refused. The text says why in a sentence without any part of the proof in it."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that was found right, but for whether it was used before."""

    thumbprint: str
    """Of the key that it is signed with (RFC 7638, SHA-256)."""
    jti: str
    nonce: str
    """What the server had the client put in; empty for nothing."""
    algorithm: str
    until: float
    """When it will be too old (seconds since 1970): for so long, that it was used has to be remembered."""


def check_proof(header: str, *, method: str, url: str, now: float, token: str | None = None) -> Proof:
    """Check a proof for one request, by all of RFC 9449 §4.3 but what depends on other requests: `jti` and `nonce`.

    :param header: the value of the request's header `DPoP`. A request with two of them has to be refused before.
    :param method: of the request.
    :param url: of the request, as its client knows it; query and fragment do not count.
    :param token: the access token that comes with it; None where none does.
    :raises InvalidProofError: it is not right.
    """
    claims, signer = _open(header)
    _check_request(claims, method, url)
    issued_at = _check_times(claims, now)
    jti, nonce = claims.get("jti"), claims.get("nonce", "")
    if not isinstance(jti, str) or not 1 <= len(jti) <= 255:
        raise InvalidProofError("The DPoP proof has no usable jti.")
    if not isinstance(nonce, str) or len(nonce) > 255 or ("nonce" in claims and not nonce):
        raise InvalidProofError("The nonce of the DPoP proof is not a usable text.")
    if token is not None and claims.get("ath") != hash_of(token):
        raise InvalidProofError("The ath of the DPoP proof is missing, or is not that of the access token.")
    return Proof(signer.thumbprint, jti, nonce, signer.algorithm, issued_at + LONGEST_AGE)


@dataclass(frozen=True, slots=True)
class _Signer:
    """What the header of a proof says of who has signed it."""

    key: Key
    thumbprint: str
    algorithm: str


def _open(proof: str) -> tuple[dict[str, Any], _Signer]:
    """Return what a proof says and who has signed it, once the signature is found right."""
    if len(proof) > MAX_TOKEN or "," in proof or " " in proof:
        raise InvalidProofError("Send one DPoP header, with one proof in it.")
    signed, _, signature = proof.rpartition(".")
    header, _, payload = signed.partition(".")
    try:
        signer, claims, proven = _signer(header), read_segment(payload), decode_segment(signature)
    except InvalidProofError:
        raise
    except InvalidTokenError:
        raise InvalidProofError("The DPoP proof is not a signed JWT.") from None
    if not _ALGORITHMS[signer.algorithm].verify(signed.encode(), proven, signer.key):
        raise InvalidProofError("The signature of the DPoP proof does not match its key.")
    return claims, signer


@lru_cache(maxsize=2_000)
def _signer(header: str) -> _Signer:
    """Return who a header says has signed; worked out once for a client, whose headers are all the same."""
    head = read_segment(header)
    algorithm, typ = head.get("alg"), head.get("typ")
    if not isinstance(typ, str) or typ.lower() != "dpop+jwt":
        raise InvalidProofError("The typ of the DPoP proof must be dpop+jwt.")
    if not head.keys() <= _MEMBERS:
        raise InvalidProofError("The header of the DPoP proof has members that are not supported.")
    if not isinstance(algorithm, str) or algorithm not in PROOF_ALGORITHMS:
        raise InvalidProofError("The algorithm of the DPoP proof is not accepted here.")
    return _Signer(*_key(head.get("jwk"), algorithm), algorithm)


def _check_request(claims: Mapping[str, Any], method: str, url: str) -> None:
    if claims.get("htm") != method:
        raise InvalidProofError("The htm of the DPoP proof is not the method of the request.")
    named = claims.get("htu")
    if not isinstance(named, str) or not normalised(named) or normalised(named) != normalised(url):
        raise InvalidProofError("The htu of the DPoP proof is not the URL of the request.")


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    """Return when the proof was made (seconds since 1970)."""
    times = {name: claims[name] for name in ("iat", "nbf", "exp") if name in claims}
    for value in times.values():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
            raise InvalidProofError("A time of the DPoP proof is not a usable number.")
    if "iat" not in times:
        raise InvalidProofError("The DPoP proof has no iat.")
    if not now - LONGEST_AGE < times["iat"] <= now + EARLY:
        raise InvalidProofError("The iat of the DPoP proof is too old or in the future. Make a new proof, and check the clock.")
    if times.get("nbf", 0) > now + EARLY or times.get("exp", now) + EARLY < now:
        raise InvalidProofError("The DPoP proof has expired, or is not valid yet.")
    return float(times["iat"])


def _key(jwk: object, algorithm: str) -> tuple[Key, str]:
    """Return the key that a proof is signed with, and its thumbprint."""
    if not isinstance(jwk, dict) or not _PRIVATE.isdisjoint(jwk):
        raise InvalidProofError("The header of the DPoP proof must hold a public key as its jwk, without private members.")
    members = _REQUIRED.get(jwk["kty"]) if isinstance(jwk.get("kty"), str) else None
    if members is None or not all(isinstance(jwk.get(name), str) for name in members):
        raise InvalidProofError("The jwk of the DPoP proof is no public RSA, EC or Ed25519 key.")
    fits = algorithm[:2] in {"RS", "PS"} if jwk["kty"] == "RSA" else algorithm in _OF_CURVE.get(jwk["crv"], ())
    if not fits or jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise InvalidProofError("The jwk of the DPoP proof is not for its algorithm.")
    return _imported(_canonical(jwk, members))


def _canonical(jwk: Mapping[str, Any], members: tuple[str, ...]) -> str:
    """Return what a thumbprint is made from (RFC 7638 §3)."""
    return json.dumps({name: jwk[name] for name in members}, separators=(",", ":"), sort_keys=True)


def _imported(canonical: str) -> tuple[Key, str]:
    try:
        return import_key(json.loads(canonical)), _digest(canonical.encode())
    except InvalidTokenError as error:
        raise InvalidProofError(f"The jwk of the DPoP proof cannot be used. {error}") from error


def thumbprint_of(jwk: Mapping[str, Any]) -> str:
    """Return the SHA-256 thumbprint of a public key (RFC 7638), as tokens that are bound to it have it in `cnf`.

    :raises InvalidProofError: it is no such key.
    """
    members = _REQUIRED.get(str(jwk.get("kty")))
    if members is None or not all(isinstance(jwk.get(name), str) for name in members):
        raise InvalidProofError("The key is no RSA, EC or Ed25519 key.")
    return _digest(_canonical(jwk, members).encode())


def hash_of(token: str) -> str:
    """Return what a proof says of the access token that it comes with: `ath` (RFC 9449 §4.2)."""
    return _digest(token.encode())


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


@lru_cache(maxsize=1_000)
def normalised(url: str) -> str:
    """Return a URL in its one form, without query and fragment (RFC 3986 §6.2.2 and §6.2.3); what is none is empty.

    Scheme and host are in lower case, the default port is left out, escapes are in capitals and only where they are needed, and
    `.` and `..` are gone.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    scheme = parts.scheme.lower()
    if not host or scheme not in _PORTS or parts.username is not None or len(url) > 8_000:
        return ""
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port in {None, _PORTS[scheme]} else f"{shown}:{port}"
    return f"{scheme}://{authority}{_plain_path(parts.path)}"


def _plain_path(path: str) -> str:
    unescaped = _ESCAPE.sub(_unreserved, path)
    kept: list[str] = []
    segments = unescaped.split("/")[1:]
    for number, segment in enumerate(segments):
        is_last = number == len(segments) - 1
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
            continue
        if is_last:
            kept.append("")
    return "/" + "/".join(kept)


def _unreserved(match: re.Match[str]) -> str:
    decoded = unquote_to_bytes(match[0]).decode("latin-1")
    return decoded if _UNRESERVED.fullmatch(decoded) else match[0].upper()


def escaped_path(path: bytes) -> str:
    """Return a path that a server has decoded as it stands in a URL."""
    return quote(path, safe=_PATH)
