"""The outbox."""

from datetime import datetime

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import Base, BigId


class MailMessage(Base):
    """An email that is to be sent, or was."""

    __tablename__ = "mail_message"
    __table_args__ = (
        Index(
            "ix_mail_message_due",
            "due_at",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    occasion: Mapped[str] = mapped_column(String(200), unique=True)
    """What it is sent for, once: `api-key-expiry:7:<uid>`. A second email for the same occasion is not written."""
    realm: Mapped[str] = mapped_column(String(64))
    template: Mapped[str] = mapped_column(String(40))
    sealed: Mapped[str]
    """Recipient and values of the template, which may hold a one-time secret; emptied when it is sent."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    due_at: Mapped[datetime] = mapped_column(default=clock.now)
    """When it is tried next. Whoever tries it moves this ahead first, so that nobody else does."""
    tries: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(String(300), default="")
    done_at: Mapped[datetime | None] = mapped_column(index=True)
    useful_until: Mapped[datetime | None]
    """When what it carries is over: after that it is not sent, and given up. None: it is of use for as long as it is tried."""
    sent: Mapped[bool] = mapped_column(default=False)
    """Whether it went out, or was given up, once it is done."""
