"""Trying an application: a real request to the token endpoint, and what the token says in words."""

import io
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from flask import request

from idp import clock
from idp.console.browser import Visit
from idp.console.render import duration
from idp.protocol.errors import answer_error
from idp.protocol.token import token
from idp.verifier.jose import read_unverified

_MEANINGS = {
    "iss": "Who issued it: this organisation. Verifiers compare it character by character.",
    "sub": "Who it is about: the application's own ID, which never changes and is never reused.",
    "aud": "Who it is for. An API refuses tokens that are meant for another.",
    "azp": "Which application it was issued to.",
    "client_id": "Which application it was issued to (RFC 9068).",
    "iat": "When it was issued.",
    "nbf": "When it becomes valid.",
    "exp": "When it expires.",
    "jti": "The token's own ID, for revoking it and finding it in the audit trail.",
    "scope": "The scopes that were granted.",
    "realm_access": "The roles that it carries on the whole organisation.",
    "projects": "The projects that it has roles on, with the roles on each.",
    "resource_access": "The same roles, where Keycloak's adapters look for them.",
    "preferred_username": "A name for logs; never base a decision on it.",
    "typ": "What Keycloak's adapters expect to find.",
}
_TIMES = frozenset({"iat", "nbf", "exp"})


def fetch_token(visit: Visit, client_id: str, client_secret: str) -> dict[str, Any]:
    """Ask the token endpoint for an access and an ID token, and return its answer, which may be an error."""
    form = {"grant_type": "client_credentials", "scope": "openid", "client_id": client_id, "client_secret": client_secret}
    body = urlencode(form).encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **{name: request.environ[name] for name in ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR") if name in request.environ},
    }
    try:
        response = token(visit.realm.name, environ)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is answered as the endpoint would)
        response = answer_error(error)
    answer: dict[str, Any] = json.loads(response.get_data())
    return answer


def explain(access_token: str) -> list[tuple[str, str, str]]:
    """Return the claims of a token: name, value, and what it means."""
    claims = read_unverified(access_token).claims
    explained = []
    for name, value in claims.items():
        text = value if isinstance(value, str) else json.dumps(value)
        meaning = _MEANINGS.get(name, "")
        if name in _TIMES:
            meaning = f"{meaning} That is {datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC."
        if name == "exp":
            meaning += f" In {duration(value - clock.timestamp())}."
        explained.append((name, text, meaning))
    return explained


def carries_roles(access_token: str) -> bool:
    """Tell whether a token carries a role, on the realm or on a project."""
    claims = read_unverified(access_token).claims
    return bool(claims["realm_access"]["roles"] or claims["projects"])
