"""APIs that stand behind a proxy which asks the gateway."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import Base, Identified


class ProtectedApi(Identified, Base):
    """An API with the rules of who may call what. What no rule allows is refused."""

    __tablename__ = "protected_api"
    __table_args__ = (UniqueConstraint("realm_id", "name"), {"sqlite_autoincrement": True})

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    name: Mapped[str] = mapped_column(String(64))
    audience: Mapped[str] = mapped_column(String(255))
    """`aud` of the tokens that the gateway makes for it; access tokens are accepted if made for this or for the realm."""
    rules: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """Each `{"methods": [...], "path": "/prefix", "roles": [...], "project": ""}`, or with `"open": true` and no roles."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now)
