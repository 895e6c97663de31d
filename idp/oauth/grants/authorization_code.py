"""The authorization code grant (RFC 6749 §4.1.3), with PKCE (RFC 7636) for everybody, and OpenID Connect's ID token."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge

from idp import authorizations, clock, crypto
from idp.audit import Tag
from idp.authorizations import Beginning, RefusedError
from idp.crypto import b64url
from idp.oauth.authorize import Code, open_code
from idp.oauth.client_auth import Client
from idp.oauth.forms import Form
from idp.oauth.glue import GrantClient, RealmGrant, run_grant
from idp.oauth.people import answer_for, find_person
from idp.oauth.possession import confirmation_of
from idp.realms import KnownRealm
from idp.tokens import SignedInPerson
from idp.users import KnownUser, known_user


def authorization_code(realm: KnownRealm, client: Client | None, form: Form, address: str) -> dict[str, Any]:  # noqa: ARG001 (of all grants)
    """Return the tokens that a code is redeemed for, once that is durable.

    :raises InvalidGrantError: the code does not work, or is another client's.
    """
    return run_grant(_CodeGrant, realm, client, form)


class _Presented:
    """A code that a client has sent, as Authlib asks about it."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.code_challenge, self.code_challenge_method = code.challenge, "S256"

    def get_redirect_uri(self) -> str:
        """Return where the code was sent, if the request named it (RFC 6749 §4.1.3)."""
        return self.code.redirect_uri

    def get_scope(self) -> str:
        """Return what was granted."""
        return " ".join(self.code.scopes)


def _matches(verifier: str, challenge: str) -> bool:
    """Tell whether a verifier is the one that a challenge was made from (RFC 7636 §4.6), in constant time."""
    return crypto.same(b64url(hashlib.sha256(verifier.encode()).digest()), challenge.encode())


class _S256(CodeChallenge):  # type: ignore[misc]  # Authlib has no types
    """PKCE with S256 and nothing else, for all clients."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)
    CODE_CHALLENGE_METHODS = {"S256": _matches}  # noqa: RUF012 (Authlib reads it so)


class _CodeGrant(RealmGrant, AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib has no types
    extensions = (_S256(required=True),)

    def query_authorization_code(self, code: str, client: GrantClient) -> _Presented | None:
        """Return what a code stands for. One of another client is burnt (T47), and so is what one used again had given."""
        found = open_code(self.realm, code)
        if found is None:
            return None
        if found.application != client.known.uid:
            person = known_user(self.realm, found.user)
            if person is not None:
                authorizations.burn(self.realm, found.id, person.id, found.application)
            return None
        if found.is_over:
            authorizations.end_of_code(self.realm, found.id)
            return None
        if found.key_thumbprint not in {"", client.client.binding.jkt}:
            return None  # RFC 9449 §10: who has the code has not the key; it stays for who has both
        return _Presented(found)

    def authenticate_user(self, authorization_code: _Presented) -> KnownUser | None:
        """Return who has signed in, if that still holds."""
        code = authorization_code.code
        return find_person(self.realm, code.user, begun_at=code.auth_time, sid=code.sid)

    def generate_token(self, user: KnownUser, scope: str, include_refresh_token: bool) -> dict[str, Any]:  # noqa: FBT001 (Authlib's)
        """Redeem the code, and return the tokens."""
        code: Code = self.request.authorization_code.code
        client = self.grant_client
        ends = _end(self.realm, code, is_refreshed=include_refresh_token)
        beginning = Beginning(
            user_id=user.id,
            application_id=client.application.id,
            code_id=code.id,
            session=code.sid,
            scope=scope,
            resource=code.resource,
            named={"id_token": code.id_token, "userinfo": code.userinfo},
            auth_time=datetime.fromtimestamp(code.auth_time, UTC),
            auth_method=code.auth_method,
            is_refreshed=include_refresh_token,
            expires_at=datetime.fromtimestamp(ends, UTC),
            address=client.address,
            agreed_at=datetime.fromtimestamp(code.made_at, UTC),
            confirmation=confirmation_of(client),
        )
        try:
            begun = authorizations.begin(self.realm, beginning)
        except RefusedError as error:
            raise InvalidGrantError from error
        person = SignedInPerson(
            user=user,
            sid=code.sid,
            auth_time=int(code.auth_time),
            auth_method=code.auth_method,
            grant_id=begun.uid,
            scopes=code.scopes,
            resource=code.resource,
            nonce=code.nonce,
            named_in_id_token=code.id_token,
            named_in_userinfo=code.userinfo,
        )
        return answer_for(self.realm, client, person, self.request.form, begun.refresh_token, ends, Tag.TOKEN_CODE)

    def delete_authorization_code(self, authorization_code: _Presented) -> None:
        """Do nothing: the code was redeemed before anything was issued for it."""


def _end(realm: KnownRealm, code: Code, *, is_refreshed: bool) -> float:
    """Return when all that a code gives ends (seconds since 1970): with `offline_access` not with the browser's session."""
    now = clock.timestamp()
    if not is_refreshed:
        return now + realm.person_token_seconds
    ends = float(now + realm.refresh_seconds)
    return ends if "offline_access" in code.scopes else min(ends, code.session_ends)
