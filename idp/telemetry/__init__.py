"""What operators see of the server at work: an id for each request, metrics, and traces where they are sent somewhere."""

from idp.telemetry.ids import request_id
from idp.telemetry.loops import Loop, dead_loops
from idp.telemetry.metrics import count, measure, set_gauge, share_metrics
from idp.telemetry.requests import RequestTelemetry, name_area

__all__ = [
    "Loop",
    "RequestTelemetry",
    "count",
    "dead_loops",
    "measure",
    "name_area",
    "request_id",
    "set_gauge",
    "share_metrics",
]
