"""Refreshing the tokens of a person (RFC 6749 §6): each refresh token works once, and one used again ends them all."""

from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant

from idp import authorizations, tokens
from idp.audit import Tag
from idp.authorizations import Refreshed, RefusedError
from idp.oauth.client_auth import Client
from idp.oauth.forms import Form
from idp.oauth.glue import GrantClient, RealmGrant, run_grant
from idp.oauth.people import answer_for, find_person
from idp.realms import KnownRealm
from idp.tokens import SignedInPerson
from idp.users import KnownUser


def refresh_token(realm: KnownRealm, client: Client | None, form: Form, address: str) -> dict[str, Any]:  # noqa: ARG001 (of all grants)
    """Return new tokens for a refresh token, once it is durable that it has been used.

    :raises InvalidGrantError: it does not work, or is another client's.
    """
    return run_grant(_RefreshGrant, realm, client, form)


class _Presented:
    """A refresh token that a client has sent, as Authlib asks about it."""

    def __init__(self, found: Refreshed) -> None:
        self.found = found

    def check_client(self, client: GrantClient) -> bool:
        """Tell whether it is the client's (R42)."""
        return self.found.application_id == client.known.id

    def get_scope(self) -> str:
        """Return what was granted."""
        return self.found.scope


class _RefreshGrant(RealmGrant, RefreshTokenGrant):  # type: ignore[misc]  # Authlib has no types
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> _Presented | None:
        """Return what a refresh token is of; None for what is none of this realm."""
        found = authorizations.find_refreshed(self.realm, refresh_token)
        return _Presented(found) if found is not None else None

    def _validate_token_scope(self, token: _Presented) -> None:
        """See that no more is asked for than was granted (R41)."""
        if not set(self._asked()).issubset(token.found.scope.split()):
            raise InvalidScopeError

    def _asked(self) -> list[str]:
        try:
            return tokens.persons_scopes(self.grant_client.application, self.request.form.text("scope"))
        except tokens.ScopeError as error:
            raise InvalidScopeError from error

    def authenticate_user(self, refresh_token: _Presented) -> KnownUser:
        """Return whose it is, if that still holds."""
        found = refresh_token.found
        person = find_person(self.realm, found.user_uid, begun_at=found.auth_time.timestamp(), sid="")
        if person is None:
            raise InvalidGrantError
        return person

    def issue_token(self, user: KnownUser, refresh_token: _Presented) -> dict[str, Any]:
        """Use the refresh token up, and return the new tokens."""
        bound, shown = refresh_token.found.confirmation, self.grant_client.binding.confirmation
        if not bound.items() <= shown.items():
            raise InvalidGrantError  # RFC 9449 §5: who has the token has not its key; it stays for who has both
        row, scopes = refresh_token.found, self._asked() or refresh_token.found.scope.split()
        try:
            successor = authorizations.rotate(self.realm, row)
        except RefusedError as error:
            raise InvalidGrantError from error
        person = SignedInPerson(
            user=user,
            sid=row.sid,
            auth_time=int(row.auth_time.timestamp()),
            auth_method=row.auth_method,
            grant_id=row.uid,
            scopes=scopes,
            resource=row.resource,
            named_in_id_token=row.named.get("id_token", ()),
            named_in_userinfo=row.named.get("userinfo", ()),
        )
        ends = row.expires_at.timestamp()
        return answer_for(self.realm, self.grant_client, person, self.request.form, successor, ends, Tag.TOKEN_REFRESH)

    def revoke_old_credential(self, refresh_token: _Presented) -> None:
        """Do nothing: it was used up before anything was issued for it."""
