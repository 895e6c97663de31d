"""The device grant (RFC 8628 §3.4): a device asks, again and again, whether a person has agreed."""

from datetime import UTC, datetime
from typing import Any

from authlib.oauth2.rfc6749 import AccessDeniedError, InvalidGrantError
from authlib.oauth2.rfc8628 import DeviceCodeGrant, ExpiredTokenError

from idp import authorizations, clock
from idp.audit import Tag
from idp.authorizations import Beginning, DeviceRequest, RefusedError
from idp.oauth.client_auth import Client
from idp.oauth.forms import Form
from idp.oauth.glue import RealmGrant, run_grant
from idp.oauth.people import answer_for, find_person
from idp.oauth.possession import confirmation_of
from idp.realms import KnownRealm
from idp.tokens import SignedInPerson
from idp.users import KnownUser, uid_of

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def device_code(realm: KnownRealm, client: Client | None, form: Form, address: str) -> dict[str, Any]:  # noqa: ARG001 (of all grants)
    """Return the tokens of the person who has agreed, once that is durable.

    :raises AuthorizationPendingError: nobody has decided yet.
    :raises DeviceTooFastError: the same, and the device asks too often.
    :raises InvalidGrantError: the code does not work, or is another client's.
    """
    return run_grant(_DeviceGrant, realm, client, form)


class _Presented:
    """A device code that was sent, as Authlib asks about it."""

    def __init__(self, row: DeviceRequest, client_id: str) -> None:
        self.row, self._client_id = row, client_id

    def get_client_id(self) -> str:
        """Return whose it is, if it is the client's that has sent it."""
        return self._client_id

    def get_scope(self) -> str:
        """Return what was asked for."""
        return self.row.scope

    def get_user_code(self) -> str:
        """Return what the person enters."""
        return self.row.user_code

    def is_expired(self) -> bool:
        """Tell whether it is over."""
        return self.row.expires_at <= clock.now()


class _DeviceGrant(RealmGrant, DeviceCodeGrant):  # type: ignore[misc]  # Authlib has no types
    def query_device_credential(self, device_code: str) -> _Presented:
        """Return the device that a code is of.

        :raises InvalidGrantError: there is none, or it is another client's (RFC 6749 §5.2).
        """
        row = authorizations.find_device(self.realm, device_code)
        client = self.server.authenticate_client(self.request, ())
        if row is None or row.application_id != client.known.id:
            raise InvalidGrantError
        return _Presented(row, client.get_client_id())

    def validate_device_credential(self, credential: _Presented) -> Any:
        """Return who has agreed. What was decided in time counts until the device has asked."""
        if credential.row.approved is None:
            return super().validate_device_credential(credential)
        if credential.is_expired():
            raise ExpiredTokenError
        if not credential.row.approved or credential.row.user_id is None or credential.row.auth_time is None:
            raise AccessDeniedError
        begun_at = credential.row.auth_time.timestamp()
        person = find_person(self.realm, uid_of(credential.row.user_id), begun_at=begun_at, sid="")
        if person is None:
            raise AccessDeniedError
        return person

    def query_user_grant(self, user_code: str) -> None:
        """Return None: nobody has decided, or this is not asked."""

    def should_slow_down(self, credential: _Presented) -> bool:
        """Tell whether the device asks too often."""
        return authorizations.asks_too_often(credential.row)

    def generate_token(self, user: KnownUser, scope: str, include_refresh_token: bool) -> dict[str, Any]:  # noqa: FBT001 (Authlib's)
        """Redeem the code, and return the tokens."""
        row, client = self.request.credential.row, self.grant_client
        lifetime = self.realm.refresh_seconds if include_refresh_token else self.realm.person_token_seconds
        ends = float(clock.timestamp() + lifetime)
        assert row.auth_time is not None
        beginning = Beginning(
            user_id=user.id,
            application_id=client.application.id,
            code_id=row.uid,
            session="",
            scope=scope,
            resource=row.resource,
            named={},
            auth_time=row.auth_time,
            auth_method="password",
            is_refreshed=include_refresh_token,
            expires_at=datetime.fromtimestamp(ends, UTC),
            address=client.address,
            agreed_at=row.decided_at or row.created_at,
            confirmation=confirmation_of(client),
        )
        try:
            begun = authorizations.begin(self.realm, beginning)
        except RefusedError as error:
            raise InvalidGrantError from error
        person = SignedInPerson(
            user=user,
            sid="",
            auth_time=int(row.auth_time.timestamp()),
            auth_method="password",
            grant_id=begun.uid,
            scopes=scope.split(),
            resource=row.resource,
        )
        return answer_for(self.realm, client, person, self.request.form, begun.refresh_token, ends, Tag.TOKEN_CODE)
