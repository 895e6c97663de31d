"""Success answers of the API."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Response, request

from idp import runtime
from idp.api.operations import Shape
from idp.api.schemas import Annotations, Metadata, Reply
from idp.settings import SESSION_TOKEN_LIFETIME
from idp.web.answers import answer, done, plain, time
from idp.web.credentials import COOKIE, may_sign_in

LONGEST_COOKIE = 4_096
"""Characters of a cookie's name and value together that browsers keep (RFC 6265bis §5.6): a longer one they drop silently."""


def render(shape: Shape, reply: Reply[Any]) -> Response:
    """Return the answer of a call."""
    if reply.body is None:
        response = done()
    else:
        response = answer(reply.body, shape.status)
        if isinstance(reply.body, Mapping) and {"metadata", "spec"} <= reply.body.keys():
            response.set_etag(etag_of(reply.body))
            if request.method in {"GET", "HEAD"} and "If-None-Match" in request.headers:
                response.make_conditional(request)
    if reply.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    if reply.location:
        response.headers["Location"] = runtime.current().settings.public_path + reply.location
    if reply.cookie and not may_sign_in(request.environ, runtime.current().settings.public_url):
        return response  # the token is in its body, for who can read that
    return response if reply.cookie is None else set_cookie(response, reply.cookie)


def etag_of(shown: Mapping[str, Any]) -> str:
    """Return what tells two versions of a resource apart: what it is, and not how it fares (RFC 9110 §8.8.3)."""
    metadata = {name: value for name, value in shown["metadata"].items() if name != "lastModifiedTimestamp"}
    return hashlib.sha256(json.dumps([metadata, shown["spec"]], sort_keys=True, default=plain).encode()).hexdigest()[:32]


def set_cookie(response: Response, token: str) -> Response:
    """Set the cookie that carries a session token, or remove it with an empty one (R122).

    Its name is given by contracts, so it cannot begin with `__Host-`; the rest is as that asks: this host, every path. That is so
    below a path too, for the APIs of the host behind the gateway are shown it.
    """
    secure = runtime.current().settings.public_url.startswith("https:")
    if len(COOKIE) + len(token) > LONGEST_COOKIE:
        token = ""  # it would be dropped, and an older one would go on counting; the token is in the body
    response.set_cookie(
        COOKIE, token, max_age=SESSION_TOKEN_LIFETIME if token else 0, path="/", secure=secure, httponly=True, samesite="Strict"
    )
    return response


def metadata(uid: str, name: str, created_at: datetime, updated_at: datetime | None, description: str = "") -> Metadata:
    """Return the part that all resources have."""
    annotations: Annotations = {"description": description} if description else {}
    return {
        "uid": uid,
        "name": name,
        "annotations": annotations,
        "labels": {},
        "creationTimestamp": time(created_at),
        "lastModifiedTimestamp": time(updated_at or created_at),
    }
