"""Keysets: third-party credentials of a realm, encrypted at rest, and the leases by which applications get them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from idp import clock
from idp.access import Project
from idp.db import Base, Identified, SealedBytes, SealedText

DEFAULT_LEASE, LONGEST_LEASE = 3_600, 86_400
"""Seconds."""


class Keyset(Identified, Base):
    """A set of keys to a third-party system, such as an access key id with its secret."""

    __tablename__ = "keyset"
    __table_args__ = (
        UniqueConstraint("realm_id", "category", "entity", "name"),
        Index("ix_keyset_realm_id_name", "realm_id", "name"),
        {"sqlite_autoincrement": True},
    )

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(String(500), default="")
    category: Mapped[str] = mapped_column(String(20))
    entity: Mapped[str] = mapped_column(String(40), default="")
    """Whose system the keys are for; empty where the category says it all."""
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id", ondelete="SET NULL"), index=True)
    """Whom it is assigned to; None when that was a program, or is gone."""
    is_default: Mapped[bool] = mapped_column(default=False)
    """Whether it is used unless another is named: at most one for each category and entity."""
    max_lease_seconds: Mapped[int] = mapped_column(default=DEFAULT_LEASE)
    """The longest duration of a lease."""
    version: Mapped[int] = mapped_column(default=1)
    sealed_data_key: Mapped[str] = mapped_column(SealedText)
    """The key that seals the values of this version, under the master key."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now)

    keys: Mapped[list["KeysetKey"]] = relationship(order_by="KeysetKey.id", cascade="all, delete-orphan", passive_deletes=True)
    projects: Mapped[list[Project]] = relationship(secondary="keyset_project", order_by=Project.id)
    """The only projects that it is for; empty for the whole realm."""


class KeysetProject(Base):
    """That a keyset is for a project. The project cannot go before: without any, the keyset would be for the whole realm."""

    __tablename__ = "keyset_project"

    keyset_id: Mapped[int] = mapped_column(ForeignKey("keyset.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True, index=True)


class KeysetKey(Base):
    """One key of the current version. Older values are not kept: they are never leased again."""

    __tablename__ = "keyset_key"
    __table_args__ = (UniqueConstraint("keyset_id", "key_type"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    keyset_id: Mapped[int] = mapped_column(ForeignKey("keyset.id", ondelete="CASCADE"))
    key_type: Mapped[str] = mapped_column(String(20))
    fingerprint: Mapped[str] = mapped_column(String(100), default="")
    """Of an SSH public key; empty for all others."""
    sealed_value: Mapped[bytes] = mapped_column(SealedBytes)


class KeysetVersion(Base):
    """That a keyset had other values from some time on, and who stored them."""

    __tablename__ = "keyset_version"

    keyset_id: Mapped[int] = mapped_column(ForeignKey("keyset.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    created_by: Mapped[str] = mapped_column(String(200), default="")
    superseded_at: Mapped[datetime | None]
    free_since: Mapped[datetime | None]
    """When the last lease of an old version ended, noted before those leases are forgotten."""


class LeaseState(StrEnum):
    """Where a lease is in its life."""

    LIVE = "live"
    EXPIRED = "expired"
    ENDED = "ended"
    """Manually, or with the grant, the application or the keyset."""


class Lease(Identified, Base):
    """That an application was lent a keyset: it got the values once, and must not use them when the lease is over.

    It has no foreign keys but the realm's: it outlives what it speaks of, and taking one waits for nobody.
    """

    __tablename__ = "lease"
    __table_args__ = (
        Index("ix_lease_keyset_id_version", "keyset_id", "version"),
        Index(
            "ix_lease_live",
            "realm_id",
            "client_id",
            "expires_at",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    keyset_id: Mapped[int]
    keyset_uid: Mapped[str] = mapped_column(String(36))
    keyset_name: Mapped[str] = mapped_column(String(200))
    version: Mapped[int]
    application_id: Mapped[int]
    application_uid: Mapped[str] = mapped_column(String(36))
    client_id: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(500))
    address: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    """When it was over. One that has run out gets it with the next tidying."""
    end_reason: Mapped[str] = mapped_column(String(500), default="")
    ended_by: Mapped[str] = mapped_column(String(200), default="")

    def state(self, now: datetime) -> LeaseState:
        """Return where the lease is in its life at `now`."""
        if self.ended_at is not None and self.ended_at < self.expires_at:
            return LeaseState.ENDED
        return LeaseState.LIVE if now < self.expires_at else LeaseState.EXPIRED
