"""A load generator: one process, many connections, one prepared request, bounded in time."""

import select
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What one run of load was answered."""

    requests: int
    seconds: float
    latencies: list[float]
    """Seconds from sending a request to the whole answer, unsorted."""
    by_port: dict[int, int]
    """How many requests each server has answered."""


def post(path: str, body: bytes, headers: str = "") -> bytes:
    """Return a POST request as bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    return f"{head}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def get(path: str, headers: str) -> bytes:
    """Return a GET request as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n".encode()


class Connection:
    """One connection with a request under way."""

    def __init__(self, port: int, request: bytes) -> None:
        self._request = request
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send()

    def send(self) -> None:
        """Send the request, the next time it is due."""
        self._answer = b""
        self.sent = time.perf_counter()
        self.socket.sendall(self._request)

    def receive(self) -> bool:
        """Read what has come; tell whether the answer is whole.

        :raises RuntimeError: it is no 200, 201 or 303, or the connection was closed.
        """
        self._answer += self.socket.recv(65_536)
        if not self._answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201", b"HTTP/1.1 303")):
            raise RuntimeError(f"the server answered {self._answer[:400]!r}")
        head, blank, body = self._answer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return bool(blank) and len(body) >= int(length)


LONGEST = 60.0
"""Seconds that load lasts at the most."""


def put_under_load(
    port: int, request: bytes, *, seconds: float, connections: int = 8, others: Mapping[int, bytes] | None = None, least: int = 0
) -> Load:
    """Send the same request over some connections, the next one as soon as one is answered with 200.

    :param least: answers to wait for, should they take longer than the given time; the last of each connection is waited for, too.
    :param others: further servers, by port, and what is sent to them: the connections are divided among all in turn.
    :raises RuntimeError: an answer is not a 200, or a connection was closed.
    """
    poll = select.epoll()
    requests = [(port, request), *(others or {}).items()]
    each = [Connection(*requests[number % len(requests)]) for number in range(connections)]
    by_descriptor = {connection.socket.fileno(): connection for connection in each}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    latencies: list[float] = []
    by_port = dict.fromkeys((where for where, _ in requests), 0)
    started = time.perf_counter()
    under_way = len(each)
    while under_way:
        now = time.perf_counter()
        is_over = now >= started + seconds and (len(latencies) >= least or now >= started + LONGEST)
        if is_over and (not least or now >= started + 2 * LONGEST):
            break
        for descriptor, _ in poll.poll(1):
            connection = by_descriptor[descriptor]
            if connection.receive():
                latencies.append(time.perf_counter() - connection.sent)
                by_port[connection.port] += 1
                if is_over:
                    under_way -= 1
                else:
                    connection.send()
    for connection in each:
        connection.socket.close()
    return Load(len(latencies), time.perf_counter() - started, latencies, by_port)
