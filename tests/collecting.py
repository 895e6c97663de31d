"""A collector of traces, as OpenTelemetry's exporters send them to one over HTTP."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.serving import wait_until

QUICKLY = {"OTEL_BSP_SCHEDULE_DELAY": "200"}
"""What has a server send its spans at once, nearly."""


@dataclass
class Collector:
    """What was sent, and where to."""

    url: str = ""
    spans: list[Any] = field(default_factory=list)

    def trace(self, trace_id: str) -> list[Any]:
        """Return the spans of a trace that have arrived."""
        return [span for span in list(self.spans) if span.trace_id.hex() == trace_id]

    def await_span(self, trace_id: str, name: str) -> Any:
        """Return a span once it has arrived."""
        return wait_until(lambda: next((each for each in self.trace(trace_id) if each.name == name), None), f"the span {name}")


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Collect spans on loopback."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

            message = ExportTraceServiceRequest()
            message.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
            found.spans.extend(span for each in message.resource_spans for scope in each.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def values(span: Any) -> dict[str, Any]:
    """Return the attributes of a span that are texts."""
    return {each.key: each.value.string_value for each in span.attributes}
