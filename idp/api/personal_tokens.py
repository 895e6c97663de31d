"""`/v1/users/{uid}/personalTokens`: what personal tokens somebody has, for who may see and delete them."""

from flask import Response

from idp import callers, personal_tokens
from idp.api.answers import answer, done, time
from idp.api.requests import realm_of, signed_in
from idp.callers import Caller, CredentialKind, DeniedError
from idp.db import commit
from idp.personal_tokens import Criteria
from idp.realms import Realm, known_realm
from idp.users import User


@signed_in
def list_tokens(caller: Caller, uid: str) -> Response:
    """List somebody's personal tokens, expired ones too; never their values."""
    realm = realm_of(caller)
    user = _whose(caller, realm, uid, "personal-tokens:read")
    rows = personal_tokens.list_personal_tokens(realm.id, user.id)
    items = [
        {
            "metadata": {"uid": row.uid, "creationTimestamp": time(row.created_at)},
            "spec": {"expiry": time(row.expires_at)},
            "status": {"createdFrom": row.created_from},
        }
        for row in rows
    ]
    return answer({"items": items})


@signed_in
def delete_token(caller: Caller, uid: str, token_id: str) -> Response:
    """Delete one of somebody's personal tokens; it is refused everywhere within a second."""
    realm = realm_of(caller)
    user = _whose(caller, realm, uid, "personal-tokens:write")
    row = personal_tokens.get_personal_token(realm.id, user.id, token_id)
    known = known_realm(caller.realm.runtime, realm.name)
    if known is not None:
        personal_tokens.delete_personal_tokens(known, user.id, Criteria.CURRENT, current=row.uid)
    commit()
    return done()


def _whose(caller: Caller, realm: Realm, uid: str, permission: str) -> User:
    if uid != caller.subject.uid:
        caller.require(permission, realm=realm.name)
    elif caller.kind is not CredentialKind.SESSION:
        raise DeniedError("One's own personal tokens are managed after signing in, or at /auth/v1/tokens.")
    return callers.visible_user(caller, realm, uid)
