"""Answers to creates that carried a key, so that one that is sent again makes nothing anew; see `idp.api.idempotency`."""

from datetime import datetime, timedelta

from sqlalchemy import String, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock, vault
from idp.db import Base, db

KEEP = timedelta(days=1)


class KeptAnswer(Base):
    """The answer to a create that carried a key."""

    __tablename__ = "kept_answer"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Hash of who sent which key to which URL."""
    fingerprint: Mapped[str] = mapped_column(String(64))
    """Keyed hash of the body, which may hold a secret that somebody chose, and of the project that it is about."""
    sealed: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=clock.now, index=True)


def forget_old_answers() -> None:
    """Remove answers that nobody may ask for any more."""
    db.session.execute(delete(KeptAnswer).where(KeptAnswer.created_at < clock.now() - KEEP))


vault.register_sealed(KeptAnswer.sealed, select(KeptAnswer.key, KeptAnswer.sealed, KeptAnswer.key), "answer {}".format)
