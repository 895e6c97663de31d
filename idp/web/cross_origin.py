"""What pages of other origins may read: documents that anybody may have, and nothing else (Fetch standard, CORS protocol)."""

import functools
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request

View = Callable[..., Response]

ANYBODY = {"Access-Control-Allow-Origin": "*"}
"""No credentials come along with this: a browser takes `*` for requests without any."""

_PREFLIGHT = {
    **ANYBODY,
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
    "Allow": "GET, HEAD, OPTIONS",
}


def add_public_document(app: Flask, path: str, view: View, endpoint: str | None = None) -> None:
    """Add a document to the application that pages of every origin may read."""

    @functools.wraps(view)
    def shown(**parts: Any) -> Response:
        if request.method == "OPTIONS":
            return Response(status=204, headers=_PREFLIGHT)
        response = view(**parts)
        response.headers.update(ANYBODY)
        return response

    app.add_url_rule(path, endpoint, shown, methods=["GET", "OPTIONS"], provide_automatic_options=False)
