"""How well a realm keeps its programs' identities: ten questions, each answered by things that a list can show.

What a question is about is said once, as a condition, by which things are counted and by which the lists are narrowed.

The questions are those of OWASP's Non-Human Identities Top 10 (2025), NHI1 to NHI10.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, cast, func, or_, select
from sqlalchemy import String as Text

from idp import clock
from idp.access import Grant, HolderKind, Role
from idp.apikeys import ApiKey, key_listing, key_works, unused_since
from idp.applications import Application, ApplicationSecret, application_listing, secret_works
from idp.paging import MOST_COUNTED, Listing
from idp.realms import Realm
from idp.registrations import Registration
from idp.users import User

OLD = timedelta(days=365)
"""After how long a secret is a long-lived one."""

MANY = 3
"""Secrets that work at the same time, or projects worked in, beyond which one identity stands for several."""


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
    """How a realm stands to a question: how many things there are that ought to be looked at."""

    question: Question
    applications: int = 0
    keys: int = 0
    """API keys."""
    settings: int = 0
    """Settings of the realm."""

    @property
    def count(self) -> int:
        """How many there are in all."""
        return self.applications + self.keys + self.settings

    @property
    def is_good(self) -> bool:
        """Whether there is nothing to look at."""
        return self.count == 0


def answers(realm: Realm, now: datetime) -> list[Answer]:
    """Return how a realm stands to each of the questions, in their order."""
    return [_answer(realm, question, now) for question in Question]


def asked_of_applications(listing: Listing, realm: Realm, question: Question, now: datetime) -> Listing:
    """Return only the applications of a realm's listing that a question is about: of those that are enabled."""
    return listing.where(Application.enabled.is_(True), OF_APPLICATIONS[question](realm, now))


def asked_of_keys(listing: Listing, realm: Realm, question: Question, now: datetime) -> Listing:
    """Return only the API keys of a realm's listing that a question is about: of those that work."""
    return listing.where(key_works(now), OF_KEYS[question](realm, now))


def _answer(realm: Realm, question: Question, now: datetime) -> Answer:
    applications, keys = application_listing(realm), key_listing(realm)
    return Answer(
        question,
        asked_of_applications(applications, realm, question, now).count(MOST_COUNTED) if question in OF_APPLICATIONS else 0,
        asked_of_keys(keys, realm, question, now).count(MOST_COUNTED) if question in OF_KEYS else 0,
        int(question is Question.CONFIGURATION and not realm.key_rotation_days),
    )


def _has_secret(now: datetime, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that an application has a live secret that meets these conditions."""
    return select(ApplicationSecret.id).where(_is_live_secret(now), *conditions).exists()


def _is_live_secret(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a secret is one of an application's, and works."""
    return and_(ApplicationSecret.application_id == Application.id, secret_works(now))


def _forgotten(_realm: Realm, now: datetime) -> ColumnElement[bool]:
    """NHI1: identities that nobody has used for long, and that still work."""
    return func.coalesce(Application.last_used_at, Application.created_at) < now - clock.UNUSED


def _forgotten_key(realm: Realm, now: datetime) -> ColumnElement[bool]:
    """NHI1: keys that nobody has used for long; and keys of people who were disabled."""
    owner_is_gone = ApiKey.user_id.in_(select(User.id).where(User.realm_id == realm.id, User.enabled.is_(False)))
    return or_(unused_since(now - clock.UNUSED), owner_is_gone)


def _unfindable(_realm: Realm, now: datetime) -> ColumnElement[bool]:
    """NHI2: secrets that came from elsewhere, without the prefix by which scanners find a leaked one."""
    return _has_secret(now, ApplicationSecret.public_part == "")


def _stranger(_realm: Realm, _now: datetime) -> ColumnElement[bool]:
    """NHI3: applications that have registered themselves, or describe themselves."""
    return or_(Application.id.in_(select(Registration.application_id)), Application.document_url != "")


def _with_secret(_realm: Realm, now: datetime) -> ColumnElement[bool]:
    """NHI4: machine identities that show a secret, where a key pair would prove who they are without one."""
    return _has_secret(now)


def _powerful(realm: Realm, now: datetime) -> ColumnElement[bool]:
    """NHI5: programs that may change who may do what in the whole realm."""
    gives = cast(Role.permissions, Text).contains('"grants:write"')
    held = (
        select(Grant.holder_id)
        .join(Role, Role.id == Grant.role_id)
        .where(Grant.realm_id == realm.id, Grant.holder_kind == HolderKind.APPLICATION.value, Grant.project_id.is_(None), gives)
        .where(or_(Grant.until.is_(None), Grant.until > now))
    )
    return Application.id.in_(held)


def _old(_realm: Realm, now: datetime) -> ColumnElement[bool]:
    """NHI7: secrets that are old."""
    return _has_secret(now, ApplicationSecret.created_at < now - OLD)


def _endless_key(_realm: Realm, _now: datetime) -> ColumnElement[bool]:
    """NHI7: keys that never expire."""
    return ApiKey.expires_at.is_(None)


def _everywhere(realm: Realm, now: datetime) -> ColumnElement[bool]:
    """NHI8: programs that work in many projects."""
    held = and_(
        Grant.realm_id == realm.id,
        Grant.holder_kind == HolderKind.APPLICATION.value,
        Grant.project_id.is_not(None),
        or_(Grant.until.is_(None), Grant.until > now),
    )
    # all of them at once: counted for one application after another, a list that finds none looks at each that there is
    many = select(Grant.holder_id).where(held).group_by(Grant.holder_id).having(func.count(Grant.project_id.distinct()) > MANY)
    return Application.id.in_(many)


def _shared(_realm: Realm, now: datetime) -> ColumnElement[bool]:
    """NHI9: applications with so many secrets that several programs seem to be one."""
    return select(func.count(ApplicationSecret.id)).where(_is_live_secret(now)).scalar_subquery() > MANY


def _personal_key(_realm: Realm, _now: datetime) -> ColumnElement[bool]:
    """NHI10: keys of people that carry all that their owners may do, without an end."""
    return and_(ApiKey.user_id.is_not(None), cast(ApiKey.roles, Text) == "[]", ApiKey.expires_at.is_(None))


Condition = Callable[[Realm, datetime], ColumnElement[bool]]
"""Returns what is true of the things of a realm that a question is about, at a time."""

OF_APPLICATIONS: Mapping[Question, Condition] = {
    Question.OFFBOARDING: _forgotten,
    Question.LEAKAGE: _unfindable,
    Question.THIRD_PARTIES: _stranger,
    Question.AUTHENTICATION: _with_secret,
    Question.PRIVILEGES: _powerful,
    Question.LONG_LIVED: _old,
    Question.ISOLATION: _everywhere,
    Question.REUSE: _shared,
}
"""The questions that applications are asked."""

OF_KEYS: Mapping[Question, Condition] = {
    Question.OFFBOARDING: _forgotten_key,
    Question.LONG_LIVED: _endless_key,
    Question.HUMAN_USE: _personal_key,
}
"""The questions that API keys are asked."""
