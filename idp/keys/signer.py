"""Signing tokens. The hot path of the server: no SQL, no copy that is not needed, nothing else signs."""

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_private_key
from joserfc.jwk import ECKey, RSAKey
from sqlalchemy import select

from idp import clock, vault
from idp.crypto import DamagedError, MasterKeyError, b64url
from idp.db import reading
from idp.errors import IdpError, Kind, Sentence
from idp.keys.models import KeyState, SigningKey
from idp.realms import KnownRealm
from idp.telemetry import span

TYPES = (
    "at+jwt", "JWT", "session+jwt", "logout+jwt", "userinfo+jwt", "audit-checkpoint+jwt", "audit-cut+jwt", "revocations+jwt",
    "secevent+jwt",
)  # fmt: skip # a list of words
"""What is signed: no two can be taken for each other (RFC 8725 §3.11)."""

_PKCS1 = padding.PKCS1v15()
_SHA256 = hashes.SHA256()
_ECDSA = ec.ECDSA(_SHA256)

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

_log = logging.getLogger(__name__)

_lane = threading.Lock()
"""Signing releases the interpreter lock. Without this lane, the threads of a worker would each start a signature, and
may then fight for the interpreter to finish it; see docs/benchmarks.md."""


class SigningKeyMissingError(IdpError):
    """A realm cannot sign."""

    kind, retry_after = Kind.UNAVAILABLE, 5


class Signer:
    """The private half of an active key, ready to sign (RFC 7515 §5.1, RFC 7518 §3.3 and §3.4)."""

    def __init__(self, kid: str, algorithm: str, private_key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self._headers = {typ: self._header(typ) for typ in TYPES}
        self._public_key = private_key.public_key()
        self._sign: Callable[[bytes], bytes]
        if isinstance(private_key, rsa.RSAPrivateKey):
            rsa_sign = private_key.sign
            self._sign = lambda data: rsa_sign(data, _PKCS1, _SHA256)
        else:
            ec_sign = private_key.sign
            self._sign = lambda data: _fixed_width(ec_sign(data, _ECDSA))

    def _header(self, typ: str) -> bytes:
        return b64url(_encode({"alg": self.algorithm, "kid": self.kid, "typ": typ}).encode()) + b"."

    @property
    def public_jwk(self) -> dict[str, Any]:
        """The public half, as the private one has it and whatever the database says (RFC 7517 §4)."""
        public = self._public_key
        key = RSAKey.import_key(public) if isinstance(public, rsa.RSAPublicKey) else ECKey.import_key(public)
        return dict(key.as_dict(private=False))

    def sign_as(self, kid: str, claims: str) -> str:
        """Return a compact JWS of type `JWT` whose `kid` is not the key's but the token's own, as personal tokens have it."""
        header = b64url(_encode({"alg": self.algorithm, "kid": kid, "typ": "JWT"}).encode())
        message = header + b"." + b64url(claims.encode())
        with span("sign"), _lane:
            return (message + b"." + b64url(self._sign(message))).decode()

    def sign(self, typ: str, claims: str) -> str:
        """Return a compact JWS.

        :param typ: one of `TYPES`.
        :param claims: a JSON object.
        """
        message = self._headers[typ] + b64url(claims.encode())
        with span("sign"), _lane:
            signature = self._sign(message)
        return (message + b"." + b64url(signature)).decode()


def _fixed_width(der_signature: bytes) -> bytes:
    """Turn an ECDSA signature from DER into the two 32-byte numbers of RFC 7518 §3.4."""
    r, s = decode_dss_signature(der_signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class _KnownKey:
    """A key that is or will be in the key set, with the dates as timestamps."""

    kid: str
    algorithm: str
    public_jwk: dict[str, Any]
    sealed_private_key: str
    active_from: float
    retires_at: float
    removed_at: float


@dataclass(slots=True)
class KeyRing:
    """What a worker knows of a realm's keys; which one signs, and what the key set says, at any time."""

    realm_uid: str
    keys: list[_KnownKey]
    _signers: dict[str, Signer] = field(default_factory=dict)
    _opened: dict[str, Signer] = field(default_factory=dict)
    _key_set: tuple[bytes, str] = (b"", "")
    _valid_until: float = 0

    def signer(self, algorithm: str, now: float) -> Signer:
        """Return the signer of the key that is active at `now` (seconds since 1970).

        :raises SigningKeyMissingError: the realm has no active key for the algorithm.
        """
        if now >= self._valid_until:
            self._turn(now)
        signer = self._signers.get(algorithm)
        if signer is None:
            raise SigningKeyMissingError(
                Sentence(
                    "The {realm} has no usable {algorithm} key. An operator can find out why with: idp doctor",
                    algorithm=algorithm,
                )
            )
        return signer

    def key_set(self, now: float) -> tuple[bytes, str]:
        """Return the key set as of `now` as JSON, and its ETag (RFC 7517 §5)."""
        if now >= self._valid_until:
            self._turn(now)
        return self._key_set

    def published(self, now: float) -> list[_KnownKey]:
        """Return the keys that verifiers may accept at `now`."""
        return [key for key in self.keys if now < key.removed_at]

    def _turn(self, now: float) -> None:
        """Work out who signs and what is published, until the next date of any key."""
        signers: dict[str, Signer] = {}
        for key in self.keys:
            if key.active_from <= now < key.retires_at:
                try:
                    signers[key.algorithm] = self._opened.get(key.kid) or self._open(key)
                except (DamagedError, MasterKeyError) as error:
                    _log.error("%s", error)
        published = self.published(now)
        document = _encode({"keys": [key.public_jwk for key in published]}).encode()
        self._key_set = document, f'"{hashlib.sha256(document).hexdigest()[:32]}"'
        self._signers = signers
        dates = [date for key in self.keys for date in (key.active_from, key.retires_at, key.removed_at) if date > now]
        self._valid_until = min(dates, default=float("inf"))

    def _open(self, key: _KnownKey) -> Signer:
        der = vault.unseal(key.sealed_private_key, context=f"signing key {key.kid} of realm {self.realm_uid}")
        # Sealed with authentication, so it is the key that was generated here; checking its primes again costs 50 ms.
        private = load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise TypeError(f"signing key {key.kid} is neither RSA nor EC")
        return self._opened.setdefault(key.kid, Signer(key.kid, key.algorithm, private))


def key_ring(realm: KnownRealm) -> KeyRing:
    """Return the keys of a realm from memory, read from the database at their first use."""
    cache = realm.runtime.feed.cache("keys")
    ring: KeyRing | None = cache.get(realm.name)
    return ring if ring is not None else cache.load(realm.name, lambda: _read(realm))


def public_key_pem_body(realm: KnownRealm, kid: str) -> str:
    """Return a published public key as base64 of its DER, as Keycloak's realm document shows it."""
    jwk = next(key.public_jwk for key in key_ring(realm).keys if key.kid == kid)
    pem = RSAKey.import_key(jwk).as_pem(private=False).decode()
    return "".join(pem.splitlines()[1:-1])


def _read(realm: KnownRealm) -> KeyRing:
    now = clock.now()
    with reading() as session:
        rows = session.scalars(select(SigningKey).where(SigningKey.realm_id == realm.id).order_by(SigningKey.id)).all()
    keys = [
        _KnownKey(
            kid=row.uid,
            algorithm=row.algorithm,
            public_jwk=row.public_jwk,
            sealed_private_key=row.sealed_private_key,
            active_from=row.active_from.timestamp(),
            retires_at=_date(row.retires_at),
            removed_at=_date(row.removed_at),
        )
        for row in rows
        if row.state(now) not in {KeyState.REVOKED, KeyState.REMOVED}
    ]
    return KeyRing(realm_uid=realm.uid, keys=keys)


def _date(value: datetime | None) -> float:
    return float("inf") if value is None else value.timestamp()
