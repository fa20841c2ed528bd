"""The HTTP of bulk jobs: uploaded, read, cancelled and resumed."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response, request

from ..database import Session
from ..problems import (
    BulkJobNotFound,
    InvalidCursor,
    InvalidParameter,
    InvalidState,
    LicenseExpired,
    MalformedUpload,
    QuotaExceeded,
    UnsupportedMediaType,
    UploadTooLarge,
    UploadTooSlow,
)
from ..web.idempotency import sent_key
from ..web.paging import paged, place
from ..web.parameters import NO_QUERY, write_query
from ..web.requests import LONG, REPEATABLE, fence
from ..web.routing import Call, Routes
from ..web.writing import write
from . import actions, documents, reading, receiving, uploading
from .actions import Seen
from .models import Job
from .queries import job_list_query, upload_query
from .receiving import Upload
from .requests import JOB, JOBS, begun, named, require_rights, seen, shown
from .schemas import BulkJobPageSchema, BulkJobSchema, upload_input

routes = Routes()


@routes.add(
    "POST",
    JOBS,
    permissions=("bulk:create",),
    body=upload_input,
    consumes=reading.media_types(),
    query=upload_query,
    answers={202: BulkJobSchema},
    counts_as="bulk",
    problems=(
        *REPEATABLE,
        *LONG,
        InvalidParameter,
        MalformedUpload,
        UploadTooLarge,
        UploadTooSlow,
        UnsupportedMediaType,
        LicenseExpired,
        QuotaExceeded,
    ),
)
def create_bulk_job(call: Call) -> Response:
    """Upload rows, each of which is done as the single call would be; plain, or packed with gzip.

    Besides `bulk:create` it needs what the `operation`'s single calls need. A row that is wrong fails alone; with
    `mode=atomic` nothing is done then.
    """
    asked = call.asked(upload_query())
    require_rights(call, asked["operation"])
    sent_key(call.principal, None)
    packed = uploading.encoding()
    partner = call.partner(asked)
    with uploading.body(call) as sent:
        upload = Upload(asked["operation"], asked["mode"], asked["validate_only"], request.mimetype, packed, sent)
        job = _received(call, partner, upload)
    try:
        answer = write(call, partial(_queued, job=job), partial(begun, call), body=[sent.sha256, packed])
    except BaseException:
        _forget(call, job)
        raise
    if "Idempotency-Replayed" in answer.headers:
        _forget(call, job)
    return answer


@routes.add(
    "GET",
    JOBS,
    permissions=("bulk:read",),
    query=job_list_query,
    answers={200: BulkJobPageSchema},
    problems=(InvalidParameter, InvalidCursor),
)
def list_bulk_jobs(call: Call) -> Response:
    """List bulk jobs, the newest first, a page at a time."""
    asked = call.asked(job_list_query())
    partner, state = asked.get("partner", fence(call)), asked.get("state")
    question = repr(("bulk-jobs", partner, state))
    after = place(call, asked, question)
    work = partial(actions.page, partner=partner, state=state, limit=asked["limit"], after=after)
    found, end = call.mount.storage.read(work)
    return paged(call, [documents.job(one) for one in found], end, question)


@routes.add(
    "GET",
    JOB,
    permissions=("bulk:read",),
    answers={200: BulkJobSchema},
    problems=(InvalidParameter, BulkJobNotFound),
)
def read_bulk_job(call: Call, job_id: str) -> Response:
    """Read a bulk job: how far it is, and what came of it."""
    call.asked(NO_QUERY)
    return call.answer(documents.job(seen(call, job_id)))


@routes.add(
    "POST",
    f"{JOB}/cancel",
    permissions=("bulk:create",),
    query=write_query,
    answers={200: BulkJobSchema},
    problems=(*REPEATABLE, InvalidParameter, BulkJobNotFound, InvalidState),
)
def cancel_bulk_job(call: Call, job_id: str) -> Response:
    """Do no further row of a job. Rows that are being done end, and what is done stays done."""
    asked = call.asked(write_query())
    work = partial(actions.cancel, partner=fence(call), job_id=named(job_id))
    return write(call, work, shown, validate_only=asked["validate_only"])


@routes.add(
    "POST",
    f"{JOB}/resume",
    permissions=("bulk:create",),
    query=write_query,
    answers={202: BulkJobSchema},
    problems=(*REPEATABLE, InvalidParameter, BulkJobNotFound, InvalidState, LicenseExpired, QuotaExceeded),
)
def resume_bulk_job(call: Call, job_id: str) -> Response:
    """Go on with a job that was cancelled. It needs what the job's upload needed."""
    asked = call.asked(write_query())
    require_rights(call, seen(call, job_id).job.operation)
    most = call.mount.settings.bulk_open_jobs
    work = partial(actions.resume, partner=fence(call), job_id=named(job_id), most_open=most)
    return write(call, work, partial(begun, call), validate_only=asked["validate_only"])


def _received(call: Call, partner: str, upload: Upload) -> Job:
    """Store the upload as a job that is not shown yet.

    Raises `MalformedUpload`, `QuotaExceeded`, `UploadTooLarge`, `UploadTooSlow`.
    """
    settings = call.mount.settings
    limits = receiving.limits(settings, upload.mode)
    try:
        return receiving.receive(call.mount.storage, call.actor(), partner, upload, limits, settings.bulk_open_jobs)
    except reading.MalformedUpload as error:
        raise MalformedUpload(error.detail, **_placed(error)) from error
    except reading.UploadTooLarge as error:
        raise UploadTooLarge(error.detail, **_placed(error)) from error


def _placed(error: reading.UploadRefused) -> dict[str, Any]:
    return {} if error.line is None else {"line": error.line}


def _queued(session: Session, job: Job) -> Seen:
    return actions.seen(session, receiving.queue(session, job))


def _forget(call: Call, job: Job) -> None:
    """Remove what has been received for a request that was answered before, or fails."""
    call.mount.storage.transaction(partial(receiving.remove, partner=job.partner_id, job_id=job.id))
