"""Bulk jobs: rows and the files that hold them, uploads, and jobs as they are shown."""

from __future__ import annotations

import csv
import gzip
import io
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest

from ..bulk import actions
from ..bulk.worker import SingleJobWork
from ..web.headers import CSV, JSON, NDJSON
from .callers import LICENSE_LIMIT_CODES, Caller, Document
from .responses import PROBLEM_TITLES, ApiResponse

Rows = Sequence[Mapping[str, Any]]


def make_rows(partner: Caller, count: int = 2, **fields: Any) -> list[Document]:
    """Rows for new tenants, each with an external id of its own."""
    return [partner.body(external_id=f"bulk-{uuid.uuid4().hex}", **fields) for _ in range(count)]


def make_rows_with_error(partner: Caller) -> list[Document]:
    """Make three rows whose second row has an invalid email."""
    first, last = make_rows(partner)
    return [first, *make_rows(partner, 1, email="admin@"), last]


def write_json(rows: Rows) -> bytes:
    """A JSON array; its first row is on line 2."""
    return b"[\n%b\n]" % b",\n".join(json.dumps(row).encode() for row in rows)


def write_ndjson(rows: Rows) -> bytes:
    """NDJSON; its first row is on line 1."""
    return b"".join(b"%b\n" % json.dumps(row).encode() for row in rows)


def write_csv(rows: Rows) -> bytes:
    """CSV; its first row is on line 2, unless a name has several."""
    cells = [dict(_iter_cells(row)) for row in rows]
    written = io.StringIO()
    writer = csv.DictWriter(written, list(dict.fromkeys(name for row in cells for name in row)))
    writer.writeheader()
    writer.writerows(cells)
    return written.getvalue().encode()


#: What writes rows as each media type.
ROW_WRITERS: dict[str, Callable[[Rows], bytes]] = {
    JSON: write_json,
    NDJSON: write_ndjson,
    "application/jsonl": write_ndjson,
    CSV: write_csv,
}


def _iter_cells(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if name == "metadata":
            yield from ((f"metadata.{key}", cell) for key, cell in value.items())
        elif value is not None:
            yield name, value if isinstance(value, str) else json.dumps(value)


JOBS = "/bulk-jobs"
#: What every job shows, and every item of one.
JOB_FIELDS = frozenset({
    "job", "partner", "operation", "mode", "validate_only", "state", "total", "processed", "succeeded", "failed",
    "unchanged", "rate", "created_at", "started_at", "finished_at",
})  # fmt: skip
ITEM_FIELDS = frozenset({"row", "state", "status", "tenant", "external_id", "problem"})
#: What the calls need for which the rows of an operation stand.
OPERATION_PERMISSIONS: dict[str, tuple[str, ...]] = {
    "create": ("tenant:create",),
    "upsert": ("tenant:create", "tenant:update"),
    "update": ("tenant:update",),
    "suspend": ("tenant:update",),
    "reactivate": ("tenant:update",),
    "delete": ("tenant:delete",),
}


def upload(
    caller: Caller,
    rows: Rows | bytes,
    kind: str = NDJSON,
    *,
    packed: bool = False,
    headers: Mapping[str, str] | None = None,
    **query: str,
) -> ApiResponse:
    """Return the response to an upload of `rows`, or of these bytes, with the permissions that it needs.

    Skips where the host allows fewer rows, or its licence none.
    """
    __tracebackhide__ = True
    body = rows if isinstance(rows, bytes) else _write_rows(caller, rows, kind, query.get("mode"))
    typed = {"Content-Type": kind, **({"Content-Encoding": "gzip"} if packed else {}), **(headers or {})}
    also = OPERATION_PERMISSIONS.get(query.get("operation", "create"), ())
    sent = gzip.compress(body) if packed else body
    path = f"{JOBS}?{urlencode(query)}" if query else JOBS
    response = caller("POST", path, body=sent, headers=typed, also=also)
    if response.status == 403 and response.json().get("code") in LICENSE_LIMIT_CODES:
        pytest.skip(f"the licence allows no tenant here: {response.json()['detail']}")
    return response


def read_job(response: ApiResponse, status: int = 200) -> Document:
    """The job that the answer shows, with everything that one has."""
    __tracebackhide__ = True
    job = response.document(status)
    require_job(response, job)
    return job


def require_job(response: ApiResponse, job: Mapping[str, Any]) -> None:
    """Demand that `found`, which stands in the answer, is a whole job, and that its numbers agree."""
    __tracebackhide__ = True
    response.require({*job} == JOB_FIELDS, f"show {', '.join(sorted(JOB_FIELDS))} of a job")
    response.require_id(job["job"])
    response.require_instants(job[name] for name in ("created_at", "started_at", "finished_at"))
    counts = [job[name] for name in ("succeeded", "failed", "unchanged", "processed", "total")]
    response.require(all(type(count) is int and count >= 0 for count in counts), "count its rows")
    response.require(sum(counts[:3]) <= counts[3] <= counts[4], "count no row twice")
    ended = job["state"] not in ("queued", "running")
    response.require((job["finished_at"] is not None) is ended, "say when it ended, once it has")


def get_job_path(job: Mapping[str, Any], action: str = "") -> str:
    """The job's path, or that of something done to it."""
    return f"{JOBS}/{job['job']}{action}"


def wait_for_job(caller: Caller, job: Mapping[str, Any]) -> Document:
    """The job once it has ended. Where no worker stands ready, its rows are done here."""
    __tracebackhide__ = True
    if caller.api.config.engine != "embedded":
        _run_job_here(caller, job)
    seen = caller.wait(
        lambda: read_job(caller("GET", get_job_path(job))),
        lambda: f"The bulk job {job['job']} has not come to its end.",
    )
    if seen["finished_at"] is None:
        raise AssertionError(f"The bulk job {seen['job']} should end; it is {seen['state']}.")
    return seen


def upload_and_wait(caller: Caller, rows: Rows | bytes, kind: str = NDJSON, **options: Any) -> Document:
    """The job of an upload, once it has ended.

    Skips where a hook of the host's refuses a change, or its licence a tenant.
    """
    __tracebackhide__ = True
    job = wait_for_job(caller, read_job(upload(caller, rows, kind, **options), 202))
    for item in list_items(caller, job, state="failed") if job["failed"] else ():
        code = item["problem"]["code"]
        if code in LICENSE_LIMIT_CODES:
            pytest.skip(f"the licence allows no tenant here: {item['problem']['detail']}")
        if code not in PROBLEM_TITLES and job["operation"] not in ("create", "upsert"):
            pytest.skip(f"a hook of this host refuses {job['operation']}: {item['status']} {code}")
    return job


def require_nothing(caller: Caller, response: ApiResponse) -> None:
    """Demand that the partner has neither a job nor a tenant."""
    __tracebackhide__ = True
    response.require(caller("GET", JOBS).document()["items"] == [], "keep nothing of the upload")
    response.require(caller.list_tenants(include_deleted="true") == [], "create nothing")


def list_items(caller: Caller, job: Mapping[str, Any], **query: Any) -> list[Document]:
    """Return the results of the job's rows on the first page of this list."""
    __tracebackhide__ = True
    response = caller("GET", get_job_path(job, f"/items?{urlencode({'limit': 1000, **query})}"))
    page = response.document()
    response.require({*page} == {"items", "next"}, "answer items and next")
    for item in page["items"]:
        response.require({*item} == ITEM_FIELDS, f"show {', '.join(sorted(ITEM_FIELDS))} of each item")
    return list(page["items"])


def _write_rows(caller: Caller, rows: Rows, kind: str, mode: str | None) -> bytes:
    settings = caller.api.config
    most = min(settings.bulk_max_rows, settings.bulk_atomic_rows if mode == "atomic" else settings.bulk_max_rows)
    body = ROW_WRITERS[kind](rows)
    if len(rows) > most or len(body) > settings.bulk_max_bytes:
        pytest.skip(f"the host allows uploads of {most} rows and {settings.bulk_max_bytes} bytes at most")
    return body


def _run_job_here(caller: Caller, job: Mapping[str, Any]) -> None:
    mount = caller.api.mount
    read = partial(actions.load_progress, partner=job["partner"], job_id=job["job"])
    work = SingleJobWork(mount, float(mount.config.worker_lease_seconds), mount.storage.read(read).job)
    while pieces := work.claim(1):
        work.run(pieces[0])
