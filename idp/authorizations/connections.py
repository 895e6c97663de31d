"""Which applications a person has signed in to, and what they have agreed to there: one line for each application."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, union

from idp import clock
from idp.authorizations.models import Authorization, Consent
from idp.db import Base, db

MOST = 500
"""Applications of a person that are listed."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What a person lets an application do."""

    application_id: int
    uid: str
    client_id: str
    title: str
    scopes: Sequence[str]
    since: datetime | None
    """When the oldest sign-in began that still works; None where there is only an agreement."""
    used_at: datetime | None
    agreed_at: datetime | None
    """When the person has agreed; None where they were not asked."""


def list_connections(user_id: int) -> Sequence[Connection]:
    """Return the applications that a person has signed in to and not out of, or has agreed to, by name."""
    application = Base.metadata.tables["application"]
    live = (
        select(
            Authorization.application_id,
            func.min(Authorization.created_at).label("since"),
            func.max(Authorization.rotated_at).label("used_at"),
        )
        .where(Authorization.user_id == user_id, Authorization.ended_at.is_(None), Authorization.expires_at > clock.now())
        .group_by(Authorization.application_id)
        .subquery()
    )
    agreed = select(Consent).where(Consent.user_id == user_id, Consent.given_at.is_not(None)).subquery()
    query = (
        select(
            application.c.id,
            application.c.uid,
            application.c.name,
            application.c.display_name,
            live.c.since,
            live.c.used_at,
            agreed.c.given_at,
            agreed.c.scopes,
        )
        .outerjoin(live, live.c.application_id == application.c.id)
        .outerjoin(agreed, agreed.c.application_id == application.c.id)
        .where(application.c.id.in_(union(select(live.c.application_id), select(agreed.c.application_id))))
        .order_by(application.c.name)
        .limit(MOST)
    )
    asked = _scopes(user_id)
    return [
        Connection(
            row.id,
            row.uid,
            row.name,
            row.display_name or row.name,
            sorted(asked.get(row.id, set()) | set(row.scopes or ())),
            row.since,
            row.used_at,
            row.given_at,
        )
        for row in db.session.execute(query)
    ]


def _scopes(user_id: int) -> dict[int, set[str]]:
    """Return what live sign-ins were granted, by application."""
    found: dict[int, set[str]] = {}
    query = select(Authorization.application_id, Authorization.scope).where(
        Authorization.user_id == user_id, Authorization.ended_at.is_(None), Authorization.expires_at > clock.now()
    )
    for application_id, scope in db.session.execute(query.distinct()):
        found.setdefault(application_id, set()).update(scope.split())
    return found
