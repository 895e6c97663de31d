"""Tables of the evidence for the audit trail. Batches and cuts are append-only, as events are: triggers refuse to change one."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, LargeBinary, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import Base, BigId, SealedText


class AuditBatch(Base):
    """A piece of a realm's hash chain: some events, in the order in which they were sealed. Append-only like the events.

    It holds the digest of each event, so the chain can be followed, and an event that was changed be named, by itself.
    """

    __tablename__ = "audit_batch"
    __table_args__ = (UniqueConstraint("realm", "number"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    realm: Mapped[str] = mapped_column(String(64))
    number: Mapped[int] = mapped_column(BigId)
    """Counts the batches of the realm from 1."""
    total: Mapped[int] = mapped_column(BigId)
    """How many events are sealed with this batch and those before it."""
    sealed_at: Mapped[datetime] = mapped_column(default=clock.now)
    event_ids: Mapped[bytes] = mapped_column(LargeBinary)
    """Numbers of the events; see `chain.pack_ids`."""
    digests: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of each of them."""
    head: Mapped[str] = mapped_column(String(64))
    """The head of the chain after the last of them, in hexadecimal digits."""
    checkpoint: Mapped[str]
    """A signed statement of number, total and head, here and one batch before (a compact JWS)."""


class AuditMark(Base):
    """How far the trail of a realm has come, and with which keys it was signed: sealed under the master key.

    There is one for each trail from its beginning on. So whoever writes into the database, and has no master key, can neither
    start a trail again nor shorten it unnoticed, nor sign it with a key of their own.
    """

    __tablename__ = "audit_mark"

    realm: Mapped[str] = mapped_column(String(64), primary_key=True)
    sealed: Mapped[str] = mapped_column(SealedText)


class AuditCut(Base):
    """What is left of batches whose token events were removed after their retention period. Append-only like the batches."""

    __tablename__ = "audit_cut"
    __table_args__ = (UniqueConstraint("realm", "last"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    realm: Mapped[str] = mapped_column(String(64))
    first: Mapped[int] = mapped_column(BigId)
    """Number of the first batch that was cut."""
    last: Mapped[int] = mapped_column(BigId)
    """Number of the last one."""
    kept_ids: Mapped[bytes] = mapped_column(LargeBinary)
    """Numbers of the events that were kept; see `chain.pack_ids`."""
    kept_digests: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of each of them."""
    statement: Mapped[str]
    """A signed statement of what was cut, and how the chain goes over it (a compact JWS)."""


class AuditSealing(Base):
    """How far sealing has come: one row."""

    __tablename__ = "audit_sealing"

    id: Mapped[int] = mapped_column(primary_key=True)
    turn: Mapped[int] = mapped_column(BigId, default=0)
    """Counts changes of this row: of two workers that seal at once, one wins."""
    next_event: Mapped[int] = mapped_column(BigId, default=1)
    """Number of the first event that was not seen yet."""
    gaps: Mapped[list[list[Any]]] = mapped_column(JSON, default=list)
    """`[number, seen at, horizon]` of smaller numbers that were not there: a transaction may still commit them."""
    cutting: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Set only inside a transaction that cuts: the triggers let nobody else remove an event or a batch."""


class AuditDelivery(Base):
    """Up to which batch the checkpoints of a realm were pushed to a place off the box."""

    __tablename__ = "audit_delivery"

    destination: Mapped[str] = mapped_column(String(300), primary_key=True)
    realm: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(BigId)
    at: Mapped[datetime]
