"""Who calls, and signing in: a key in a header, or the two cookies of a sign-in."""

import hashlib
import re

from flask import Response, request

from idp import crypto, realms, runtime, sessions, users
from idp.callers import CredentialError
from idp.compat.calls import json_body, text_of
from idp.compat.rafay.key_forms import PUBLIC, plain_key
from idp.rules import Authority
from idp.web.answers import answer
from idp.web.calls import address
from idp.web.credentials import (
    Credentials,
    ForeignOriginError,
    MalformedCredentialError,
    Shown,
    check_origin,
    may_sign_in,
    read_credentials,
)

SESSION_COOKIE, CSRF_COOKIE = "rsid", "csrftoken"
KEY_HEADERS = ("X-Api-Key", "X-Rafay-Api-Keyid")
"""Both carry the whole key: newer clients send the first, older ones the second, and some send both."""

_SIGNATURE = re.compile(r'Signature keyId="([^"]*)",.*', re.DOTALL)


def credentials() -> Credentials:
    """Return what a request shows: a key in a header, the cookie of a sign-in with `X-CSRFToken`, or as natively.

    Some clients sign what they send as well. That adds nothing to the whole key, which they show beside it, and is not looked at.

    :raises CredentialError: only the id of a key is shown, with a signature or without one: we keep no secret to check it with.
    :raises MalformedCredentialError: several of them.
    :raises ForeignOriginError: a change with the cookie comes from elsewhere (T100).
    """
    shown = {request.headers[name] for name in KEY_HEADERS if name in request.headers}
    if shown:
        return Credentials(Shown.KEY, plain_key(_only_key(shown)) or "")
    session = request.cookies.get(SESSION_COOKIE)
    if session and "Authorization" not in request.headers and "apiKey" not in request.headers:
        if request.method not in {"GET", "HEAD"}:
            check_origin(request.environ, runtime.current().settings.public_url)
            token = request.headers.get("X-CSRFToken", "")
            if not crypto.same(token.encode(), csrf_token(session).encode()):
                raise ForeignOriginError("Send the value of the cookie csrftoken in the header X-CSRFToken.")
        return Credentials(Shown.TOKEN, session)
    return read_credentials(request.environ)


def _only_key(shown: set[str]) -> str:
    """Return the one key that headers show."""
    key, authorization = min(shown), request.headers.get("Authorization")
    signature = _SIGNATURE.fullmatch(authorization) if authorization is not None else None
    signed_with_it = signature is not None and crypto.same(signature[1].encode(), key.encode())
    if len(shown) > 1 or "apiKey" in request.headers or (authorization is not None and not signed_with_it):
        raise MalformedCredentialError("The request shows two credentials. Send one.")
    if PUBLIC.fullmatch(key):
        raise CredentialError
    return key


def csrf_token(session: str) -> str:
    """Return the token that a change with this session's cookie must show: who cannot read the cookie cannot know it."""
    return hashlib.sha256(f"csrf {session}".encode()).hexdigest()[:32]


def prelogin() -> Response:
    """Say how somebody signs in: alike for all (T85)."""
    body = json_body()
    organization = text_of(body, "organization", "")[:64]
    return answer({"username": text_of(body, "username")[:254], "organization": organization, "is_sso": False})


def login() -> Response:
    """Sign a person in: the session's cookie, and the one whose value every change must show."""
    if not may_sign_in(request.environ, runtime.current().settings.public_url):
        raise ForeignOriginError("A page of another origin cannot sign this browser in.")
    body = json_body()
    signed = users.check_sign_in(
        text_of(body, "username"),
        text_of(body, "password", longest=100_000),
        realm=_organization(text_of(body, "organization", "")),
        address=address(),
    )
    token = sessions.start_session(signed.realm, signed.user, agent=request.headers.get("User-Agent", ""))
    response = answer({"username": signed.user.name, "expires_in": token.expires_in})
    settings = runtime.current().settings
    path, secure = settings.public_path or "/", settings.public_url.startswith("https:")
    for name, value, hidden in ((SESSION_COOKIE, token.token, True), (CSRF_COOKIE, csrf_token(token.token), False)):
        response.set_cookie(name, value, max_age=token.expires_in, path=path, secure=secure, httponly=hidden, samesite="Lax")
    return response


def _organization(text: str) -> str | None:
    """Return the realm's name for what somebody signs in to; None where that is left out."""
    return realms.called("realm", text).name if text.strip() else None


def logout(authority: Authority) -> Response:
    """End the session."""
    caller, realm = authority.caller, authority.at_home.realm
    sessions.end_session(realm, sessions.get_session(realm, caller.credential_id))
    response = answer({})
    for name in (SESSION_COOKIE, CSRF_COOKIE):
        response.delete_cookie(name, path=runtime.current().settings.public_path or "/")
    return response
