"""Tokens that were revoked before they expired. A token that is not in here is as good as its signature and dates."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import Base


class RevokedToken(Base):
    """An access token that introspection no longer calls active, kept until it has expired."""

    __tablename__ = "revoked_token"

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), primary_key=True)
    jti: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime] = mapped_column(default=clock.now)
