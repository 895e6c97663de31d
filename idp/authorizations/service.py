"""The life of an authorization: begun with a code, carried on by refresh tokens, ended by whoever has a say in it."""

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, select, update

from idp import audit, clock, crypto, feed, vault
from idp.authorizations import refresh
from idp.authorizations.models import Authorization, BurntCode, Consent
from idp.authorizations.notices import enqueue
from idp.db import Base, commit, db, insert_if_new
from idp.errors import IdpError, NotFoundError
from idp.realms import KnownRealm

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


@dataclass(frozen=True, slots=True)
class Begun:
    """An authorization that has just begun."""

    uid: str
    refresh_token: str = field(repr=False)
    """Empty where it has none."""


def begin(realm: KnownRealm, beginning: Beginning) -> Begun:
    """Redeem a code for an authorization. Of several who try, on every worker and node, one does: one statement decides.

    The caller commits before anything that was issued for it is sent.

    :raises RefusedError: it was redeemed before. That authorization ends with this, which is committed (RFC 9700 §4.5).
    """
    fields = ("user_id", "application_id", "scope", "resource", "named", "auth_time", "auth_method", "expires_at", "address")
    row = Authorization(
        uid=str(uuid.uuid4()),
        realm_id=realm.id,
        code_hash=hash_code(beginning.code_id),
        session_uid=beginning.session,
        sid=beginning.session,
        pepper_id=vault.newest_pepper() if beginning.is_refreshed else None,
        seed=os.urandom(32),
        **{name: getattr(beginning, name) for name in fields},
    )
    values = {name: value for name, value in vars(row).items() if not name.startswith("_")}
    if db.session.get(BurntCode, row.code_hash) is not None or not insert_if_new(Authorization, **values):
        end_of_code(realm, beginning.code_id)
        raise RefusedError
    if not _still_holds(beginning):
        db.session.rollback()
        raise RefusedError
    audit.record(audit.Tag.AUTHORIZATION_BEGIN, realm.name, f"authorization:{row.uid}", scope=row.scope)
    return Begun(row.uid, refresh.write(row, 0) if row.pepper_id is not None else "")


def _still_holds(beginning: Beginning) -> bool:
    """Tell whether what a code was given for holds now: nobody signs out, or takes it back, until this is committed."""
    user, session = Base.metadata.tables["user_account"], Base.metadata.tables["user_session"]
    person = db.session.execute(
        select(user.c.enabled, user.c.signed_out_at).where(user.c.id == beginning.user_id).with_for_update(read=True)
    ).first()
    if person is None or not person.enabled or (person.signed_out_at is not None and beginning.auth_time <= person.signed_out_at):
        return False
    if beginning.session:
        live = select(session.c.id).where(session.c.uid == beginning.session, session.c.ended_at.is_(None))
        if db.session.scalar(live.with_for_update(read=True)) is None:
            return False
    taken_back = select(Consent.taken_back_at).where(
        Consent.user_id == beginning.user_id, Consent.application_id == beginning.application_id
    )
    since = db.session.scalar(taken_back)
    return since is None or since < beginning.agreed_at


def burn(realm: KnownRealm, code_id: str) -> None:
    """Have a code work no more, and end what it gave, if it was redeemed: another application has sent it. Commits that."""
    insert_if_new(BurntCode, code_hash=hash_code(code_id), burnt_at=clock.now())
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
    """Return what is stored of the id of a code."""
    return crypto.keyed_hash(b"code", code_id).hex()


def find_refreshed(realm: KnownRealm, token: str) -> tuple[Authorization, int] | None:
    """Return the authorization that a refresh token of this server is of, with the token's number; None for any other text."""
    presented = refresh.read(token)
    if presented is None:
        return None
    query = select(Authorization).where(Authorization.uid == presented.uid, Authorization.realm_id == realm.id)
    row = db.session.scalar(query.execution_options(populate_existing=True))
    if row is None or row.pepper_id is None:
        return None
    genuine = crypto.same(refresh.write(row, presented.generation).encode(), token.encode())
    return (row, presented.generation) if genuine else None


def find_active(realm: KnownRealm, token: str) -> Authorization | None:
    """Return the authorization whose newest refresh token this is, if it would work now."""
    found = find_refreshed(realm, token)
    if found is None or found[0].generation != found[1] or _is_over(realm, found[0]):
        return None
    return found[0]


def _is_over(realm: KnownRealm, row: Authorization) -> bool:
    now, idle = clock.now(), timedelta(seconds=realm.refresh_idle_seconds)
    return row.ended_at is not None or now >= row.expires_at or now >= row.rotated_at + idle


def rotate(realm: KnownRealm, row: Authorization, generation: int) -> str:
    """Use a refresh token up, and return the next one. Of several who try, one does (T54).

    A client that has lost the answer gets the same next token for a while. After that, it was stolen, or its successor was.

    :param generation: the number of the token that was presented.
    :raises RefusedError: it does not work. If it was used again, all of its line ends with this, which is committed (R11).
    """
    now = clock.now()
    if _is_over(realm, row):
        raise RefusedError
    claim = update(Authorization).where(
        Authorization.id == row.id, Authorization.generation == generation, Authorization.ended_at.is_(None)
    )
    claimed = db.session.execute(claim.values(generation=generation + 1, rotated_at=now)).rowcount == 1  # type: ignore[attr-defined]
    if not claimed:
        db.session.refresh(row)
        if not _may_repeat(realm, row, generation):
            if row.ended_at is None:
                _end_replayed(realm.name, row)
            raise RefusedError
    return refresh.write(row, generation + 1)


def _may_repeat(realm: KnownRealm, row: Authorization, generation: int) -> bool:
    """Tell whether a token may be used again that was replaced a moment ago, and whose successor was not used yet."""
    overlap = realm.refresh_overlap_seconds
    if overlap == 0 or row.ended_at is not None or row.generation != generation + 1:
        return False  # without an overlap no clocks are compared: those of two nodes may differ
    return clock.now() - row.rotated_at < timedelta(seconds=overlap)


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
    db.session.execute(delete(BurntCode).where(BurntCode.burnt_at < over))
