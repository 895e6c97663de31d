"""What every answer tells a browser, whichever edge makes it: to take it for what it says it is, and to come by HTTPS."""

from collections.abc import Callable, Iterable
from typing import Any

from idp.web.body import Environ

WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

NO_SNIFFING = ("X-Content-Type-Options", "nosniff")

HTTPS_ONLY = ("Strict-Transport-Security", "max-age=31536000")
"""For a year (RFC 6797 §6.1). Whether it holds for the hosts below this one, their operator knows."""


class SafeAnswers:
    """WSGI middleware that adds headers to every answer; nothing further in sets them."""

    def __init__(self, app: WsgiApp, public_url: str) -> None:
        self._app = app
        self._headers = [NO_SNIFFING, HTTPS_ONLY] if public_url.startswith("https:") else [NO_SNIFFING]

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request."""

        def respond(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, headers + self._headers, *more)

        return self._app(environ, respond)
