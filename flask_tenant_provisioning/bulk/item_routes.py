"""The HTTP of what came of a job's rows, and of its progress."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from functools import partial
from typing import Any

from flask import Response, request

from ..problems import BulkJobNotFound, InvalidCursor, InvalidParameter, ServerBusy, TooManyLongRequests
from ..web.json import render
from ..web.long_requests import Hold, LongResponse, answer_pace
from ..web.media_types import negotiated
from ..web.paging import paged, place
from ..web.parameters import NO_QUERY, refuse_pages
from ..web.requests import LONG, fence
from ..web.routing import CSV, EVENT_STREAM, JSON, NDJSON, Call, Routes
from . import actions, documents, following
from .following import Time
from .outcomes import outcomes, results_of
from .queries import DEFAULT_LIMIT, items_query
from .requests import JOB, named, seen
from .results import Result
from .schemas import BulkItemPageSchema
from .sheets import sheet

routes = Routes()

_TEXT = {"type": "string"}


@routes.add(
    "GET",
    f"{JOB}/items",
    permissions=("bulk:read",),
    query=items_query,
    answers={200: {JSON: BulkItemPageSchema, NDJSON: _TEXT, CSV: _TEXT}},
    problems=(*LONG, InvalidParameter, InvalidCursor, BulkJobNotFound),
)
def list_bulk_items(call: Call, job_id: str) -> Response:
    """List what came of a job's rows so far, in their order: a page of JSON at a time, or all as NDJSON or CSV.

    The CSV holds the rows that did not take effect as well: corrected, they can be uploaded again. NDJSON
    and CSV break off, with the connection, once the token expires or the partner is suspended.
    """
    asked, kind = call.asked(items_query()), negotiated(JSON, NDJSON, CSV)
    answer = _page(call, job_id, asked) if kind == JSON else _stream(call, job_id, asked, kind)
    answer.vary.add("Accept")
    return answer


@routes.add(
    "GET",
    f"{JOB}/progress",
    permissions=("bulk:read",),
    answers={200: {EVENT_STREAM: _TEXT}, 204: None},
    problems=(InvalidParameter, BulkJobNotFound),
)
def follow_bulk_job(call: Call, job_id: str) -> Response:
    """Follow a job by server-sent events, each the job as it is: `progress`, and `finished` at its end.

    A stream ends after some minutes, with its token, or at once where the server has no thread to spare; ask again
    then, as browsers do, with `Last-Event-ID`. 204 says that nothing will follow.
    """
    call.asked(NO_QUERY)
    negotiated(EVENT_STREAM)
    first = documents.job(seen(call, job_id))
    if first["finished_at"] is not None and request.headers.get("Last-Event-ID") == following.mark(first):
        return Response(status=204)
    work = partial(actions.read, partner=fence(call), job_id=named(job_id))
    storage, guard, sent = call.mount.storage, call.mount.guard, request.environ.get("HTTP_AUTHORIZATION", "")
    hold = call.hold(answer_pace())
    hold.is_hurried = not (request.is_multithread and _seated(hold))

    def lasts() -> bool:
        return not hold.is_hurried and guard.admits(sent, ("bulk:read",))

    events = following.stream(lambda: documents.job(storage.read(work)), Time(time.monotonic, time.sleep), lasts)
    headers = {"X-Accel-Buffering": "no"}
    return LongResponse(call.lasting(events, hold), content_type=EVENT_STREAM, headers=headers)


def _page(call: Call, job_id: str, asked: dict[str, Any]) -> Response:
    state, limit = asked.get("state"), asked.get("limit", DEFAULT_LIMIT)
    question = repr(("bulk-items", fence(call), named(job_id), state))
    after = int(place(call, asked, question) or 0)
    work = partial(actions.items, partner=fence(call), job_id=named(job_id), state=state, limit=limit, after=after)
    found, end = call.mount.storage.read(work)
    types, titles = call.mount.problem_types(), call.mount.once(documents.titles)
    items = [documents.item(one, titles, types) for one in found]
    return paged(call, items, None if end is None else str(end), question)


def _stream(call: Call, job_id: str, asked: dict[str, Any], kind: str) -> Response:
    refuse_pages(asked)
    mount, job, hold = call.mount, seen(call, job_id).job, call.hold(answer_pace())
    hold.take_seat()
    state, read = asked.get("state"), call.read_while_admitted("bulk:read")
    if kind == NDJSON:
        lines = call.lasting(_lines(call, results_of(read, job, state)), hold)
        return LongResponse(lines, content_type=NDJSON)
    headers = {"Content-Disposition": f'attachment; filename="{job.id}.csv"'}
    is_foreign = job.partner_id != call.principal.partner
    found = sheet(partial(outcomes, read, job, state), mount.hooks.fields, is_foreign=is_foreign)
    content_type = f"{CSV}; charset=utf-8; header=present"
    return LongResponse(call.lasting(found, hold), content_type=content_type, headers=headers)


def _seated(hold: Hold) -> bool:
    """Return whether a seat was free."""
    try:
        hold.take_seat()
    except (TooManyLongRequests, ServerBusy):
        return False
    return True


def _lines(call: Call, found: Iterable[list[Result]]) -> Generator[bytes]:
    types, titles = call.mount.problem_types(), call.mount.once(documents.titles)
    return (b"".join(f"{render(documents.item(one, titles, types))}\n".encode() for one in some) for some in found)
