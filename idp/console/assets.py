"""Style sheets, scripts and pictures: from packages only, under names that change with their content, compressed once."""

import gzip
import hashlib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from flask import Response, request
from werkzeug.exceptions import NotFound

from idp.console.urls import page_url

_OWN = files("idp.console") / "static"
_BOOTSTRAP = files("flask_bootstrap") / "static" / "bootstrap5" / "css" / "bootstrap.min.css"

_FILES: dict[str, tuple[Traversable, str]] = {
    "bootstrap.css": (_BOOTSTRAP, "text/css"),
    "console.css": (_OWN / "console.css", "text/css"),
    "console.js": (_OWN / "console.js", "text/javascript"),
    "icon.svg": (_OWN / "icon.svg", "image/svg+xml"),
}

_FOR_A_YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes = field(repr=False)
    compressed: bytes = field(repr=False)
    digest: str
    media_type: str


def asset_url(name: str) -> str:
    """Return the URL of a file; it is another one when the file is another one, so that it can be cached for good."""
    return page_url(f"/console/assets/{_asset(name).digest}/{name}")


def serve_asset(digest: str, name: str) -> Response:
    """Answer with a file."""
    if name not in _FILES or _asset(name).digest != digest:
        raise NotFound
    found = _asset(name)
    headers = {"Cache-Control": _FOR_A_YEAR, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return Response(found.compressed, headers=headers | {"Content-Encoding": "gzip"}, content_type=found.media_type)
    return Response(found.content, headers=headers, content_type=found.media_type)


@cache
def _asset(name: str) -> _Asset:
    path, media_type = _FILES[name]
    content = path.read_bytes()
    if name == "bootstrap.css":
        content = content.rpartition(b"/*# sourceMappingURL=")[0] or content  # the map is not served
    digest = hashlib.sha256(content).hexdigest()[:16]
    return _Asset(content, gzip.compress(content, 9, mtime=0), digest, f"{media_type}; charset=utf-8")
