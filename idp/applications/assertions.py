"""Authentication by a JWT that the application signs with its own key (RFC 7523 §2.2, `private_key_jwt`)."""

import contextlib
import os
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey
from sqlalchemy import delete

from idp import clock, spent_assertions
from idp.applications.known import KnownApplication
from idp.applications.models import UsedAssertion
from idp.crypto import b64url
from idp.db import db, insert_if_new
from idp.jose import InvalidTokenError, Key, OpenedToken, check_times, import_key, open_token
from idp.realms import KnownRealm
from idp.settings import CLOCK_LEEWAY
from idp.spent_assertions import Signer, hash_jti

ASSERTION_ALGORITHMS = (
    "RS256", "PS256", "ES256", "RS384", "PS384", "ES384", "RS512", "PS512", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip # a list of words
"""What clients may sign with. This server's own keys are RSA and P-256 (FIPS 186-5 has all of them)."""

# it is what clients of before RFC 9864 call Ed25519
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)

LONGEST_LIFETIME = 300
"""Seconds that an assertion may be valid for from now on (R96)."""


class UnknownKeyError(InvalidTokenError):
    """The application has no such key, and may have published it since its keys were fetched."""


FAPI_ALGORITHMS = frozenset({"PS256", "ES256", "EdDSA", "Ed25519"})
"""What clients of FAPI 2.0 may sign with (Security Profile §5.4.1)."""


def check_assertion(
    realm: KnownRealm, application: KnownApplication | None, assertion: str, audiences: Sequence[str]
) -> KnownApplication:
    """Check a client assertion, use it up, and return the application that has proved itself by it, as its key shows it.

    A signature is compared also when there is no such application, when it is disabled, and when it has no key of that kind, so
    that the time does not tell (T88).

    :param application: the one that the assertion says it is of; None when there is no such application.
    :param audiences: what it may be addressed to: the issuer, which comes first, or the token endpoint's URL.
    :raises UnknownKeyError: its keys may have become others, or could not be fetched for long.
    :raises InvalidTokenError: refused; the text is for the log, the client is told the same whatever the reason.
    """
    application, opened = _opened(application, assertion)
    claims, now = opened.claims, clock.timestamp()
    if not claims.get("iss") == claims.get("sub") == application.client_id:
        raise InvalidTokenError("iss and sub of the assertion must both be the client_id.")
    audience = claims.get("aud")
    values = audience if isinstance(audience, list) else [audience]
    if not values or not all(isinstance(value, str) and value in audiences for value in values):
        raise InvalidTokenError("aud of the assertion must be the issuer or the token endpoint, and nothing else.")
    if application.is_fapi and (audience != audiences[0] or opened.header["alg"] not in FAPI_ALGORITHMS):
        raise InvalidTokenError("By the profile fapi2, aud must be the issuer as a single text, and RS256 is not accepted.")
    check_times(claims, now, early=CLOCK_LEEWAY, late=CLOCK_LEEWAY)
    if claims["exp"] > now + LONGEST_LIFETIME + CLOCK_LEEWAY:
        raise InvalidTokenError(f"The assertion is valid for longer than {LONGEST_LIFETIME} seconds.")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= 255:
        raise InvalidTokenError("The assertion has no usable jti.")
    if not _claim(realm, application, jti, claims["exp"]):
        raise InvalidTokenError("The assertion has already been used.")
    credential = next((each.credential for each in application.public_keys if each.key is opened.key), "")
    return application.shown_by(credential, application.jwks_frozen)


def _opened(application: KnownApplication | None, assertion: str) -> tuple[KnownApplication, OpenedToken]:
    """Check the signature of an assertion, and return the application that has made it with what it says.

    :raises UnknownKeyError: the application may have published such a key by now.
    :raises InvalidTokenError: refused.
    """
    own: list[Key] = []
    lacks_key = False

    def keys(kid: str | None, algorithm: str) -> list[Key]:
        nonlocal lacks_key
        public_keys = application.public_keys if application is not None and clock.timestamp() < application.keys_until else ()
        own.extend(each.key for each in public_keys if algorithm in each.algorithms and kid in {None, each.kid})
        lacks_key = not own
        return own or [_nobodys_key(algorithm)]

    try:
        opened = open_token(assertion, keys=keys, algorithms=ASSERTION_ALGORITHMS, types=("", "jwt", "client-authentication+jwt"))
    except InvalidTokenError as error:
        if lacks_key and application is not None and application.enabled and application.publishes_keys:
            raise UnknownKeyError("The application publishes no such key, or its keys could not be fetched for long.") from error
        raise
    if application is None or not application.enabled or not own:
        raise InvalidTokenError("There is no such application, it is disabled, or it has no such key.")
    return application, opened


@cache
def _nobodys_key(algorithm: str) -> Key:
    """Return a public key that nobody can sign for: what is signed with it is refused all the same."""
    if curve := {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}.get(algorithm):
        return import_key(ECKey.generate_key(curve).as_dict(private=False))
    if algorithm in {"EdDSA", "Ed25519"}:
        return import_key(OKPKey.generate_key("Ed25519").as_dict(private=False))
    # to compare costs as much with any number for the modulus, and a pair of keys costs a tenth of a second
    while True:
        modulus = int.from_bytes(os.urandom(256)) | 1 << 2047 | 1
        with contextlib.suppress(InvalidTokenError):  # one with a small factor, as most numbers have
            return import_key({"kty": "RSA", "n": b64url(modulus.to_bytes(256)).decode(), "e": "AQAB"})


def _claim(realm: KnownRealm, application: KnownApplication, jti: str, exp: float) -> bool:
    """Use the assertion up. One statement decides, on every worker and node: True for exactly one caller."""
    expires_at = datetime.fromtimestamp(exp + 2 * CLOCK_LEEWAY, UTC)
    # a node of the version before looks there alone
    is_new = insert_if_new(UsedAssertion, application_id=application.id, jti_hash=hash_jti(jti), expires_at=expires_at)
    return is_new and spent_assertions.spend(realm.id, Signer.APPLICATION, (application.client_id,), jti, expires_at)


def forget_expired_assertions() -> None:
    """Remove what has expired, and so would be refused anyway."""
    db.session.execute(delete(UsedAssertion).where(UsedAssertion.expires_at < clock.now()))
