"""API keys: long-lived secrets of users and applications, shown once, kept as a keyed hash."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    cast,
    literal_column,
    or_,
)
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import SLOW, Base, Identified


class KeyStatus(StrEnum):
    """Whether a key works, and if not, why."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    """Deactivated; can be activated again."""
    EXPIRED = "expired"
    REVOKED = "revoked"
    """Revoked permanently, with a reason."""


class ApiKey(Identified, Base):
    """An API key. It can do what its owner can, or less."""

    __tablename__ = "api_key"
    __table_args__ = (
        CheckConstraint("(user_id IS NULL) <> (application_id IS NULL)", name="one_owner"),
        {"sqlite_autoincrement": True},
    )

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    application_id: Mapped[int | None] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(String(500), default="")
    public_part: Mapped[str] = mapped_column(String(20), unique=True)
    """The beginning, by which a key is found and told apart."""
    pepper_id: Mapped[str] = mapped_column(ForeignKey("pepper.id"))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    """None for never, which only an administrator can choose."""
    active: Mapped[bool] = mapped_column(default=True)
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str] = mapped_column(String(500), default="")
    roles: Mapped[list[str]] = mapped_column(JSON, default=list)
    """The only roles of its owner that it carries; empty for all."""
    projects: Mapped[list[str]] = mapped_column(JSON, default=list)
    """The only projects that it is for; empty for all. With some named, roles on the whole realm are not carried."""
    frozen: Mapped[list[list[Any]] | None] = mapped_column(JSON)
    """`[project, role, end, permissions]` of all that it carries at the most (no project for a role on the realm, the end in
    seconds since 1970 or none, and what the role permitted then), if somebody else has made it who could not give everything
    for good: what its owner is given later, and what a role permits later, it does not carry. None for no such limit."""
    addresses: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Networks that it is accepted from; empty for any."""
    rate_per_minute: Mapped[int | None]
    """Uses per minute; None for no limit of its own."""
    created_by: Mapped[str] = mapped_column(String(200), default="")
    replaces_id: Mapped[int | None] = mapped_column(ForeignKey("api_key.id", ondelete="SET NULL"), index=True)
    """The key that this one was created to replace."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now)
    last_used_at: Mapped[datetime | None]
    last_used_address: Mapped[str] = mapped_column(String(64), default="")
    use_count: Mapped[int] = mapped_column(BigInteger, default=0)

    def status(self, now: datetime) -> KeyStatus:
        """Return whether the key works at `now`, as far as the key itself is concerned."""
        if self.revoked_at is not None:
            return KeyStatus.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return KeyStatus.EXPIRED
        return KeyStatus.ACTIVE if self.active else KeyStatus.INACTIVE


IS_NARROWED = or_(*(cast(column, String) != literal_column("'[]'") for column in (ApiKey.roles, ApiKey.projects)))
"""The condition that a key is for some roles or projects of its owner, and not for all."""


def _by(name: str, *columns: Any, where: ColumnElement[bool] | None = None) -> None:
    """Add an index of the keys of a realm: among a million, looking for those that it has, or sorting them, takes seconds.

    On PostgreSQL alone, where such realms are.

    :param columns: an order that the list has; what is empty comes first.
    :param where: what is true of the keys that it has, which are few.
    """
    Index(
        f"ix_api_key_realm_id_{name}",
        ApiKey.realm_id,
        *columns,
        ApiKey.id,
        info={SLOW: "postgresql"},
        postgresql_concurrently=True,
        postgresql_where=where,
    )


_by("name", ApiKey.name)
_by("expires_at", ApiKey.expires_at.asc().nulls_first())
_by("last_used_at", ApiKey.last_used_at.asc().nulls_first())
_by("use_count", ApiKey.use_count)
_by("inactive", where=ApiKey.active.is_(False))
_by("revoked", where=ApiKey.revoked_at.is_not(None))
_by("narrowed", where=IS_NARROWED)
