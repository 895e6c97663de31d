"""The cookie by which a browser shows its session: sealed, 900 seconds, renewed while somebody is there.

It names the session and nothing else, so it is small however much its user holds, and what the user may do is looked up
anew at every request.
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
from idp.sessions.known import known_session
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
    """A session that a browser has shown, and that lives."""

    realm: KnownRealm
    user: KnownUser
    sid: str
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


def open_session(process: Runtime, cookie: str) -> BrowserSession:
    """Return the session that a cookie shows.

    :raises SessionOverError: the cookie is none, is too old, or its session is over.
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
    return BrowserSession(realm, user, session.uid, content["exp"])


def renew_session(session: BrowserSession) -> str:
    """Note that somebody is there, commit that, and return the value of a new cookie.

    The old one works on for as long as it would have: a browser that leaves a page before its answer has come never gets
    the new one, and shows the old one again.

    :raises SessionOverError: it has ended in this moment.
    """
    now: datetime = clock.now()
    renewal = update(UserSession).where(UserSession.uid == session.sid, UserSession.ended_at.is_(None))
    if db.session.execute(renewal.values(refreshed_at=now)).rowcount != 1:  # type: ignore[attr-defined]
        db.session.rollback()
        raise SessionOverError
    commit()
    return seal_session(session.realm.name, session.sid)
