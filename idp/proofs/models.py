"""Proofs that were used, for as long as they could be used again."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from idp.db import Base


class UsedProof(Base):
    """A proof that was accepted, kept until it is too old to be.

    One column and no other index: a row is written for each token that is bound, and each use of one.
    """

    __tablename__ = "used_proof"
    __table_args__ = ({"sqlite_with_rowid": False},)

    proof: Mapped[str] = mapped_column(String(74), primary_key=True)
    """Until when it is kept (seconds since 1970, in ten hexadecimal digits), and a hash of its key and its `jti`."""
