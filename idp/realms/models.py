"""Realms: organisations, each with its own issuer, keys, applications and policy."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import Base, Identified


class Realm(Identified, Base):
    """An organisation. `master` is the operators' own."""

    __tablename__ = "realm"
    __table_args__ = ({"sqlite_autoincrement": True},)  # ids are never used again (T73)

    name: Mapped[str] = mapped_column(String(64), unique=True)
    display_name: Mapped[str] = mapped_column(String(200), default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    signing_algorithm: Mapped[str] = mapped_column(String(10), default="RS256")
    """Algorithm for applications that choose none themselves."""
    key_rotation_days: Mapped[int] = mapped_column(default=90)
    """Days after which a signing key gets a successor; 0 leaves rotation to the operator."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now)
