"""How well a realm keeps its programs' identities: ten questions, each answered by a number of things that can be shown.

The questions are those of OWASP's Non-Human Identities Top 10 (2025), NHI1 to NHI10.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, cast, func, or_, select
from sqlalchemy import String as Text

from idp.access import Grant, HolderKind, Role
from idp.apikeys import ApiKey
from idp.applications import Application, ApplicationSecret
from idp.db import db
from idp.realms import Realm
from idp.registrations import Registration
from idp.users import User

UNUSED = timedelta(days=90)
"""After how long a credential that was not used is a forgotten one."""

SOON = timedelta(days=30)
"""How long before its end a credential is one that expires."""

OLD = timedelta(days=365)
"""After how long a secret is a long-lived one."""

MANY = 3
"""Secrets that work at the same time, or projects worked in, beyond which one identity stands for several."""

MOST_COUNTED = 10_000
"""Things that are counted; of more it is enough to know that there are more."""


class Question(StrEnum):
    """What is asked."""

    OFFBOARDING = "NHI1"
    LEAKAGE = "NHI2"
    THIRD_PARTIES = "NHI3"
    AUTHENTICATION = "NHI4"
    PRIVILEGES = "NHI5"
    CONFIGURATION = "NHI6"
    LONG_LIVED = "NHI7"
    ISOLATION = "NHI8"
    REUSE = "NHI9"
    HUMAN_USE = "NHI10"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a realm stands to a question."""

    question: Question
    count: int
    """How many things there are that ought to be looked at."""

    @property
    def is_good(self) -> bool:
        """Whether there is nothing to look at."""
        return self.count == 0


def answers(realm: Realm, now: datetime) -> list[Answer]:
    """Return how a realm stands to each of the questions, in their order."""
    return [Answer(question, ask(realm, now)) for question, ask in _ASKED.items()]


def count_static_secrets(realm: Realm, now: datetime) -> int:
    """Return how many client secrets work, up to `MOST_COUNTED`."""
    return _count(_secrets(realm, now))


def count_expiring(realm: Realm, now: datetime, before: datetime) -> int:
    """Return how many secrets and API keys that work stop working before a time."""
    keys = _keys(realm, now).where(ApiKey.expires_at < before)
    return _count(_secrets(realm, now).where(ApplicationSecret.expires_at < before)) + _count(keys)


def _count(query: Select[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(query.limit(MOST_COUNTED).subquery())) or 0


def _secrets(realm: Realm, now: datetime) -> Select[int]:
    """Return the live secrets of applications that are enabled, as a query of their row numbers."""
    alive = or_(ApplicationSecret.expires_at.is_(None), ApplicationSecret.expires_at > now)
    query = select(ApplicationSecret.id).join(Application, Application.id == ApplicationSecret.application_id)
    return query.where(Application.realm_id == realm.id, Application.enabled, ApplicationSecret.retired_at.is_(None), alive)


def _keys(realm: Realm, now: datetime) -> Select[int]:
    """Return the API keys that work, as a query of their row numbers."""
    alive = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)
    return select(ApiKey.id).where(ApiKey.realm_id == realm.id, ApiKey.revoked_at.is_(None), ApiKey.active, alive)


def _applications(realm: Realm, *conditions: ColumnElement[bool]) -> Select[int]:
    return select(Application.id).where(Application.realm_id == realm.id, Application.enabled, *conditions)


def _forgotten(realm: Realm, now: datetime) -> int:
    """NHI1: identities that nobody has used for long, and that still work; and keys of people who were disabled."""
    last = func.coalesce(Application.last_used_at, Application.created_at)
    unused_key = func.coalesce(ApiKey.last_used_at, ApiKey.created_at) < now - UNUSED
    owner_is_gone = ApiKey.user_id.in_(select(User.id).where(User.realm_id == realm.id, User.enabled.is_(False)))
    keys = _keys(realm, now).where(or_(unused_key, owner_is_gone))
    return _count(_applications(realm, last < now - UNUSED)) + _count(keys)


def _unfindable(realm: Realm, now: datetime) -> int:
    """NHI2: secrets that came from elsewhere, without the prefix by which scanners find a leaked one."""
    return _count(_secrets(realm, now).where(ApplicationSecret.public_part == ""))


def _strangers(realm: Realm, _now: datetime) -> int:
    """NHI3: applications that have registered themselves."""
    return _count(_applications(realm, Application.id.in_(select(Registration.application_id))))


def _with_secrets(realm: Realm, now: datetime) -> int:
    """NHI4: machine identities that show a secret, where a key pair would prove who they are without one."""
    return _count(_secrets(realm, now))


def _powerful(realm: Realm, now: datetime) -> int:
    """NHI5: programs that may change who may do what in the whole realm."""
    gives = cast(Role.permissions, Text).contains('"grants:write"')
    held = (
        select(Grant.holder_id)
        .join(Role, Role.id == Grant.role_id)
        .where(Grant.realm_id == realm.id, Grant.holder_kind == HolderKind.APPLICATION.value, Grant.project_id.is_(None), gives)
        .where(or_(Grant.until.is_(None), Grant.until > now))
    )
    return _count(_applications(realm, Application.id.in_(held)))


def _unrotated(realm: Realm, _now: datetime) -> int:
    """NHI6: signing keys are not replaced by themselves."""
    return 0 if realm.key_rotation_days else 1


def _endless(realm: Realm, now: datetime) -> int:
    """NHI7: secrets that are old, and keys that never expire."""
    old = _secrets(realm, now).where(ApplicationSecret.created_at < now - OLD)
    return _count(old) + _count(_keys(realm, now).where(ApiKey.expires_at.is_(None)))


def _everywhere(realm: Realm, now: datetime) -> int:
    """NHI8: programs that work in many projects."""
    held = and_(
        Grant.realm_id == realm.id,
        Grant.holder_kind == HolderKind.APPLICATION.value,
        Grant.project_id.is_not(None),
        or_(Grant.until.is_(None), Grant.until > now),
    )
    many = select(Grant.holder_id).where(held).group_by(Grant.holder_id)
    return _count(_applications(realm, Application.id.in_(many.having(func.count(Grant.project_id.distinct()) > MANY))))


def _shared(realm: Realm, now: datetime) -> int:
    """NHI9: applications with so many secrets that several programs seem to be one."""
    query = _secrets(realm, now).with_only_columns(ApplicationSecret.application_id)
    return _count(query.group_by(ApplicationSecret.application_id).having(func.count() > MANY))


def _people(realm: Realm, now: datetime) -> int:
    """NHI10: keys of people that carry all that their owners may do, without an end."""
    everything = and_(ApiKey.user_id.is_not(None), cast(ApiKey.roles, Text) == "[]", ApiKey.expires_at.is_(None))
    return _count(_keys(realm, now).where(everything))


_ASKED: dict[Question, Callable[[Realm, datetime], int]] = {
    Question.OFFBOARDING: _forgotten,
    Question.LEAKAGE: _unfindable,
    Question.THIRD_PARTIES: _strangers,
    Question.AUTHENTICATION: _with_secrets,
    Question.PRIVILEGES: _powerful,
    Question.CONFIGURATION: _unrotated,
    Question.LONG_LIVED: _endless,
    Question.ISOLATION: _everywhere,
    Question.REUSE: _shared,
    Question.HUMAN_USE: _people,
}
