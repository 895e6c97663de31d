"""The management port: metrics and health for the operator's machines, apart from the port that the world reaches.

It is served by the process that watches the workers, so it answers when none of them does. Workers are forked off that process
while its threads run, so these must not import anything: a worker that is forked meanwhile finds the module locked for good, and
hangs once it imports it too. What sockets load at the first connection (`encodings.idna`) is therefore loaded here.
"""

import encodings.idna  # noqa: F401 (see below)
import http.client
import ipaddress
import re
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from idp.errors import IdpError
from idp.settings import Settings
from idp.telemetry import Loop
from idp.telemetry.metrics import read_metrics

PATIENCE = 3
"""Seconds that a worker may take to say how it fares."""

JSON = "application/json"
Answer = tuple[int, str, bytes]


class PortError(IdpError):
    """The management port cannot be used."""


class ManagementPort:
    """A small server on a thread of its own."""

    def __init__(self, settings: Settings, metrics: Path) -> None:
        """Bind the port.

        :param metrics: folder that the workers write their numbers to.
        :raises PortError: the address cannot be bound.
        """
        answers: dict[str, Callable[[], Answer]] = {
            "/health/live": lambda: (200, JSON, b'{"status": "UP"}'),
            "/health/ready": lambda: ask_worker(settings, "/health/ready"),
            "/metrics": lambda: _metrics(metrics),
        }
        address = (settings.management_host, settings.chosen_management_port)
        try:
            self._server = _Server(address, _handler(answers))
        except OSError as error:
            raise PortError(
                f"Cannot listen on {address[0]} port {address[1]} for management ({error.strerror}). "
                "Choose another with IDP_MANAGEMENT_PORT; 0 turns it off."
            ) from error

        self._loop = Loop("management", 0.1, self._server.serve_forever)
        self._is_started = False

    def start(self) -> None:
        """Begin to answer."""
        self._is_started = True
        self._loop.start()

    def stop(self) -> None:
        """End, whether it has begun or not."""
        if self._is_started:
            self._loop.finish(patience=0)
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)


def _handler(answers: dict[str, Callable[[], Answer]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10
        server_version = "Realmgate"
        sys_version = ""

        def do_GET(self) -> None:
            answer = answers.get(self.path.partition("?")[0].rstrip("/"))
            status, media_type, body = answer() if answer is not None else (404, JSON, b'{"status": "not found"}')
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def end_headers(self) -> None:
            """Add what every answer has, those that the library makes too."""
            self.send_header("X-Content-Type-Options", "nosniff")
            super().end_headers()

        def log_message(self, format: str, *values: object) -> None:  # noqa: A002 (the name that the library has)
            """Log nothing: machines ask every few seconds."""

    return Handler


def _metrics(folder: Path) -> Answer:
    body, media_type = read_metrics(folder)
    return 200, media_type, body


def ask_worker(settings: Settings, path: str) -> Answer:
    """Ask a worker for a page about how it fares, and return its answer; 503 when there is none in time."""
    connection = http.client.HTTPConnection(_reachable(settings.host), settings.port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, JSON, response.read(10_000)
    except (OSError, http.client.HTTPException):
        return 503, JSON, b'{"status": "DOWN", "checks": {"workers": "DOWN"}}'
    finally:
        connection.close()


def read_counter(settings: Settings, name: str) -> int:
    """Return what the workers of a running server have counted, by its management port; 0 where none answers."""
    connection = http.client.HTTPConnection(
        _reachable(settings.management_host), settings.chosen_management_port, timeout=PATIENCE
    )
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read(1_000_000).decode()
    except (OSError, ValueError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
    match = re.search(rf"^{name}_total ([0-9.e+]+)$", text, re.MULTILINE)
    return int(float(match[1])) if match else 0


def _reachable(host: str) -> str:
    """Return an address of this machine that a server on `host` answers at."""
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
