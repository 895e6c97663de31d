"""Organisations that somebody has asked for, before the mail address is verified."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.db import Base, Identified


class SignUp(Identified, Base):
    """A sign-up that waits for its mail address to be verified. Nothing else exists of it: no realm, no keys, no account."""

    __tablename__ = "sign_up"
    __table_args__ = ({"sqlite_autoincrement": True},)

    sealed: Mapped[str]
    """What was asked for; sealed, for nobody has verified anything of it."""
    public_part: Mapped[str] = mapped_column(String(20), index=True)
    pepper_id: Mapped[str] = mapped_column(ForeignKey("pepper.id"))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Keyed hash of the one-time code that was mailed."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
