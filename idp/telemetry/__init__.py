"""What operators see of the server at work: an id for each request, metrics, and traces where they are sent somewhere."""

from idp.telemetry.ids import request_id
from idp.telemetry.loops import Loop, dead_loops
from idp.telemetry.metrics import count, count_watching, is_measured, measure, set_gauge, share_metrics
from idp.telemetry.requests import RequestTelemetry, name_area

__all__ = [
    "Loop",
    "RequestTelemetry",
    "count",
    "count_watching",
    "dead_loops",
    "is_measured",
    "measure",
    "name_area",
    "request_id",
    "set_gauge",
    "share_metrics",
]
