"""Traces in OpenTelemetry's form, sent to a collector where one is set; otherwise nothing of it is even imported.

A span never holds what a client has sent: no path, no parameter of a statement, no message of an error.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from idp.telemetry.ids import begin_trace

Environ = dict[str, Any]
Finish = Callable[[int], None]


class Tracer:
    """Makes a span for each request and sends it, in batches, by a thread of its own."""

    def __init__(self, endpoint: str) -> None:
        from opentelemetry import trace  # noqa: PLC0415 (only where traces are sent)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 (only where traces are sent)
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 (only where traces are sent)
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 (only where traces are sent)
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 (only where traces are sent)
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 (only where traces are sent)

        import idp  # noqa: PLC0415 (only where traces are sent)

        name = os.environ.get("OTEL_SERVICE_NAME", "realmgate")
        resource = Resource.create({"service.name": name, "service.version": idp.__version__})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=5)))
        self._tracer = self._provider.get_tracer("realmgate")
        self._propagator = TraceContextTextMapPropagator()
        self._current = trace.get_current_span
        self._server, self._client = trace.SpanKind.SERVER, trace.SpanKind.CLIENT
        self._error = trace.StatusCode.ERROR

    @contextlib.contextmanager
    def request(self, area: str, environ: Environ, request_id: str) -> Iterator[Finish]:
        """Trace a request, as a part of the trace that its `traceparent` names (W3C Trace Context §3.2).

        :returns: what to call with the status of the answer.
        """
        carrier = {"traceparent": environ.get("HTTP_TRACEPARENT", ""), "tracestate": environ.get("HTTP_TRACESTATE", "")}
        context = self._propagator.extract(carrier)
        method = environ.get("REQUEST_METHOD", "")
        attributes = {"http.request.method": method, "http.route": area, "realmgate.request_id": request_id}
        with self._tracer.start_as_current_span(
            f"{method} {area}",
            context,
            kind=self._server,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            begin_trace(f"{span.get_span_context().trace_id:032x}")

            def finish(status: int) -> None:
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(self._error)

            yield finish

    @property
    def is_tracing(self) -> bool:
        """Whether this thread works for something that is traced."""
        return bool(self._current().is_recording())

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Trace a block as a part of what is traced in this thread, or by itself where nothing is."""
        with self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(self._error)
                raise

    def add(self, name: str, seconds: float, attributes: Mapping[str, str], error: BaseException | None) -> None:
        """Add a part that has ended just now."""
        end = time.time_ns()
        begin = end - int(seconds * 1e9)
        span = self._tracer.start_span(name, kind=self._client, start_time=begin, attributes=dict(attributes))
        if error is not None:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(self._error)
        span.end(end)

    def close(self) -> None:
        """Send what is left."""
        if self in _tracers:
            _tracers.remove(self)
        self._provider.shutdown()


_tracers: list[Tracer] = []
"""What traces in this process; nothing where traces are not sent."""

_NOTHING = contextlib.nullcontext()


def start_tracing(endpoint: str) -> Tracer:
    """Send traces of this process to a collector from now on."""
    tracer = Tracer(endpoint)
    _tracers.append(tracer)
    return tracer


def span(name: str) -> AbstractContextManager[None]:
    """Trace the block as a part of what this thread works for, if that is traced.

    :param name: one of a few, whatever is asked for.
    """
    return _tracers[0].part(name) if _tracers and _tracers[0].is_tracing else _NOTHING


def own_trace(name: str) -> AbstractContextManager[None]:
    """Trace the block by itself: what is done beside the requests."""
    return _tracers[0].part(name) if _tracers else _NOTHING


def add_span(name: str, seconds: float, attributes: Mapping[str, str], error: BaseException | None = None) -> None:
    """Add something that has ended just now, and how long it took, to what this thread works for, if that is traced."""
    if _tracers and _tracers[0].is_tracing:
        _tracers[0].add(name, seconds, attributes, error)
