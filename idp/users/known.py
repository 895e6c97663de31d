"""What a worker keeps of a user in memory: enough to answer for their sessions, keys and tokens without SQL."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from idp.access import HeldRole, HolderKind, read_held_roles
from idp.db import reading
from idp.realms import KnownRealm
from idp.users.models import Group, Membership, User, UserKind


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user as of the last change to it."""

    id: int
    uid: str
    name: str
    kind: UserKind
    enabled: bool
    signed_out_at: float
    """Sessions that began then or before are over (seconds since 1970)."""
    password_changed_at: float
    """Personal tokens that were made before are worth nothing (seconds since 1970)."""
    first_name: str
    last_name: str
    email: str
    email_verified: bool
    updated_at: float
    groups: tuple[str, ...]
    held_roles: tuple[HeldRole, ...]
    derived: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    """What others work out from the fields above and want to keep exactly as long as they hold."""


def known_user(realm: KnownRealm, uid: str) -> KnownUser | None:
    """Return a user by uid from memory, read from the database at its first use; None when there is none."""
    cache = realm.runtime.feed.cache("user")
    key = f"{realm.name}/{uid}"
    found: KnownUser | None = cache.get(key)
    return found if found is not None else cache.load(key, lambda: _read(realm, uid))


def _read(realm: KnownRealm, uid: str) -> KnownUser | None:
    with reading() as session:
        user = session.scalar(select(User).where(User.realm_id == realm.id, User.uid == uid))
        if user is None:
            return None
        groups = session.execute(
            select(Group.id, Group.name).join(Membership, Membership.group_id == Group.id).where(Membership.user_id == user.id)
        ).all()
        held_roles = read_held_roles(session, HolderKind.USER, user.id, [group.id for group in groups])
        return KnownUser(
            id=user.id,
            uid=user.uid,
            name=user.name,
            kind=UserKind(user.kind),
            enabled=user.enabled,
            signed_out_at=user.signed_out_at.timestamp() if user.signed_out_at else 0.0,
            password_changed_at=user.password_changed_at.timestamp() if user.password_changed_at else 0.0,
            first_name=user.first_name,
            last_name=user.last_name,
            email=user.email,
            email_verified=user.email_verified,
            updated_at=user.updated_at.timestamp(),
            groups=tuple(sorted(group.name for group in groups)),
            held_roles=tuple(held_roles),
        )
