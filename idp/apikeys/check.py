"""Checking a key that was presented, and counting its use."""

import os
from datetime import UTC, datetime

from idp import clock, crypto
from idp.apikeys.known import CheckedKey, KnownKey, known_key, live_key, read_key, recall_key
from idp.apikeys.usage import key_usage
from idp.audit import Tag
from idp.errors import IdpError, Kind
from idp.networks import is_in
from idp.ratelimit import check_rate
from idp.runtime import Runtime

_NOBODYS = os.urandom(32)
"""Pepper and hash of a key that nobody has."""


class KeyRefusedError(IdpError):
    """The key is unknown, or does not work. One text for every cause but the one of `KeyExpiredError`."""

    kind = Kind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("Authentication failed: the API key is wrong, or is no longer accepted from here.")


class KeyExpiredError(IdpError):
    """The right key was presented, but it has expired. Only its holder can learn that."""

    kind = Kind.UNAUTHENTICATED
    code = "ApiKeyExpired"

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(
            f"Authentication failed because the key expired on {expired_at:%Y-%m-%d %H:%M:%S} UTC. Create a new key."
        )


def check_key(process: Runtime, plain_key: str, address: str, purpose: Tag) -> CheckedKey:
    """Check a key that was presented, and count its use.

    :param address: the client's.
    :param purpose: what it is presented for, for the audit trail.
    :raises KeyExpiredError: it is right, and has expired.
    :raises KeyRefusedError: any other cause.
    :raises RateExceededError: its rate limit is exceeded.
    """
    recalled = None
    if crypto.is_well_formed(plain_key, "ak"):
        public_part = crypto.public_part(plain_key)
        recalled = recall_key(process, public_part)
        found = recalled or known_key(process, public_part)
        # an unknown key is compared, too: otherwise it would be refused sooner than a wrong one (T88)
        pepper, secret_hash = (found.pepper, found.secret_hash) if found is not None else (_NOBODYS, _NOBODYS)
        if crypto.same(crypto.keyed_hash(pepper, plain_key), secret_hash) and found is not None:
            return _check_use(process, found, address, purpose)
    if recalled is not None:
        read_key("")  # an unknown key has cost one read: so does a wrong one
    key_usage(process).refused(None, address, "unknown")
    raise KeyRefusedError


def _check_use(process: Runtime, key: KnownKey, address: str, purpose: Tag) -> CheckedKey:
    usage = key_usage(process)
    checked = live_key(process, key)
    if checked is None:
        usage.refused(key, address, "revoked, inactive, or its owner is disabled")
        raise KeyRefusedError
    if clock.timestamp() >= key.expires_at:
        usage.refused(key, address, "expired")
        raise KeyExpiredError(datetime.fromtimestamp(key.expires_at, UTC))
    if not is_allowed_from(key, address):
        usage.refused(key, address, "address")
        raise KeyRefusedError
    count_use(process, key)
    usage.used(key, address, purpose)
    return checked


def is_allowed_from(key: KnownKey, address: str) -> bool:
    """Tell whether a key may be used from an address."""
    return not key.networks or is_in(address, key.networks)


def count_use(process: Runtime, key: KnownKey) -> None:
    """Count a use of a key, or of a token that it was exchanged for, against its rate.

    :raises RateExceededError: its rate limit is exceeded.
    """
    if key.rate_per_minute:
        check_rate(process, f"api-key:{key.uid}", key.rate_per_minute)
