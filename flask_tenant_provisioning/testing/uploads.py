"""Bulk jobs: how the suite uploads rows and sees them done, and what it demands of how jobs are shown."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest

from ..bulk import actions
from ..bulk.single import JobWork
from ..web.media_types import NDJSON
from .answers import TITLES, Answer
from .callers import NO_ROOM, Caller, Document
from .rows import KINDS, Rows

JOBS = "/bulk-jobs"
#: What every job shows, and every item of one.
FIELDS = frozenset({
    "job", "partner", "operation", "mode", "validate_only", "state", "total", "processed", "succeeded", "failed",
    "unchanged", "rate", "created_at", "started_at", "finished_at",
})  # fmt: skip
ITEM_FIELDS = frozenset({"row", "state", "status", "tenant", "external_id", "problem"})
#: What the calls need for which the rows of an operation stand.
NEEDED: dict[str, tuple[str, ...]] = {
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
    **asked: str,
) -> Answer:
    """The answer to an upload of `rows`, or of these bytes, as one who may do what it asks.

    Skips where the host allows fewer rows, or its licence none.
    """
    __tracebackhide__ = True
    body = rows if isinstance(rows, bytes) else _written(caller, rows, kind, asked.get("mode"))
    typed = {"Content-Type": kind, **({"Content-Encoding": "gzip"} if packed else {}), **(headers or {})}
    also = NEEDED.get(asked.get("operation", "create"), ())
    sent = gzip.compress(body) if packed else body
    path = f"{JOBS}?{urlencode(asked)}" if asked else JOBS
    answer = caller("POST", path, body=sent, headers=typed, also=also)
    if answer.status == 403 and answer.json().get("code") in NO_ROOM:
        pytest.skip(f"the licence allows no tenant here: {answer.json()['detail']}")
    return answer


def job(answer: Answer, status: int = 200) -> Document:
    """The job that the answer shows, with everything that one has."""
    __tracebackhide__ = True
    found = answer.document(status)
    require_job(answer, found)
    return found


def require_job(answer: Answer, found: Mapping[str, Any]) -> None:
    """Demand that `found`, which stands in the answer, is a whole job, and that its numbers agree."""
    __tracebackhide__ = True
    answer.require({*found} == FIELDS, f"show {', '.join(sorted(FIELDS))} of a job")
    answer.require_id(found["job"])
    answer.require_instants(found[name] for name in ("created_at", "started_at", "finished_at"))
    counts = [found[name] for name in ("succeeded", "failed", "unchanged", "processed", "total")]
    answer.require(all(type(count) is int and count >= 0 for count in counts), "count its rows")
    answer.require(sum(counts[:3]) <= counts[3] <= counts[4], "count no row twice")
    ended = found["state"] not in ("queued", "running")
    answer.require((found["finished_at"] is not None) is ended, "say when it ended, once it has")


def job_path(found: Mapping[str, Any], action: str = "") -> str:
    """The job's path, or that of something done to it."""
    return f"{JOBS}/{found['job']}{action}"


def ended(caller: Caller, found: Mapping[str, Any]) -> Document:
    """The job once it has ended. Where no worker stands ready, its rows are done here."""
    __tracebackhide__ = True
    if caller.api.settings.engine != "embedded":
        _do_here(caller, found)
    seen = caller.wait(
        lambda: job(caller("GET", job_path(found))), lambda: f"The bulk job {found['job']} has not come to its end."
    )
    if seen["finished_at"] is None:
        raise AssertionError(f"The bulk job {seen['job']} should end; it is {seen['state']}.")
    return seen


def done(caller: Caller, rows: Rows | bytes, kind: str = NDJSON, **options: Any) -> Document:
    """The job of an upload, once it has ended.

    Skips where a hook of the host's refuses a change, or its licence a tenant.
    """
    __tracebackhide__ = True
    found = ended(caller, job(upload(caller, rows, kind, **options), 202))
    for item in items(caller, found, state="failed") if found["failed"] else ():
        code = item["problem"]["code"]
        if code in NO_ROOM:
            pytest.skip(f"the licence allows no tenant here: {item['problem']['detail']}")
        if code not in TITLES and found["operation"] not in ("create", "upsert"):
            pytest.skip(f"a hook of this host refuses {found['operation']}: {item['status']} {code}")
    return found


def require_nothing(caller: Caller, answer: Answer) -> None:
    """Demand that the partner has neither a job nor a tenant."""
    __tracebackhide__ = True
    answer.require(caller("GET", JOBS).document()["items"] == [], "keep nothing of the upload")
    answer.require(caller.listed(include_deleted="true") == [], "create nothing")


def items(caller: Caller, found: Mapping[str, Any], **asked: Any) -> list[Document]:
    """What came of the job's rows, on the first page of this list."""
    __tracebackhide__ = True
    answer = caller("GET", job_path(found, f"/items?{urlencode({'limit': 1000, **asked})}"))
    page = answer.document()
    answer.require({*page} == {"items", "next"}, "answer items and next")
    for item in page["items"]:
        answer.require({*item} == ITEM_FIELDS, f"show {', '.join(sorted(ITEM_FIELDS))} of each item")
    return list(page["items"])


def _written(caller: Caller, rows: Rows, kind: str, mode: str | None) -> bytes:
    settings = caller.api.settings
    most = min(settings.bulk_max_rows, settings.bulk_atomic_rows if mode == "atomic" else settings.bulk_max_rows)
    body = KINDS[kind](rows)
    if len(rows) > most or len(body) > settings.bulk_max_bytes:
        pytest.skip(f"the host allows uploads of {most} rows and {settings.bulk_max_bytes} bytes at most")
    return body


def _do_here(caller: Caller, found: Mapping[str, Any]) -> None:
    mount = caller.api.mount
    read = partial(actions.read, partner=found["partner"], job_id=found["job"])
    work = JobWork(mount, float(mount.settings.worker_lease_seconds), mount.storage.read(read).job)
    while pieces := work.claim(1):
        work.run(pieces[0])
