"""Authentication by a JWT that the application signs with its own key (RFC 7523 §2.2, `private_key_jwt`)."""

import hashlib
from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import delete

from idp import clock
from idp.applications.known import KnownApplication
from idp.applications.models import UsedAssertion
from idp.db import db, insert_if_new
from idp.settings import CLOCK_LEEWAY
from idp.verifier.jose import InvalidTokenError, check_times, open_token

ASSERTION_ALGORITHMS = ("RS256", "PS256", "ES256")
LONGEST_LIFETIME = 300
"""Seconds that an assertion may be valid for from now on (R96)."""


def check_assertion(application: KnownApplication, assertion: str, audiences: Collection[str]) -> None:
    """Check a client assertion and use it up.

    :param audiences: what it may be addressed to: the issuer, or the token endpoint's URL.
    :raises InvalidTokenError: refused; the text is for the log, the client is told the same whatever the reason.
    """
    opened = open_token(
        assertion,
        keys=lambda kid, alg: [
            each.key for each in application.public_keys if alg in each.algorithms and kid in {None, each.kid}
        ],
        algorithms=ASSERTION_ALGORITHMS,
        types=("", "jwt", "client-authentication+jwt"),
    )
    claims, now = opened.claims, clock.timestamp()
    if not claims.get("iss") == claims.get("sub") == application.client_id:
        raise InvalidTokenError("iss and sub of the assertion must both be the client_id.")
    audience = claims.get("aud")
    values = audience if isinstance(audience, list) else [audience]
    if not values or not all(isinstance(value, str) and value in audiences for value in values):
        raise InvalidTokenError("aud of the assertion must be the issuer or the token endpoint, and nothing else.")
    check_times(claims, now, early=CLOCK_LEEWAY, late=CLOCK_LEEWAY)
    if claims["exp"] > now + LONGEST_LIFETIME + CLOCK_LEEWAY:
        raise InvalidTokenError(f"The assertion lives longer than {LONGEST_LIFETIME} seconds.")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= 255:
        raise InvalidTokenError("The assertion has no usable jti.")
    if not _claim(application, jti, claims["exp"]):
        raise InvalidTokenError("The assertion was used before.")


def _claim(application: KnownApplication, jti: str, exp: float) -> bool:
    """Use the assertion up. One statement decides, on every worker and node: True for exactly one caller."""
    return insert_if_new(
        UsedAssertion,
        application_id=application.id,
        jti_hash=hashlib.sha256(jti.encode()).hexdigest(),
        expires_at=datetime.fromtimestamp(exp + 2 * CLOCK_LEEWAY, UTC),
    )


def forget_expired_assertions() -> None:
    """Remove what has expired, and so would be refused anyway."""
    db.session.execute(delete(UsedAssertion).where(UsedAssertion.expires_at < clock.now()))
