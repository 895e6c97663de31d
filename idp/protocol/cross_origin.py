"""Which pages may read what the endpoints for applications answer (Fetch standard, CORS protocol).

Cookies count for nothing here, so a page can only use what it has been given; what its origin is not listed for, the browser
keeps from it all the same.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request

from idp import runtime
from idp.applications import known_origins
from idp.oauth.client_auth import noted_application
from idp.oauth.errors import answer_error
from idp.realms import known_realm
from idp.web.body import Environ
from idp.web.express import AnyAnswer
from idp.web.possession import nonce_headers, noted_nonce


def answer(environ: Environ, realm: str, view: Callable[[], AnyAnswer]) -> AnyAnswer:
    """Return the answer of an endpoint, or its error, with what lets pages of the right origins read it."""
    response: AnyAnswer
    try:
        response = view()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is answered)
        response = answer_error(error)
    if nonce := noted_nonce(environ):
        response.headers.extend(nonce_headers(nonce).items())
    if "HTTP_ORIGIN" in environ:
        response.headers.extend(_for_pages(environ, realm))
    return response


def _for_pages(environ: Environ, realm: str) -> list[tuple[str, str]]:
    """Return the headers that let the page that asks read the answer, if it may."""
    origin: str = environ["HTTP_ORIGIN"]
    if origin not in _origins(environ, realm):
        return [("Vary", "Origin")]
    exposed = ("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, DPoP-Nonce")
    return [("Vary", "Origin"), ("Access-Control-Allow-Origin", origin), exposed]


def _origins(environ: Environ, realm: str) -> frozenset[str]:
    """Return the origins of the application that is answered; of all of the realm's, where it is not known which that is."""
    application = noted_application(environ)
    if application is not None:
        return application.web_origins
    try:
        known = known_realm(runtime.current(), realm)
        return known_origins(known) if known is not None and known.enabled else frozenset()
    except Exception:  # noqa: BLE001 (without a database, the error that is answered is read by nobody)
        return frozenset()


def add_endpoint(app: Flask, path: str, view: Callable[[str], AnyAnswer], methods: list[str], endpoint: str = "") -> None:
    """Add an endpoint for applications, whose path names a realm."""
    preflight = {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": "Authorization, Content-Type, DPoP",
        "Access-Control-Max-Age": "3600",
    }

    def answered(**parts: Any) -> AnyAnswer:
        realm: str = parts["realm"]
        if request.method != "OPTIONS":
            return answer(request.environ, realm, lambda: view(realm))
        allowed = Response(status=204, headers={"Allow": ", ".join([*methods, "OPTIONS"])})
        runtime.current().feed.confirm()
        answer(request.environ, realm, lambda: allowed)
        if "Access-Control-Allow-Origin" in allowed.headers:
            allowed.headers.update(preflight)
        return allowed

    app.add_url_rule(path, endpoint or view.__name__, answered, methods=[*methods, "OPTIONS"], provide_automatic_options=False)
