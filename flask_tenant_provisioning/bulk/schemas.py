"""Query parameters, request bodies and response documents of bulk jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from ..database.ids import shorten_instant
from ..errors import BulkJobNotFound, iter_problem_classes
from ..mount import Api
from ..tenants.schemas import CreateQuery
from ..validation import InputErrorSchema, PartnerIdField, StrictSchema, TextField, describe
from ..web.headers import CSV, JSON, NDJSON
from ..web.pagination import CURSOR, JSON_PAGE_SIZE, NEXT_CURSOR, PAGE_SIZE, PageSizeField
from ..web.parameters import ChoiceField, QuerySchema
from ..web.request import parse_id
from . import results
from .actions import JobProgress
from .models import DEFAULT_OPERATION, JOB_STATES, MODES, OPERATIONS
from .results import RowResult

_EXAMPLE_ROW = {"client_name": "Example Corp", "email": "admin@example.com"}
_ROW_BODY = {
    "x-component": "UploadRow",
    "type": "object",
    "description": "The body of the single call; for operations other than `create` it also names the tenant, by "
    "`tenant` or `external_id`. With an `idempotency_key` the row takes effect once, however often it is sent.",
    "examples": [_EXAMPLE_ROW],
}
#: ``binary`` keeps generators from sending the text as a JSON string.
_TEXT_UPLOAD = {"type": "string", "format": "binary", "minLength": 1}
_NDJSON_BODY = {
    **_TEXT_UPLOAD,
    "description": "One row per line, each a JSON object.",
    "examples": [f"{json.dumps(_EXAMPLE_ROW)}\n"],
}


class BulkJobSchema(StrictSchema):
    """A bulk job with the counts of its finished rows. `rate` is in rows per second."""

    job = fields.UUID(metadata=describe("The id of the job.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"))
    partner = fields.String(metadata=describe("The partner to whom the job belongs.", "acme"))
    operation = fields.String(
        validate=validate.OneOf(tuple(OPERATIONS)), metadata=describe("What is done with each row.")
    )
    mode = fields.String(
        validate=validate.OneOf(MODES),
        metadata=describe("`partial`: an invalid row fails alone. `atomic`: no row takes effect if one fails."),
    )
    validate_only = fields.Boolean(
        metadata=describe("True for a dry run, which leaves nothing but its results.", False)
    )
    state = fields.String(validate=validate.OneOf(JOB_STATES), metadata=describe("The state of the job.", "partial"))
    total = fields.Integer(metadata=describe("The number of rows.", 1000))
    processed = fields.Integer(metadata=describe("The number of rows that are done.", 1000))
    succeeded = fields.Integer(metadata=describe("The number of rows that took effect.", 990))
    failed = fields.Integer(metadata=describe("The number of rows that failed.", 10))
    unchanged = fields.Integer(metadata=describe("The number of rows that found nothing to change.", 0))
    rate = fields.Float(metadata=describe("The speed so far, in rows per second.", 5681.8))
    created_at = fields.AwareDateTime(metadata=describe("The time of the upload."))
    started_at = fields.AwareDateTime(
        allow_none=True, metadata=describe("The time at which the first row was started; null before that.")
    )
    finished_at = fields.AwareDateTime(
        allow_none=True, metadata=describe("The time at which the job ended; null before that.")
    )


class BulkJobPageSchema(StrictSchema):
    """One page of bulk jobs; `next` is the cursor of the page after it."""

    items = fields.List(
        fields.Nested(BulkJobSchema), metadata=describe("The jobs of this page, up to `limit`, newest first.")
    )
    next = fields.String(
        allow_none=True,
        metadata=NEXT_CURSOR,
    )


class RowProblemSchema(StrictSchema):
    """The problem (RFC 9457) of a failed row: the members of the single call's problem, without `instance` and
    `request_id`.
    """

    type = fields.String(
        metadata=describe(
            "The address of a page that explains the code.", "/api/v1/provisioning/problems/tenant-exists"
        )
    )
    title = fields.String(metadata=describe("The problem in a few words.", "Tenant already exists"))
    status = fields.Integer(metadata=describe("The HTTP status of the equivalent single call.", 409))
    code = fields.String(
        metadata=describe("The stable problem code, for programs. New codes may be added.", "tenant-exists")
    )
    detail = fields.String(
        metadata=describe(
            "An explanation of this occurrence for people, in English.", "Another tenant has this email address."
        )
    )
    line = fields.Integer(metadata=describe("The row's line in the upload, counted from 1.", 17))
    errors = fields.List(
        fields.Nested(InputErrorSchema),
        metadata={
            "optional": True,
            **describe(
                "The errors in the row; absent if its input is not the problem.",
                [{"pointer": "#/email", "code": "invalid-email", "detail": "Invalid email address."}],
            ),
        },
    )
    errors_omitted = fields.Integer(
        metadata={
            "optional": True,
            **describe("The number of errors that `errors` leaves out; absent if it lists all.", 2),
        }
    )
    field = fields.String(
        metadata={"optional": True, **describe("Of `tenant-exists`: the field whose value is taken.", "email")}
    )
    conflicting_tenant = fields.UUID(
        metadata={
            "optional": True,
            **describe(
                "Of `tenant-exists`: the id of the tenant that has the value.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"
            ),
        }
    )
    first_row = fields.Integer(
        metadata={"optional": True, **describe("Of `duplicate-row`: the number of the earlier row, counted from 1.", 3)}
    )


class BulkItemSchema(StrictSchema):
    """The result of a row. `status` is the status of the equivalent single call, null for a skipped row."""

    row = fields.Integer(metadata=describe("The number of the row, counted from 1.", 1))
    state = fields.String(validate=validate.OneOf(results.RESULT_STATES), metadata=describe("The result of the row."))
    status = fields.Integer(
        allow_none=True,
        metadata=describe("The HTTP status of the equivalent single call; null for a skipped row.", 201),
    )
    tenant = fields.UUID(
        allow_none=True,
        metadata=describe("The id of the tenant; null if there is none.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"),
    )
    external_id = fields.String(
        allow_none=True,
        metadata=describe("The external id of the row or its tenant; null if there is none.", "crm-4711"),
    )
    problem = fields.Nested(
        RowProblemSchema, allow_none=True, metadata=describe("Why the row failed; null if it did not.")
    )


class BulkItemPageSchema(StrictSchema):
    """One page of row results; `next` is the cursor of the page after it."""

    items = fields.List(
        fields.Nested(BulkItemSchema),
        metadata=describe("The results of this page, up to `limit`, in the order of the rows."),
    )
    next = fields.String(
        allow_none=True,
        metadata=NEXT_CURSOR,
    )


def parse_job_id(job_id: str) -> str:
    """Return a job id in canonical form. Raises `BulkJobNotFound` for text that is not an id."""
    return parse_id(job_id, BulkJobNotFound)


def describe_upload_body(api: Api) -> Mapping[str, Any]:
    """Return the OpenAPI schemas of an upload by media type. Each may be compressed with gzip."""
    return {
        JSON: {
            "type": "array",
            "description": "The rows.",
            "items": _ROW_BODY,
            "minItems": 1,
            "maxItems": api.config.bulk_max_rows,
            "examples": [[_EXAMPLE_ROW]],
        },
        NDJSON: _NDJSON_BODY,
        "application/jsonl": _NDJSON_BODY,
        CSV: {
            **_TEXT_UPLOAD,
            "description": "The first row names the fields; columns `metadata.*` hold the metadata.",
            "examples": ["client_name,email,metadata.region\nExample Corp,admin@example.com,eu-west\n"],
        },
    }


DEFAULT_PAGE_SIZE = 50


class UploadQuery(CreateQuery):
    """Query parameters of `POST /bulk-jobs`. With `validate_only` the job leaves nothing but its results."""

    operation = ChoiceField(
        *OPERATIONS, load_default=DEFAULT_OPERATION, metadata=describe("What to do with each row. By default `create`.")
    )
    mode = ChoiceField(
        *MODES,
        load_default=MODES[0],
        metadata=describe(
            "`partial`: an invalid row fails alone. `atomic`: no row takes effect if one fails. By default `partial`."
        ),
    )


class BulkJobListQuery(QuerySchema):
    """Query parameters of `GET /bulk-jobs`. An administrator may name the partner."""

    partner = PartnerIdField(
        metadata=describe(
            "Only jobs of this partner. Only an administrator may name a partner other than the caller's own.", "acme"
        )
    )
    state = ChoiceField(*JOB_STATES, metadata=describe("Only jobs in this state."))
    limit = PageSizeField(
        load_default=DEFAULT_PAGE_SIZE,
        metadata=PAGE_SIZE,
    )
    cursor = TextField(
        min_length=1,
        max_length=4096,
        metadata=CURSOR,
    )


class BulkItemsQuery(QuerySchema):
    """Query parameters of a job's items. `limit` and `cursor` apply to pages of JSON only."""

    state = ChoiceField(*results.RESULT_STATES, metadata=describe("Only rows with this result."))
    limit = PageSizeField(metadata=JSON_PAGE_SIZE)
    cursor = TextField(
        min_length=1,
        max_length=4096,
        metadata=CURSOR,
    )


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
