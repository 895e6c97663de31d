"""Applications register themselves (RFC 7591), and read, change and remove what they have registered (RFC 7592)."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from flask import Response, request

from idp import applications, audit, clock, ratelimit, registrations
from idp.applications import Application
from idp.db import commit, db
from idp.errors import ConflictError, InvalidValueError
from idp.oauth.errors import NO_STORE, AccessDeniedError, InvalidClientMetadataError, InvalidTokenError
from idp.oauth.realm import open_realm
from idp.oauth.registration import ClientMetadata, describe, in_description, read_metadata, sheet_of
from idp.ratelimit import Rate, Use
from idp.realms import KnownRealm
from idp.registrations import BadTokenError, OwnMaster, Registered, RegistrationToken
from idp.web.address import client_address
from idp.web.body import BodyError, read_body, read_json
from idp.web.credentials import MalformedCredentialError, Shown, read_credentials

PATH = "clients-registrations/openid-connect"
"""Below the issuer, where clients of other servers look for it too."""

LARGEST = 16_384
"""Bytes of what an application says of itself: all of it is kept, and goes into the audit trail."""

_CHANGES = Rate("registration-change", 1 / 360, 10)
"""Changes that an application makes to itself: ten in an hour."""

_RATE = Rate("registration", 0.5, 30)
"""Requests of one network."""


def register(realm: str) -> Response:
    """Create an application from what it says of itself, with a registration token (RFC 7591 §3.1)."""
    known = _open(realm)
    plain = _bearer()
    try:
        token = registrations.find_token(known, plain)
        made, metadata = _register(known, token)
    except BadTokenError as error:
        raise InvalidTokenError(is_shown=True, sentence=str(error)) from error
    commit()
    told = _told(known, made.application, metadata.token_endpoint_auth_method, made.access_token)
    if made.secret:
        told |= {"client_secret": made.secret, "client_secret_expires_at": 0}
    return _answer(told, 201)


def _register(realm: KnownRealm, token: RegistrationToken) -> tuple[Registered, ClientMetadata]:
    metadata = read_metadata(_body())
    description = f"Registered itself{f' with: {token.description}' if token.description else ''}"[:500]
    sheet = sheet_of(metadata, token, description=description)
    with audit.acting_as(audit.Actor(f"registration-token:{token.uid}", _address(realm))), _refusals():
        return registrations.register(realm, token, sheet, metadata.token_endpoint_auth_method), metadata


def configure(realm: str, client_id: str) -> Response:
    """Show, replace or remove an application for itself, with its registration access token (RFC 7592 §2)."""
    known = _open(realm)
    access_token = _bearer()
    try:
        own = registrations.find_registered(known, client_id, access_token)
    except BadTokenError as error:
        raise InvalidTokenError(is_shown=True, sentence=str(error)) from error
    application = own.application
    with audit.acting_as(audit.Actor(f"application:{application.name}", _address(known))):
        if request.method == "DELETE":
            registrations.remove(known, own)
            commit()
            return Response(status=204, headers=NO_STORE)
        if request.method == "PUT":
            _replace(known, own)
            commit()
    told = _told(known, application, own.registration.method, access_token)
    db.session.rollback()
    return _answer(told, 200)


def _replace(realm: KnownRealm, own: OwnMaster) -> None:
    """Set all of what an application has registered anew; what it leaves out, it has no longer (RFC 7592 §2.2)."""
    application = own.application
    ratelimit.limiter(realm.runtime).use(Use(_CHANGES, application.uid))
    sent = _body()
    if sent.get("client_id") != application.name:
        raise InvalidClientMetadataError("client_id has to be that of the application.")
    secret = sent.get("client_secret")
    if secret is not None and not _is_secret_of(realm, application, secret):
        raise InvalidClientMetadataError("client_secret has to be that of the application, or be left out.")
    metadata = read_metadata(sent)
    if (metadata.token_endpoint_auth_method, metadata.kind.value) != (own.registration.method, application.kind):
        raise InvalidClientMetadataError("How the application authenticates, and its kind, cannot change: register another.")
    sheet = sheet_of(metadata, own.token, description=application.description)
    with _refusals():
        registrations.replace(realm, own, sheet)


def _is_secret_of(realm: KnownRealm, application: Application, secret: object) -> bool:
    known = applications.known_application(realm, application.name)
    return (
        isinstance(secret, str) and known is not None and applications.match_secret(known, secret, clock.timestamp()) is not None
    )


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Say what a domain refuses as the protocol does."""
    try:
        yield
    except (ConflictError, InvalidValueError) as error:
        raise InvalidClientMetadataError(in_description(str(error))) from error


def _open(realm: str) -> KnownRealm:
    known = open_realm(realm)
    ratelimit.limiter(known.runtime).use(Use(_RATE, f"{known.name} {ratelimit.network_of(_address(known))}"))
    if not known.has_registration:
        raise AccessDeniedError("Applications cannot register themselves in this realm.")
    return known


def _address(realm: KnownRealm) -> str:
    return client_address(request.environ, realm.runtime.settings.trusted_proxies)


def _bearer() -> str:
    """Return the token that was shown.

    :raises InvalidTokenError: there is none.
    """
    try:
        shown = read_credentials(request.environ)
    except MalformedCredentialError as error:
        raise InvalidTokenError(is_shown=True) from error
    if shown.shown is not Shown.TOKEN or shown.by_cookie:
        raise InvalidTokenError(is_shown=False, sentence="Send the registration token: Authorization: Bearer <token>.")
    return shown.value


def _body() -> dict[str, Any]:
    try:
        if len(read_body(request.environ)) > LARGEST:
            raise InvalidClientMetadataError(f"The metadata is larger than {LARGEST} bytes.")
        return read_json(request.environ)
    except BodyError as error:
        raise InvalidClientMetadataError(str(error)) from error


def _told(realm: KnownRealm, application: Application, method: str, access_token: str) -> dict[str, Any]:
    return describe(application, realm.signing_algorithm, method) | {
        "registration_client_uri": f"{realm.issuer}/{PATH}/{application.name}",
        "registration_access_token": access_token,
    }


def _answer(body: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(body), status, NO_STORE, mimetype="application/json")
