"""Applications register themselves (RFC 7591), and read, change and remove what they have registered (RFC 7592)."""

import json
from typing import Any

from flask import Response, request

from idp import applications, audit, clock, ratelimit, registrations
from idp.applications import Application, ApplicationSheet
from idp.db import commit
from idp.errors import InvalidValueError
from idp.oauth.errors import NO_STORE, AccessDeniedError, InvalidClientMetadataError, InvalidTokenError
from idp.oauth.realm import open_realm
from idp.oauth.registration import ClientMetadata, describe, read_metadata, sheet_of
from idp.ratelimit import Rate, Use
from idp.realms import KnownRealm, get_realm
from idp.registrations import BadTokenError, Registered, RegistrationToken
from idp.web.address import client_address
from idp.web.body import BodyError, read_json
from idp.web.credentials import MalformedCredentialError, Shown, read_credentials

PATH = "clients-registrations/openid-connect"
"""Below the issuer, where clients of other servers look for it too."""

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
    told = _told(known, made.application, made.access_token, has_secret=bool(made.secret))
    if made.secret:
        told |= {"client_secret": made.secret, "client_secret_expires_at": 0}
        told["token_endpoint_auth_method"] = metadata.token_endpoint_auth_method
    return _answer(told, 201)


def _register(realm: KnownRealm, token: RegistrationToken) -> tuple[Registered, ClientMetadata]:
    metadata = read_metadata(_body())
    description = f"Registered itself{f' with: {token.description}' if token.description else ''}"[:500]
    sheet = sheet_of(metadata, token, description=description)
    with audit.acting_as(audit.Actor(f"registration-token:{token.uid}", _address(realm))):
        return registrations.register(realm, token, _checked(sheet), secret=metadata.has_secret), metadata


def configure(realm: str, client_id: str) -> Response:
    """Show, replace or remove an application for itself, with its registration access token (RFC 7592 §2)."""
    known = _open(realm)
    access_token = _bearer()
    try:
        application, token = registrations.find_registered(known, client_id, access_token)
    except BadTokenError as error:
        raise InvalidTokenError(is_shown=True, sentence=str(error)) from error
    with audit.acting_as(audit.Actor(f"application:{application.name}", _address(known))):
        if request.method == "DELETE":
            applications.delete_application(get_realm(known.name), application)
            commit()
            return Response(status=204, headers=NO_STORE)
        if request.method == "PUT":
            _replace(known, application, token)
            commit()
    return _answer(_told(known, application, access_token, has_secret=registrations.has_secret(application)), 200)


def _replace(realm: KnownRealm, application: Application, token: RegistrationToken) -> None:
    """Set all of what an application has registered anew; what it leaves out, it has no longer (RFC 7592 §2.2)."""
    sent = _body()
    if sent.get("client_id") != application.name:
        raise InvalidClientMetadataError("client_id has to be that of the application.")
    secret = sent.get("client_secret")
    if secret is not None and not _is_secret_of(realm, application, secret):
        raise InvalidClientMetadataError("client_secret has to be that of the application, or be left out.")
    metadata = read_metadata(sent)
    if metadata.has_secret != registrations.has_secret(application):
        raise InvalidClientMetadataError("How the application authenticates cannot change: register another.")
    sheet = sheet_of(metadata, token, description=application.description)
    applications.update_application(get_realm(realm.name), application, _checked(sheet))


def _is_secret_of(realm: KnownRealm, application: Application, secret: object) -> bool:
    known = applications.known_application(realm, application.name)
    return (
        isinstance(secret, str) and known is not None and applications.match_secret(known, secret, clock.timestamp()) is not None
    )


def _checked(sheet: ApplicationSheet) -> ApplicationSheet:
    try:
        applications.check_kind(sheet)
    except InvalidValueError as error:
        raise InvalidClientMetadataError(str(error)) from error
    return sheet


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
        return read_json(request.environ)
    except BodyError as error:
        raise InvalidClientMetadataError(str(error)) from error


def _told(realm: KnownRealm, application: Application, access_token: str, *, has_secret: bool) -> dict[str, Any]:
    return describe(application, realm.signing_algorithm, has_secret=has_secret) | {
        "registration_client_uri": f"{realm.issuer}/{PATH}/{application.name}",
        "registration_access_token": access_token,
    }


def _answer(body: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(body), status, NO_STORE, mimetype="application/json")
