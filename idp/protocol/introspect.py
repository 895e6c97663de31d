"""Token introspection (RFC 7662)."""

import json
from typing import Any

from idp import callers, tokens
from idp.applications import KnownApplication
from idp.callers import ActiveToken
from idp.oauth.answers import at_once, at_once_written
from idp.oauth.client_auth import authenticate_application
from idp.oauth.forms import parse_form
from idp.oauth.realm import open_realm
from idp.web.body import Environ
from idp.web.express import Answer

_WRITTEN = "introspection"


def introspect(realm: str, environ: Environ) -> Answer:
    """Describe a token to the application that it was issued to or is meant for; `{"active": false}` to others.

    `token_type_hint` is not needed and ignored (RFC 7662 §2.1).
    """
    known = open_realm(realm)
    form = parse_form(environ)
    client = authenticate_application(known, environ, form)
    found = callers.introspect(known, form.required("token"))
    if found is None or not _concerns(client.application, found.claims):
        return at_once({"active": False})
    written: bytes | None = found.derived.get(_WRITTEN)
    if written is None:
        written = found.derived[_WRITTEN] = _write(found)
    return at_once_written(written)


def _write(found: ActiveToken) -> bytes:
    """Return what is told of a token, whoever asks of those whom it concerns."""
    claims = found.claims
    shown = {name: claims[name] for name in tokens.INTROSPECTED_CLAIMS if name in claims}
    kind = claims.get("token_type") or ("DPoP" if "jkt" in claims.get("cnf", {}) else "Bearer")
    username = {"username": claims["preferred_username"]} if "preferred_username" in claims else {}
    return json.dumps({"active": True, "token_type": kind, **username, **shown}).encode()


def _concerns(application: KnownApplication, claims: dict[str, Any]) -> bool:
    """Tell whether the token was issued to the application, or is meant for it as a resource server (T64, T65)."""
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    is_own = application.uid == claims["sub"] or ("grant_id" in claims and claims["client_id"] == application.client_id)
    return is_own or not application.resources.isdisjoint(audience)
