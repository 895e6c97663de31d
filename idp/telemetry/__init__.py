"""What operators see of the server at work: an id for each request, metrics, and traces where they are sent somewhere."""

from idp.telemetry.ids import request_id, trace_id
from idp.telemetry.loops import Loop, dead_loops
from idp.telemetry.metrics import count, count_watching, is_measured, measure, set_gauge, share_metrics
from idp.telemetry.requests import RequestTelemetry, name_area
from idp.telemetry.tracing import add_span, own_trace, span

__all__ = [
    "Loop",
    "RequestTelemetry",
    "add_span",
    "count",
    "count_watching",
    "dead_loops",
    "is_measured",
    "measure",
    "name_area",
    "own_trace",
    "request_id",
    "set_gauge",
    "share_metrics",
    "span",
    "trace_id",
]
