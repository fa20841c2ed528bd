"""Query parameters, bodies and documents of bulk jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from ..database.ids import shorten_instant
from ..errors import iter_problem_classes
from ..mount import Api
from ..tenants.schemas import CreateQuery
from ..validation import PartnerIdField, StrictSchema, TextField
from ..web.headers import CSV, JSON, NDJSON
from ..web.pagination import PageSizeField
from ..web.parameters import ChoiceField, QuerySchema
from . import results
from .actions import JobProgress
from .models import JOB_STATES, MODES, OPERATIONS
from .results import RowResult

_ROW_BODY = {
    "type": "object",
    "description": "What the single call takes; for other operations than `create` also which tenant is meant, by "
    "`tenant` or `external_id`. With an `idempotency_key` it takes effect once, however often it is sent.",
}
_NDJSON_BODY = {"type": "string", "minLength": 1, "description": "A row a line, each a JSON object."}


class BulkJobSchema(StrictSchema):
    """A bulk job, and what came of its rows so far. `rate` is rows done in a second."""

    job = fields.UUID()
    partner = fields.String()
    operation = fields.String(validate=validate.OneOf(OPERATIONS))
    mode = fields.String(validate=validate.OneOf(MODES))
    validate_only = fields.Boolean()
    state = fields.String(validate=validate.OneOf(JOB_STATES))
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
    state = fields.String(validate=validate.OneOf(results.RESULT_STATES))
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


def describe_upload_body(api: Api) -> Mapping[str, Any]:
    """What an upload is, by media type; each may be packed with gzip."""
    return {
        JSON: {"type": "array", "items": _ROW_BODY, "minItems": 1, "maxItems": api.config.bulk_max_rows},
        NDJSON: _NDJSON_BODY,
        "application/jsonl": _NDJSON_BODY,
        CSV: {
            "type": "string",
            "minLength": 1,
            "description": "The first row names the fields; `metadata.*` are the metadata's.",
        },
    }


DEFAULT_PAGE_SIZE = 50


class UploadQuery(CreateQuery):
    """What `POST /bulk-jobs` can be asked; with `validate_only` the job leaves nothing but its results."""

    operation = ChoiceField(*OPERATIONS, load_default=OPERATIONS[0])
    mode = ChoiceField(*MODES, load_default=MODES[0])


class BulkJobListQuery(QuerySchema):
    """What `GET /bulk-jobs` can be asked; an administrator may name the partner."""

    partner = PartnerIdField()
    state = ChoiceField(*JOB_STATES)
    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE)
    cursor = TextField(min_length=1, max_length=4096)


class BulkItemsQuery(QuerySchema):
    """What a job's items can be asked; `limit` and `cursor` are for pages of JSON alone."""

    state = ChoiceField(*results.RESULT_STATES)
    limit = PageSizeField()
    cursor = TextField(min_length=1, max_length=4096)


_UPLOAD, _LIST, _ITEMS = UploadQuery(), BulkJobListQuery(), BulkItemsQuery()


def upload_query(_api: Api | None = None) -> UploadQuery:
    """The schema of an upload's parameters; made once."""
    return _UPLOAD


def job_list_query(_api: Api | None = None) -> BulkJobListQuery:
    """The schema of `GET /bulk-jobs`'s parameters; made once."""
    return _LIST


def items_query(_api: Api | None = None) -> BulkItemsQuery:
    """The schema of the parameters of a job's items; made once."""
    return _ITEMS


def dump_job(seen: JobProgress) -> dict[str, Any]:
    """A job as it is at this moment."""
    found = seen.job
    return {
        "job": found.id,
        "partner": found.partner_id,
        "operation": found.operation,
        "mode": found.mode,
        "validate_only": bool(found.rehearsal),
        "state": found.state,
        "total": found.rows,
        "processed": seen.processed,
        **seen.tally._asdict(),
        "rate": seen.rate,
        "created_at": shorten_instant(found.created_at),
        "started_at": shorten_instant(found.started_at),
        "finished_at": shorten_instant(found.finished_at),
    }


def dump_item(result: RowResult, titles: Mapping[str, str], types: str) -> dict[str, Any]:
    """What came of a row; `types` is what each problem's ``type`` begins with, `titles` are those of the codes."""
    problem = result.problem
    if problem is not None:
        title = titles.get(problem["code"], problem["code"])
        problem = {"type": types + problem["code"], "title": title, "status": result.status, **problem}
    return result._replace(problem=problem)._asdict()


def load_problem_titles(api: Api) -> dict[str, str]:
    """The title of each code of problem, the host's own too."""
    return {kind.code: kind.title for kind in (*iter_problem_classes(), *api.hooks.kinds())}
