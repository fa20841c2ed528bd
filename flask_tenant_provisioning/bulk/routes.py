"""Routes of bulk jobs, their results and their progress."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from functools import partial
from typing import Any

from flask import Response, request

from ..database.session import Session
from ..encoding import dump_json
from ..errors import (
    BulkJobNotFound,
    InvalidCursor,
    InvalidParameter,
    InvalidState,
    LicenseExpired,
    MalformedUpload,
    QuotaExceeded,
    ServerBusy,
    TooManyLongRequests,
    UnsupportedMediaType,
    UploadTooLarge,
    UploadTooSlow,
)
from ..web.headers import CSV, EVENT_STREAM, JSON, NDJSON, get_content_coding, negotiate
from ..web.idempotency import read_key
from ..web.long_requests import LongRequest
from ..web.pagination import open_cursor, reject_page_parameters, render_page
from ..web.parameters import NoQuery, WriteQuery
from ..web.request import Request, partner_scope
from ..web.routing import IDEMPOTENCY_PROBLEMS, LONG_REQUEST_PROBLEMS, Routes
from ..web.streaming import LongResponse, make_response_pace
from ..web.write import Result, execute
from . import actions, schemas
from .actions import JobProgress, Upload
from .models import OPERATIONS, Job
from .progress import StreamClock, make_event_id, stream_events
from .results import RowResult, read_chunks_with_results, read_results
from .results_csv import write_results_csv
from .schemas import (
    DEFAULT_PAGE_SIZE,
    BulkItemPageSchema,
    BulkItemsQuery,
    BulkJobListQuery,
    BulkJobPageSchema,
    BulkJobSchema,
    UploadQuery,
    describe_upload_body,
    parse_job_id,
)
from .upload.body import open_body
from .upload.limits import UploadError, UploadFormatError, UploadLimitError
from .upload.reader import MEDIA_TYPES

JOBS = "/bulk-jobs"
JOB = f"{JOBS}/<job_id>"


def load_progress(call: Request, job_id: str) -> JobProgress:
    """Load the progress of a job that the caller may see. Raises `BulkJobNotFound`."""
    return call.mount.storage.read(
        partial(actions.load_progress, partner=partner_scope(call), job_id=parse_job_id(job_id))
    )


def require_operation_allowed(call: Request, operation: str) -> None:
    """Check that the caller and the licence allow the single calls that the rows of `operation` stand for.

    Raises `Forbidden`, and `LicenseExpired` if the rows create tenants and the licence no longer allows that.
    """
    call.require(*OPERATIONS[operation].permissions)
    if OPERATIONS[operation].creates_tenants:
        call.mount.license.require_provisioning()


def render_job(progress: JobProgress) -> Result:
    """Return a job as the result of a request."""
    return Result(200, schemas.dump_job(progress), {})


def render_accepted_job(call: Request, progress: JobProgress) -> Result:
    """Return a queued job as the result of a request, with its `Location` and the time to poll it."""
    headers = {"Location": f"{call.mount.base_path()}{JOBS}/{progress.job.id}", "Retry-After": "1"}
    return Result(202, schemas.dump_job(progress), headers)


routes = Routes()


@routes.add(
    "POST",
    JOBS,
    permissions=("bulk:create",),
    body=describe_upload_body,
    consumes=MEDIA_TYPES,
    query=UploadQuery,
    responses={202: BulkJobSchema},
    rate_limit_class="bulk",
    problems=(
        *IDEMPOTENCY_PROBLEMS,
        *LONG_REQUEST_PROBLEMS,
        InvalidParameter,
        MalformedUpload,
        UploadTooLarge,
        UploadTooSlow,
        UnsupportedMediaType,
        LicenseExpired,
        QuotaExceeded,
    ),
)
def create_bulk_job(call: Request) -> Response:
    """Upload rows, each of which stands for a single call. The upload may be compressed with gzip.

    Besides `bulk:create` the caller needs the permissions of the `operation`'s single calls. An invalid row fails
    alone; with `mode=atomic` no row takes effect then.
    """
    query = call.query(UploadQuery)
    require_operation_allowed(call, query["operation"])
    read_key(call.principal, None)  # refuses a malformed key before the upload is read; `execute` reads it again
    encoding = get_content_coding()
    partner = call.require_partner(query)
    with open_body(call) as body:
        upload = Upload(query["operation"], query["mode"], query["validate_only"], request.mimetype, encoding, body)
        job = _receive_upload(call, partner, upload)
    work, fingerprint = partial(_queue_job, job=job), [body.sha256, encoding]
    try:
        response = execute(call, work, partial(render_accepted_job, call), body=fingerprint)
    except BaseException:
        _discard_job(call, job)
        raise
    if "Idempotency-Replayed" in response.headers:
        _discard_job(call, job)
    return response


@routes.add(
    "GET",
    JOBS,
    permissions=("bulk:read",),
    query=BulkJobListQuery,
    responses={200: BulkJobPageSchema},
    problems=(InvalidParameter, InvalidCursor),
)
def list_bulk_jobs(call: Request) -> Response:
    """List bulk jobs, newest first, a page at a time."""
    query = call.query(BulkJobListQuery)
    partner, state = query.get("partner", partner_scope(call)), query.get("state")
    cursor_scope = repr(("bulk-jobs", partner, state))
    after = open_cursor(call, query, cursor_scope)
    work = partial(actions.list_jobs, partner=partner, state=state, limit=query["limit"], after=after)
    jobs, last_id = call.mount.storage.read(work)
    return render_page(call, [schemas.dump_job(job) for job in jobs], last_id, cursor_scope)


@routes.add(
    "GET",
    JOB,
    permissions=("bulk:read",),
    responses={200: BulkJobSchema},
    problems=(InvalidParameter, BulkJobNotFound),
)
def read_bulk_job(call: Request, job_id: str) -> Response:
    """Read a bulk job, with its progress and the counts of its results."""
    call.query(NoQuery)
    return call.json_response(schemas.dump_job(load_progress(call, job_id)))


@routes.add(
    "POST",
    f"{JOB}/cancel",
    permissions=("bulk:create",),
    query=WriteQuery,
    responses={200: BulkJobSchema},
    problems=(*IDEMPOTENCY_PROBLEMS, InvalidParameter, BulkJobNotFound, InvalidState),
)
def cancel_bulk_job(call: Request, job_id: str) -> Response:
    """Cancel a job.

    No further rows are started: rows that are being executed finish, and finished rows stay in effect.
    """
    query = call.query(WriteQuery)
    work = partial(actions.cancel_job, partner=partner_scope(call), job_id=parse_job_id(job_id))
    return execute(call, work, render_job, validate_only=query["validate_only"])


@routes.add(
    "POST",
    f"{JOB}/resume",
    permissions=("bulk:create",),
    query=WriteQuery,
    responses={202: BulkJobSchema},
    problems=(*IDEMPOTENCY_PROBLEMS, InvalidParameter, BulkJobNotFound, InvalidState, LicenseExpired, QuotaExceeded),
)
def resume_bulk_job(call: Request, job_id: str) -> Response:
    """Resume a cancelled job. It needs the permissions that the job's upload needed."""
    query = call.query(WriteQuery)
    require_operation_allowed(call, load_progress(call, job_id).job.operation)
    work = partial(
        actions.resume_job,
        partner=partner_scope(call),
        job_id=parse_job_id(job_id),
        max_open_jobs=call.mount.config.bulk_open_jobs,
    )
    return execute(call, work, partial(render_accepted_job, call), validate_only=query["validate_only"])


def _receive_upload(call: Request, partner: str, upload: Upload) -> Job:
    """Store the upload as a hidden job.

    Raises `MalformedUpload`, `QuotaExceeded`, `UploadTooLarge`, `UploadTooSlow`.
    """
    config = call.mount.config
    limits = actions.get_upload_limits(config, upload.mode)
    try:
        return actions.receive_upload(call.mount.storage, call.actor(), partner, upload, limits, config.bulk_open_jobs)
    except UploadFormatError as error:
        raise MalformedUpload(error.detail, **_get_problem_members(error)) from error
    except UploadLimitError as error:
        raise UploadTooLarge(error.detail, **_get_problem_members(error)) from error


def _get_problem_members(error: UploadError) -> dict[str, Any]:
    return {} if error.line is None else {"line": error.line}


def _queue_job(session: Session, job: Job) -> JobProgress:
    return actions.measure_progress(session, actions.queue_job(session, job))


def _discard_job(call: Request, job: Job) -> None:
    """Remove the received job of a request that failed or was a replay."""
    call.mount.storage.transaction(partial(actions.remove_job, partner=job.partner_id, job_id=job.id))


_NDJSON_BODY = {
    "type": "string",
    "description": "All results, one a line, each a JSON object like an item of a page of JSON.",
    "examples": [
        (
            '{"row":1,"state":"succeeded","status":201,"tenant":"0194f0b2-3b40-7cc3-98c4-dc0c0c07398f",'
            '"external_id":null,"problem":null}\n'
        )
    ],
}
_CSV_BODY = {
    "type": "string",
    "description": "All results; the first row names the columns, and those that begin with `result.` are the result.",
    "examples": ["email,result.row,result.state,result.status\r\nadmin@example.com,1,failed,409\r\n"],
}
_STREAM_BODY = {
    "type": "string",
    "description": "Server-sent events: `progress` while the job runs, then `finished`, each with the job as its data.",
    "examples": ['id: running-500\nevent: progress\ndata: {"state":"running","total":1000,"processed":500}\n\n'],
}


@routes.add(
    "GET",
    f"{JOB}/items",
    permissions=("bulk:read",),
    query=BulkItemsQuery,
    responses={200: {JSON: BulkItemPageSchema, NDJSON: _NDJSON_BODY, CSV: _CSV_BODY}},
    problems=(*LONG_REQUEST_PROBLEMS, InvalidParameter, InvalidCursor, BulkJobNotFound),
)
def list_bulk_items(call: Request, job_id: str) -> Response:
    """List the results of a job's rows. Finished rows come in order: a page of JSON at a time, or all as NDJSON or CSV.

    The CSV also holds the rows that did not take effect: corrected, they can be uploaded again. NDJSON and CSV end
    early, by closing the connection, if the token expires or the partner is suspended.
    """
    query, media_type = call.query(BulkItemsQuery), negotiate(JSON, NDJSON, CSV)
    if media_type == JSON:
        response = _render_page(call, job_id, query)
    else:
        response = _stream_results(call, job_id, query, media_type)
    response.vary.add("Accept")
    return response


@routes.add(
    "GET",
    f"{JOB}/progress",
    permissions=("bulk:read",),
    responses={200: {EVENT_STREAM: _STREAM_BODY}, 204: None},
    problems=(InvalidParameter, BulkJobNotFound),
)
def follow_bulk_job(call: Request, job_id: str) -> Response:
    """Follow the progress of a job. Server-sent events each have the whole job: `progress`, and `finished` at its end.

    A stream ends after five minutes, when its token expires, or at once if the server has no thread to spare. Reconnect
    then, as browsers do, with `Last-Event-ID`. 204 means that nothing will follow.
    """
    call.query(NoQuery)
    negotiate(EVENT_STREAM)
    first = schemas.dump_job(load_progress(call, job_id))
    if first["finished_at"] is not None and request.headers.get("Last-Event-ID") == make_event_id(first):
        return Response(status=204)
    work = partial(actions.load_progress, partner=partner_scope(call), job_id=parse_job_id(job_id))
    storage, guard = call.mount.storage, call.mount.guard
    authorization, address = request.environ.get("HTTP_AUTHORIZATION", ""), request.environ.get("REMOTE_ADDR", "")
    long_request = call.start_long_request(make_response_pace())
    long_request.is_hurried = not (request.is_multithread and _try_acquire_slot(long_request))

    def is_wanted() -> bool:
        return not long_request.is_hurried and guard.would_admit(authorization, ("bulk:read",), address)

    events = stream_events(
        lambda: schemas.dump_job(storage.read(work)), StreamClock(time.monotonic, time.sleep), is_wanted
    )
    headers = {"X-Accel-Buffering": "no"}
    return LongResponse(call.stream(events, long_request), content_type=EVENT_STREAM, headers=headers)


def _render_page(call: Request, job_id: str, query: dict[str, Any]) -> Response:
    state, limit = query.get("state"), query.get("limit", DEFAULT_PAGE_SIZE)
    cursor_scope = repr(("bulk-items", partner_scope(call), parse_job_id(job_id), state))
    after = int(open_cursor(call, query, cursor_scope) or 0)
    work = partial(
        actions.list_results,
        partner=partner_scope(call),
        job_id=parse_job_id(job_id),
        state=state,
        limit=limit,
        after=after,
    )
    results, last_row = call.mount.storage.read(work)
    types, titles = call.mount.problem_type_prefix(), call.mount.once(schemas.load_problem_titles)
    items = [schemas.dump_item(result, titles, types) for result in results]
    return render_page(call, items, None if last_row is None else str(last_row), cursor_scope)


def _stream_results(call: Request, job_id: str, query: dict[str, Any], media_type: str) -> Response:
    reject_page_parameters(query)
    mount, job = call.mount, load_progress(call, job_id).job
    long_request = call.start_long_request(make_response_pace())
    long_request.acquire_slot()
    state, read = query.get("state"), call.read_while_admitted("bulk:read")
    if media_type == NDJSON:
        lines = call.stream(_render_ndjson(call, read_results(read, job, state)), long_request)
        return LongResponse(lines, content_type=NDJSON)
    headers = {"Content-Disposition": f'attachment; filename="{job.id}.csv"'}
    is_foreign = job.partner_id != call.principal.partner
    csv_lines = write_results_csv(
        partial(read_chunks_with_results, read, job, state), mount.registry.fields, is_foreign=is_foreign
    )
    content_type = f"{CSV}; charset=utf-8; header=present"
    return LongResponse(call.stream(csv_lines, long_request), content_type=content_type, headers=headers)


def _try_acquire_slot(long_request: LongRequest) -> bool:
    """Acquire a slot for a long request. Return False if none is free."""
    try:
        long_request.acquire_slot()
    except (TooManyLongRequests, ServerBusy):
        return False
    return True


def _render_ndjson(call: Request, chunks: Iterable[list[RowResult]]) -> Generator[bytes]:
    types, titles = call.mount.problem_type_prefix(), call.mount.once(schemas.load_problem_titles)
    return (
        b"".join(f"{dump_json(schemas.dump_item(result, titles, types))}\n".encode() for result in chunk)
        for chunk in chunks
    )
