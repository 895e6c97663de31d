"""What a process knows of a key, its realm and its owner. In steady state it runs no SQL, however many keys there are."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from idp import clock, vault
from idp.access import HeldRole, limited_to
from idp.apikeys.models import ApiKey
from idp.applications import Application, KnownApplication, known_application
from idp.db import reading
from idp.realms import KnownRealm, Realm, known_realm
from idp.runtime import Runtime
from idp.users import KnownUser, User, known_user


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
    derived: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """What others work out from the fields above and want to keep exactly as long as they hold."""


@dataclass(frozen=True, slots=True)
class CheckedKey:
    """A key that was presented and works, with its realm and its owner."""

    key: KnownKey
    realm: KnownRealm
    owner: KnownUser | KnownApplication

    def held_roles(self) -> tuple[HeldRole, ...]:
        """Return what the owner holds and the key carries: never more than either."""
        remembered: tuple[Any, tuple[HeldRole, ...]] | None = self.key.derived.get("held")
        if remembered is None or remembered[0] is not self.owner:
            remembered = self.key.derived["held"] = (self.owner, _narrowed(self.owner.held_roles, self.key))
        return remembered[1]


def _narrowed(held: tuple[HeldRole, ...], key: KnownKey) -> tuple[HeldRole, ...]:
    kept = tuple(
        each for each in held if (not key.roles or each.role in key.roles) and (not key.projects or each.project in key.projects)
    )
    return limited_to(key.frozen, kept)


def recall_key(process: Runtime, public_part: str) -> KnownKey | None:
    """Return a key that this process has in memory, or None."""
    recalled: KnownKey | None = process.feed.cache("api-key").get(public_part)
    return recalled


def known_key(process: Runtime, public_part: str) -> KnownKey | None:
    """Return a key from memory, or else from the database; None if there is none."""
    return recall_key(process, public_part) or process.feed.cache("api-key").load(public_part, lambda: read_key(public_part))


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
    found = known_key(process, public_part)
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
