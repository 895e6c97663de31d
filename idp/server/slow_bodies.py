"""Cutting off clients that hold a thread by sending their request's body too slowly (T28).

The HTTP server limits the time for headers, and has none for bodies. A body is read by the thread that serves the request,
so a handful of connections that never finish theirs would stop a worker. A watch ends such reads from outside: it shuts
down the connection that the thread waits for, and its read ends.
"""

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Any], Iterable[bytes]]

_LAST_DATA_SENT = struct.Struct("=8x10I")
"""Beginning of Linux's `struct tcp_info`: 8 bytes of flags, then 32-bit numbers; the 10th is `tcpi_last_data_sent`."""


HURRY = 1.0
"""Seconds that a body may take while half of the threads wait for slow ones."""


class SlowBodyGuard:
    """WSGI middleware that gives each request's body a time to arrive in."""

    def __init__(self, app: WsgiApp, *, port: int, threads: int, seconds: float) -> None:
        """Wrap an application. It tells that a body has arrived by calling `environ["realmgate.body_arrived"]`.

        :param port: the port that the server listens on; only its connections are touched.
        :param threads: how many requests the server can have in hand. When half of them wait for bodies the time is cut to
            one second, so that a few clients cannot keep the others out for long.
        :param seconds: the time of a body otherwise.
        """
        self._app, self._port, self._threads, self._seconds = app, port, threads, seconds
        self._waiting: dict[int, tuple[float, str]] = {}
        """By thread, since when it serves a request whose body has not arrived, and whose."""
        if sys.platform == "linux":
            threading.Thread(target=self._watch, name="slow-bodies", daemon=True).start()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve a request."""
        thread = threading.get_ident()
        self._waiting[thread] = (time.monotonic(), environ["REMOTE_ADDR"])
        environ["realmgate.body_arrived"] = self._body_arrived
        try:
            return self._app(environ, start_response)
        finally:
            self._waiting.pop(thread, None)

    def _body_arrived(self) -> None:
        self._waiting.pop(threading.get_ident(), None)

    def _watch(self) -> None:
        while True:
            time.sleep(0.25)
            now = time.monotonic()
            slow = [(now - since, address) for since, address in list(self._waiting.values()) if now - since >= HURRY]
            limit = HURRY if 2 * len(slow) >= self._threads else self._seconds
            addresses = {address for age, address in slow if age >= limit}
            if addresses:
                shut_down_silent_connections(self._port, addresses, limit)


def shut_down_silent_connections(port: int, addresses: set[str], seconds: float) -> None:
    """Shut down connections to `port` from these addresses to which nothing was sent for some seconds.

    The server does not tell which connection a request came over. Those that wait for a body have been sent nothing
    since; the others that this meets are idle, and idle connections may be closed at any time (RFC 9112 §9.5).
    """
    for file in Path("/proc/self/fd").iterdir():
        try:
            with socket.socket(fileno=os.dup(int(file.name))) as connection:
                if connection.getsockname()[1] != port or connection.getpeername()[0] not in addresses:
                    continue
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_SENT.size)
                if _LAST_DATA_SENT.unpack(info)[9] / 1000 >= seconds:
                    connection.shutdown(socket.SHUT_RDWR)
        except (OSError, struct.error, IndexError):
            continue  # not a TCP connection, or gone meanwhile
