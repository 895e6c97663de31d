"""The cookie by which a browser presents its session: encrypted, valid for 900 seconds, renewed while it is used.

It names the session and nothing else, so it is small however many roles its user holds, and what the user may do is looked up
at every request.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update

from idp import clock, vault
from idp.crypto import DamagedError, MasterKeyError
from idp.db import commit, db
from idp.realms import KnownRealm, known_realm
from idp.runtime import Runtime
from idp.sessions.known import KnownSession, known_session
from idp.sessions.models import UserSession
from idp.sessions.service import SessionOverError, is_alive
from idp.settings import SESSION_TOKEN_LIFETIME
from idp.users import KnownUser, known_user

RENEW_AFTER = 60
"""Seconds after which a cookie is replaced when it is used."""

_CONTEXT = "browser session"
_LONGEST_COOKIE = 1_000


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A live session that a browser has presented."""

    realm: KnownRealm
    user: KnownUser
    sid: str
    known: KnownSession
    expires_at: float
    """When the cookie ends (seconds since 1970)."""

    @property
    def is_due(self) -> bool:
        """Whether the cookie is old enough to be replaced."""
        return clock.timestamp() > self.expires_at - SESSION_TOKEN_LIFETIME + RENEW_AFTER


def seal_session(realm: str, sid: str) -> str:
    """Return the value of a new cookie."""
    content = {"realm": realm, "sid": sid, "exp": clock.timestamp() + SESSION_TOKEN_LIFETIME}
    return vault.seal(json.dumps(content).encode(), context=_CONTEXT)


def realm_of_cookie(cookie: str) -> str:
    """Return the realm that a cookie is of, whether its session has ended or not.

    :raises SessionOverError: it is no cookie of ours.
    """
    try:
        return str(json.loads(vault.unseal(cookie, context=_CONTEXT))["realm"]) if len(cookie) < _LONGEST_COOKIE else ""
    except (DamagedError, MasterKeyError) as error:
        raise SessionOverError from error


def open_session(process: Runtime, cookie: str) -> BrowserSession:
    """Return the session that a cookie names.

    :raises SessionOverError: the cookie is invalid or too old, or its session has ended.
    """
    try:
        content = json.loads(vault.unseal(cookie, context=_CONTEXT)) if len(cookie) < _LONGEST_COOKIE else None
    except (DamagedError, MasterKeyError) as error:
        raise SessionOverError from error
    realm = known_realm(process, content["realm"]) if content is not None else None
    if content is None or realm is None or not realm.enabled or content["exp"] <= clock.timestamp():
        raise SessionOverError
    session = known_session(realm, content["sid"])
    user = known_user(realm, session.user_uid) if session is not None else None
    if session is None or user is None or not is_alive(session.started_at, session.expires_at, user):
        raise SessionOverError
    return BrowserSession(realm, user, session.uid, session, content["exp"])


def renew_session(session: BrowserSession) -> str:
    """Record that the session is in use, commit that, and return the value of a new cookie.

    The old one stays valid for as long as it would have been: a browser that leaves a page before the response has arrived never
    gets the new one, and sends the old one again.

    :raises SessionOverError: it has just ended.
    """
    now: datetime = clock.now()
    renewal = update(UserSession).where(UserSession.uid == session.sid, UserSession.ended_at.is_(None))
    if db.session.execute(renewal.values(refreshed_at=now)).rowcount != 1:  # type: ignore[attr-defined]
        db.session.rollback()
        raise SessionOverError
    commit()
    return seal_session(session.realm.name, session.sid)
