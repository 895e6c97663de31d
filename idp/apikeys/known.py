"""Checking a key that was presented. In steady state it runs no SQL, however many keys there are."""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from idp import clock, crypto, vault
from idp.access import HeldRole, within
from idp.apikeys.models import ApiKey
from idp.apikeys.usage import key_usage
from idp.applications import Application, KnownApplication, known_application
from idp.audit import Tag
from idp.db import reading
from idp.errors import IdpError
from idp.networks import is_in
from idp.ratelimit import check_rate
from idp.realms import KnownRealm, Realm, known_realm
from idp.runtime import Runtime
from idp.users import KnownUser, User, known_user

_NOBODYS = os.urandom(32)
"""Pepper and hash of a key that nobody has."""


class KeyRefusedError(IdpError):
    """The key is unknown, or does not work. One text for every cause but the one of `KeyExpiredError`."""

    def __init__(self) -> None:
        super().__init__("Authentication failed: the API key is wrong, or is no longer accepted from here.")


class KeyExpiredError(IdpError):
    """The right key was presented, but it has expired. Only its holder can learn that."""

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(
            f"Authentication failed because the key expired on {expired_at:%Y-%m-%d %H:%M:%S} UTC. Create a new key."
        )


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key as of the last change to it."""

    id: int
    uid: str
    realm: str
    public_part: str
    owner_uid: str
    """Whose it is. A name can be given again, a uid cannot."""
    client_id: str
    """Name of the application whose it is; empty if it is a user's."""
    pepper: bytes = field(repr=False)
    secret_hash: bytes
    works: bool
    """It is active and was not revoked."""
    expires_at: float
    roles: frozenset[str]
    projects: frozenset[str]
    frozen: list[list[Any]] | None
    """By project and role, until when it carries that at the most (seconds since 1970); None for no such limit."""
    networks: tuple[str, ...]
    rate_per_minute: int
    """0 for no limit of its own."""
    memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """What others work out from the fields above and want to keep exactly as long as they hold."""


@dataclass(frozen=True, slots=True)
class CheckedKey:
    """A key that was presented and works, with its realm and its owner."""

    key: KnownKey
    realm: KnownRealm
    owner: KnownUser | KnownApplication

    def held_roles(self) -> tuple[HeldRole, ...]:
        """Return what the owner holds and the key carries: never more than either."""
        remembered: tuple[Any, tuple[HeldRole, ...]] | None = self.key.memo.get("held")
        if remembered is None or remembered[0] is not self.owner:
            remembered = self.key.memo["held"] = (self.owner, _narrowed(self.owner.held_roles, self.key))
        return remembered[1]


def _narrowed(held: tuple[HeldRole, ...], key: KnownKey) -> tuple[HeldRole, ...]:
    kept = tuple(
        each for each in held if (not key.roles or each.role in key.roles) and (not key.projects or each.project in key.projects)
    )
    return within(key.frozen, kept)


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
        cache = process.feed.cache("api-key")
        recalled = cache.get(public_part)
        found = recalled or cache.load(public_part, lambda: read_key(public_part))
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
    if not works_from(key, address):
        usage.refused(key, address, "address")
        raise KeyRefusedError
    count_use(process, key)
    usage.used(key, address, purpose)
    return checked


def live_key(process: Runtime, key: KnownKey) -> CheckedKey | None:
    """Return a key with realm and owner as they are now, unless one of them does not work. Expiry is not looked at."""
    realm = known_realm(process, key.realm)
    if realm is None or not realm.enabled or not key.works:
        return None
    owner: KnownUser | KnownApplication | None
    owner = known_application(realm, key.client_id) if key.client_id else known_user(realm, key.owner_uid)
    if owner is None or not owner.enabled or owner.uid != key.owner_uid:
        return None
    return CheckedKey(key, realm, owner)


def find_live_key(process: Runtime, public_part: str) -> CheckedKey | None:
    """Return a key by its public part, if it works now: for tokens that it was exchanged for."""
    cache = process.feed.cache("api-key")
    found: KnownKey | None = cache.get(public_part) or cache.load(public_part, lambda: read_key(public_part))
    if found is None or clock.timestamp() >= found.expires_at:
        return None
    return live_key(process, found)


def read_key(public_part: str) -> KnownKey | None:
    """Read a key from the database."""
    with reading() as session:
        row = session.execute(
            select(ApiKey, Realm.name, User.uid, Application.uid, Application.name)
            .join(Realm, Realm.id == ApiKey.realm_id)
            .outerjoin(User, User.id == ApiKey.user_id)
            .outerjoin(Application, Application.id == ApiKey.application_id)
            .where(ApiKey.public_part == public_part)
        ).first()
        if row is None:
            return None
        key, realm, user_uid, application_uid, client_id = row
        return KnownKey(
            id=key.id,
            uid=key.uid,
            realm=realm,
            public_part=key.public_part,
            owner_uid=user_uid or application_uid,
            client_id=client_id or "",
            pepper=vault.pepper(key.pepper_id),
            secret_hash=key.secret_hash,
            works=key.active and key.revoked_at is None,
            expires_at=key.expires_at.timestamp() if key.expires_at else float("inf"),
            roles=frozenset(key.roles),
            projects=frozenset(key.projects),
            frozen=key.frozen,
            networks=tuple(key.addresses),
            rate_per_minute=key.rate_per_minute or 0,
        )


def works_from(key: KnownKey, address: str) -> bool:
    """Tell whether a key may be used from an address."""
    return not key.networks or is_in(address, key.networks)


def count_use(process: Runtime, key: KnownKey) -> None:
    """Count a use of a key, or of a token that it was exchanged for, against its rate.

    :raises RateExceededError: its rate limit is exceeded.
    """
    if key.rate_per_minute:
        check_rate(process, f"api-key:{key.uid}", key.rate_per_minute)
