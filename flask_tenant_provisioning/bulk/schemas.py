"""Query parameters, request bodies and response documents of bulk jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from ..database.ids import shorten_instant
from ..errors import BulkJobNotFound, iter_problem_classes
from ..mount import Api
from ..tenants.schemas import CreateQuery
from ..validation import InputErrorSchema, PartnerIdField, StrictSchema, TextField
from ..web.headers import CSV, JSON, NDJSON
from ..web.pagination import PageSizeField
from ..web.parameters import ChoiceField, QuerySchema
from ..web.request import parse_id
from . import results
from .actions import JobProgress
from .models import DEFAULT_OPERATION, JOB_STATES, MODES, OPERATIONS
from .results import RowResult

_ROW_BODY = {
    "x-component": "UploadRow",
    "type": "object",
    "description": "The body of the single call; for operations other than `create` it also names the tenant, by "
    "`tenant` or `external_id`. With an `idempotency_key` the row takes effect once, however often it is sent.",
}
#: ``binary`` keeps generators from sending the text as a JSON string.
_TEXT_UPLOAD = {"type": "string", "format": "binary", "minLength": 1}
_NDJSON_BODY = {**_TEXT_UPLOAD, "description": "One row per line, each a JSON object."}


class BulkJobSchema(StrictSchema):
    """A bulk job with the counts of its finished rows. `rate` is in rows per second."""

    job = fields.UUID()
    partner = fields.String()
    operation = fields.String(validate=validate.OneOf(tuple(OPERATIONS)))
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


class RowProblemSchema(StrictSchema):
    """The problem (RFC 9457) of a failed row: the members of the single call's problem, without `instance` and
    `request_id`.
    """

    type = fields.String()
    title = fields.String()
    status = fields.Integer()
    code = fields.String()
    detail = fields.String()
    line = fields.Integer()
    errors = fields.List(fields.Nested(InputErrorSchema), metadata={"optional": True})
    errors_omitted = fields.Integer(metadata={"optional": True})
    field = fields.String(metadata={"optional": True})
    conflicting_tenant = fields.UUID(metadata={"optional": True})
    first_row = fields.Integer(metadata={"optional": True})


class BulkItemSchema(StrictSchema):
    """The result of a row. `status` is the status of the equivalent single call, null for a skipped row."""

    row = fields.Integer()
    state = fields.String(validate=validate.OneOf(results.RESULT_STATES))
    status = fields.Integer(allow_none=True)
    tenant = fields.UUID(allow_none=True)
    external_id = fields.String(allow_none=True)
    problem = fields.Nested(RowProblemSchema, allow_none=True)


class BulkItemPageSchema(StrictSchema):
    """One page of row results; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(BulkItemSchema))
    next = fields.String(allow_none=True)


def parse_job_id(job_id: str) -> str:
    """Return a job id in canonical form. Raises `BulkJobNotFound` for text that is not an id."""
    return parse_id(job_id, BulkJobNotFound)


def describe_upload_body(api: Api) -> Mapping[str, Any]:
    """Return the OpenAPI schemas of an upload by media type. Each may be compressed with gzip."""
    return {
        JSON: {"type": "array", "items": _ROW_BODY, "minItems": 1, "maxItems": api.config.bulk_max_rows},
        NDJSON: _NDJSON_BODY,
        "application/jsonl": _NDJSON_BODY,
        CSV: {
            **_TEXT_UPLOAD,
            "description": "The first row names the fields; columns `metadata.*` hold the metadata.",
        },
    }


DEFAULT_PAGE_SIZE = 50


class UploadQuery(CreateQuery):
    """Query parameters of `POST /bulk-jobs`. With `validate_only` the job leaves nothing but its results."""

    operation = ChoiceField(*OPERATIONS, load_default=DEFAULT_OPERATION)
    mode = ChoiceField(*MODES, load_default=MODES[0])


class BulkJobListQuery(QuerySchema):
    """Query parameters of `GET /bulk-jobs`. An administrator may name the partner."""

    partner = PartnerIdField()
    state = ChoiceField(*JOB_STATES)
    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE)
    cursor = TextField(min_length=1, max_length=4096)


class BulkItemsQuery(QuerySchema):
    """Query parameters of a job's items. `limit` and `cursor` apply to pages of JSON only."""

    state = ChoiceField(*results.RESULT_STATES)
    limit = PageSizeField()
    cursor = TextField(min_length=1, max_length=4096)


def dump_job(progress: JobProgress) -> dict[str, Any]:
    """Return a job as a response document."""
    job = progress.job
    return {
        "job": job.id,
        "partner": job.partner_id,
        "operation": job.operation,
        "mode": job.mode,
        "validate_only": bool(job.rehearsal),
        "state": job.state,
        "total": job.rows,
        "processed": progress.processed,
        **progress.tally._asdict(),
        "rate": progress.rate,
        "created_at": shorten_instant(job.created_at),
        "started_at": shorten_instant(job.started_at),
        "finished_at": shorten_instant(job.finished_at),
    }


def dump_item(result: RowResult, titles: Mapping[str, str], types: str) -> dict[str, Any]:
    """Return a row's result as a response document.

    `types` is the prefix of problem types, `titles` maps codes to titles.
    """
    problem = result.problem
    if problem is not None:
        title = titles.get(problem["code"], problem["code"])
        problem = {"type": types + problem["code"], "title": title, "status": result.status, **problem}
    return result._replace(problem=problem)._asdict()


def load_problem_titles(api: Api) -> dict[str, str]:
    """Return the title of each problem code, the host's own included."""
    return {kind.code: kind.title for kind in (*iter_problem_classes(), *api.registry.problem_classes())}
