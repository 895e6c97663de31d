"""Answers that are made while they are sent, and may fail when half of them has gone.

Granian ends an answer whose iterator fails as it ends any other, so that half a file would look like a whole one. Such an answer
gets a last line that says so, and its connection is reset. Which connection that is, nothing tells: it is the one over which just
as many bytes went as that line has, whose length is chosen by chance.

A client that takes nothing for a while loses its connection by the system's own limit (TCP_USER_TIMEOUT), and the waiting thread
learns of that.
"""

import contextlib
import ctypes
import logging
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from idp.errors import IdpError
from idp.outages import explain_any
from idp.server.late_bodies import connections_to, socket_at
from idp.web.body import Environ
from idp.web.downloads import FLOWS

SILENCE = 60
"""Seconds for which a client may take nothing of an answer that is made while it is sent."""

TEXT = "This file is not complete: the server could not go on with it."

_SHORTEST, _LONGEST = 400, 4_000
_TRIES = 60
_PATIENCE = 1.0
"""Seconds in which a last line gets to its connection, where that takes anything."""

WsgiApp = Callable[[Environ, Any], Iterable[bytes]]

_log = logging.getLogger(__name__)


class Flows:
    """WSGI middleware around an application some of whose answers are made while they are sent."""

    def __init__(self, app: WsgiApp, *, port: int, silence: int = SILENCE) -> None:
        """Wrap an application.

        :param port: the port that the server listens on.
        :param silence: seconds for which a client may take nothing of such an answer.
        """
        self._app, self._port, self._silence = app, port, silence

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Serve a request."""
        answer = self._app(environ, start_response)
        if FLOWS not in environ:
            return answer
        address: str = environ["REMOTE_ADDR"]
        _limit_silence(self._port, address, self._silence)
        return Flow(answer, self._port, address, is_chunked=environ.get("SERVER_PROTOCOL") == "HTTP/1.1")


class Flow:
    """An answer whose connection is reset if it fails."""

    def __init__(self, pieces: Iterable[bytes], port: int, address: str, *, is_chunked: bool) -> None:
        """Take an answer, and where it goes.

        :param is_chunked: whether each piece is sent in a frame (RFC 9112 §7.1).
        """
        self._pieces, self._iterator = pieces, iter(pieces)
        self._port, self._address, self._is_chunked = port, address, is_chunked

    def __iter__(self) -> Self:
        """Return itself: it can be gone through once."""
        return self

    def __next__(self) -> bytes:
        """Return the next piece."""
        try:
            return next(self._iterator)
        except StopIteration:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, half an answer must not look like a whole one)
            _log_failure(error)
            self.close()
            self._iterator = _LastLines(self._port, self._address, is_chunked=self._is_chunked)
            return next(self._iterator)

    def close(self) -> None:
        """End, however far it has come."""
        if hasattr(self._pieces, "close"):
            self._pieces.close()


class _LastLines(Iterator[bytes]):
    """The last line of an answer that fails, and again until the connection that takes it has been found and reset."""

    def __init__(self, port: int, address: str, *, is_chunked: bool) -> None:
        self._port, self._address, self._is_chunked = port, address, is_chunked
        self._length, self._tries = 0, 0
        self._before: dict[int, int] = {}
        self._suspects: set[int] = set()

    def __next__(self) -> bytes:
        if self._tries and self._reset():
            raise StopIteration
        self._tries += 1
        if self._tries > (_TRIES if self._before or self._tries == 1 else 1):
            _log.warning("an answer that has failed could not be cut off; its last line says that it is not complete")
            raise StopIteration
        self._before = {inode: each.sent for inode, each in self._connections().items()}
        length = random.randrange(_SHORTEST, _LONGEST)  # noqa: S311 (no secret)
        self._length = length + (len(f"{length:x}\r\n\r\n") if self._is_chunked else 0)
        return f"\r\n{TEXT}".ljust(length - 2).encode() + b"\r\n"

    def _reset(self) -> bool:
        """Wait for the line to be sent, reset the connection over which it was, and tell whether that was possible.

        Another answer may be just as long, on a connection of the same proxy: the one that is meant has sent two lines in turn.
        """
        end, pause = time.monotonic() + _PATIENCE, threading.Event()
        while self._before and time.monotonic() < end:
            found = {
                inode: each.descriptor
                for inode, each in self._connections().items()
                if inode in self._before and each.sent - self._before[inode] == self._length
            }
            both = self._suspects & found.keys()
            if len(both) == 1:
                (inode,) = both
                return _reset_connection(inode, found[inode])
            if found and not self._suspects:
                self._suspects = set(found)
                return False
            pause.wait(0.01)
        self._suspects = set()
        return False

    def _connections(self) -> Any:
        return connections_to(self._port).get(self._address, {})


def _log_failure(error: Exception) -> None:
    if isinstance(error, IdpError):
        _log.warning("a download was cut off: %s", explain_any(error))
    else:
        _log.error("a download was cut off", exc_info=error)


def _limit_silence(port: int, address: str, seconds: int) -> None:
    """Have the system end connections from an address that take nothing for so long. Which one is meant, nothing tells."""
    for each in connections_to(port).get(address, {}).values():
        with contextlib.suppress(OSError), socket_at(each.descriptor) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)


def _reset_connection(inode: int, descriptor: int) -> bool:
    """Reset a connection, so that nobody takes what it has carried for a whole answer; also one that would end by being closed.

    On Linux a socket that is connected to nothing does that (connect(2), AF_UNSPEC).
    """
    nothing = struct.pack("=H14x", socket.AF_UNSPEC)
    with contextlib.suppress(OSError), socket_at(descriptor) as connection:
        if os.fstat(connection.fileno()).st_ino == inode:
            return bool(ctypes.CDLL(None).connect(connection.fileno(), nothing, len(nothing)) == 0)
    return False
