"""Success answers of the protocol."""

import json
from typing import Any

from flask import Response

from idp.protocol.errors import NO_STORE

_HEADERS = [("Content-Type", "application/json"), *NO_STORE.items()]


def no_store(body: dict[str, Any]) -> Response:
    """Answer 200 with JSON that must not be cached (RFC 6749 §5.1)."""
    return Response(json.dumps(body), 200, _HEADERS)
