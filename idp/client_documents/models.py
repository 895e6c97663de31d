"""What is known of the document of an application."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import Base


class ClientDocument(Base):
    """When the document of an application was fetched, and what it was; what it says stands in the application's own columns."""

    __tablename__ = "client_document"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of its content, in hexadecimal digits."""
    fetched_at: Mapped[datetime]
    fresh_until: Mapped[datetime]
    """When it is fetched again, if somebody signs in to the application."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now, index=True)
    wanted_at: Mapped[datetime | None] = mapped_column(index=True)
    """When an assertion last named a key that it did not have."""
    tried_at: Mapped[datetime | None]
    """When it was last fetched for that, by whichever worker."""
    listed: Mapped[dict[str, list[str]] | None] = mapped_column(JSON(none_as_null=True))
    """For this and the next two see `merging.Terms`."""
    applied: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    set_here: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, server_default="{}")
