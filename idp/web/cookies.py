"""Cookies of pages: named so that no other host can plant them, and the session that a browser has in each realm."""

import contextlib
import hashlib
import secrets

from flask import Response, request

from idp import runtime
from idp.sessions import BrowserSession, SessionOverError, open_session, realm_of_cookie, renew_session, seal_session
from idp.settings import SESSION_TOKEN_LIFETIME
from idp.web.calls import begin_writing

MOST_SESSIONS = 20
"""Realms that a browser is looked at for being signed in to."""

CONSOLE_COOKIE = "realmgate-session"
"""Shows the session that the console goes on with: the one of some realm that the browser is signed in to."""

VISITOR_COOKIE = "realmgate-visitor"
VISITOR_LIFETIME = 3600
"""Seconds for which a form can be filled in before somebody has signed in."""


def is_https() -> bool:
    """Tell whether pages are served over HTTPS."""
    return runtime.current().settings.public_url.startswith("https:")


def cookie_name(name: str) -> str:
    """Return what a cookie is called: over HTTPS so that no other host can plant it (R122).

    Browsers let no cookie with that name be for a part of a host only (RFC 6265bis §4.1.3.2). Below a path it must not be sent to
    the other servers of the host, and says at least that it came over HTTPS.
    """
    if not is_https():
        return name
    return f"__Secure-{name}" if runtime.current().settings.public_path else f"__Host-{name}"


def shown_cookie(name: str) -> str:
    """Return the value of a cookie; empty if there is none, or over HTTPS a second one, which somebody else has planted.

    Over HTTP there may be one of another server at another path of this machine; that of the longest path comes first.
    """
    values = request.cookies.getlist(cookie_name(name))
    return values[0] if len(values) == 1 or (values and not is_https()) else ""


def set_cookie(response: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie for pages, or take it away with no seconds."""
    # Lax: a link in a mail leads to the page, signed in; what changes something is posted, and has the form's token
    path = runtime.current().settings.public_path or "/"
    response.set_cookie(cookie_name(name), value, max_age=seconds, path=path, secure=is_https(), httponly=True, samesite="Lax")


def sets(response: Response, name: str) -> bool:
    """Tell whether an answer sets a cookie, or takes it away."""
    prefix = f"{cookie_name(name)}="
    return any(value.startswith(prefix) for value in response.headers.getlist("Set-Cookie"))


def visitor() -> str:
    """Return what tells one browser from another before somebody has signed in there; a new value if it has none."""
    shown = shown_cookie(VISITOR_COOKIE)
    return shown if len(shown) == 43 else secrets.token_urlsafe(32)


def keep_visitor(response: Response, value: str) -> Response:
    """Have a browser keep what `visitor` has returned."""
    if not sets(response, VISITOR_COOKIE):
        set_cookie(response, VISITOR_COOKIE, value, VISITOR_LIFETIME)
    return response


def session_cookie(realm: str) -> str:
    """Return the name of the cookie that shows the session in a realm: a browser may have one in each."""
    return f"realmgate-session-{hashlib.sha256(realm.encode()).hexdigest()[:16]}"


def session_in(realm: str) -> BrowserSession | None:
    """Return the session that the browser has in a realm; None if there is none, or it is over."""
    cookie = shown_cookie(session_cookie(realm))
    if not cookie:
        return None
    try:
        found = open_session(runtime.current(), cookie)
    except SessionOverError:
        return None
    return found if found.realm.name == realm else None


def sids_in(realm: str) -> set[str]:
    """Return the ids of the sessions that the browser has in a realm: one, unless its cookies have got out of step."""
    found = set()
    for name in (session_cookie(realm), CONSOLE_COOKIE):
        with contextlib.suppress(SessionOverError):
            session = open_session(runtime.current(), shown_cookie(name))
            found |= {session.sid} if session.realm.name == realm else set()
    return found


def session_names() -> list[str]:
    """Return the names of the cookies that show sessions: one for each realm where the browser has one, or had."""
    begins = cookie_name("realmgate-session-")
    return sorted(name for name in request.cookies if name.startswith(begins))[:MOST_SESSIONS]


def live_sessions() -> list[BrowserSession]:
    """Return the sessions that the browser has, one for each realm where it has one."""
    found = []
    for name in session_names():
        with contextlib.suppress(SessionOverError):
            found.append(open_session(runtime.current(), request.cookies[name]))
    return [session for session in found if cookie_name(session_cookie(session.realm.name)) in request.cookies]


def give_session(response: Response, realm: str, cookie: str, *, console: bool = False) -> Response:
    """Give a browser the cookie that shows its session in a realm; with an empty one take it away.

    :param console: whether the console goes on with it, whatever it went on with before. It does too where that was of the realm.
    """
    seconds = SESSION_TOKEN_LIFETIME if cookie else 0
    set_cookie(response, session_cookie(realm), cookie, seconds)
    if console or _console_is_in(realm):
        set_cookie(response, CONSOLE_COOKIE, cookie, seconds)
    return response


def _console_is_in(realm: str) -> bool:
    try:
        return realm_of_cookie(shown_cookie(CONSOLE_COOKIE)) == realm
    except SessionOverError:
        return False


def begin_in_browser(response: Response, realm: str, sid: str) -> Response:
    """Give a browser a session that has just begun, and take away what it had before (T89)."""
    set_cookie(response, VISITOR_COOKIE, "", 0)
    return give_session(response, realm, seal_session(realm, sid))


def renew_in_browser(response: Response, session: BrowserSession) -> Response:
    """Give a browser a new cookie of its session, if it is time for one. Commits that the session is in use."""
    if not session.is_due:
        return response
    begin_writing()
    try:
        return give_session(response, session.realm.name, renew_session(session))
    except SessionOverError:
        return response
