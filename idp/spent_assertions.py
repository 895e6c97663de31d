"""Assertions that were accepted where each counts once, remembered by who has signed them and not by what that one is here.

Whoever deletes a trusted issuer or an application, and makes it again with the same keys, has the same assertions count again. So
what was used up hangs on neither of them.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp import clock
from idp.db import Base, db, insert_if_new


class Signer(StrEnum):
    """Whose assertions: what one of them calls used says nothing of another's."""

    APPLICATION = "application"
    """One of the realm, by its `client_id`."""
    ISSUER = "issuer"
    """One outside that the realm trusts, by its `iss`."""
    GRANT = "grant"
    """The same, for a grant for a person."""


class SpentAssertion(Base):
    """An assertion that was accepted, kept until it has expired."""

    __tablename__ = "spent_assertion"

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id", ondelete="CASCADE"), primary_key=True)
    mark: Mapped[str] = mapped_column(String(64), primary_key=True)
    """See `mark_of`."""
    expires_at: Mapped[datetime] = mapped_column(index=True)


def hash_jti(jti: str) -> str:
    """Return what is kept of the id of an assertion."""
    return hashlib.sha256(jti.encode()).hexdigest()


def mark_of(signer: Signer, name: str, jti_hash: str) -> str:
    """Return what an assertion is remembered by. Migration 0024 has worked it out, too: it stays as it is.

    :param name: of who has signed it: a `client_id`, or an `iss`.
    """
    return hashlib.sha256(f"{signer.value}\0{name}\0{jti_hash}".encode()).hexdigest()


def spend(realm_id: int, signer: Signer, names: Iterable[str], jti: str, expires_at: datetime) -> bool:
    """Use an assertion up. One statement decides, on every worker and node: True for exactly one caller.

    :param names: all that it could be known by here, should what is trusted become another.
    :param expires_at: until when it might be accepted otherwise.
    """
    marks = _marks_of(signer, names, jti)
    return all(insert_if_new(SpentAssertion, realm_id=realm_id, mark=mark, expires_at=expires_at) for mark in marks)


def is_spent(session: Session, realm_id: int, signer: Signer, names: Iterable[str], jti: str) -> bool:
    """Tell whether `spend` would be too late, without using anything up: to explain, and never to decide."""
    marks = _marks_of(signer, names, jti)
    query = select(SpentAssertion.mark).where(SpentAssertion.realm_id == realm_id, SpentAssertion.mark.in_(marks))
    return session.scalar(query.limit(1)) is not None


def _marks_of(signer: Signer, names: Iterable[str], jti: str) -> list[str]:
    return sorted(mark_of(signer, name, hash_jti(jti)) for name in set(names))  # in order: nobody waits for one another


def forget_spent() -> None:
    """Remove what has expired, and so would be refused anyway."""
    db.session.execute(delete(SpentAssertion).where(SpentAssertion.expires_at < clock.now()))
