"""Realms: organisations, each with its own issuer, keys, applications and policy."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import Base, Identified
from idp.settings import TOKEN_LIFETIME


class RealmState(StrEnum):
    """Where a realm is in its life cycle."""

    PENDING = "pending"
    """Waits for an operator's approval."""
    ACTIVE = "active"
    INACTIVE = "inactive"
    """Deactivated: none of its credentials work."""
    DELETED = "deleted"
    """Its credentials do not work; for a while it can be restored."""


class Realm(Identified, Base):
    """An organisation. `master` belongs to the operators."""

    __tablename__ = "realm"
    __table_args__ = (
        # an index, since SQLite cannot add a constraint to a table that others point to
        Index("uq_realm_contract_number", "contract_number", unique=True),
        {"sqlite_autoincrement": True},  # ids are never used again (T73)
    )

    name: Mapped[str] = mapped_column(String(64), unique=True)
    display_name: Mapped[str] = mapped_column(String(200), default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    signing_algorithm: Mapped[str] = mapped_column(String(10), default="RS256")
    """Algorithm for applications that choose none themselves."""
    access_token_type: Mapped[str] = mapped_column(String(10), default="at+jwt", server_default="at+jwt")
    """Header `typ` of access tokens, for applications that choose none themselves."""
    key_rotation_days: Mapped[int] = mapped_column(default=90)
    """Days after which a signing key is rotated; 0 leaves rotation to the operator."""
    audit_days: Mapped[int] = mapped_column(default=365, server_default="365")
    """Days for which the audit trail keeps events of tokens, sessions and uses of keys; 0 forever. What people
    do to others' things is always kept."""
    tokens_from: Mapped[datetime | None]
    """Tokens issued before this are invalid; None for no such time."""
    session_hours: Mapped[int] = mapped_column(default=12, server_default="12")
    """Hours after which a session ends, no matter how often it was refreshed."""
    api_key_hours: Mapped[int] = mapped_column(default=2160, server_default="2160")
    """Default lifetime of API keys in hours, and the longest that their owners may choose themselves."""
    personal_token_limit: Mapped[int] = mapped_column(default=50, server_default="50")
    """Personal tokens per identity, including expired ones until they are deleted."""
    personal_token_seconds: Mapped[int] = mapped_column(default=31_536_000, server_default="31536000")
    """Lifetime of personal tokens in seconds."""
    personal_token_choice: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether people may choose a shorter lifetime themselves."""
    token_seconds: Mapped[int] = mapped_column(default=TOKEN_LIFETIME, server_default=str(TOKEN_LIFETIME))
    """Lifetime in seconds of the tokens that applications get for themselves."""
    person_token_seconds: Mapped[int] = mapped_column(default=900, server_default="900")
    """Lifetime in seconds of the tokens that applications get for people who sign in to them."""
    refresh_idle_hours: Mapped[int] = mapped_column(default=336, server_default="336")
    refresh_hours: Mapped[int] = mapped_column(default=2160, server_default="2160")
    refresh_overlap_seconds: Mapped[int] = mapped_column(default=10, server_default="10")
    pushed_requests: Mapped[bool] = mapped_column(default=False, server_default=false())
    profile: Mapped[str] = mapped_column(String(10), default="plain", server_default="plain")
    """Security profile of applications that choose none themselves."""
    registration: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether applications may register themselves (RFC 7591)."""
    client_documents: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether applications may describe themselves at their client_id."""
    open_audiences: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    """What every application that people sign in to may address for them."""
    brand_color: Mapped[str] = mapped_column(String(7), default="", server_default="")
    brand_logo: Mapped[str] = mapped_column(Text, default="", server_default="")
    """As a data: URL."""
    help_url: Mapped[str] = mapped_column(String(500), default="", server_default="")
    privacy_url: Mapped[str] = mapped_column(String(500), default="", server_default="")
    terms_url: Mapped[str] = mapped_column(String(500), default="", server_default="")
    pending: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it waits for an operator's approval."""
    deleted_at: Mapped[datetime | None]
    purging: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether its purge has begun: then it cannot be restored."""
    contract_number: Mapped[int | None]
    """Number that clients of /auth/v1/tokens tell realms apart by (`X-Contract-Number`)."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now)

    @property
    def state(self) -> RealmState:
        """Where the realm is in its life cycle."""
        if self.deleted_at is not None:
            return RealmState.DELETED
        if self.pending:
            return RealmState.PENDING
        return RealmState.ACTIVE if self.enabled else RealmState.INACTIVE


class PurgedRealm(Base):
    """What is left of a realm that was purged, beside its audit trail: its name, which no other realm is ever given."""

    __tablename__ = "purged_realm"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    uid: Mapped[str] = mapped_column(String(36))
    purged_at: Mapped[datetime] = mapped_column(default=clock.now)
    public_keys: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """The keys that signed its checkpoints, as JWKs."""
