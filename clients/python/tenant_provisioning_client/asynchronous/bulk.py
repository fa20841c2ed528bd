"""Bulk jobs: upload many rows, follow the job, read the result of each row."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Literal

from ..errors import ProvisioningError
from ..generated import operations
from ..generated.models import BulkItem, BulkJob
from ..operations import Call
from ..resources import get_id
from ..server_sent_events import EventParser
from ..uploads import Format, Progress, Source, Upload
from .listing import AsyncListing
from .transport import AsyncTransport

BulkOperation = Literal["create", "upsert", "update", "suspend", "reactivate", "delete"]
ItemState = Literal["succeeded", "failed", "unchanged", "skipped"]
JobState = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]
#: Seconds between two looks at a job whose stream has ended: at first, and at most while it does not change.
_SHORTEST, _LONGEST = 1.0, 15.0


class AsyncBulk:
    """Bulk jobs. Where a method takes a job, it takes its id or an object that the client has returned."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def upload(
        self,
        source: Source,
        *,
        operation: BulkOperation = "create",
        mode: Literal["partial", "atomic"] = "partial",
        format: Format | None = None,
        progress: Callable[[Progress], None] | None = None,
        wait: bool = True,
        partner: str | None = None,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> BulkJob:
        """Upload rows, wait for the end of the job, and return it. `items` lists the result of each row.

        The `source` is the path of a CSV, JSON or NDJSON file, which may end in ``.gz``; a binary file, whose `format`
        you name if it has no such path; or any iterable of rows, each a mapping. The upload is streamed, and repeated
        under one key if the connection breaks. With `wait=False`, the job is returned once the API has all rows.

        Raises the problem if the upload is refused: nothing of it is stored then. A row that fails raises nothing.
        """
        query = {
            "operation": operation,
            "mode": mode,
            "partner": partner,
            "validate_only": validate_only or None,
        }
        with Upload(source, format, progress) as upload:
            call = Call(operations.CREATE_BULK_JOB, query=query, key=idempotency_key)
            job = await self._transport.send(call, upload)
            if not wait:
                upload.report(Progress(upload.size, upload.size, job))
                return job
            try:
                async with aclosing(self.follow(job)) as states:
                    async for job in states:
                        upload.report(Progress(upload.size, upload.size, job))
            except ProvisioningError as error:
                error.add_note(f"The upload is complete, and its job goes on: bulk.wait({job.job!r}) follows it.")
                raise
            return job

    async def follow(self, job: BulkJob | str) -> AsyncGenerator[BulkJob]:
        """Yield the job as it is, and again whenever it has changed, until it has finished.

        The API's stream of progress is read, and the job itself where the stream ends early.
        """
        last: BulkJob | None = None
        interval = _SHORTEST
        while last is None or last.finished_at is None:
            current, before = await self.get(job), last
            if current != last:
                last = current
                yield last
            if last.finished_at is None:
                async with aclosing(self._stream(job)) as states:
                    async for streamed in states:
                        if streamed != last:
                            last = streamed
                            yield last
            if last.finished_at is None:
                interval = _SHORTEST if last != before else min(2 * interval, _LONGEST)
                await self._transport.sleep(interval)

    async def wait(self, job: BulkJob | str) -> BulkJob:
        """Wait for the end of a job, and return it."""
        last = await self.get(job)
        async for state in self.follow(job):
            last = state
        return last

    def list(
        self, *, state: JobState | None = None, partner: str | None = None, limit: int | None = None
    ) -> AsyncListing[BulkJob]:
        """Return the list of the jobs, the newest first."""
        query: dict[str, Any] = {"state": state, "partner": partner, "limit": limit}
        return AsyncListing(self._transport, operations.LIST_BULK_JOBS, {}, query)

    async def get(self, job: BulkJob | str) -> BulkJob:
        """Return a job. Raises `BulkJobNotFound`."""
        return await self._transport.send(Call(operations.READ_BULK_JOB, _get_path(job)))

    async def cancel(
        self, job: BulkJob | str, *, validate_only: bool = False, idempotency_key: str | None = None
    ) -> BulkJob:
        """Stop a job, and return it: no further row is executed."""
        query = {"validate_only": validate_only or None}
        return await self._transport.send(Call(operations.CANCEL_BULK_JOB, _get_path(job), query, key=idempotency_key))

    async def resume(
        self, job: BulkJob | str, *, validate_only: bool = False, idempotency_key: str | None = None
    ) -> BulkJob:
        """Continue a cancelled job, and return it."""
        query = {"validate_only": validate_only or None}
        return await self._transport.send(Call(operations.RESUME_BULK_JOB, _get_path(job), query, key=idempotency_key))

    def items(
        self, job: BulkJob | str, *, state: ItemState | None = None, limit: int | None = None
    ) -> AsyncListing[BulkItem]:
        """Return the list of the rows' results; `state="failed"` selects the failed ones."""
        query: dict[str, Any] = {"state": state, "limit": limit}
        return AsyncListing(self._transport, operations.LIST_BULK_ITEMS, _get_path(job), query)

    async def _stream(self, job: BulkJob | str) -> AsyncGenerator[BulkJob]:
        """Yield the job as its stream of progress shows it. A stream that breaks or is refused only ends."""
        call = Call(operations.FOLLOW_BULK_JOB, _get_path(job), headers={"Accept": "text/event-stream"})
        parser = EventParser()
        try:
            async with aclosing(self._transport.iter_lines(call)) as lines:
                async for line in lines:
                    document = parser.feed(line)
                    if document is not None:
                        yield BulkJob.from_dict(document)
        except (ProvisioningError, KeyError, TypeError, ValueError):
            return


def _get_path(job: BulkJob | str) -> dict[str, str]:
    return {"job_id": get_id(job, "job")}
