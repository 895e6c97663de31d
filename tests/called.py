"""A server of somebody else's that Realmgate calls."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass
class Heard:
    """A request that was made to it."""

    headers: dict[str, str]
    body: str


class Called(http.server.ThreadingHTTPServer):
    """Takes what is posted to it, and leads whoever follows redirects elsewhere."""

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.heard: list[Heard] = []
        self.answers: list[tuple[int, object]] = []
        """Status and JSON, or None, of the next answers; afterwards the usual status and nothing."""
        self.retry_after = ""
        """What answers say of when to ask again; empty for nothing."""
        self.holds_on = False
        """Whether answers do not end until it ends itself."""
        self.lets_go = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/told"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Called

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # the connection was cut in the middle: nothing was said
            return
        self.server.heard.append(Heard(dict(self.headers), body.decode()))
        status, said = self.server.answers.pop(0) if self.server.answers else (self.server.status, None)
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()
        if said is not None:
            self.wfile.write(json.dumps(said).encode())
        if self.server.holds_on:
            self.wfile.flush()
            self.server.lets_go.wait()

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def being_called(status: int) -> Iterator[Called]:
    """Run such a server until the block ends.

    :param status: what it usually answers.
    """
    found = Called(status)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        found.lets_go.set()
        found.shutdown()
        thread.join()
        found.server_close()
