"""The audit trail. Append-only: triggers in the database refuse to update or delete a row."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import Base, BigId

SEARCHED = "tag <> 'client:token:issue'"
"""What is searched by actor and target by way of an index: all but issued tokens, which come by the million and are found by
their own id only, if at all."""


class AuditEvent(Base):
    """One act: who did what to what, from where, and how it ended. Holds names, ids and dates, never a secret.

    It has no foreign keys, since it outlives what it speaks of.
    """

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_realm_id", "realm", "id"),
        *(
            Index(f"ix_audit_event_{column}", "realm", column, "id", sqlite_where=text(SEARCHED), postgresql_where=text(SEARCHED))
            for column in ("actor", "target")
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=clock.now)
    realm: Mapped[str] = mapped_column(String(64))
    """Name of the realm, or empty for the server as a whole."""
    tag: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(String(200))
    """Who: `operator:<login name>` at the command line, `application:<client_id>`, `system`,
    and `unauthenticated` for a client that was refused."""
    target: Mapped[str] = mapped_column(String(300))
    """On what: `<kind>:<name>`."""
    address: Mapped[str] = mapped_column(String(64))
    """From where: the client's address, or `local` for the command line and the server itself."""
    outcome: Mapped[str] = mapped_column(String(10))
    """`success` or `refused`."""
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
