"""`/v1/sessions`: one's own sessions, and those of others for who may."""

from typing import Literal

from typing_extensions import TypedDict

from idp import rules, sessions, users
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Reference, Timestamp, Uid
from idp.callers import Caller
from idp.rules import Authority
from idp.sessions import UserSession
from idp.users import User
from idp.web.answers import time


class SessionQuery(PageQuery):
    """Which sessions."""

    userUid: str = ""
    """Those of this user; by default the caller's own."""
    scope: Literal["", "all"] = ""
    """`all` for those of everybody."""


class SessionMetadata(TypedDict):
    """Which session it is."""

    uid: Uid
    creationTimestamp: Timestamp
    lastModifiedTimestamp: Timestamp


class SessionSpec(TypedDict):
    """Whose session it is."""

    user: Reference
    method: str
    expiry: Timestamp


class SessionStatus(TypedDict):
    """Where it was begun."""

    address: str
    agent: str
    isCurrent: bool


class SessionResource(TypedDict):
    """A session."""

    metadata: SessionMetadata
    spec: SessionSpec
    status: SessionStatus


@signed_in
def list_sessions(authority: Authority, query: SessionQuery) -> Page[SessionResource]:
    """List the caller's live sessions, those of a user, or those of the realm; newest first."""
    uid = query.userUid or ("" if query.scope == "all" else authority.caller.subject.uid)
    rules.sessions.check_listing(authority, uid)
    user = rules.users.visible(authority, uid) if uid else None
    listing = sessions.session_listing(authority.realm, user=user)
    return page(authority.caller, query, listing, lambda row: _shown(authority.caller, *row), "-creationTimestamp")


@signed_in
def get_session(authority: Authority, uid: str) -> SessionResource:
    """Show a session."""
    row = rules.sessions.visible(authority, uid)
    return _shown(authority.caller, row, sessions.user_of(row))


@signed_in
def end_session(authority: Authority, uid: str) -> None:
    """End a session; its tokens are refused everywhere within a second."""
    sessions.end_session(authority.realm, rules.sessions.endable(authority, uid))


@signed_in
def end_all_sessions(authority: Authority, uid: str) -> None:
    """End every session of a user: one's own, or somebody else's if the caller is allowed to."""
    users.sign_out_everywhere(authority.realm, rules.sessions.user_to_sign_out(authority, uid))


def _shown(caller: Caller, row: UserSession, user: User) -> SessionResource:
    return {
        "metadata": {"uid": row.uid, "creationTimestamp": time(row.created_at), "lastModifiedTimestamp": time(row.refreshed_at)},
        "spec": {"user": {"uid": user.uid, "name": user.name}, "method": row.auth_method, "expiry": time(row.expires_at)},
        "status": {"address": row.address, "agent": row.agent, "isCurrent": row.uid == caller.credential_id},
    }
