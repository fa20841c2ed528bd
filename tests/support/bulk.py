"""A host whose bulk jobs a test uploads and has done, for the tests that mean one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from flask import Flask

from flask_tenant_provisioning.access.principal import Actor, Principal
from flask_tenant_provisioning.bulk import actions, results
from flask_tenant_provisioning.bulk.actions import Upload
from flask_tenant_provisioning.bulk.models import Chunk, Job
from flask_tenant_provisioning.bulk.results import RowResult
from flask_tenant_provisioning.bulk.upload.limits import UploadLimits
from flask_tenant_provisioning.workers.worker import make_worker
from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows, get_storage

LIMITS = UploadLimits(max_rows=1_000_000, max_bytes=1 << 30)


class Bulk:
    """The bulk jobs of one partner of `app`."""

    def __init__(self, app: Flask, partner: Caller) -> None:
        self.app, self.partner = app, partner
        self.mount = app.extensions["tenant_provisioning"]["provisioning"]
        self.actor = Actor(Principal("tester", partner.partner), "request-1")

    def upload(self, operation: str, sent: Iterable[Any] | str, **options: Any) -> Job:
        """A job that waits for a worker: of NDJSON rows, or of a CSV text."""
        is_table = isinstance(sent, str)
        data = sent.encode() if isinstance(sent, str) else b"".join(map(_line, sent))
        more = {"mode": "partial", "dry_run": False, **options}
        kind = "text/csv" if is_table else "application/x-ndjson"
        upload = Upload(operation, media_type=kind, encoding=None, stream=[data], **more)
        storage = get_storage(self.app)
        job = actions.receive_upload(storage, self.actor, self.partner.partner, upload, LIMITS)
        return storage.transaction(lambda session: actions.queue_job(session, job))

    def work(self) -> None:
        """Have everything done that is due."""
        make_worker(self.mount).drain()

    def do(self, operation: str, sent: Iterable[Any] | str, **options: Any) -> list[RowResult]:
        """The results of a job that has been done."""
        job = self.upload(operation, sent, **options)
        self.work()
        return self.results(job)

    def job(self, job: Job) -> Job:
        """The job as it is now."""
        (row,) = fetch_rows(self.app, "bulk_jobs", id=job.id)
        return Job(**row)

    def act(self, action: Callable[..., Any], job: Job, **more: Any) -> Any:
        """Return the result of one of the owner's actions."""
        work = partial(action, partner=self.partner.partner, job_id=job.id, **more)
        return get_storage(self.app).transaction(work)

    def results(self, job: Job) -> list[RowResult]:
        """Return the results of its rows."""
        chunks = [Chunk(**row) for row in fetch_rows(self.app, "bulk_chunks", job_id=job.id)]
        assert all(chunk.results is not None for chunk in chunks)
        return [result for chunk in chunks for result in results.decode_results(chunk.first_row, chunk.results or b"")]


def _line(row: Any) -> bytes:
    return (row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n"
