"""Ending the wait for bodies that do not come (T28).

The HTTP server limits the time for headers, and has none for bodies: a body is read by a thread that waits in the server's own
code, and nothing can call it back. So a request whose body is late is answered in its place by a watching thread, with 408. A
client that has got that answer is done, and the wait is over. One that stays is cut off: its connection is known from then on,
for it is the one over which just that answer went.
"""

import contextlib
import itertools
import json
import os
import socket
import stat
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from idp.networks import plain_address
from idp.telemetry import Loop, count

EVERY = 0.25
"""Seconds between two looks."""

HURRY = 1.0
"""Seconds that a body may take while half of the threads that there are wait for bodies."""

GIVE_UP = 5.0
"""Seconds after which an answer that its client does not take is given up, and the connection with it."""

_BYTES_SENT, _BYTES_SENT_AGAIN, _UNSENT, _UNACKED = 200, 208, 144, 24
"""Places of `tcpi_bytes_sent`, `tcpi_bytes_retrans` (64-bit numbers), `tcpi_notsent_bytes` and `tcpi_unacked` (32-bit numbers) in
Linux's `struct tcp_info`."""

_TCP_INFO_SIZE = 216

_HEAD = len(
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncache-control: no-store\r\nconnection: close\r\n"
    b"server: granian\r\ncontent-length: 4444\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n"
)
HEADERS = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Connection", "close")]
"""Of the answer to a body that is late."""

TEXT = json.dumps(
    {"error": "invalid_request", "error_description": "The body of the request did not arrive in time. Send it again."}
)
_SHORTEST, _LONGEST = 1_000, 9_999

Protocol = Any
"""What Granian takes the answer to one request with: `response_bytes`, `response_iter`."""


class _Connection(NamedTuple):
    """A connection of this process."""

    descriptor: int
    sent: int
    """Bytes that were handed over to be sent over it."""
    is_stuck: bool
    """Whether some of them have not got through."""


Connections = dict[int, _Connection]
"""By inode, which no two have, where a descriptor is soon given to another."""


@dataclass(slots=True, eq=False)
class Wait:
    """A request that waits for its body."""

    protocol: Protocol
    address: str
    since: float


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a wait was answered with that is not over yet."""

    at: float
    sent_before: dict[int, int]
    """By connection (inode), what had been sent over it before."""
    length: int
    """Bytes of it, which no other such answer has, and hardly any other."""


class LateBodies:
    """The waits for bodies of one process."""

    def __init__(self, *, port: int, threads: int, seconds: float) -> None:
        """Begin to watch.

        :param port: the port that the server listens on.
        :param threads: how many bodies can be waited for at once. While half of them are, the time is cut to one second.
        :param seconds: the time that a body has otherwise.
        """
        self._port, self._threads, self._seconds = port, threads, seconds
        self._waits: dict[Wait, None] = {}
        """Whoever takes a wait out has it: its own thread, when the body has come, or the watch, which answers."""
        self._answered: dict[Wait, _Answer] = {}
        self._lengths = itertools.cycle(range(_SHORTEST, _LONGEST))  # no two of the answers that are still looked for are alike
        Loop("late-bodies", EVERY, self.end_late_waits).start()

    def begin(self, protocol: Protocol, address: str) -> Wait:
        """Note that a request of the client at an address begins to wait for its body."""
        wait = Wait(protocol, address, time.monotonic())
        self._waits[wait] = None
        return wait

    def end(self, wait: Wait) -> bool:
        """Note that the wait is over, and tell whether the request was answered meanwhile."""
        if self._take(wait):
            return False
        self._answered.pop(wait, None)
        return True

    def end_late_waits(self) -> None:
        """Answer those that are late, and cut off those that stayed after an answer."""
        now, answered = time.monotonic(), list(self._answered.items())
        limit = HURRY if 2 * (len(self._waits) + len(answered)) >= self._threads else self._seconds
        late = [wait for wait in list(self._waits) if now - wait.since >= limit]
        if not late and not answered:
            return
        connections = connections_to(self._port)
        for wait, answer in answered:
            self._cut_off(wait, answer, connections.get(wait.address, {}))
        # one for all that are answered now
        sent = {address: {inode: each.sent for inode, each in found.items()} for address, found in connections.items()}
        for wait in late:
            self._answer(wait, _Answer(now, sent.get(wait.address, {}), next(self._lengths)))

    def _take(self, wait: Wait) -> bool:
        return self._waits.pop(wait, self) is None

    def _answer(self, wait: Wait, answer: _Answer) -> None:
        # noted first, so that the thread finds it and takes it away, whenever its wait ends
        self._answered[wait] = answer
        if self._take(wait):
            wait.protocol.response_bytes(408, HEADERS, TEXT.ljust(answer.length).encode())
            count("realmgate_late_bodies")
        else:
            self._answered.pop(wait, None)  # the body has come after all

    def _cut_off(self, wait: Wait, answer: _Answer, connections: Connections) -> None:
        """Cut the connection over which exactly this answer was sent, and nothing since, if there is one only.

        A client that takes nothing may not let the answer into its connection: where nothing has moved for seconds, and what was
        sent before does not get through, nobody is there to be answered.
        """
        known = [(inode, each) for inode, each in connections.items() if inode in answer.sent_before]
        found = [(inode, each) for inode, each in known if each.sent - answer.sent_before[inode] == _HEAD + answer.length]
        if len(found) != 1:
            is_stuck = time.monotonic() - answer.at >= GIVE_UP
            found = [
                (inode, each) for inode, each in known if is_stuck and each.is_stuck and each.sent == answer.sent_before[inode]
            ]
        if wait in self._answered:
            for inode, each in found:
                _shut_down(inode, each.descriptor)


def connections_to(port: int) -> dict[str, Connections]:
    """Return the connections to a port by the address that they come from, and their inodes. On Linux only."""
    found: dict[str, Connections] = {}
    with contextlib.suppress(OSError):
        for file in list(Path("/proc/self/fd").iterdir()):
            descriptor = int(file.name)
            with contextlib.suppress(OSError, struct.error, IndexError, TypeError), socket_at(descriptor) as connection:
                if connection.getsockname()[1] == port:
                    address, inode = plain_address(connection.getpeername()[0]), os.fstat(connection.fileno()).st_ino
                    found.setdefault(address, {})[inode] = _Connection(descriptor, *_sent_over(connection))
    return found


@contextlib.contextmanager
def socket_at(descriptor: int) -> Iterator[socket.socket]:
    """Return a copy of the socket with a descriptor of this process, for the time of the block.

    :raises OSError: there is none, or no descriptor is left for the copy.
    """
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        raise OSError("no socket")
    copy = os.dup(descriptor)
    try:
        copied = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)  # one that Python does not know
        raise
    with copied:
        yield copied


def _sent_over(connection: socket.socket) -> tuple[int, bool]:
    """Return how many bytes were handed over to be sent over a TCP connection, and whether some have not got through."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    (sent,) = struct.unpack_from("=Q", info, _BYTES_SENT)
    (again,) = struct.unpack_from("=Q", info, _BYTES_SENT_AGAIN)
    (unsent,) = struct.unpack_from("=I", info, _UNSENT)
    (unacked,) = struct.unpack_from("=I", info, _UNACKED)
    return int(sent - again + unsent), bool(unsent or unacked)


def _shut_down(inode: int, descriptor: int) -> None:
    """Shut down the connection with a descriptor, if that is still the one that it was."""
    with contextlib.suppress(OSError), socket_at(descriptor) as connection:
        if os.fstat(connection.fileno()).st_ino == inode:
            connection.shutdown(socket.SHUT_RDWR)
