"""What the values of an application's fields must be. The sentences go on from the name of the field, which each edge gives."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import load_der_x509_certificate

from idp.applications.redirects import check_logout_uri
from idp.crypto import b64url
from idp.jose import InvalidTokenError, Key, import_key
from idp.public_url import canonical_url, origin_of
from idp.published_keys import algorithms_of

_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")

MOST_ORIGINS = 50
LONGEST_ORIGIN = 255
MOST_PUBLIC_KEYS = 10


def check_origins(values: Sequence[str]) -> list[str]:
    """Return origins as browsers write them, if they can be that.

    :raises ValueError: too many, repeated, or no origin.
    """
    origins = []
    for value in values:
        try:
            origin = canonical_url(value)
        except ValueError:
            origin = ""
        if not origin or "*" in origin or origin != origin_of(origin) or len(origin) > LONGEST_ORIGIN:
            raise ValueError(f"takes origins such as https://app.example.com, without a path, not {value[:80]!r}.")
        origins.append(origin)
    if len(origins) > MOST_ORIGINS or len(set(origins)) != len(origins):
        raise ValueError(f"takes at most {MOST_ORIGINS} values, each once.")
    return origins


def check_keys_uri(uri: str) -> str:
    """Return the URL of a key set if this server can fetch it.

    :raises ValueError: it is none.
    """
    try:
        if urlsplit(uri).scheme != "https":
            raise ValueError
        return check_logout_uri(uri)  # which this server calls as well
    except ValueError:
        raise ValueError(f"takes an https URL without fragment and user name, not {uri[:80]!r}.") from None


def check_jwks(document: Any) -> dict[str, Any]:
    """Return a JWK set of public keys, reduced to what is needed.

    :raises ValueError: no key, too many, a private one, or one that is too weak.
    """
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_PUBLIC_KEYS:
        raise ValueError(f'takes {{"keys": [...]}} with 1 to {MOST_PUBLIC_KEYS} public keys.')
    for number, jwk in enumerate(keys, 1):
        try:
            if not isinstance(jwk, dict) or {"d", "k", "p", "q"} & jwk.keys():
                raise InvalidTokenError("The key is private; give the public half only.")
            _check_certificate(jwk, import_key(jwk))
            algorithms = algorithms_of(jwk)
            if jwk.get("alg") not in (None, *algorithms) or jwk.get("use", "sig") != "sig":
                raise InvalidTokenError(f"It is for another algorithm or use than signing with {' or '.join(algorithms)}.")
        except InvalidTokenError as error:
            raise ValueError(f"Key {number}: {error}") from None
    if len(json.dumps(keys)) > 20_000:
        raise ValueError("is larger than 20,000 characters.")
    kept = ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "use")
    return {"keys": [{name: jwk[name] for name in kept if name in jwk} | _certificate_of(jwk) for jwk in keys]}


def _certificate_of(jwk: Mapping[str, Any]) -> dict[str, str]:
    """Return the thumbprint of the certificate that came with a key (RFC 7517 §4.9), which was checked to be of that key."""
    if "x5c" in jwk:
        return {"x5t#S256": b64url(sha256(base64.b64decode(jwk["x5c"][0])).digest()).decode()}
    return {"x5t#S256": jwk["x5t#S256"]} if "x5t#S256" in jwk else {}


def _check_certificate(jwk: Mapping[str, Any], key: Key) -> None:
    """See that the certificate that comes with a key is of that key.

    :raises InvalidTokenError: it is not.
    """
    thumbprint = jwk.get("x5t#S256", "")
    if not isinstance(thumbprint, str) or (thumbprint and not _THUMBPRINT.fullmatch(thumbprint)):
        raise InvalidTokenError("Its x5t#S256 is no SHA-256 as base64url.")
    if "x5c" not in jwk:
        return
    try:
        certificate = load_der_x509_certificate(base64.b64decode(jwk["x5c"][0], validate=True))
        same = certificate.public_key() == key.public_key
    except (ValueError, TypeError, LookupError, UnsupportedAlgorithm) as error:
        raise InvalidTokenError("Its x5c holds no certificate.") from error
    if not same:
        raise InvalidTokenError("The certificate in its x5c is of another key.")
