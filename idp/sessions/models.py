"""Sessions of people who signed in."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.db import Base, Identified


class UserSession(Identified, Base):
    """A session. Its `uid` is the `sid` of its tokens, of which the newest can be exchanged for the next, once."""

    __tablename__ = "user_session"
    __table_args__ = ({"sqlite_autoincrement": True},)

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    auth_method: Mapped[str] = mapped_column(String(20))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """The absolute limit, no matter how often it is refreshed."""
    token_jti: Mapped[str] = mapped_column(String(32))
    """`jti` of the newest token, the only one that can be refreshed."""
    refreshed_at: Mapped[datetime]
    """When the newest token was issued: 900 seconds later the session ends as idle."""
    ended_at: Mapped[datetime | None]
    address: Mapped[str] = mapped_column(String(64), default="")
    agent: Mapped[str] = mapped_column(String(200), default="")
    """User agent of the program that started it."""
