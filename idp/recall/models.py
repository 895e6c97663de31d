"""What was taken back of the tokens of a realm, and the numbers by which those who follow see that it has become more."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.db import Base, BigId


class RecallClock(Base):
    """Counts the changes of a realm's causes. Taking a number locks the row until the commit, so they appear in commit order."""

    __tablename__ = "recall_clock"

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), primary_key=True)
    position: Mapped[int] = mapped_column(BigId)


class RecallCause(Base):
    """Why tokens of before do not count any more: kept until the last of them has expired."""

    __tablename__ = "recall_cause"
    __table_args__ = (Index("ix_recall_cause_realm_id_position", "realm_id", "position"),)

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    mark: Mapped[str] = mapped_column(String(16), primary_key=True)
    """Hash of what it is about, in hexadecimal digits; see `mark_of`."""
    at: Mapped[datetime] = mapped_column(index=True)
    """From when on it counts."""
    position: Mapped[int] = mapped_column(BigId)
    """Number of the last change to it."""
    lifted: Mapped[bool]
    """Whether it does not count any more: what was disabled works again."""
