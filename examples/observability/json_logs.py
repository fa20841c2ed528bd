"""A formatter that writes each log line as one line of JSON, with its fields, its request's id and its trace."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from flask import has_request_context, request

_USUAL = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON: time, level, logger and message, then its fields, its request's id and its trace."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **find_request_id(),
            **find_trace(),
        }
        line.update({name: value for name, value in vars(record).items() if name not in _USUAL})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def find_request_id() -> dict[str, str]:
    """Return the id that the API gave the current request, as in its `X-Request-ID`."""
    id = request.environ.get("flask_tenant_provisioning.request_id") if has_request_context() else None
    return {} if id is None else {"request_id": id}


def find_trace() -> dict[str, str]:
    """Return the ids of the current span, if this process has loaded OpenTelemetry and is within one."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry import trace

    span = trace.get_current_span().get_span_context()
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"} if span.is_valid else {}


def log_as_json(stream: Any = None) -> logging.Handler:
    """Write the lines of the API to `stream` (standard error) as JSON, from INFO on. Returns the handler."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("flask_tenant_provisioning")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler
