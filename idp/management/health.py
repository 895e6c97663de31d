"""`/health/live` and `/health/ready`, on the port that everybody reaches: they tell a state and nothing else."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping

from flask import Flask, Response
from sqlalchemy.exc import SQLAlchemyError

from idp import clock_trust, nodes, ratelimit, runtime
from idp.db import db
from idp.errors import IdpError, StorageFullError
from idp.outages import explain_any, seconds_since_full
from idp.telemetry import dead_loops

PROVE_AFTER = 1.0
"""Seconds for which it is believed that a write works, or does not: who asks all the time has nothing written all the time."""

PROVE_WITHIN = 2.0
"""Seconds that the write may take. The management port waits three for this worker."""

FULL_FOR = 3.0
"""Seconds for which a disk counts as full after something could not be written to it."""

_HEADERS = {"Cache-Control": "no-store"}
_log = logging.getLogger(__name__)


class WriteProof:
    """Whether a write works at this moment, as found out by one thread for all that ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._proved_at = float("-inf")
        self._error: Exception | None = None

    def demand(self) -> None:
        """Return if a write works.

        :raises Exception: what the last one ended with.
        """
        with self._lock:
            if time.monotonic() - self._proved_at >= PROVE_AFTER:
                self._error = _try_to_write()
                self._proved_at = time.monotonic()
            if self._error is not None:
                raise self._error


def _try_to_write() -> Exception | None:
    try:
        ratelimit.prove_counting(within=PROVE_WITHIN)
    except (IdpError, SQLAlchemyError) as error:
        return error
    return None


def register(app: Flask) -> None:
    """Add the URLs to the application."""
    app.extensions["realmgate"].extensions["write-proof"] = WriteProof()
    app.add_url_rule("/health/live", view_func=live, methods=["GET"])
    app.add_url_rule("/health/ready", view_func=ready, methods=["GET"])


def live() -> Response:
    """Say that the process answers. It says nothing of the database: to start anew would not bring that back."""
    return _answer({"status": "UP"}, 200)


def ready() -> Response:
    """Say whether requests can be served, check by check."""
    states = {name: _state(name, check) for name, check in _CHECKS.items()}
    status = "DOWN" if "DOWN" in states.values() else "UP"
    return _answer({"status": status, "checks": states}, 503 if status == "DOWN" else 200)


def _check_database() -> None:
    """See that the database confirms what is in memory, and takes writes: a standby and a full disk can be read for days."""
    process = runtime.current()
    process.feed.confirm_now()
    process.extensions["write-proof"].demand()
    if (
        seconds_since_full(db.engine) < FULL_FOR
    ):  # there is room for the one row that proves it, which is there already, and for no other
        raise StorageFullError


def _check_threads() -> None:
    """See that no thread beside the requests has died.

    :raises IdpError: which have.
    """
    if dead := dead_loops():
        raise IdpError(f"{', '.join(dead)} died; start the server anew")


_CHECKS: Mapping[str, Callable[[], None]] = {
    "database": _check_database,
    "clock": clock_trust.recall_check,
    "threads": _check_threads,
    "serving": nodes.check_going_on,
}
"""What has to be well, by the name that it has in the answer. A check raises what is the matter."""


def _state(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except (IdpError, SQLAlchemyError, OSError) as error:
        _log.warning("not ready: %s: %s", name, explain_any(error))
        return "DOWN"
    return "UP"


def _answer(body: dict[str, object], status: int) -> Response:
    headers = _HEADERS | ({"Retry-After": "5"} if status == 503 else {})
    return Response(json.dumps(body), status, headers, mimetype="application/json")
