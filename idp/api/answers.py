"""Success answers of the API."""

import json
from datetime import datetime
from typing import Any

from flask import Response

from idp import runtime
from idp.api.errors import NO_STORE
from idp.settings import SESSION_TOKEN_LIFETIME
from idp.wire.credentials import COOKIE


def answer(body: dict[str, Any], status: int = 200) -> Response:
    """Answer with JSON that must not be cached."""
    return Response(json.dumps(body), status, NO_STORE, mimetype="application/json")


def done() -> Response:
    """Answer 204: it was done, and there is nothing to say."""
    return Response(b"", 204, NO_STORE)


def created(body: dict[str, Any], location: str) -> Response:
    """Answer 201 with where the new thing is."""
    response = answer(body, 201)
    response.headers["Location"] = location
    return response


def set_cookie(response: Response, token: str) -> Response:
    """Set the cookie that carries a session token, or take it away with an empty one (R122).

    Its name is given by contracts, so it cannot begin with `__Host-`; the rest is as that asks: this host, every path.
    """
    secure = runtime.current().settings.public_url.startswith("https:")
    response.set_cookie(
        COOKIE, token, max_age=SESSION_TOKEN_LIFETIME if token else 0, path="/", secure=secure, httponly=True, samesite="Strict"
    )
    return response


def time(value: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC."""
    return None if value is None else value.isoformat(timespec="seconds").replace("+00:00", "Z")


def metadata(uid: str, name: str, created_at: datetime, updated_at: datetime, description: str = "") -> dict[str, Any]:
    """Return the part that all resources have."""
    return {
        "uid": uid,
        "name": name,
        "annotations": {"description": description} if description else {},
        "labels": {},
        "creationTimestamp": time(created_at),
        "lastModifiedTimestamp": time(updated_at),
        "deletionTimestamp": None,
    }
