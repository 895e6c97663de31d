"""Cutting off clients that hold a thread by sending their request's body too slowly (threat 28).

The HTTP server limits the time for headers, and has none for bodies. A body is read by the thread that serves the request,
so a handful of connections that never finish theirs would stop a worker. A watch ends such reads from outside: it shuts
down the connection that the read waits for, and the read fails.
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


class _WatchedInput:
    """A request's body, whose reads are known to the watch while they last."""

    __slots__ = ("_address", "_body", "_reads")

    def __init__(self, body: Any, address: str, reads: dict[int, tuple[float, str]]) -> None:
        self._body, self._address, self._reads = body, address, reads

    def read(self, size: int = -1) -> bytes:
        """Read the body, or as much of it as asked for; empty when the connection was cut."""
        thread = threading.get_ident()
        self._reads.setdefault(thread, (time.monotonic(), self._address))
        data: bytes = self._body.read(size)
        if not data or size < 0 or len(data) < size:
            self._reads.pop(thread, None)
        return data


class SlowBodyGuard:
    """WSGI middleware that gives each request's body a time to arrive in."""

    def __init__(self, app: WsgiApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds
        self._reads: dict[int, tuple[float, str]] = {}
        if sys.platform == "linux":
            threading.Thread(target=self._watch, name="slow-bodies", daemon=True).start()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve a request."""
        if "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" not in environ:
            return self._app(environ, start_response)
        environ["wsgi.input"] = _WatchedInput(environ["wsgi.input"], environ.get("REMOTE_ADDR", ""), self._reads)
        try:
            return self._app(environ, start_response)
        finally:
            self._reads.pop(threading.get_ident(), None)

    def _watch(self) -> None:
        while True:
            time.sleep(min(1, self._seconds / 4))
            late = time.monotonic() - self._seconds
            addresses = {address for since, address in list(self._reads.values()) if since < late}
            if addresses:
                shut_down_silent_connections(addresses, self._seconds)


def shut_down_silent_connections(addresses: set[str], seconds: float) -> int:
    """Shut down connections from these addresses to which nothing was sent for some seconds; return how many.

    The server does not tell which connection a request came over. Those that wait for a body have been sent nothing
    since; the others that this meets are idle, and idle connections may be closed at any time (RFC 9112 §9.5).
    """
    closed = 0
    for file in Path("/proc/self/fd").iterdir():
        try:
            with socket.socket(fileno=os.dup(int(file.name))) as connection:
                peer = connection.getpeername()[0]
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_SENT.size)
                silent_for = _LAST_DATA_SENT.unpack(info)[9] / 1000
                if peer in addresses and silent_for >= seconds:
                    connection.shutdown(socket.SHUT_RDWR)
                    closed += 1
        except (OSError, struct.error, IndexError):
            continue  # not a TCP connection, or gone meanwhile
    return closed
