"""Signing keys of realms. Their state follows from their dates, so that no worker has to be told when it changes."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.db import Base, Identified


class KeyState(StrEnum):
    """Where a key is in its life cycle."""

    ANNOUNCED = "announced"
    """In the key set, not signing yet."""
    ACTIVE = "active"
    """In the key set and signing."""
    RETIRED = "retired"
    """In the key set until the last token it signed has expired."""
    REMOVED = "removed"
    """No longer in the key set."""
    REVOKED = "revoked"
    """Removed from the key set immediately, since it may have leaked."""


class SigningKey(Identified, Base):
    """A key pair of a realm for one algorithm. Its `uid` is the `kid` of the tokens it signs."""

    __tablename__ = "signing_key"
    __table_args__ = (
        # at any time one key for each algorithm has no successor: two rotations at once cannot both announce one
        Index(
            "uq_signing_key_newest",
            "realm_id",
            "algorithm",
            unique=True,
            sqlite_where=text("retires_at IS NULL AND revoked_at IS NULL"),
            postgresql_where=text("retires_at IS NULL AND revoked_at IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    algorithm: Mapped[str] = mapped_column(String(10))
    sealed_private_key: Mapped[str]
    """PKCS #8 DER under the master key; emptied when the key has signed its last token."""
    public_jwk: Mapped[dict[str, Any]] = mapped_column(JSON)
    active_from: Mapped[datetime]
    retires_at: Mapped[datetime | None]
    """When its successor takes over; None while it has none."""
    removed_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str] = mapped_column(String(500), default="")

    def state(self, now: datetime) -> KeyState:
        """Return where the key is in its life cycle at `now`."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if now < self.active_from:
            return KeyState.ANNOUNCED
        if self.removed_at is not None and now >= self.removed_at:
            return KeyState.REMOVED
        if self.retires_at is not None and now >= self.retires_at:
            return KeyState.RETIRED
        return KeyState.ACTIVE
