"""The token calls, which name no realm: `POST /api/v1/token` in JSON, and `/api/v2/token`, which is OAuth's."""

from collections.abc import Mapping
from typing import Any

from flask import Response, request

from idp import apikeys, applications, callers, crypto, oauth, realms, runtime, tokens
from idp.audit import Tag
from idp.compat.calls import json_body, text_of
from idp.compat.runai.answers import Shape
from idp.errors import InvalidValueError
from idp.oauth import Form, InvalidRequestError
from idp.web.answers import answer
from idp.web.calls import address

_PAIRS = {"app_token": ("appid", "appsecret"), "client_credentials": ("clientid", "clientsecret")}
"""Members that hold the credential, by grant type; the other pair where these are left out."""


def token() -> Response:
    """Issue tokens for an application, or for a user's access key. Names of members match in whatever case."""
    given = {name.lower().replace("_", ""): value for name, value in json_body().items()}
    kind = text_of(given, "granttype")
    if kind not in _PAIRS:
        raise InvalidValueError("grantType takes client_credentials or app_token here. People sign in at /v1/auth/authenticate.")
    client_id, secret = _credential(given, kind)
    if crypto.is_well_formed(secret, "ak"):
        return answer(_exchanged(client_id, secret))
    realm, _, name = client_id.rpartition("/")
    form = Form(grant_type="client_credentials", scope="openid", client_id=name, client_secret=secret)
    issued = oauth.answer_token(
        realm or default_realm(), _without_credentials(), _for_this_server(realm or default_realm(), form)
    )
    return answer(
        {
            "accessToken": issued["access_token"],
            "idToken": issued.get("id_token", ""),
            "refreshToken": "",  # none comes with this grant (RFC 6749 §4.4.3)
            "expiresIn": issued["expires_in"],
        }
    )


def _credential(given: Mapping[str, Any], kind: str) -> tuple[str, str]:
    """Return the id and the secret of a client. Members of a generated client that it has no value for are null."""
    own, other = _PAIRS[kind], _PAIRS["app_token" if kind == "client_credentials" else "client_credentials"]
    names = own if given.get(own[0]) is not None else other
    return text_of(given, names[0]), text_of(given, names[1], longest=4_000)


def _exchanged(client_id: str, key: str) -> Shape:
    checked = apikeys.check_key(runtime.current(), key, address(), Tag.API_KEY_EXCHANGE)
    if client_id != checked.key.uid:
        raise callers.CredentialError
    exchanged = apikeys.exchange_key(checked)
    return {"accessToken": exchanged.token, "idToken": "", "refreshToken": "", "expiresIn": exchanged.expires_in}


def _without_credentials() -> dict[str, Any]:
    """Return the request without its header: the credential is in the body, and one is all that may be shown."""
    return {name: value for name, value in request.environ.items() if name != "HTTP_AUTHORIZATION"}


def _for_this_server(realm: str, form: Form) -> Form:
    """Ask for a token for this server, if the application may have one: it is what the clients of this contract call with it."""
    known = realms.known_realm(runtime.current(), realm)
    application = applications.known_application(known, form.text("client_id")) if known is not None else None
    if (
        known is None
        or application is None
        or "resource" in form
        or "audience" in form
        or not tokens.may_manage(known, application)
    ):
        return form
    return Form({**form, "resource": known.issuer})


def oauth_token() -> Response:
    """Serve the token endpoint of a realm (RFC 6749 §3.2): the one in front of the client_id, or `default_realm`."""
    try:
        form = oauth.parse_form(request.environ)
        realm, _, name = form.text("client_id").rpartition("/")
        if realm:
            form["client_id"] = name
        realm = realm or default_realm()
        return oauth.no_store(oauth.answer_token(realm, request.environ, _for_this_server(realm, form)))
    except InvalidValueError as error:
        return oauth.answer_error(InvalidRequestError(str(error)))
    except Exception as error:  # noqa: BLE001 (whatever it is, it is answered as OAuth has it)
        return oauth.answer_error(error)


def default_realm() -> str:
    """Return the name of the realm that calls without a realm are about.

    :raises InvalidValueError: there are several, and none is set.
    """
    runtime.current().feed.confirm()
    name = runtime.current().settings.compat_realm
    if name:
        return name
    names = realms.names_besides_master(2)
    if len(names) != 1:
        raise InvalidValueError(
            "Write <realm>/<application> as the client id, for there are several realms. IDP_COMPAT_REALM chooses one of them."
        )
    return names[0]
