"""People, machine users, groups, and the one-time links by which people choose a password."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from idp import clock
from idp.db import SLOW, Base, Identified


class UserKind(StrEnum):
    """What a user is."""

    PERSON = "person"
    """Signs in with a password."""
    MACHINE = "machine"
    """Has no password: may only use API keys and tokens."""


class User(Identified, Base):
    """A person or a machine user of a realm. Its `uid` is the `sub` of its tokens."""

    __tablename__ = "user_account"
    __table_args__ = (
        UniqueConstraint("realm_id", "name"),
        Index("ix_user_account_name", "name"),  # a sign-in may leave the realm out
        # by any three letters of the names; on SQLite, a table of FTS5 is there for that, see `text_search`
        Index(
            "ix_user_account_grams",
            text("grams_of(name || chr(10) || first_name || chr(10) || last_name)"),
            postgresql_using="gin",
            postgresql_concurrently=True,
            info={SLOW: "postgresql"},
        ),
        {"sqlite_autoincrement": True},
    )

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(254))
    """What it signs in by, in canonical form: the email address of a person, the name of a machine user."""
    email: Mapped[str] = mapped_column(String(254), default="")
    """Where emails are sent, as it was entered; empty for none."""
    email_limited: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether somebody who could not assign every role has chosen this address: then no one-time codes are sent there."""
    email_verified: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether somebody has followed a link that was sent to this address."""
    first_name: Mapped[str] = mapped_column(String(100), default="")
    last_name: Mapped[str] = mapped_column(String(100), default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    password_hash: Mapped[str] = mapped_column(String(200), default="")
    """argon2id (RFC 9106) in its own notation; empty while there is no password."""
    password_changed_at: Mapped[datetime | None]
    signed_out_at: Mapped[datetime | None]
    """Sessions that began at this time or before are over."""
    api_key_hours: Mapped[int | None]
    """Longest lifetime of the user's own API keys in hours, if it is more than the realm allows."""
    last_sign_in_at: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(200), default="", server_default="")
    """The actor who created it, as in the audit trail; empty if it is older than schema 0009."""
    updated_at: Mapped[datetime] = mapped_column(default=clock.now)


class Group(Identified, Base):
    """A set of users. Members hold every role that their group holds."""

    __tablename__ = "user_group"
    __table_args__ = (UniqueConstraint("realm_id", "name"), {"sqlite_autoincrement": True})

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    name: Mapped[str] = mapped_column(String(64))
    display_name: Mapped[str] = mapped_column(String(200), default="", server_default="")
    """Display name, if it is not the name."""
    description: Mapped[str] = mapped_column(String(500), default="")
    updated_at: Mapped[datetime | None] = mapped_column(onupdate=clock.now)


class Membership(Base):
    """A user in a group."""

    __tablename__ = "membership"

    group_id: Mapped[int] = mapped_column(ForeignKey("user_group.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True, index=True)


class LinkPurpose(StrEnum):
    """What a one-time link is for. A link for one purpose works for no other (T49)."""

    INVITATION = "invitation"
    RESET = "reset"
    ADDRESS = "address"
    """Verifies an email address."""
    HANDED = "handed"
    """An invitation that whoever invites passes on themselves: it proves nothing about the address."""

    @property
    def template(self) -> str:
        """Return the template of the email that such a link goes out with."""
        return "password-reset" if self is LinkPurpose.RESET else self.value

    def occasion(self, public_part: str) -> str:
        """Return the occasion of that email."""
        return f"{self.template}:{public_part}"


class OneTimeLink(Base):
    """The secret of an invitation or a password reset, kept as a keyed hash. It works once."""

    __tablename__ = "one_time_link"
    __table_args__ = (
        Index(
            "ix_one_time_link_live",
            "public_part",
            sqlite_where=text("used_at IS NULL"),
            postgresql_where=text("used_at IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(20))
    email: Mapped[str] = mapped_column(String(254), default="", server_default="")
    """The address that it verifies; empty for the other purposes."""
    public_part: Mapped[str] = mapped_column(String(20))
    pepper_id: Mapped[str] = mapped_column(ForeignKey("pepper.id"))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    """When it was used, or made void by another act."""


class ResetRequest(Base):
    """A password reset that was requested and has not been answered yet.

    The request does no more than write this, whether there is such an account or not, so nothing can be told from it.
    """

    __tablename__ = "reset_request"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    sealed: Mapped[str]
    """Which account, in which realm; encrypted, since people type passwords into the wrong fields."""
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
