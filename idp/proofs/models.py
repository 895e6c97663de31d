"""Proofs that were used, for as long as they could be used again."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from idp.db import Base


class UsedProof(Base):
    """A proof that was accepted, kept until it is too old to be."""

    __tablename__ = "used_proof"

    proof_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Of its key and its `jti`."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
