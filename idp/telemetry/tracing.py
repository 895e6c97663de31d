"""Traces in OpenTelemetry's form, sent to a collector where one is set; otherwise nothing of it is even imported."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

Environ = dict[str, Any]
Finish = Callable[[int], None]


class Tracer:
    """Makes a span for each request and sends it, in batches, by a thread of its own."""

    def __init__(self, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 (only where traces are sent)
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 (only where traces are sent)
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 (only where traces are sent)
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 (only where traces are sent)
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 (only where traces are sent)
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 (only where traces are sent)

        import idp  # noqa: PLC0415 (only where traces are sent)

        name = os.environ.get("OTEL_SERVICE_NAME", "realmgate")
        resource = Resource.create({"service.name": name, "service.version": idp.__version__})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=5)))
        self._tracer = self._provider.get_tracer("realmgate")
        self._propagator = TraceContextTextMapPropagator()
        self._server, self._error = SpanKind.SERVER, StatusCode.ERROR

    @contextlib.contextmanager
    def span(self, area: str, environ: Environ, request_id: str) -> Iterator[Finish]:
        """Trace a request. Its path is left out: some hold a code or a token.

        :returns: what to call with the status of the answer.
        """
        carrier = {"traceparent": environ.get("HTTP_TRACEPARENT", ""), "tracestate": environ.get("HTTP_TRACESTATE", "")}
        context = self._propagator.extract(carrier)
        method = environ.get("REQUEST_METHOD", "")
        attributes = {"http.request.method": method, "http.route": area, "realmgate.request_id": request_id}
        with self._tracer.start_as_current_span(f"{method} {area}", context, kind=self._server, attributes=attributes) as span:

            def finish(status: int) -> None:
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(self._error)

            yield finish

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()
