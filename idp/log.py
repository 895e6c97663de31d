"""Log lines: one JSON object a line on standard error, so that nothing a client sends can forge a line (T106)."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from idp.redaction import redact
from idp.telemetry.ids import request_id, trace_id

LONGEST_TEXT = 2_000


class JsonLines(logging.Formatter):
    """Formats a log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON; long texts are cut (T22), and credentials of settings replaced."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage())[:LONGEST_TEXT],
        }
        if request_id():
            line["request_id"] = request_id()
        if trace_id():
            line["trace_id"] = trace_id()
        line |= getattr(record, "values", {})
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))[-8 * LONGEST_TEXT :]
        return json.dumps(line)
