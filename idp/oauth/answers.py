"""Success answers of the protocol."""

import json
from typing import TYPE_CHECKING, Any

from flask import Response
from werkzeug.datastructures import Headers

from idp.oauth.errors import NO_STORE

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_HEADERS = [("Content-Type", "application/json"), *NO_STORE.items()]


class _Answer(Response):
    """An answer whose headers are complete as they are: no cookie, no location, nothing to work out from the request."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:  # noqa: ARG002 (werkzeug passes it)
        """Return the headers as they are; werkzeug would copy them and look for what is never there."""
        return self.headers


def no_store(body: dict[str, Any]) -> Response:
    """Answer 200 with JSON that must not be cached (RFC 6749 §5.1)."""
    text = json.dumps(body).encode()
    return _Answer(text, 200, [*_HEADERS, ("Content-Length", str(len(text)))])
