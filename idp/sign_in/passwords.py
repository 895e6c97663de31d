"""Signing in to a realm with a password: a session for the browser, which all applications of the realm share."""

from flask import Response, request

from idp import runtime, sessions, users
from idp.realms import KnownRealm
from idp.sessions import BrowserSession
from idp.web import cookies
from idp.web.calls import address
from idp.web.errors import Told
from idp.web.posted import Posted


def begin_session(known: KnownRealm, posted: Posted) -> BrowserSession:
    """Check a name and a password, and begin a session with them, which is committed.

    Every way in ends at the same check, so it is counted and slowed like all others (T82).

    :raises IdpError: they are wrong, or too many were; see `users.check_sign_in`.
    """
    done = users.check_sign_in(posted.get("name", "").strip(), posted.get("password", ""), realm=known.name, address=address())
    agent, former = request.headers.get("User-Agent", ""), cookies.sids_in(known.name)
    sid = sessions.begin_session(done.realm, done.user, agent=agent, former=former)
    runtime.current().feed.confirm()
    return sessions.open_session(runtime.current(), sessions.seal_session(known.name, sid))


def with_retry(response: Response, told: Told) -> Response:
    """Add to a page what says when to try again."""
    response.headers.update({name: value for name, value in told.headers.items() if name == "Retry-After"})
    return response
