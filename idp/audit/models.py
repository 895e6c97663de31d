"""The audit trail. Append-only: triggers in the database refuse to update or delete a row."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.audit.tags import Tag
from idp.db import EVERYWHERE, SLOW, Base, BigId

NOT_ISSUED = "tag <> 'client:token:issue'"
"""What is searched by tag by way of an index: all but issued tokens, which come by the million, so that the next one is near."""

REFUSED = "outcome = 'refused'"

MIXED = [tag for tag in Tag if len(tag.kinds) > 1 and "server" not in tag.kinds]
"""Tags of which one realm has targets of several kinds."""

OF_MIXED = {
    kind: f"tag IN ({', '.join(repr(tag.value) for tag in MIXED)}) AND substr(target, 1, {len(kind) + 1}) = '{kind}:'"
    for kind in sorted(set[str]().union(*(tag.kinds for tag in MIXED)))
}
"""By kind, what is searched by kind among those: thousands of sessions may have ended between two users whose sessions all
ended. Tokens, which are nothing of the sort, are in none of these indexes."""


def _index(*columns: str, where: str = "", of: str = "") -> Index:
    """Return an index of each realm's events that is built while others write."""
    name = f"ix_audit_event_realm_{'_'.join(columns)}{of}"
    partly: dict[str, Any] = {"sqlite_where": text(where), "postgresql_where": text(where)} if where else {}
    return Index(name, "realm", *columns, "id", info={SLOW: EVERYWHERE}, postgresql_concurrently=True, **partly)


class AuditEvent(Base):
    """One act: who did what to what, from where, and how it ended. Holds names, ids and dates, never a secret.

    It has no foreign keys, since it outlives what it speaks of.
    """

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_realm_id", "realm", "id"),
        # each search reads one of these backwards from where it begins, and as many rows as it shows
        _index("at"),
        _index("tag", "at", where=NOT_ISSUED),
        _index("actor", "at"),
        _index("target", "at"),
        _index("outcome", "at", where=REFUSED),
        *(_index("tag", "at", where=condition, of=f"_{kind}") for kind, condition in OF_MIXED.items()),
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
