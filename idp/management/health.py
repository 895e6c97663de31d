"""`/health/live` and `/health/ready`, on the port that everybody reaches: they tell a state and nothing else."""

import json
import logging

from flask import Flask, Response
from sqlalchemy import text

from idp import runtime
from idp.db import reading
from idp.errors import IdpError
from idp.telemetry import dead_loops

_log = logging.getLogger(__name__)

_HEADERS = {"Cache-Control": "no-store"}


def register(app: Flask) -> None:
    """Add the URLs to the application."""
    app.add_url_rule("/health/live", view_func=live, methods=["GET"])
    app.add_url_rule("/health/ready", view_func=ready, methods=["GET"])


def live() -> Response:
    """Say that the process answers. It says nothing of the database: to start anew would not bring that back."""
    return _answer({"status": "UP"}, 200)


def ready() -> Response:
    """Say whether requests can be served: the database answers, what is in memory is confirmed by it, and no thread beside the
    requests has died.
    """
    if dead := dead_loops():
        _log.error("threads have died: %s; start the server anew", ", ".join(dead))
        return _answer({"status": "DOWN", "checks": {"threads": "DOWN"}}, 503)
    try:
        runtime.current().feed.expire()
        runtime.current().feed.confirm()
        with reading() as session:
            session.execute(text("SELECT 1"))
    except (IdpError, OSError):
        return _answer({"status": "DOWN", "checks": {"database": "DOWN"}}, 503)
    return _answer({"status": "UP", "checks": {"database": "UP", "threads": "UP"}}, 200)


def _answer(body: dict[str, object], status: int) -> Response:
    headers = _HEADERS | ({"Retry-After": "5"} if status == 503 else {})
    return Response(json.dumps(body), status, headers, mimetype="application/json")
