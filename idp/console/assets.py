"""Style sheets, scripts and pictures of the console: its own, and Bootstrap's from its package."""

import gzip
import re
from importlib.resources import files

from flask import Response, request
from werkzeug.exceptions import NotFound

from idp import runtime
from idp.console.design import READABLE, accent_sheet, stylesheet
from idp.realms import contrast
from idp.web.assets import FOR_A_YEAR, Assets

_OWN = files("idp.console") / "static"
_BOOTSTRAP = files("flask_bootstrap") / "static" / "bootstrap5" / "css" / "bootstrap.min.css"
_WHITE = "#ffffff"

ASSETS = Assets(
    "/console/assets",
    {
        "bootstrap.css": (_BOOTSTRAP, "text/css"),
        "themes.css": (stylesheet, "text/css"),
        "console.css": (_OWN / "console.css", "text/css"),
        "console.js": (_OWN / "console.js", "text/javascript"),
        "icon.svg": (_OWN / "icon.svg", "image/svg+xml"),
    },
)


def accent_url(colour: str) -> str:
    """Return the URL of the style sheet for the colour of a realm's branding; it can be cached for good."""
    prefix = f"{runtime.current().settings.public_path}/console/accents"
    return f"{prefix}/{ASSETS.digest('themes.css')}/{colour.removeprefix('#')}.css"


def serve_accent(digest: str, colour: str) -> Response:
    """Answer with the style sheet of an accent. It is made of the colour alone, and says nothing about any realm."""
    named = f"#{colour.removesuffix('.css')}"
    if digest != ASSETS.digest("themes.css") or not re.fullmatch(r"#[0-9a-f]{6}", named) or contrast(named, _WHITE) < READABLE:
        raise NotFound
    content, headers = accent_sheet(named), {"Cache-Control": FOR_A_YEAR, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        content, headers = gzip.compress(content, mtime=0), headers | {"Content-Encoding": "gzip"}
    return Response(content, headers=headers, content_type="text/css; charset=utf-8")
