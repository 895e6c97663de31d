"""The ledger of personal tokens: they can be listed and deleted before they expire, so each is written down."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.db import Base, Identified


class PersonalToken(Identified, Base):
    """A signed token that a person made for scripts. Its `uid` is the token's `kid`, by which its holder names it.

    The server knows it again by its hash, as a whole: a token that was altered anywhere is another one.
    """

    __tablename__ = "personal_token"
    __table_args__ = ({"sqlite_autoincrement": True},)

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    pepper_id: Mapped[str] = mapped_column(ForeignKey("pepper.id"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    made_with: Mapped[str] = mapped_column(String(36), default="", server_default="", index=True)
    """Uid of the token that it was made with, if it was: it ends with that one."""
    expires_at: Mapped[datetime]
    created_from: Mapped[str] = mapped_column(String(64), default="")
    """The client's address."""
