"""Opening a signed JWT with closed eyes for what it says of itself: lengths, shape, algorithm and key come first."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from idp.jose.weak_keys import weakness_of_rsa

Key = RSAKey | ECKey | OKPKey

MAX_TOKEN = 16_384
"""Longest token that is looked at, in characters."""

MAX_DEPTH = 64
"""How many objects and lists may be inside each other, header or claims included. Parsers differ in what they bear."""

_LATEST = 253_402_300_800
"""The end of the year 9999 in seconds since 1970; no token is about later times."""

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")

_UNDERSTOOD_HEADERS = frozenset({"alg", "kid", "typ", "cty"})
"""Header members that may be present. Keys and key addresses in a header (`jwk`, `jku`, `x5c`, `x5u`) are not ignored but
refused, and so is `crit`: no extension is understood here (RFC 7515 §4.1.11, RFC 8725 §3.10)."""


class _Registry(jws.JWSRegistry):
    """With lengths that do not matter: MAX_TOKEN counts here. A signature by a key of 8192 bits is longer than joserfc's own."""

    max_header_length = max_payload_length = max_signature_length = 8_000_000


class InvalidTokenError(Exception):
    """The token is refused. The text says why in a sentence without any part of the token in it."""


@dataclass(frozen=True, slots=True)
class OpenedToken:
    """Header and claims of a JWT."""

    header: dict[str, Any]
    claims: dict[str, Any]
    key: Key | None = field(default=None, repr=False)
    """The key by which it is signed; None where that was not checked."""


def read_unverified(token: str, longest: int = MAX_TOKEN) -> OpenedToken:
    """Take a compact JWS apart without checking its signature.

    :param longest: characters that it may have.
    :raises InvalidTokenError: too long, not three base64url segments, or not JSON objects.
    """
    if len(token) > longest:
        raise InvalidTokenError(f"The token is longer than {longest} characters.")
    if token.count(".") != 2:
        raise InvalidTokenError("The token is not a signed JWT.")
    header, payload, signature = token.split(".")
    if not _SEGMENT.fullmatch(signature):
        raise InvalidTokenError("The token has no signature.")
    return OpenedToken(read_segment(header), read_segment(payload))


def open_token(
    token: str,
    *,
    keys: Callable[[str | None, str], Sequence[Key]],
    algorithms: Collection[str],
    types: Collection[str],
    hints: Collection[str] = (),
    longest: int = MAX_TOKEN,
) -> OpenedToken:
    """Check a compact JWS against keys chosen by the caller, and return what it says (RFC 8725 §3).

    :param keys: returns the keys that a token with this `kid` and `alg` may be signed with, none if there are none.
    :param algorithms: the algorithms the caller uses; what the token asks for is only looked up among them.
    :param types: accepted values of the `typ` header in lower case; an empty one accepts a token without it.
    :param hints: members of the header that may be there besides, and are not looked at.
    :param longest: characters that it may have.
    :raises InvalidTokenError: refused.
    """
    unverified = read_unverified(token, longest)
    header = unverified.header
    alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "")
    if not header.keys() <= _UNDERSTOOD_HEADERS.union(hints) or not isinstance(header.get("cty", ""), str):
        raise InvalidTokenError("The token's header has members that are not supported.")
    if not isinstance(alg, str) or alg not in algorithms:
        raise InvalidTokenError("The token's algorithm is not accepted here.")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in types:
        raise InvalidTokenError("The token is not of the type expected here.")
    if "kid" in header and (not isinstance(kid, str) or len(kid) > 255):
        raise InvalidTokenError("The token's kid is not a usable text.")
    for key in keys(kid, alg):
        try:
            # joserfc takes strings and checks the signature over exactly what was sent
            jws.deserialize_compact(token, key, registry=_Registry(algorithms=[alg]))
        except (JoseError, ValueError):
            continue
        return OpenedToken(header, unverified.claims, key)
    raise InvalidTokenError("The token's signature does not match any key that is accepted here.")


def check_times(claims: dict[str, Any], now: float, *, early: float, late: float) -> None:
    """Check `exp`, `nbf` and `iat` (RFC 7519 §4.1.4 to §4.1.6).

    :param early: seconds by which a token may be from the future, since clocks differ.
    :param late: seconds for which it is accepted past its end.
    :raises InvalidTokenError: expired, not valid yet, or a date that is no usable number.
    """
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        if name not in claims and name != "exp":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
            raise InvalidTokenError(f"The token's {name} is missing or not a usable number.")
    if claims["exp"] + late <= now:
        raise InvalidTokenError("The token has expired. Fetch a new one.")
    if max(claims.get("nbf", 0), claims.get("iat", 0)) - early > now:
        raise InvalidTokenError("The token is not valid yet. Check the clocks.")


def has_audience(claims: dict[str, Any], accepted: Collection[str]) -> bool:
    """Tell whether `aud` is or holds one of the accepted values, compared as whole texts (RFC 7519 §4.1.3)."""
    audience = claims.get("aud")
    values = audience if isinstance(audience, list) else [audience]
    return all(isinstance(value, str) for value in values) and any(value and value in accepted for value in values)


def import_key(jwk: dict[str, Any]) -> Key:
    """Make a key of a public JWK (RFC 7517).

    :raises InvalidTokenError: neither a public RSA key of 2048 to 8192 bits, nor one on P-256, P-384, P-521 or Ed25519; or
        one that is weak.
    """
    if jwk.get("kty") == "RSA":
        _refuse_weak_rsa(jwk)
    try:
        key = _import(jwk)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise InvalidTokenError("The key is not a usable JWK.") from error
    if key is None or key.is_private:
        raise InvalidTokenError("The key is neither a public RSA key nor a public key on P-256, P-384, P-521 or Ed25519.")
    return key


def _refuse_weak_rsa(jwk: dict[str, Any]) -> None:
    """Look at the numbers before any library does.

    :raises InvalidTokenError: they are none, or make a weak key.
    """
    modulus, exponent = jwk.get("n", ""), jwk.get("e", "")
    if not (isinstance(modulus, str) and 342 <= len(modulus) <= 1366):
        raise InvalidTokenError("An RSA key must have 2048 to 8192 bits.")
    if not (isinstance(exponent, str) and len(exponent) <= 1366 and _SEGMENT.fullmatch(modulus) and _SEGMENT.fullmatch(exponent)):
        raise InvalidTokenError("The key is not a usable JWK.")
    try:
        weakness = _weakness(modulus, exponent)
    except ValueError as error:
        raise InvalidTokenError("The key is not a usable JWK.") from error
    if weakness:
        raise InvalidTokenError(weakness)


@lru_cache(maxsize=64)
def _weakness(modulus: str, exponent: str) -> str:
    """Return what is wrong with a key, worked out once for those that tokens are checked with again and again."""
    return weakness_of_rsa(_number(modulus), _number(exponent))


def _number(text: str) -> int:
    """Read a number as JWKs have it (RFC 7518 §2)."""
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def _import(jwk: dict[str, Any]) -> Key | None:
    match jwk.get("kty"), jwk.get("crv"):
        case "RSA", _:
            return RSAKey.import_key(jwk)
        case "EC", "P-256" | "P-384" | "P-521":
            return ECKey.import_key(jwk)
        case "OKP", "Ed25519":
            return OKPKey.import_key(jwk)
    return None


def read_segment(segment: str) -> dict[str, Any]:
    """Decode one segment, strictly: alphabet, padding bits, UTF-8, a JSON object without repeated members.

    :raises InvalidTokenError: it is none.
    """
    data = decode_segment(segment)
    try:
        text = data.decode()
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is not Unicode
        if text.count("{") + text.count("[") > MAX_DEPTH:
            _refuse_depth(value)
    except (ValueError, RecursionError) as error:
        raise InvalidTokenError("The token is not a signed JWT.") from error
    if not isinstance(value, dict):
        raise InvalidTokenError("The token is not a signed JWT.")
    return value


def decode_segment(segment: str) -> bytes:
    """Decode one segment, strictly: alphabet and padding bits.

    :raises InvalidTokenError: it is none.
    """
    try:
        data = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidTokenError("The token is not a signed JWT.") from error
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != segment:
        raise InvalidTokenError("The token is not a signed JWT.")
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
        level = [each for each in level if isinstance(each, dict | list)]
    if level:
        raise ValueError("objects and lists are too deep inside each other")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
