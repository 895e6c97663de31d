"""`/v1/openapi.json` and `/docs`: the description of the API for programs and for people, with nothing from another host."""

import gzip
import hashlib
import json
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from flask import Response, current_app, request
from werkzeug.exceptions import NotFound

from idp import runtime
from idp.api.openapi import Route, describe
from idp.web.cross_origin import ANYBODY

_SWAGGER = files("flask_openapi3_swagger") / "templates" / "swagger"
_OWN = files("idp.api") / "static"

_FILES: dict[str, tuple[Traversable, str]] = {
    "swagger-ui.css": (_SWAGGER / "css" / "swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": (_SWAGGER / "js" / "swagger-ui-bundle.js", "text/javascript"),
    "start.js": (_OWN / "start.js", "text/javascript"),
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
"""Swagger UI sets styles of elements by itself, which is why those are allowed; scripts are not."""

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API of Realmgate</title>
<link rel="stylesheet" href="@/docs/assets/swagger-ui.css">
</head>
<body>
<main id="swagger-ui" data-description="@/v1/openapi.json">
<p>This page needs JavaScript. The description itself is at <a href="@/v1/openapi.json">@/v1/openapi.json</a>.</p>
</main>
<script src="@/docs/assets/swagger-ui-bundle.js"></script>
<script src="@/docs/assets/start.js"></script>
</body>
</html>
"""

LIFE_CYCLE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Life cycle of the API</title></head>
<body>
<h1>Life cycle of the API</h1>
<p>A call below <code>/v1</code> keeps its meaning: older programs can ignore what is added.</p>
<p>A deprecated call says so in every response: <code>Deprecation</code> (RFC 9745) has the day from which it should not be used
in new programs, and <code>Sunset</code> (RFC 8594) the day from which it may be removed, at least twelve months
later. Without <code>Sunset</code>, no such day is set. The <a href="@/docs">description</a> names the replacement.</p>
<p>Incompatible changes go below <code>/v2</code>, and <code>/v1</code> is then kept for at least two
more years.</p>
</body>
</html>
"""


def describer(routes: tuple[Route, ...]) -> Any:
    """Return the call that answers with the description."""

    def openapi() -> Response:
        kept = current_app.extensions.get("realmgate.openapi")
        if kept is None:
            document = json.dumps(describe(routes, runtime.current().settings.public_url)).encode()
            kept = document, hashlib.sha256(document).hexdigest()[:32]
            current_app.extensions["realmgate.openapi"] = kept
        response = Response(kept[0], mimetype="application/json", headers={"Cache-Control": "public, max-age=300", **ANYBODY})
        response.set_etag(kept[1])
        response.make_conditional(request)
        return response

    return openapi


def docs() -> Response:
    """Show the API to people."""
    return Response(_below_path(_PAGE), headers=_HEADERS | {"Cache-Control": "no-cache"}, mimetype="text/html")


def life_cycle() -> Response:
    """Say what becomes of calls."""
    return Response(_below_path(LIFE_CYCLE), headers=_HEADERS, mimetype="text/html")


def _below_path(page: str) -> str:
    """Return a page with the path of the public URL where it has `@`."""
    return page.replace("@", runtime.current().settings.public_path)


def asset(name: str) -> Response:
    """Answer with a file of Swagger UI."""
    if name not in _FILES:
        raise NotFound
    content, compressed = _read(name)
    headers = {"Cache-Control": "public, max-age=3600", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return Response(compressed, headers=headers | {"Content-Encoding": "gzip"}, content_type=_FILES[name][1])
    return Response(content, headers=headers, content_type=_FILES[name][1])


@cache
def _read(name: str) -> tuple[bytes, bytes]:
    content = _FILES[name][0].read_bytes()
    return content, gzip.compress(content, 9, mtime=0)
