"""`/v1/sessions`: one's own sessions, and those of others for who may."""

from typing import Any

from flask import Response, request

from idp import callers, sessions, users
from idp.api.answers import answer, done, time
from idp.api.requests import realm_of, signed_in
from idp.callers import Caller, CredentialKind, DeniedError
from idp.db import commit
from idp.errors import NotFoundError
from idp.realms import Realm
from idp.sessions import UserSession
from idp.users import User


@signed_in
def list_sessions(caller: Caller) -> Response:
    """List the caller's live sessions; with `userUid`, those of somebody else; with `scope=all`, those of the realm."""
    realm = realm_of(caller)
    user = _whose(caller, realm)
    rows = sessions.list_sessions(realm, user=user, limit=500)
    return answer({"items": [_shown(caller, row, owner) for row, owner in rows]})


@signed_in
def end_session(caller: Caller, uid: str) -> Response:
    """End a session; its tokens are refused everywhere within a second."""
    realm = realm_of(caller)
    row = sessions.get_session(realm, uid)
    if isinstance(caller.subject, users.KnownUser) and row.user_id == caller.subject.id:
        _not_by_key(caller)
    elif not caller.may("sessions:write", realm=realm.name):
        raise NotFoundError(f"Realm {realm.name!r} has no session {uid[:80]!r}.")
    sessions.end_session(realm, row)
    commit()
    return done()


@signed_in
def end_all_sessions(caller: Caller, uid: str) -> Response:
    """End every session of a user: oneself, or somebody else for who may."""
    realm = realm_of(caller)
    if uid == caller.subject.uid:
        _not_by_key(caller)
    else:
        caller.require("sessions:write", realm=realm.name)
    users.sign_out_everywhere(realm, callers.visible_user(caller, realm, uid))
    commit()
    return done()


def _not_by_key(caller: Caller) -> None:
    if caller.kind is not CredentialKind.SESSION:
        raise DeniedError("One's own sessions are ended after signing in, not by a key or another token.")


def _whose(caller: Caller, realm: Realm) -> User | None:
    uid = request.args.get("userUid", "" if request.args.get("scope") == "all" else caller.subject.uid)
    if uid != caller.subject.uid:
        caller.require("sessions:read", realm=realm.name)
    return callers.visible_user(caller, realm, uid) if uid else None


def _shown(caller: Caller, row: UserSession, user: User) -> dict[str, Any]:
    return {
        "metadata": {"uid": row.uid, "creationTimestamp": time(row.created_at), "lastModifiedTimestamp": time(row.refreshed_at)},
        "spec": {"user": {"uid": user.uid, "name": user.name}, "method": row.auth_method, "expiry": time(row.expires_at)},
        "status": {"address": row.address, "agent": row.agent, "isCurrent": row.uid == caller.credential_id},
    }
