"""A web server of an issuer: HTTPS on loopback, with a certificate that the test has this process trust."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from tests.proxies import make_certificate

HOST = "issuer.example.test"


@dataclass
class Host:
    """What the server answers, by path, and what it was asked."""

    port: int = 0
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its base."""
        return f"https://{HOST}:{self.port}"

    def serve(self, path: str, content: Any, **headers: str) -> None:
        """Answer with JSON."""
        self.answers[path] = lambda handler: answer(handler, 200, json.dumps(content).encode(), headers)


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    """Send an answer."""
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking what this machine is called, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]


@contextmanager
def hosted(folder: Path) -> Iterator[Host]:
    """Run a server; its certificate is `realmgate.pem` of the folder."""
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.asked.append(self.path)
            found = host.answers.get(self.path)
            if found is None:
                answer(self, 404, b"{}")
            else:
                found(self)

        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            """Say nothing."""

    make_certificate(folder, HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "realmgate.pem", folder / "realmgate.key")
    server = _Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    host.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
