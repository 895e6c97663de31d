"""Authlib's grants over our own parsing, client authentication, storage and errors: the one place that knows its framework.

A grant of Authlib gets a request that was read and a client that was authenticated; what it raises becomes an error of ours.
"""

import logging
from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import AuthorizationServer, BaseGrant, ClientMixin, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from idp.db import commit
from idp.oauth.client_auth import Client
from idp.oauth.errors import (
    AuthorizationPendingError,
    DeviceTooFastError,
    ExpiredDeviceCodeError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    PersonDeniedError,
    ProtocolError,
    UnauthorizedClientError,
)
from idp.oauth.forms import Form
from idp.realms import KnownRealm

# at DEBUG it writes tokens and clients into the log
logging.getLogger("authlib").setLevel(logging.INFO)

_ERRORS: dict[str, type[ProtocolError]] = {
    each.error: each
    for each in (
        AuthorizationPendingError,
        DeviceTooFastError,
        ExpiredDeviceCodeError,
        InvalidGrantError,
        InvalidRequestError,
        InvalidScopeError,
        PersonDeniedError,
        UnauthorizedClientError,
    )
}

_SAID = {
    "invalid_grant": "The code or refresh token is unknown, expired, used before, or of another client or redirect_uri.",
    "unauthorized_client": "The application may not use this grant. Add it to the application's grants.",
    "invalid_scope": "The scope exceeds what was granted.",
}
"""What a client is told where Authlib says less, or repeats what was sent."""


class GrantClient(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    """An application that has shown who it is, as grants ask about it."""

    def __init__(self, client: Client) -> None:
        self.known = client.application
        self.client = client

    def get_client_id(self) -> str:
        """Return its name."""
        return self.known.client_id

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether it may use a grant."""
        return grant_type.rpartition(":")[2] in self.known.grants


class GrantRequest(OAuth2Request):  # type: ignore[misc]  # Authlib has no types
    """A request to the token endpoint: its body, read once."""

    def __init__(self, realm: KnownRealm, form: Form) -> None:
        super().__init__("POST", "https://token.endpoint")  # the transport is not its business
        self.realm, self._form = realm, form
        self.payload = BasicOAuth2Payload(form)
        self.auth_method = "none"  # PKCE is for all, also for who has shown who they are

    @property
    def form(self) -> Form:
        """The body."""
        return self._form


class GrantServer(AuthorizationServer):  # type: ignore[misc]  # Authlib has no types
    """What a grant asks of a server."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = GrantClient(client)

    def authenticate_client(self, request: OAuth2Request, methods: Any, endpoint: str = "token") -> GrantClient:  # noqa: ARG002 (Authlib's)
        """Return the client, which was authenticated before."""
        return self._client

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Do nothing: nobody listens."""


class RealmGrant(BaseGrant):  # type: ignore[misc]  # Authlib has no types
    """What our grants have in common: `issue` makes the tokens, and has stored what they need by then."""

    request: GrantRequest
    extensions: ClassVar[tuple[Any, ...]] = ()

    @property
    def realm(self) -> KnownRealm:
        """The realm of the request."""
        return self.request.realm

    @property
    def grant_client(self) -> Client:
        """The client of the request."""
        client: Client = self.server.authenticate_client(self.request, ()).client
        return client

    def save_token(self, token: Any) -> None:
        """Do nothing: what is kept of a token was stored before it was made."""


def run_grant(grant: type[RealmGrant], realm: KnownRealm, client: Client | None, form: Form) -> dict[str, Any]:
    """Return what a grant answers, once what it has used up is durable.

    :raises InvalidClientError: the client has not said who it is.
    :raises ProtocolError: the grant refuses.
    """
    if client is None:
        raise InvalidClientError(realm.name)
    running = grant(GrantRequest(realm, form), GrantServer(client))
    for extension in grant.extensions:
        extension(running)
    try:
        running.validate_token_request()
        answer: dict[str, Any] = running.create_token_response()[1]
    except OAuth2Error as error:
        kind = _ERRORS.get(error.error, InvalidGrantError)
        raise kind(_SAID.get(error.error) or error.get_error_description().replace("'", "")) from error
    commit()
    return answer
