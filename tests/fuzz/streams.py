"""Contents of responses that come row by row, or event by event: to OpenAPI 3.1 they are text."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from schemathesis import Response

from tests.support.openapi import use_exact_patterns

#: An event that shows a job. Where there is no `itemSchema`, schemathesis holds each event against the stream's schema.
_EVENT = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "event": {"enum": ["progress", "finished"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/BulkJob"},
        },
    },
}


def describe_streams(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document, with what each event of a job's progress is, and the whole rule of each text."""
    described: dict[str, Any] = use_exact_patterns(document)
    response = described["paths"]["/bulk-jobs/{job_id}/progress"]["get"]["responses"]["200"]
    response["content"]["text/event-stream"]["schema"] = _EVENT
    return described


def lines(context: Any, response: Response) -> str:
    """NDJSON as the text that it is. Raises `ValueError` for a line that is no JSON."""
    text = response.content.decode()
    for line in text.splitlines():
        json.loads(line)
    return text


def table(context: Any, response: Response) -> str:
    """CSV as the text that it is. Raises `ValueError` for rows of different widths."""
    text = response.content.decode()
    widths = {len(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True)}
    if len(widths) != 1:
        raise ValueError(f"the rows have {sorted(widths)} cells")
    return text
