"""Roles, projects, and grants: who holds which role, on the realm or on one project, until when."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from idp import clock
from idp.db import EVERYWHERE, SLOW, Base, Identified


class HolderKind(StrEnum):
    """What can hold a role."""

    APPLICATION = "application"
    USER = "user"
    GROUP = "group"


class Role(Identified, Base):
    """A role of a realm."""

    __tablename__ = "role"
    __table_args__ = (UniqueConstraint("realm_id", "name"), {"sqlite_autoincrement": True})

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(String(500), default="")
    built_in: Mapped[bool] = mapped_column(default=False)
    created_by: Mapped[str] = mapped_column(String(200), default="", server_default="")
    """The actor who created it, as in the audit trail; empty for built-in roles and for those older than schema 0009."""
    updated_at: Mapped[datetime | None] = mapped_column(onupdate=clock.now)
    permissions: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    """What it permits on this server; see `policy.PERMISSIONS`. Other APIs decide for themselves what a role means to them."""


class Project(Identified, Base):
    """A part of a realm that groups work."""

    __tablename__ = "project"
    __table_args__ = (UniqueConstraint("realm_id", "name"), {"sqlite_autoincrement": True})

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    name: Mapped[str] = mapped_column(String(64))
    display_name: Mapped[str] = mapped_column(String(200), default="", server_default="")
    """Display name, if it is not the name."""
    description: Mapped[str] = mapped_column(String(500), default="")
    created_by: Mapped[str] = mapped_column(String(200), default="", server_default="")
    """The actor who created it, as in the audit trail; empty if it is older than schema 0009."""
    updated_at: Mapped[datetime | None] = mapped_column(onupdate=clock.now)


class GrantState(StrEnum):
    """Whether a role is held still."""

    LIVE = "live"
    ENDED = "ended"


class Grant(Identified, Base):
    """A role held on the realm (`project_id` is None) or on one project, with an optional end date."""

    __tablename__ = "access_grant"
    __table_args__ = (
        Index("ix_access_grant_holder", "holder_kind", "holder_id"),
        # the access review by who holds what, and of what has ended or will
        Index(
            "ix_access_grant_realm_id_holder_name",
            "realm_id",
            "holder_name",
            info={SLOW: EVERYWHERE},
            postgresql_concurrently=True,
        ),
        Index(
            "ix_access_grant_realm_id_until",
            "realm_id",
            "until",
            info={SLOW: EVERYWHERE},
            postgresql_concurrently=True,
            sqlite_where=text("until IS NOT NULL"),
            postgresql_where=text("until IS NOT NULL"),
        ),
        # NULL never equals NULL, so "once on the realm" needs an index of its own
        Index(
            "uq_access_grant_on_realm",
            "holder_kind",
            "holder_id",
            "role_id",
            unique=True,
            sqlite_where=text("project_id IS NULL"),
            postgresql_where=text("project_id IS NULL"),
        ),
        Index(
            "uq_access_grant_on_project",
            "holder_kind",
            "holder_id",
            "role_id",
            "project_id",
            unique=True,
            sqlite_where=text("project_id IS NOT NULL"),
            postgresql_where=text("project_id IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"), index=True)
    holder_kind: Mapped[str] = mapped_column(String(20))
    holder_id: Mapped[int]
    holder_name: Mapped[str] = mapped_column(String(200))
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"), index=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"), index=True)
    until: Mapped[datetime | None]
    granted_by: Mapped[str] = mapped_column(String(200), default="")
    updated_at: Mapped[datetime | None] = mapped_column(onupdate=clock.now)

    role: Mapped[Role] = relationship()
    project: Mapped[Project | None] = relationship()

    def state(self, now: datetime) -> GrantState:
        """Return whether the role is held at `now`."""
        return GrantState.LIVE if self.until is None or now < self.until else GrantState.ENDED
