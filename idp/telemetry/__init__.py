"""What operators see of the server at work: an id for each request, metrics, and traces where they are sent somewhere."""

from idp.telemetry.ids import request_id
from idp.telemetry.metrics import count, measure, set_gauge, share_metrics
from idp.telemetry.requests import RequestTelemetry

__all__ = ["RequestTelemetry", "count", "measure", "request_id", "set_gauge", "share_metrics"]
