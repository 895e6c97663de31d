"""Streams of security events to receivers outside, and what waits in them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from idp import clock
from idp.applications import Application
from idp.db import Base, BigId, Identified, SealedText
from idp.signals.events import EVENTS_SUPPORTED


class Method(StrEnum):
    """How the events of a stream reach its receiver (SSF §6.1)."""

    PUSH = "urn:ietf:rfc:8935"
    """This server calls the receiver."""
    POLL = "urn:ietf:rfc:8936"
    """The receiver asks."""


class Status(StrEnum):
    """What becomes of events (SSF §8.1.2)."""

    ENABLED = "enabled"
    PAUSED = "paused"
    """They are kept, and delivered later."""
    DISABLED = "disabled"
    """There are none."""


class SignalStream(Identified, Base):
    """A stream of security events to an application of the realm, its receiver (SSF §8.1.1)."""

    __tablename__ = "signal_stream"
    __table_args__ = ({"sqlite_autoincrement": True},)

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), index=True)
    description: Mapped[str] = mapped_column(String(500), default="")
    events_requested: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """Types of events that its receiver asks for, also such as there are none of; None for all."""
    method: Mapped[str] = mapped_column(String(20))
    endpoint_url: Mapped[str] = mapped_column(String(1000), default="")
    """Where events are pushed to; empty for a stream that is polled."""
    sealed_header: Mapped[str] = mapped_column(SealedText, default="")
    """The header `Authorization` that the receiver wants with each push; empty for none."""
    status: Mapped[str] = mapped_column(String(10), default=Status.ENABLED.value)
    status_reason: Mapped[str] = mapped_column(String(300), default="")
    used_at: Mapped[datetime] = mapped_column(default=clock.now)
    """When its receiver has last called about it, or taken something that was pushed."""
    verified_at: Mapped[datetime | None]
    """When its receiver has last asked for an event to try it with."""
    push_at: Mapped[datetime] = mapped_column(default=clock.now, index=True)
    """From when on something may be pushed."""
    claim: Mapped[str] = mapped_column(String(36), default="")
    """By which whoever pushes shows that the stream is still theirs."""
    claimed_until: Mapped[datetime | None]
    """Until when it is, unless they say that they go on."""
    tries: Mapped[int] = mapped_column(default=0)
    """Pushes that have failed, one after the other, until now."""
    last_error: Mapped[str] = mapped_column(String(300), default="")

    receiver: Mapped[Application] = relationship()

    @property
    def events_delivered(self) -> list[str]:
        """Types of events that go into it."""
        asked = self.events_requested
        return [each for each in EVENTS_SUPPORTED if asked is None or each in asked]


class SignalEvent(Base):
    """An event that its receiver has not taken yet."""

    __tablename__ = "signal_event"
    __table_args__ = (Index("ix_signal_event_stream_id_id", "stream_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    stream_id: Mapped[int] = mapped_column(ForeignKey("signal_stream.id", ondelete="CASCADE"))
    jti: Mapped[str] = mapped_column(String(36), unique=True)
    at: Mapped[datetime] = mapped_column(default=clock.now)
    event_type: Mapped[str] = mapped_column(String(120))
    subject: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`sub_id` (RFC 9493)."""
    told: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What the event says."""
