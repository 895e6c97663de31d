"""What people have let applications do for them: authorizations, the consent behind them, and requests on their way there."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import Base, Identified


class Authorization(Identified, Base):
    """A person's sign-in to an application, from the code that was redeemed to the last refresh token.

    Its refresh tokens are a line: each is worked out from the row's seed, its number and a pepper, so that none is stored and all
    are known for what they are. Only the newest works.
    """

    __tablename__ = "app_authorization"  # `authorization` is a word of SQL
    __table_args__ = ({"sqlite_autoincrement": True},)

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """Of the code that it came from: there is one authorization for a code, so whoever writes the row has redeemed it."""
    session_uid: Mapped[str] = mapped_column(String(36), default="", index=True)
    """The session of the browser, also once that has signed in anew; empty for one that began at a device."""
    sid: Mapped[str] = mapped_column(String(36), default="")
    """The session that it began in, which its tokens name."""
    scope: Mapped[str] = mapped_column(String(2000), default="")
    resource: Mapped[str] = mapped_column(String(255), default="")
    named: Mapped[dict[str, list[str]]] = mapped_column(JSON, default=dict)
    """Claims that were asked for by name: `id_token` and `userinfo`."""
    auth_time: Mapped[datetime]
    auth_method: Mapped[str] = mapped_column(String(20))
    pepper_id: Mapped[str | None] = mapped_column(ForeignKey("pepper.id"))
    """None where it has no refresh tokens."""
    seed: Mapped[bytes] = mapped_column(LargeBinary(32))
    generation: Mapped[int] = mapped_column(default=0)
    """Number of the newest refresh token."""
    rotated_at: Mapped[datetime] = mapped_column(default=clock.now)
    """When the newest refresh token was issued."""
    expires_at: Mapped[datetime] = mapped_column(index=True)
    """When it ends, no matter how often it is refreshed."""
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str] = mapped_column(String(40), default="")
    """What ended it, such as `reuse`."""
    address: Mapped[str] = mapped_column(String(64), default="")
    confirmation: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    """What its refresh tokens are bound to, as `cnf` has it; empty where their application shows who it is each time."""
    link_uid: Mapped[str] = mapped_column(String(36), default="", server_default="")
    """Of the federated person by whose issuer's word it began; empty for any other, and for those of before schema 0024."""


class Consent(Base):
    """What a person has agreed that an application learns of them and does for them."""

    __tablename__ = "consent"
    __table_args__ = (UniqueConstraint("user_id", "application_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), index=True)
    scopes: Mapped[list[str]] = mapped_column(JSON, default=list)
    given_at: Mapped[datetime | None] = mapped_column(default=clock.now)
    taken_back_at: Mapped[datetime | None]
    """When it was taken back last: codes of before are worth nothing."""


class PushedRequest(Base):
    """An authorization request that an application has pushed (RFC 9126). It is taken up once."""

    __tablename__ = "pushed_request"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    reference_hash: Mapped[str] = mapped_column(String(64), unique=True)
    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), index=True)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class DeviceRequest(Identified, Base):
    """A device that waits for a person to sign in elsewhere (RFC 8628)."""

    __tablename__ = "device_request"
    __table_args__ = ({"sqlite_autoincrement": True},)

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), index=True)
    code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """Of the device code."""
    user_code: Mapped[str] = mapped_column(String(8), unique=True)
    scope: Mapped[str] = mapped_column(String(2000), default="")
    resource: Mapped[str] = mapped_column(String(255), default="")
    address: Mapped[str] = mapped_column(String(64), default="")
    interval: Mapped[int] = mapped_column(default=5)
    """Seconds that the device is to wait between two questions."""
    asked_at: Mapped[datetime | None]
    """When the device asked last."""
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    """Who has decided; None while nobody has."""
    approved: Mapped[bool | None]
    decided_at: Mapped[datetime | None]
    auth_time: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class LogoutNotice(Base):
    """What an application has still to be told: that a person has signed out (OpenID Connect Back-Channel Logout)."""

    __tablename__ = "logout_notice"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    application_id: Mapped[int] = mapped_column(ForeignKey("application.id", ondelete="CASCADE"), index=True)
    subject: Mapped[str] = mapped_column(String(36))
    """Uid of the person, who may be gone by now."""
    session_uid: Mapped[str] = mapped_column(String(36), default="")
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    due_at: Mapped[datetime] = mapped_column(default=clock.now, index=True)
    tries: Mapped[int] = mapped_column(default=0)
