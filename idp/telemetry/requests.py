"""The outermost layer of the application: every request gets its id, is measured, and is traced and logged where that is set."""

import logging
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from idp.telemetry.ids import begin_request
from idp.telemetry.metrics import count, is_measured, measure
from idp.telemetry.tracing import start_tracing

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_log, _log_proxies = logging.getLogger("idp.access"), logging.getLogger("idp.proxies")

_areas: dict[str, str] = {"/health/": "health"}
"""Names of parts of the server by the beginnings of their paths."""


_TOKEN = "/protocol/openid-connect/token"  # noqa: S105 (a path, no token)

_RECALL = "/protocol/realmgate/revocations"
"""Its answers wait for news: their time says nothing about the others'."""

_SECRET = re.compile(r"(?<=/)[^/]{37,}")
"""A part of a path that is longer than a uid may be a code or a token."""


def area_of(path: str) -> str:
    """Return which part of the server a path belongs to: a few names, whatever is asked for."""
    if path.endswith(_TOKEN):
        return "token"
    if path.endswith(_RECALL):
        return "recall"
    longest = max((prefix for prefix in _areas if path.startswith(prefix)), key=len, default="")
    return _areas.get(longest, "other")


def name_area(prefix: str, area: str) -> None:
    """Have what is below a prefix measured and traced under a name; an empty prefix stands for no part."""
    if prefix:
        _areas[prefix] = area


class RequestTelemetry:
    """WSGI middleware around everything else."""

    def __init__(
        self, app: WsgiApp, *, trusts: Callable[[Environ], bool], otlp_endpoint: str = "", access_log: bool = False
    ) -> None:
        """Wrap an application.

        :param trusts: tells whether a request comes from a proxy whose `X-Request-Id` and `X-Forwarded-For` are believed.
        :param otlp_endpoint: URL that traces are sent to; empty for none.
        :param access_log: whether each request is logged.
        """
        self._app, self._trusts, self._access_log = app, trusts, access_log
        self._has_warned = False
        self._tracer = start_tracing(otlp_endpoint) if otlp_endpoint else None

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request."""
        started = time.perf_counter()
        if "HTTP_X_FORWARDED_FOR" in environ and not self._trusts(environ):
            self._note_ignored(environ.get("REMOTE_ADDR", ""))
        given = environ.get("HTTP_X_REQUEST_ID")
        request_id = begin_request(given if given is not None and self._trusts(environ) else None)
        code = "500"

        def respond(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            nonlocal code
            code = status[:3]
            headers.append(("X-Request-Id", request_id))
            return start_response(status, headers, *more)

        if self._tracer is None:
            answer = self._app(environ, respond)
        else:
            with self._tracer.request(area_of(environ["PATH_INFO"]), environ, request_id) as finish:
                answer = self._app(environ, respond)
                finish(int(code))
        if self._access_log or is_measured():
            self._note(environ, code, time.perf_counter() - started)
        return answer

    def _note(self, environ: Environ, code: str, seconds: float) -> None:
        path = environ["PATH_INFO"]
        measure(area_of(path), environ["REQUEST_METHOD"], code, seconds)
        if self._access_log:
            shown = _SECRET.sub("…", path)[:500]
            values = {"method": environ["REQUEST_METHOD"], "path": shown, "status": int(code), "ms": round(seconds * 1000, 2)}
            _log.info(
                "%s %s %s", values["method"], shown, code, extra={"values": values | {"peer": environ.get("REMOTE_ADDR", "")}}
            )

    def _note_ignored(self, peer: str) -> None:
        """Count that an address behind a peer was not believed, and say so once: everybody behind it counts as one party."""
        count("realmgate_forwarded_ignored")
        if not self._has_warned:
            self._has_warned = True
            _log_proxies.warning(
                "X-Forwarded-For from %s is ignored: all clients behind it count as one address. If it is your proxy, name "
                "it in IDP_TRUSTED_PROXIES. Logged once; the metric realmgate_forwarded_ignored_total counts on.",
                peer,
                extra={"values": {"peer": peer}},
            )

    def close(self) -> None:
        """Send what is left."""
        if self._tracer is not None:
            self._tracer.close()
