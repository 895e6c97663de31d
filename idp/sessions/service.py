"""The life cycle of a session: started by a sign-in, refreshed by its newest token, ended manually, by idleness, by its limit."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnExpressionArgument, delete, or_, select, update

from idp import audit, authorizations, clock, realms, runtime
from idp.crypto import random_id
from idp.db import SharedNow, commit, db, holds, shared_now
from idp.errors import IdpError, NotFoundError, Sentence
from idp.errors import Kind as ErrorKind
from idp.jose import Kind
from idp.paging import Listing
from idp.realms import KnownRealm, Realm
from idp.sessions.known import known_session, publish_session
from idp.sessions.models import UserSession
from idp.sessions.tokens import SessionToken, issue_session_token, make_template
from idp.settings import CLOCK_LEEWAY, SESSION_TOKEN_LIFETIME
from idp.tokens import PERSONS_SESSION, Statement, open_token_of, roles_for_token
from idp.users import KnownUser, User, UserKind, known_user

REPLAY_GRACE = timedelta(seconds=10)
"""How long after a refresh the old token is merely refused, as from a client that asked twice. Later, it is a replay."""

IDLE = timedelta(seconds=SESSION_TOKEN_LIFETIME + CLOCK_LEEWAY)

KEEP = timedelta(days=30)
"""How long ended sessions stay in the lists."""

_KEPT_CHARACTERS = 200


class SessionOverError(IdpError):
    """The session has ended, or this token of it was refreshed before."""

    kind = ErrorKind.UNAUTHENTICATED

    def __init__(self) -> None:
        super().__init__("The session has ended, or this token was already refreshed. Sign in again.")


def start_session(realm: Realm, user: User, *, auth_method: str = "password", agent: str = "") -> SessionToken:
    """Start a session for somebody who has just proved who they are, commit it, and issue its first token.

    :param agent: user agent of the client's program.
    """
    row = _begin(realm, user, auth_method, agent)
    uid, sid, now, expires_at, jti = user.uid, row.uid, row.created_at, row.expires_at, row.token_jti
    name = realm.name
    commit()
    known_realm = realms.known_realm(runtime.current(), name)
    owner = known_user(known_realm, uid) if known_realm else None
    if known_realm is None or owner is None:
        raise SessionOverError  # deleted in this moment
    return _issue(known_realm, owner, sid, auth_method, now, expires_at, jti)


def begin_session(realm: Realm, user: User, *, auth_method: str = "password", agent: str = "", former: Iterable[str] = ()) -> str:
    """Start a session that no token is asked for, as a browser's is, commit it, and return its id.

    :param former: ids of the sessions that the browser has had in the realm, which end (R113). What the same person has signed in
        to from them goes on, and ends with the new one; what somebody else has, ends with theirs.
    """
    sid = _begin(realm, user, auth_method, agent).uid
    for each in set(former):
        row = get_session(realm, each)
        if row.user_id == user.id:
            authorizations.move(realm.id, each, sid)
        end_session(realm, row)
    commit()
    return sid


def _begin(realm: Realm, user: User, auth_method: str, agent: str) -> UserSession:
    now = shared_now()
    row = UserSession(
        realm_id=realm.id,
        user_id=user.id,
        auth_method=auth_method,
        created_at=now,
        refreshed_at=now,
        expires_at=now + timedelta(hours=realm.session_hours),
        token_jti=random_id(),
        address=audit.current_actor().address,
        agent="".join(character for character in agent[:_KEPT_CHARACTERS] if character.isprintable()),
    )
    db.session.add(row)
    db.session.flush()
    with audit.acting_as(audit.Actor(f"user:{user.name}", audit.current_actor().address)):
        audit.record(audit.Tag.SESSION_START, realm.name, f"session:{row.uid}", method=auth_method)
        audit.count_one(audit.Tag.SESSION_START, realm.name)
    return row


def refresh_session(realm: KnownRealm, token: str) -> SessionToken:
    """Exchange the newest token of a session for the next one, and commit that before it is issued.

    Of several at once, one wins (T54). A token that was refreshed longer ago is a replay: somebody has a copy, so the
    session ends.

    :raises InvalidTokenError: it is not a session token of this realm, or is too old.
    :raises SessionOverError: the session has ended, or the token is not its newest.
    """
    claims = open_token_of(realm, token, {Kind.SESSION}).claims
    session = known_session(realm, claims["sid"]) if claims["auth_method"] == "password" else None
    user = known_user(realm, claims["sub"])
    if session is None or user is None or not is_alive(session.started_at, session.expires_at, user):
        raise SessionOverError
    jti = random_id()
    claim = update(UserSession).where(
        UserSession.uid == session.uid, UserSession.token_jti == claims["jti"], UserSession.ended_at.is_(None)
    )
    if db.session.execute(claim.values(token_jti=jti, refreshed_at=SharedNow())).rowcount != 1:  # type: ignore[attr-defined]
        _judge_replay(realm, session.uid, user)
        raise SessionOverError
    with audit.acting_as(audit.Actor(f"user:{user.name}", audit.current_actor().address)):
        audit.record(audit.Tag.SESSION_REFRESH, realm.name, f"session:{session.uid}")
    commit()
    expires_at = datetime.fromtimestamp(session.expires_at, tz=UTC)
    started_at = datetime.fromtimestamp(session.started_at, tz=UTC)
    return _issue(realm, user, session.uid, session.auth_method, started_at, expires_at, jti)


def _judge_replay(realm: KnownRealm, sid: str, user: KnownUser) -> None:
    now = shared_now()
    row = db.session.scalar(select(UserSession).where(UserSession.uid == sid))
    if row is None or row.ended_at is not None or now - row.refreshed_at <= REPLAY_GRACE:
        return
    row.ended_at = now
    audit.record(audit.Tag.SESSION_REPLAY, realm.name, f"session:{sid}", outcome="refused", user=user.name)
    publish_session(realm.name, sid)
    authorizations.end_of_session(realm.id, realm.name, sid)
    commit()


def is_alive(started_at: float, expires_at: float, user: KnownUser) -> bool:
    """Tell whether a session (times in seconds since 1970) of this user still counts."""
    return user.enabled and user.kind is UserKind.PERSON and user.signed_out_at < started_at and clock.timestamp() < expires_at


def _issue(
    realm: KnownRealm, user: KnownUser, sid: str, auth_method: str, started_at: datetime, expires_at: datetime, jti: str
) -> SessionToken:
    said = Statement(
        form=PERSONS_SESSION,
        realm=realm,
        subject=user,
        held=roles_for_token(user.held_roles, clock.timestamp()),
        audience=realm.issuer,
        sid=sid,
        auth_method=auth_method,
        auth_time=int(started_at.timestamp()),
    )
    template = make_template(said)
    until = min(expires_at.timestamp(), template.valid_until)
    return issue_session_token(realm, template, until=until, jti=jti)


def end_session(realm: Realm, row: UserSession) -> None:
    """End a session; every worker refuses its tokens within a second. One that has ended is not changed."""
    if row.ended_at is None:
        row.ended_at = clock.now()
        audit.record(audit.Tag.SESSION_END, realm.name, f"session:{row.uid}")
        publish_session(realm.name, row.uid)
        authorizations.end_of_session(realm.id, realm.name, row.uid)


def get_session(realm: Realm, sid: str) -> UserSession:
    """Return a session by its id.

    :raises NotFoundError: there is none.
    """
    row = db.session.scalar(select(UserSession).where(UserSession.realm_id == realm.id, UserSession.uid == sid))
    if row is None:
        raise NotFoundError(Sentence("{Realm} has no session {sid!r}.", realm=realm.name, sid=sid[:80]))
    return row


def user_of(row: UserSession) -> User:
    """Return whose session it is."""
    return db.session.get_one(User, row.user_id)


def list_sessions(
    realm: Realm, *, user: User | None = None, live: bool = True, before: int | None = None, limit: int = 50
) -> Sequence[tuple[UserSession, User]]:
    """Return sessions with their users, newest first.

    :param user: only this user's.
    :param live: only those that have not ended in any way; otherwise all that are still remembered.
    :param before: only those with a smaller row number, for the next page.
    """
    query = select(UserSession, User).join(User, User.id == UserSession.user_id).where(UserSession.realm_id == realm.id)
    if user is not None:
        query = query.where(UserSession.user_id == user.id)
    if before is not None:
        query = query.where(UserSession.id < before)
    if live:
        query = query.where(*_live())
    rows = db.session.execute(query.order_by(UserSession.id.desc()).limit(limit)).all()
    return [(row[0], row[1]) for row in rows]


def session_listing(realm: Realm, *, user: User | None = None, live: bool = True, of: str = "") -> Listing:
    """Return sessions with their users as a list in pages: all of the realm, or of one user.

    :param of: only those of users whose name contains this, ignoring case.
    :param live: only those that have not ended in any way; otherwise all that are still remembered.
    """
    query = select(UserSession, User).join(User, User.id == UserSession.user_id).where(UserSession.realm_id == realm.id)
    if live:
        query = query.where(*_live())
    if user is not None:
        query = query.where(UserSession.user_id == user.id)
    if of:
        query = query.where(holds(User.name, of))
    return Listing(query, UserSession.id, {"used": UserSession.refreshed_at})


def _live() -> tuple[ColumnExpressionArgument[bool], ...]:
    """Return the conditions under which a session, joined with its user, has not ended in any way."""
    now = clock.now()
    return (
        UserSession.ended_at.is_(None),
        UserSession.expires_at > now,
        UserSession.refreshed_at > now - IDLE,
        or_(User.signed_out_at.is_(None), User.signed_out_at < UserSession.created_at),
        User.enabled,
    )


def forget_old_sessions() -> None:
    """Remove sessions that ended long ago."""
    db.session.execute(delete(UserSession).where(UserSession.expires_at < clock.now() - KEEP))
