"""What an application can have revoked at the revocation endpoint: whatever it was issued, and never in silence (RFC 7009 §2)."""

from idp import apikeys, authorizations, crypto, personal_tokens, realms, tokens
from idp.applications import KnownApplication
from idp.jose import InvalidTokenError, Kind, unverified_kind
from idp.realms import KnownRealm
from idp.runtime import Runtime
from idp.tokens import ForeignTokenError, NotRevocableError, actors_of

_REASON = "revoked by its application"


def revoke_credential(realm: KnownRealm, credential: str, *, by: KnownApplication) -> None:
    """Revoke a token that an application was issued, an API key of its own, or the session token that a key was exchanged for.

    One that is unknown or dead is success (RFC 7009 §2.2).

    :raises ForeignTokenError: it was issued to another application, and is left alone (§2.1).
    :raises NotRevocableError: it lives, and is of a kind that is ended in another way (§2.2.1).
    """
    if crypto.is_well_formed(credential, "ak"):
        _revoke_key(realm, credential, by)
    elif crypto.is_well_formed(credential, "rt"):
        _revoke_refresh_token(realm, credential, by)
    elif unverified_kind(credential) is Kind.SESSION:
        _revoke_session_token(realm, credential, by)
    elif personal_tokens.is_personal_token(credential) and _is_live_personal_token(realm.runtime, credential):
        raise NotRevocableError("Personal tokens are deleted by the people who created them: DELETE /auth/v1/tokens/<id>.")
    else:
        tokens.revoke_token(realm, credential, by=by)


def _revoke_key(realm: KnownRealm, plain_key: str, by: KnownApplication) -> None:
    checked = apikeys.find_live_key(realm.runtime, crypto.public_part(plain_key))
    if checked is None or not crypto.same(crypto.keyed_hash(checked.key.pepper, plain_key), checked.key.secret_hash):
        return
    if checked.realm.name != realm.name or checked.owner.uid != by.uid:
        raise NotRevocableError(
            "This API key does not belong to the application. Whoever holds it can report it: /v1/auth/credentials/report."
        )
    owner = realms.lock_realm(realm.name) or realms.get_realm(realm.name)
    key = apikeys.get_key(owner, checked.key.uid)
    if key.revoked_at is None:
        apikeys.revoke_key(owner, key, _REASON)


def _revoke_refresh_token(realm: KnownRealm, token: str, by: KnownApplication) -> None:
    """End what a refresh token belongs to, with its access tokens (RFC 7009 §2.1)."""
    found = authorizations.find_refreshed(realm, token)
    if found is None:
        return
    if found.application_id != by.id:
        raise ForeignTokenError("The token was issued to another application.")
    authorizations.end(realm.name, authorizations.get(realm.id, found.uid), authorizations.End.REVOKED)


def _revoke_session_token(realm: KnownRealm, token: str, by: KnownApplication) -> None:
    try:
        claims = tokens.open_token_of(realm, token, {Kind.SESSION}).claims
    except InvalidTokenError:
        return
    if "sid" not in claims:
        return  # no session token, whatever it calls itself
    if "key" not in claims:
        raise NotRevocableError("People end their sessions by signing out: POST /v1/auth/logout.")
    if by.uid not in {claims["sub"], *(actor["sub"] for actor in actors_of(claims))}:
        raise ForeignTokenError("The token was issued to another application.")
    tokens.write_revocation(realm, claims)


def _is_live_personal_token(process: Runtime, token: str) -> bool:
    try:
        personal_tokens.check_personal_token(process, token)
    except InvalidTokenError:
        return False
    return True
