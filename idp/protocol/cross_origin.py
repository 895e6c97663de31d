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


def answer(environ: Environ, realm: str, view: Callable[[], Response]) -> Response:
    """Return the answer of an endpoint, or its error, with what lets pages of the right origins read it."""
    try:
        response = view()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is answered)
        response = answer_error(error)
    if "HTTP_ORIGIN" in environ:
        response.headers.add("Vary", "Origin")
        if environ["HTTP_ORIGIN"] in _origins(environ, realm):
            response.headers["Access-Control-Allow-Origin"] = environ["HTTP_ORIGIN"]
            response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate, Retry-After"
    return response


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


def add_endpoint(app: Flask, path: str, view: Callable[[str], Response], methods: list[str], endpoint: str = "") -> None:
    """Add an endpoint for applications, whose path names a realm."""
    preflight = {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": "3600",
    }

    def answered(**parts: Any) -> Response:
        realm: str = parts["realm"]
        if request.method != "OPTIONS":
            return answer(request.environ, realm, lambda: view(realm))
        allowed = Response(status=204, headers={"Allow": ", ".join([*methods, "OPTIONS"])})
        runtime.current().feed.confirm()
        response = answer(request.environ, realm, lambda: allowed)
        if "Access-Control-Allow-Origin" in response.headers:
            response.headers.update(preflight)
        return response

    app.add_url_rule(path, endpoint or view.__name__, answered, methods=[*methods, "OPTIONS"], provide_automatic_options=False)
