"""Peppers: keys for the keyed hash of machine secrets, sealed under the master key."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import Base


class Pepper(Base):
    """A pepper. The newest hashes new secrets; older ones check those they hashed."""

    __tablename__ = "pepper"

    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    sealed: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
