"""Sessions of people, and the session tokens that stand for them, or for an exchanged key."""

from idp.sessions.browser import BrowserSession, open_session, realm_of_cookie, renew_session, seal_session
from idp.sessions.known import KnownSession, known_session
from idp.sessions.models import UserSession
from idp.sessions.service import (
    SessionOverError,
    begin_session,
    end_session,
    forget_old_sessions,
    get_session,
    is_alive,
    list_sessions,
    refresh_session,
    session_listing,
    start_session,
    user_of,
)
from idp.sessions.tokens import SessionTemplate, SessionToken, issue_session_token, make_template

__all__ = [
    "BrowserSession",
    "KnownSession",
    "SessionOverError",
    "SessionTemplate",
    "SessionToken",
    "UserSession",
    "begin_session",
    "end_session",
    "forget_old_sessions",
    "get_session",
    "is_alive",
    "issue_session_token",
    "known_session",
    "list_sessions",
    "make_template",
    "open_session",
    "realm_of_cookie",
    "refresh_session",
    "renew_session",
    "seal_session",
    "session_listing",
    "start_session",
    "user_of",
]
