"""The life of an authorization: begun with a code, carried on by refresh tokens, ended by whoever has a say in it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from idp import audit, clock, crypto, feed, vault
from idp.authorizations import refresh
from idp.authorizations.models import Authorization, Consent
from idp.authorizations.notices import enqueue
from idp.db import Base, SharedNow, commit, db, shared_now
from idp.errors import IdpError, NotFoundError
from idp.realms import KnownRealm
from idp.settings import CLOCK_LEEWAY

BY_WORD = "federation"
"""How somebody has signed in for whom a trusted sign-in server has spoken."""

KEEP = timedelta(days=30)
"""How long authorizations that are over are remembered: that long, a code or token of theirs is known to be one used again."""


class End(StrEnum):
    """What an authorization ended by."""

    REUSE = "reuse"
    """A code or a refresh token was used again: somebody has a copy."""
    REVOKED = "revoked"
    """The application gave it back."""
    SIGN_OUT = "sign-out"
    PERSON = "person"
    """The person took it back."""
    ADMINISTRATOR = "administrator"
    DISABLED = "disabled"
    """The application or the realm was."""


class RefusedError(IdpError):
    """A code or refresh token does not work: unknown, expired, used again, or what it stood for has ended. One text for all."""

    def __init__(self) -> None:
        super().__init__(
            "The code or refresh token is unknown, has expired, was used before, or has been revoked. Sign in again."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What an authorization begins with."""

    user_id: int
    application_id: int
    code_id: str
    """Of the code that is redeemed for it."""
    session: str
    """The browser's; empty for a device."""
    scope: str
    resource: str
    named: dict[str, list[str]]
    """Claims that were asked for by name: `id_token` and `userinfo`."""
    auth_time: datetime
    auth_method: str
    is_refreshed: bool
    """Whether it has refresh tokens."""
    expires_at: datetime
    address: str
    agreed_at: datetime
    """When the code was given, or the device allowed."""
    confirmation: dict[str, str] = field(default_factory=dict)
    """What its refresh tokens are bound to."""
    link_uid: str = ""
    """Of the federated person by whose issuer's word it begins; empty for any other."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An authorization that has just begun."""

    uid: str
    refresh_token: str = field(repr=False)
    """Empty where it has none."""


def begin(realm: KnownRealm, beginning: Beginning) -> Begun:
    """Redeem a code for an authorization. Of several who try, on every worker and node, one does: one statement decides.

    The caller commits before anything that was issued for it is sent. What is recorded of it is that tokens were issued.

    :raises RefusedError: it was redeemed before. That authorization ends with this, which is committed (RFC 9700 §4.5).
    """
    uid, seed = crypto.ordered_uid(clock.now().timestamp()), os.urandom(32)
    pepper_id = vault.newest_pepper() if beginning.is_refreshed else None
    row = {
        "uid": uid,
        "realm_id": realm.id,
        "session_uid": beginning.session,
        "sid": beginning.session,
        "pepper_id": pepper_id,
        "seed": seed,
        "code_hash": hash_code(beginning.code_id),
        **{name: getattr(beginning, name) for name in _FIELDS},
    }
    if not _insert(row):
        end_of_code(realm, beginning.code_id)
        raise RefusedError
    if not _still_holds(beginning):
        db.session.rollback()
        raise RefusedError
    return Begun(uid, refresh.write(uid, seed, pepper_id, 0) if pepper_id is not None else "")


_FIELDS = (
    "user_id", "application_id", "scope", "resource", "named", "auth_time", "auth_method", "expires_at", "address",
    "confirmation", "link_uid",
)  # fmt: skip # a list of columns


@cache
def _inserting(dialect: str) -> Any:
    """Return the statement that redeems a code: built once, for each redemption."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(Authorization).on_conflict_do_nothing().returning(Authorization.id)


def _insert(row: dict[str, Any]) -> bool:
    now = clock.now()
    beginning = {"created_at": now, "rotated_at": now, "generation": 0, "ended_at": None, "ended_by": ""}
    connection = db.session.connection()
    return connection.execute(_inserting(connection.dialect.name), [beginning | row]).first() is not None


@cache
def _holding(*, in_session: bool) -> Any:
    """Return the statement that locks who has signed in, and their session, and tells how they are."""
    user, session = Base.metadata.tables["user_account"], Base.metadata.tables["user_session"]
    taken_back = select(Consent.taken_back_at).where(
        Consent.user_id == bindparam("user_id"), Consent.application_id == bindparam("application_id")
    )
    query = select(user.c.enabled, user.c.signed_out_at, taken_back.scalar_subquery().label("taken_back_at"))
    query = query.where(user.c.id == bindparam("user_id"))
    if in_session:
        query = query.join(session, session.c.user_id == user.c.id).where(
            session.c.uid == bindparam("session"), session.c.ended_at.is_(None)
        )
    return query.with_for_update(read=True, of=[user, session] if in_session else user)


def _still_holds(beginning: Beginning) -> bool:
    """Tell whether what a code was given for holds now: nobody signs out, or takes it back, until this is committed."""
    values = {"user_id": beginning.user_id, "application_id": beginning.application_id, "session": beginning.session}
    row = db.session.connection().execute(_holding(in_session=bool(beginning.session)), values).first()
    if row is None or not row.enabled or (row.signed_out_at is not None and beginning.auth_time <= row.signed_out_at):
        return False
    return row.taken_back_at is None or row.taken_back_at < beginning.agreed_at


def burn(realm: KnownRealm, code_id: str, user_id: int, application_uid: str) -> None:
    """Have a code work no more, and end what it gave, if it was redeemed: another application has sent it. Commits that.

    :param user_id: who had signed in.
    :param application_uid: the application that it was issued to.
    """
    application = Base.metadata.tables["application"]
    application_id = db.session.scalar(select(application.c.id).where(application.c.uid == application_uid))
    now = clock.now()
    row = {"uid": crypto.ordered_uid(now.timestamp()), "realm_id": realm.id, "user_id": user_id, "application_id": application_id}
    over = {
        "ended_at": now,
        "ended_by": End.REUSE.value,
        "expires_at": now,
        "auth_time": now,
        "auth_method": "",
        "named": {},
        "confirmation": {},
    }
    empty = {"session_uid": "", "sid": "", "scope": "", "resource": "", "address": "", "pepper_id": None, "seed": b""}
    if application_id is not None:
        _insert(row | over | empty | {"code_hash": hash_code(code_id)})
    end_of_code(realm, code_id)
    commit()


def end_of_code(realm: KnownRealm, code_id: str) -> None:
    """End what a code was redeemed for, if it was: it has been sent again (RFC 6749 §4.1.2). Commits that."""
    row = db.session.scalar(
        select(Authorization).where(Authorization.code_hash == hash_code(code_id), Authorization.realm_id == realm.id)
    )
    if row is not None and row.ended_at is None:
        _end_replayed(realm.name, row)


def hash_code(code_id: str) -> str:
    """Return what is stored of the id of a code: the time that it begins with, and a hash of it."""
    return code_id[:_TIME] + crypto.keyed_hash(b"code", code_id).hex()[_TIME:]


_TIME = 13
"""Characters of an ordered uid that tell its time."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The authorization that a refresh token of this server is of, as it is now."""

    id: int
    uid: str
    user_uid: str
    application_id: int
    sid: str
    scope: str
    resource: str
    named: dict[str, list[str]]
    auth_time: datetime
    auth_method: str
    pepper_id: str
    seed: bytes = field(repr=False)
    generation: int
    rotated_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    confirmation: dict[str, str]
    """What it is bound to; empty where its application shows who it is each time."""
    presented: int
    """The number of the token that was shown."""

    def is_over(self, realm: KnownRealm) -> bool:
        """Tell whether none of its refresh tokens works any more."""
        now, idle = clock.now(), timedelta(seconds=realm.refresh_idle_seconds)
        return self.ended_at is not None or now >= self.expires_at or now >= self.rotated_at + idle


@cache
def _finding() -> Any:
    user, columns = Base.metadata.tables["user_account"], [getattr(Authorization, name) for name in _READ]
    query = select(*columns, user.c.uid.label("user_uid")).join(user, user.c.id == Authorization.user_id)
    return query.where(Authorization.uid == bindparam("uid"), Authorization.realm_id == bindparam("realm_id"))


_READ = (
    "id", "uid", "application_id", "sid", "scope", "resource", "named", "auth_time", "auth_method", "pepper_id", "seed",
    "generation", "rotated_at", "expires_at", "ended_at", "confirmation",
)  # fmt: skip # a list of columns


def find_refreshed(realm: KnownRealm, token: str) -> Refreshed | None:
    """Return what a refresh token of this server is of, whether it works or not; None for any other text."""
    presented = refresh.read(token)
    if presented is None:
        return None
    row = db.session.connection().execute(_finding(), {"uid": presented.uid, "realm_id": realm.id}).first()
    if row is None or row.pepper_id is None:
        return None
    genuine = refresh.write(row.uid, row.seed, row.pepper_id, presented.generation)
    if not crypto.same(genuine.encode(), token.encode()):
        return None
    return Refreshed(**dict(zip(row._fields, row, strict=True)), presented=presented.generation)


def find_active(realm: KnownRealm, token: str) -> Refreshed | None:
    """Return what a refresh token is of, if it is the newest one and would work now."""
    found = find_refreshed(realm, token)
    return found if found is not None and found.generation == found.presented and not found.is_over(realm) else None


@cache
def _rotating() -> Any:
    row = Authorization
    return (
        update(row)
        .where(row.id == bindparam("row"), row.generation == bindparam("presented"), row.ended_at.is_(None))
        .values(generation=bindparam("next"), rotated_at=SharedNow())
    )


def rotate(realm: KnownRealm, found: Refreshed) -> str:
    """Use a refresh token up, and return the next one. Of several who try, one does (T54).

    A client that has lost the answer gets the same next token for a while. After that, it was stolen, or its successor was.

    :raises RefusedError: it does not work. If it was used again, all of its line ends with this, which is committed (R11).
    """
    if found.is_over(realm):
        raise RefusedError
    successor = found.presented + 1
    values = {"row": found.id, "presented": found.presented, "next": successor}
    if db.session.connection().execute(_rotating(), values).rowcount != 1:
        row = db.session.get_one(Authorization, found.id, populate_existing=True)
        if not _may_repeat(realm, row, found.presented):
            if row.ended_at is None:
                _end_replayed(realm.name, row)
            raise RefusedError
    return refresh.write(found.uid, found.seed, found.pepper_id, successor)


def _may_repeat(realm: KnownRealm, row: Authorization, generation: int) -> bool:
    """Tell whether a token may be used again that was replaced a moment ago, and whose successor was not used yet."""
    overlap = realm.refresh_overlap_seconds
    if overlap == 0 or row.ended_at is not None or row.generation != generation + 1:
        return False
    return shared_now() - row.rotated_at < timedelta(seconds=overlap)


def _end_replayed(realm: str, row: Authorization) -> None:
    end(realm, row, End.REUSE)
    audit.record(audit.Tag.AUTHORIZATION_REPLAY, realm, f"authorization:{row.uid}", outcome="refused")
    commit()


def end(realm: str, row: Authorization, by: End) -> None:
    """End an authorization: its refresh token works no more, and every worker refuses its access tokens within a second."""
    if row.ended_at is None:
        row.ended_at, row.ended_by = clock.now(), by.value
        audit.record(audit.Tag.AUTHORIZATION_END, realm, f"authorization:{row.uid}", by=by.value)
        publish(realm, row.uid)


def end_of_session(realm_id: int, realm: str, sid: str) -> None:
    """End what a person signed in to from a browser, now that they sign out there."""
    ended = _live(Authorization.realm_id == realm_id, Authorization.session_uid == sid)
    for row in ended:
        end(realm, row, End.SIGN_OUT)
    enqueue(ended)


def move(realm_id: int, former: str, sid: str) -> None:
    """Have what a person signed in to from a browser hang on the session that they have begun there anew."""
    moving = update(Authorization).where(
        Authorization.realm_id == realm_id, Authorization.session_uid == former, Authorization.ended_at.is_(None)
    )
    db.session.execute(moving.values(session_uid=sid))


def _end_of_users(keys: Sequence[str]) -> None:
    """End what people signed in to before they signed out everywhere, in whatever way they did.

    That they count no more is so at once, wherever tokens are looked at: this is for the lists, and for who wants to be told.

    :param keys: realm and uid of users of whom something has changed.
    """
    user = Base.metadata.tables["user_account"]
    for realm, _, uid in (key.partition("/") for key in keys):
        over = (user.c.uid == uid) & user.c.signed_out_at.is_not(None) & (Authorization.auth_time <= user.c.signed_out_at)
        query = select(Authorization).join(user, user.c.id == Authorization.user_id)
        ended = db.session.scalars(query.where(over, Authorization.ended_at.is_(None))).all()
        for row in ended:
            end(realm, row, End.SIGN_OUT)
        enqueue(ended)


def _end_of_disabled(keys: Sequence[str]) -> None:
    """End what people signed in to at applications that are disabled now: it does not come back when those do.

    :param keys: realm and name of applications of which something has changed.
    """
    application, realm = Base.metadata.tables["application"], Base.metadata.tables["realm"]
    for name, _, client_id in (key.partition("/") for key in keys):
        of_realm = select(realm.c.id).where(realm.c.name == name).scalar_subquery()
        over = select(application.c.id).where(application.c.realm_id == of_realm, application.c.enabled.is_(False))
        if client_id != "*":
            over = over.where(application.c.name == client_id)
        for row in _live(Authorization.application_id.in_(over)):
            end(name, row, End.DISABLED)


def _end_of_realms(names: Sequence[str]) -> None:
    realm = Base.metadata.tables["realm"]
    for name in names:
        over = select(realm.c.id).where(realm.c.name == name, realm.c.enabled.is_(False)).scalar_subquery()
        ending = update(Authorization).where(Authorization.realm_id == over, Authorization.ended_at.is_(None))
        db.session.execute(ending.values(ended_at=clock.now(), ended_by=End.DISABLED.value))
        feed.publish("authorization", f"{name}/*")


feed.react("user", _end_of_users)
feed.react("application", _end_of_disabled)
feed.react("realm", _end_of_realms)


def end_of_pair(realm: str, user_id: int, application_id: int, by: End) -> None:
    """End all that a person lets an application do."""
    for row in _live(Authorization.user_id == user_id, Authorization.application_id == application_id):
        end(realm, row, by)


def end_of_link(realm: str, user_id: int, link_uid: str) -> None:
    """End what a trusted issuer has let applications do for a person whom its subject stands for no more.

    Of what a node of the version before has begun it is not known by which link, so that ends with any of the person's.
    """
    by_link = or_(Authorization.link_uid == link_uid, and_(Authorization.link_uid == "", Authorization.auth_method == BY_WORD))
    counts = Authorization.expires_at > clock.now() - timedelta(seconds=2 * CLOCK_LEEWAY)
    for row in _live(Authorization.user_id == user_id, by_link, counts):
        end(realm, row, End.ADMINISTRATOR)


def _live(*conditions: ColumnElement[bool]) -> Sequence[Authorization]:
    return db.session.scalars(select(Authorization).where(Authorization.ended_at.is_(None), *conditions)).all()


def publish(realm: str, uid: str) -> None:
    """Tell every worker that what it knows of an authorization is out of date."""
    feed.publish("authorization", f"{realm}/{uid}")


def get(realm_id: int, uid: str) -> Authorization:
    """Return an authorization by its uid.

    :raises NotFoundError: there is none.
    """
    row = db.session.scalar(select(Authorization).where(Authorization.realm_id == realm_id, Authorization.uid == uid))
    if row is None:
        raise NotFoundError("There is no such sign-in to an application (not found).")
    return row


def forget_old() -> None:
    """Remove what was over long ago."""
    over = clock.now() - KEEP
    db.session.execute(delete(Authorization).where(Authorization.expires_at < over))
