"""Trying an application: a real request to the token endpoint, and what the token says in words."""

import json
from datetime import UTC, datetime
from typing import Any

from flask import request

from idp import clock, oauth, tokens
from idp.console.browser import Visit
from idp.console.language import say
from idp.console.render import said, words
from idp.console.zones import shown_time
from idp.jose import read_unverified

_TIMES = frozenset({"iat", "nbf", "exp"})


def fetch_token(visit: Visit, client_id: str, client_secret: str) -> dict[str, Any]:
    """Ask the token endpoint for an access and an ID token, and return its answer, which may be an error."""
    form = oauth.Form(grant_type="client_credentials", scope="openid", client_id=client_id, client_secret=client_secret)
    # nothing of the console's own request but where it came from: no cookie, no header of a browser
    environ: dict[str, Any] = {
        name: request.environ[name] for name in ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR") if name in request.environ
    }
    try:
        return oauth.answer_token(visit.realm.name, environ, form)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is told as the endpoint would)
        answer: dict[str, Any] = json.loads(oauth.answer_error(error).get_data())
        return answer


def explain(access_token: str) -> list[tuple[str, str, str]]:
    """Return the claims of a token: name, value, and what it means."""
    claims = read_unverified(access_token).claims
    explained = []
    for name, value in claims.items():
        text = value if isinstance(value, str) else json.dumps(value)
        meaning = said(tokens.meaning_of(name))
        if name in _TIMES:
            time = datetime.fromtimestamp(value, UTC)
            at = shown_time(time, "%Y-%m-%d %H:%M:%S %Z")
            meaning = say("{meaning} That is {time}, {ago}.", meaning=meaning, time=at, ago=words(time, clock.now()))
        explained.append((name, text, meaning))
    return explained


def carries_roles(access_token: str) -> bool:
    """Tell whether a token carries a role, on the realm or on a project."""
    claims = read_unverified(access_token).claims
    return bool(claims["realm_access"]["roles"] or claims["projects"])
