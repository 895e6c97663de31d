"""Applications, their secrets, and the client assertions they have used."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from idp import clock
from idp.applications.kinds import Kind
from idp.db import SLOW, Base, Identified
from idp.published_keys import Published


class Application(Identified, Base):
    """A program with its own identity. Its `name` is its `client_id`, unless a URL is; its `uid` is the `sub` of its tokens."""

    __tablename__ = "application"
    __table_args__ = (
        UniqueConstraint("realm_id", "name"),
        # by any three letters of name and description; on SQLite, a table of FTS5 is there for that, see `text_search`
        Index(
            "ix_application_grams",
            text("grams_of(name || chr(10) || description)"),
            postgresql_using="gin",
            postgresql_concurrently=True,
            info={SLOW: "postgresql"},
        ),
        Index(
            "ix_application_disabled",
            "realm_id",
            "id",
            postgresql_where=text("enabled IS false"),
            postgresql_concurrently=True,
            info={SLOW: "postgresql"},
        ),
        {"sqlite_autoincrement": True},
    )

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(String(500), default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    audience: Mapped[list[str]] = mapped_column(JSON, default=list)
    """What its access tokens are for (`aud`); empty means no API in particular. With the issuer, this server takes them."""
    resources: Mapped[list[str]] = mapped_column(JSON, default=list)
    """Audiences whose tokens it may introspect as a resource server, besides its client_id."""
    signing_algorithm: Mapped[str | None] = mapped_column(String(10))
    """None means the realm's."""
    access_token_type: Mapped[str | None] = mapped_column(String(10))
    """Header `typ` of its access tokens; None means the realm's."""
    token_seconds: Mapped[int | None]
    """Lifetime of its own tokens in seconds, if that is shorter than the realm's."""
    web_origins: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    """Origins whose pages may read what the protocol's endpoints answer about it (Fetch standard, CORS protocol)."""
    kind: Mapped[str] = mapped_column(String(10), default=Kind.MACHINE.value, server_default=Kind.MACHINE.value)
    display_name: Mapped[str] = mapped_column(String(200), default="", server_default="")
    redirect_uris: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    """Where people may be sent back to, byte for byte (RFC 9700 §2.1)."""
    post_logout_redirect_uris: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    backchannel_logout_uri: Mapped[str | None] = mapped_column(String(1000))
    grant_types: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    """Grants that it may use; empty for those of its kind."""
    scopes: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    """Scopes that it may ask people for; empty for all."""
    privacy_url: Mapped[str] = mapped_column(String(500), default="", server_default="")
    terms_url: Mapped[str] = mapped_column(String(500), default="", server_default="")
    consent: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether people are asked before it learns of them."""
    signed_userinfo: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether UserInfo answers it with a signed JWT."""
    pushed_requests: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it must push its authorization requests (RFC 9126)."""
    dpop_bound_access_tokens: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it gets access tokens that are bound to a key only (RFC 9449 §5.2)."""
    tls_client_certificate_bound_access_tokens: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it gets access tokens that are bound to its TLS certificate only (RFC 8705 §3.4)."""
    profile: Mapped[str | None] = mapped_column(String(10))
    """Security profile; None means the realm's."""
    dpop_nonces: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether its proofs must carry a nonce of this server (RFC 9449 §8)."""
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """Public keys for `private_key_jwt` (RFC 7523 §2.2)."""
    jwks_uri: Mapped[str | None] = mapped_column(String(1000))
    """Where they are published instead; see `ApplicationKeySet`."""
    jwks_frozen: Mapped[list[list[Any]] | None] = mapped_column(JSON(none_as_null=True))
    """What assertions signed with these keys carry at most; None for all that the application holds. See `access.freeze`."""
    rate_per_second: Mapped[int | None]
    """Tokens that it may fetch per second; bursts may be five times as large. None for the server's limit."""
    token_count: Mapped[int] = mapped_column(BigInteger, default=0)
    last_used_at: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(200), default="", server_default="")
    """The actor who created it, as in the audit trail; empty if it is older than schema 0009."""
    document_url: Mapped[str] = mapped_column(String(255), default="", server_default="")
    """The URL at which it describes itself, which is its `client_id` then; empty for one that is called by its name."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now)

    @property
    def is_public(self) -> bool:
        """Whether it can keep no secret."""
        return Kind(self.kind).is_public

    @property
    def has_keys(self) -> bool:
        """Whether it proves who it is by a key of its own."""
        return self.jwks is not None or self.jwks_uri is not None


KEPT_WHILE_FAILING = timedelta(hours=24)
"""For how long the last keys of an application count while their server does not answer."""


class ApplicationKeySet(Published, Base):
    """What was fetched from the `jwks_uri` of an application. Another URL begins another row."""

    __tablename__ = "application_key_set"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)

    application: Mapped[Application] = relationship()

    @property
    def counts_until(self) -> datetime:
        """When its keys stop counting, if none are fetched until then: at once where none were ever fetched."""
        return (self.failing_since or self.fetch_at) + KEPT_WHILE_FAILING if self.fetched_at is not None else self.created_at


class SecretState(StrEnum):
    """Whether a secret works still."""

    LIVE = "live"
    EXPIRED = "expired"
    RETIRED = "retired"


class ApplicationSecret(Identified, Base):
    """A client secret, kept as a keyed hash. An application has any number of live ones."""

    __tablename__ = "application_secret"
    __table_args__ = (
        Index(
            "uq_application_secret_live",
            "application_id",
            "name",
            unique=True,
            sqlite_where=text("retired_at IS NULL"),
            postgresql_where=text("retired_at IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    application_id: Mapped[int] = mapped_column(ForeignKey("application.id"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    public_part: Mapped[str] = mapped_column(String(20))
    """The beginning of a secret that the server made, to tell it by; empty for an imported one."""
    pepper_id: Mapped[str] = mapped_column(ForeignKey("pepper.id"))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    frozen: Mapped[list[list[Any]] | None] = mapped_column(JSON(none_as_null=True))
    """What the secret carries at most; None for all that the application holds. See `access.freeze`."""
    single_use: Mapped[bool] = mapped_column(default=False)
    shown: Mapped[bool] = mapped_column(default=True)
    """False while a first start has not printed it yet; the next start then makes it anew."""
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    retired_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    last_used_address: Mapped[str] = mapped_column(String(64), default="")
    use_count: Mapped[int] = mapped_column(BigInteger, default=0)

    def state(self, now: datetime) -> SecretState:
        """Return whether the secret works at `now`, as far as the secret itself is concerned."""
        if self.retired_at is not None:
            return SecretState.RETIRED
        return SecretState.LIVE if self.expires_at is None or now < self.expires_at else SecretState.EXPIRED

    def is_live(self, now: datetime) -> bool:
        """Tell whether the secret works at `now`; see `state`."""
        return self.state(now) is SecretState.LIVE


class DailyUse(Base):
    """How many tokens an application was issued and refused on one day."""

    __tablename__ = "daily_use"

    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    """When the day begins (UTC)."""
    issued: Mapped[int] = mapped_column(BigInteger)
    refused: Mapped[int] = mapped_column(BigInteger)


class UsedAssertion(Base):
    """The `jti` of a client assertion that was accepted, kept until the assertion has expired."""

    __tablename__ = "used_assertion"

    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), primary_key=True)
    jti_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
