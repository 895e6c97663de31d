"""Success answers of the protocol."""

import json
from typing import Any

from flask import Response

from idp.oauth.errors import NO_STORE
from idp.web.answers import write_with_tokens
from idp.web.express import Answer

_HEADERS = [("Content-Type", "application/json"), *NO_STORE.items()]


def no_store(body: dict[str, Any]) -> Response:
    """Answer 200 with JSON that must not be cached (RFC 6749 §5.1)."""
    return Response(json.dumps(body), 200, _HEADERS)


def at_once(body: dict[str, Any]) -> Answer:
    """Answer the same where it comes most often."""
    return at_once_written(json.dumps(body).encode())


def tokens_at_once(body: dict[str, Any]) -> Answer:
    """Answer the same with tokens (RFC 6749 §5.1)."""
    return at_once_written(write_with_tokens(body, "access_token", "id_token"))


def at_once_written(body: bytes) -> Answer:
    """Answer the same with JSON that is written out already."""
    return Answer(body, [*_HEADERS])
