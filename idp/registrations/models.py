"""What registers applications, and the applications that it has registered."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import Base, Identified


class TokenState(StrEnum):
    """Whether a registration token works still."""

    LIVE = "live"
    USED_UP = "used-up"
    EXPIRED = "expired"
    REVOKED = "revoked"


class RegistrationToken(Identified, Base):
    """Lets whoever has it register applications (the initial access token of RFC 7591 §1.2)."""

    __tablename__ = "registration_token"
    __table_args__ = ({"sqlite_autoincrement": True},)

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    description: Mapped[str] = mapped_column(String(500), default="")
    public_part: Mapped[str] = mapped_column(String(20))
    """The beginning of the token, to tell it by."""
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    kinds: Mapped[list[str]] = mapped_column(JSON)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    limit: Mapped[int] = mapped_column("most")  # `limit` is a word of SQL
    """How many applications it registers."""
    used: Mapped[int] = mapped_column(default=0)
    """How many it has registered."""
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(200), default="")

    def state(self, now: datetime) -> TokenState:
        """Return whether it works at `now`."""
        if self.revoked_at is not None:
            return TokenState.REVOKED
        if self.expires_at <= now:
            return TokenState.EXPIRED
        return TokenState.USED_UP if self.used >= self.limit else TokenState.LIVE


class Registration(Base):
    """That an application has registered itself, and the token with which it can change that (RFC 7592)."""

    __tablename__ = "registration"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), unique=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("registration_token.id", ondelete="CASCADE"), index=True)
    method: Mapped[str] = mapped_column(String(30))
    """How it authenticates, for good (RFC 7591 §2, `token_endpoint_auth_method`)."""
    seen_at: Mapped[datetime]
    """When it has changed itself last. An application that somebody else has changed since is no longer its own master."""
    access_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """Of its registration access token."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now, index=True)
