"""Issuers that a realm trusts to say who a program is, the rules that tie what they say to applications, and what was used up."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from idp import clock
from idp.applications import Application
from idp.db import Base, Identified
from idp.published_keys import Published
from idp.users import User


class KeySource(StrEnum):
    """Where the keys of an issuer come from."""

    DISCOVERY = "discovery"
    """The `jwks_uri` of its discovery document (OpenID Connect Discovery §4)."""
    URL = "url"
    """A URL of its key set."""
    UPLOADED = "uploaded"
    """Given to this server, as for a private cluster that cannot be reached."""


class Mode(StrEnum):
    """What a rule does."""

    ENFORCE = "enforce"
    """What matches it is admitted."""
    AUDIT = "audit"
    """It admits nothing; what another rule admits and this one would have refused is recorded."""


class IssuerState(StrEnum):
    """How a trusted issuer fares."""

    DISABLED = "disabled"
    READY = "ready"
    WAITING = "waiting"
    """Its keys have not been fetched yet."""
    FAILING = "failing"
    """It does not answer; its last keys count."""
    LOST = "lost"
    """It does not answer, and no keys of it count: its assertions are refused."""


class TrustedIssuer(Identified, Published, Base):
    """An issuer of assertions, outside of this server."""

    __tablename__ = "trusted_issuer"
    __table_args__ = (
        UniqueConstraint("realm_id", "name"),
        UniqueConstraint("realm_id", "issuer"),
        {"sqlite_autoincrement": True},
    )

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(String(500), default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    preset: Mapped[str] = mapped_column(String(20))
    issuer: Mapped[str] = mapped_column(String(500))
    """`iss` of its assertions; of SPIFFE, which need not have one, `spiffe://` and the trust domain."""
    key_source: Mapped[str] = mapped_column(String(10))
    jwks_url: Mapped[str] = mapped_column(String(500), default="")
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """The uploaded key set."""
    audiences: Mapped[list[str]] = mapped_column(JSON, default=list)
    """What assertions must be made for; empty for this realm's issuer or token endpoint."""
    replay: Mapped[str | None] = mapped_column(String(10))
    """`once` or `reuse`; None, as for the next two, for what is usual with its preset."""
    longest_life_seconds: Mapped[int | None]
    longest_age_seconds: Mapped[int | None]
    leeway_seconds: Mapped[int]
    token_seconds: Mapped[int]
    """Longest life of the tokens that are issued for its assertions."""
    keep_keys_hours: Mapped[int]
    """For how long the last keys that were fetched count while it does not answer."""
    created_by: Mapped[str] = mapped_column(String(200), default="")
    updated_at: Mapped[datetime] = mapped_column(default=clock.now)

    @property
    def is_fetched(self) -> bool:
        """Whether its keys are fetched, and were not uploaded."""
        return self.key_source != KeySource.UPLOADED

    @property
    def keys(self) -> list[dict[str, Any]]:
        """The keys that its assertions are checked with."""
        found: list[dict[str, Any]] = self.fetched_keys if self.is_fetched else (self.jwks or {}).get("keys", [])
        return found

    @property
    def keys_until(self) -> datetime | None:
        """When its keys stop counting if none are fetched until then; None for uploaded ones."""
        if not self.is_fetched:
            return None
        return self.fetched_at + timedelta(hours=self.keep_keys_hours) if self.fetched_at is not None else self.created_at

    def state(self, now: datetime) -> IssuerState:
        """Return how it fares."""
        if not self.enabled:
            return IssuerState.DISABLED
        is_over = self.keys_until is not None and self.keys_until <= now
        if is_over:
            return IssuerState.LOST if self.fetch_error else IssuerState.WAITING
        return IssuerState.FAILING if self.fetch_error else IssuerState.READY


class FederationRule(Identified, Base):
    """Which assertions of an issuer an application is admitted by."""

    __tablename__ = "federation_rule"
    __table_args__ = (
        UniqueConstraint("realm_id", "name"),
        Index("ix_federation_rule_issuer_id_pin", "issuer_id", "pin"),
        {"sqlite_autoincrement": True},
    )

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    issuer_id: Mapped[int] = mapped_column(ForeignKey("trusted_issuer.id"))
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(String(500), default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    mode: Mapped[str] = mapped_column(String(10), default=Mode.ENFORCE.value)
    lines: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    pin_claim: Mapped[str] = mapped_column(String(200))
    """The claim of the line that it is found by: one with a single value, which names an owner for good where one does."""
    pin: Mapped[str] = mapped_column(String(64))
    """Hash of that claim and its value."""
    token_seconds: Mapped[int | None]
    roles: Mapped[list[str]] = mapped_column(JSON, default=list)
    """The only roles that tokens carry, of those that the application holds; empty for all."""
    projects: Mapped[list[str]] = mapped_column(JSON, default=list)
    """The only projects that they carry roles on, and then none on the realm; empty for all, and the realm."""
    frozen: Mapped[list[list[Any]] | None] = mapped_column(JSON(none_as_null=True))
    """What they carry at the most, as of a secret; see `access.freeze`."""
    created_by: Mapped[str] = mapped_column(String(200), default="")
    updated_at: Mapped[datetime] = mapped_column(default=clock.now)

    issuer: Mapped[TrustedIssuer] = relationship(lazy="joined", innerjoin=True)
    application: Mapped[Application] = relationship(lazy="joined", innerjoin=True)


class FederatedPerson(Identified, Base):
    """Whom the subject of an issuer stands for: a person, known by both together."""

    __tablename__ = "federated_person"
    __table_args__ = (UniqueConstraint("issuer_id", "subject"), {"sqlite_autoincrement": True})

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    issuer_id: Mapped[int] = mapped_column(ForeignKey("trusted_issuer.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    subject: Mapped[str] = mapped_column(String(255))

    issuer: Mapped[TrustedIssuer] = relationship(lazy="joined", innerjoin=True)
    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class UsedForeignAssertion(Base):
    """The `jti` of an assertion that was accepted, where each is accepted once, kept until the assertion has expired."""

    __tablename__ = "used_foreign_assertion"

    issuer_id: Mapped[int] = mapped_column(ForeignKey("trusted_issuer.id", ondelete="CASCADE"), primary_key=True)
    jti_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
