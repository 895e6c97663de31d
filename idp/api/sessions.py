"""`/v1/sessions`: one's own sessions, and those of others for who may."""

from typing import Literal

from typing_extensions import TypedDict

from idp import callers, sessions, users
from idp.api.answers import time
from idp.api.pages import Page, PageQuery, page
from idp.api.requests import signed_in
from idp.api.schemas import Reference, Timestamp, Uid
from idp.callers import Caller, CredentialKind, DeniedError
from idp.errors import NotFoundError
from idp.realms import Realm
from idp.sessions import UserSession
from idp.users import User


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
def list_sessions(caller: Caller, realm: Realm, query: SessionQuery) -> Page[SessionResource]:
    """List the caller's live sessions, those of a user, or those of the realm; newest first."""
    uid = query.userUid or ("" if query.scope == "all" else caller.subject.uid)
    if uid != caller.subject.uid:
        caller.require("sessions:read", realm=realm.name)
    user = callers.visible_user(caller, realm, uid) if uid else None
    listing = sessions.session_listing(realm, user=user)
    return page(caller, query, listing, lambda row: _shown(caller, *row), "-creationTimestamp")


@signed_in
def get_session(caller: Caller, realm: Realm, uid: str) -> SessionResource:
    """Show a session."""
    row = sessions.get_session(realm, uid)
    if not _is_own(caller, row) and not caller.may("sessions:read", realm=realm.name):
        raise NotFoundError(f"Realm {realm.name!r} has no session {uid[:80]!r}.")
    return _shown(caller, row, sessions.user_of(row))


@signed_in
def end_session(caller: Caller, realm: Realm, uid: str) -> None:
    """End a session; its tokens are refused everywhere within a second."""
    row = sessions.get_session(realm, uid)
    if _is_own(caller, row):
        _not_by_key(caller)
    elif not caller.may("sessions:write", realm=realm.name):
        raise NotFoundError(f"Realm {realm.name!r} has no session {uid[:80]!r}.")
    sessions.end_session(realm, row)


@signed_in
def end_all_sessions(caller: Caller, realm: Realm, uid: str) -> None:
    """End every session of a user: one's own, or somebody else's if the caller is allowed to."""
    if uid == caller.subject.uid:
        _not_by_key(caller)
    else:
        caller.require("sessions:write", realm=realm.name)
    users.sign_out_everywhere(realm, callers.visible_user(caller, realm, uid))


def _is_own(caller: Caller, row: UserSession) -> bool:
    return isinstance(caller.subject, users.KnownUser) and row.user_id == caller.subject.id


def _not_by_key(caller: Caller) -> None:
    if caller.kind is not CredentialKind.SESSION:
        raise DeniedError("One's own sessions are ended after signing in, not by a key or another token.")


def _shown(caller: Caller, row: UserSession, user: User) -> SessionResource:
    return {
        "metadata": {"uid": row.uid, "creationTimestamp": time(row.created_at), "lastModifiedTimestamp": time(row.refreshed_at)},
        "spec": {"user": {"uid": user.uid, "name": user.name}, "method": row.auth_method, "expiry": time(row.expires_at)},
        "status": {"address": row.address, "agent": row.agent, "isCurrent": row.uid == caller.credential_id},
    }
