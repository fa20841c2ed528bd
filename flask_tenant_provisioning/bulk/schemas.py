"""What goes out about bulk jobs, and what an upload looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from ..web.api import Api
from ..web.media_types import CSV, JSON, NDJSON
from ..web.validation import StrictSchema
from . import results
from .models import MODES, OPERATIONS, STATES

_ROW = {
    "type": "object",
    "description": "What the single call takes; for other operations than `create` also which tenant is meant, by "
    "`tenant` or `external_id`. With an `idempotency_key` it takes effect once, however often it is sent.",
}
_LINES = {"type": "string", "minLength": 1, "description": "A row a line, each a JSON object."}


class BulkJobSchema(StrictSchema):
    """A bulk job, and what came of its rows so far. `rate` is rows done in a second."""

    job = fields.UUID()
    partner = fields.String()
    operation = fields.String(validate=validate.OneOf(OPERATIONS))
    mode = fields.String(validate=validate.OneOf(MODES))
    validate_only = fields.Boolean()
    state = fields.String(validate=validate.OneOf(STATES))
    total = fields.Integer()
    processed = fields.Integer()
    succeeded = fields.Integer()
    failed = fields.Integer()
    unchanged = fields.Integer()
    rate = fields.Float()
    created_at = fields.AwareDateTime()
    started_at = fields.AwareDateTime(allow_none=True)
    finished_at = fields.AwareDateTime(allow_none=True)


class BulkJobPageSchema(StrictSchema):
    """One page of bulk jobs; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(BulkJobSchema))
    next = fields.String(allow_none=True)


class BulkItemSchema(StrictSchema):
    """What came of a row. `status` is what the single call would have answered, null for a row that was skipped."""

    row = fields.Integer()
    state = fields.String(validate=validate.OneOf(results.STATES))
    status = fields.Integer(allow_none=True)
    tenant = fields.UUID(allow_none=True)
    external_id = fields.String(allow_none=True)
    problem = fields.Dict(
        allow_none=True,
        metadata={"description": "The problem document (RFC 9457) of a row that failed; `line` is its upload's."},
    )


class BulkItemPageSchema(StrictSchema):
    """One page of what came of a job's rows; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(BulkItemSchema))
    next = fields.String(allow_none=True)


def upload_input(api: Api) -> Mapping[str, Any]:
    """What an upload is, by media type; each may be packed with gzip."""
    return {
        JSON: {"type": "array", "items": _ROW, "minItems": 1, "maxItems": api.settings.bulk_max_rows},
        NDJSON: _LINES,
        "application/jsonl": _LINES,
        CSV: {
            "type": "string",
            "minLength": 1,
            "description": "The first row names the fields; `metadata.*` are the metadata's.",
        },
    }
