"""Counted attempts."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from idp.db import Base


class AttemptCount(Base):
    """How often something was tried since the beginning of its window."""

    __tablename__ = "attempt_count"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Hash of what is counted: an account, an address, a realm. The names themselves are not kept."""
    count: Mapped[int]
    window_ends_at: Mapped[datetime] = mapped_column(index=True)
