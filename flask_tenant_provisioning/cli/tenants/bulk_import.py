"""`tenants import`: a file uploaded as a bulk job, which runs in the process of the command.

The upload is stored first, then the job runs until it has ended, whichever worker does the last of it; then its results
are printed.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import uuid
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import click
from flask.cli import with_appcontext

from ...bulk import actions
from ...bulk.actions import JobProgress, Upload, describe_finished_job
from ...bulk.models import OPERATIONS, Job
from ...bulk.results import RowResult
from ...bulk.results_csv import explain_problem
from ...bulk.upload.limits import UploadError
from ...bulk.upload.reader import BLOCK_SIZE
from ...bulk.worker import SingleJobWork
from ...encoding import unescape_formula
from ...mount import Mount
from ...tenants.schemas import create_query
from ...validation import load_parameters
from ...web.pagination import MAX_PAGE_SIZE
from ...workers.worker import Worker
from ..options import TEXT, find_mount, json_option, make_operator, mount_option
from ..output import Table, get_terminal_width, print_json, print_text
from ..progress import Pace, Progress
from .common import load_allowance
from .files import MEDIA_TYPES, get_file_name, is_gzip, resolve_import_format

#: The status of a command that Ctrl-C ended, as shells have it.
EXIT_INTERRUPTED = 130
_CREATING_OPERATIONS = ("create", "upsert")


@click.command("import", help="Create or change the tenants in FILE, or those on standard input where it is -.")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--partner", type=TEXT, help="Whose tenants they are; with --resume, only if the job is this partner's.")
@click.option("--operation", type=click.Choice(OPERATIONS), help="What each row does to its tenant; by default create.")
@click.option("--atomic", "is_atomic", is_flag=True, help="Do all rows or none.")
@click.option("--dry-run", "is_rehearsal", is_flag=True, help="Only say what would come of each row.")
@click.option("--format", "format", type=click.Choice([*MEDIA_TYPES]), help="What FILE holds; by default as named.")
@click.option("--resume", "job_id", type=click.UUID, metavar="JOB", help="Go on with the job that has this id.")
@json_option
@mount_option
@with_appcontext
def import_tenants(
    file: BinaryIO | None,
    partner: str | None,
    operation: str | None,
    is_atomic: bool,
    is_rehearsal: bool,
    format: str | None,
    job_id: uuid.UUID | None,
    as_json: bool,
    mount_name: str | None,
) -> None:
    """Exits with 0 where no row failed, 1 where one did or was not done, 2 where FILE or an option is unusable."""
    if job_id is not None and (file or operation or is_atomic or is_rehearsal or format):
        raise click.UsageError("--resume takes a job as it is: only --partner, --json and --mount go with it.")
    mount, progress = find_mount(mount_name), Progress()
    if job_id is not None:
        job = _resume_job(mount, partner, str(job_id))
    else:
        if file is None or partner is None:
            raise click.UsageError("Name a FILE and its --partner, or a job with --resume.")
        wanted = ImportRequest(partner, operation or "create", is_atomic, is_rehearsal)
        job = _start_job(mount, file, resolve_import_format(file, format), wanted, progress)
    seen = _run_job(mount, job, progress)
    print_outcome(mount, seen, as_json=as_json)
    if seen.job.state != "succeeded":
        click.get_current_context().exit(1)


def _resume_job(mount: Mount, partner: str | None, job_id: str) -> Job:
    """The job with this id, going on where it was cancelled; one that has ended otherwise stays as it is."""
    job = mount.storage.read(partial(actions.load_progress, partner=partner, job_id=job_id)).job
    if job.finished_at is not None and job.state != "cancelled":
        return job
    _require_allowance(mount, job.operation)
    return mount.storage.transaction(partial(actions.resume_job, partner=partner, job_id=job_id)).job


def _start_job(mount: Mount, file: BinaryIO, format: str, wanted: ImportRequest, progress: Progress) -> Job:
    load_parameters(create_query(), {"partner": [wanted.partner]})
    _require_allowance(mount, wanted.operation)
    try:
        return upload_file(mount, file, format, wanted, progress)
    except KeyboardInterrupt:
        raise _make_interrupt_exit("Stopped. Nothing of the upload is kept.") from None


def _require_allowance(mount: Mount, operation: str) -> None:
    """Raise `LicenseExpired` at once where no row could succeed."""
    if operation in _CREATING_OPERATIONS:
        load_allowance(mount).license.require_provisioning()


def _run_job(mount: Mount, job: Job, progress: Progress) -> JobProgress:
    try:
        return JobRunner(mount, job, progress).run()
    except KeyboardInterrupt:
        named = "" if mount is find_mount(None) else f" --mount {mount.name}"
        again = f"flask provisioning tenants import --resume {job.id}{named}"
        raise _make_interrupt_exit(
            f"Stopped. Nothing is lost: other workers go on with it, if there are any, and so does\n  {again}"
        ) from None


def _make_interrupt_exit(text: str) -> click.exceptions.Exit:
    print_text(text, err=True)
    return click.exceptions.Exit(EXIT_INTERRUPTED)


_GZIP_MAGIC = b"\x1f\x8b"


class UnusableUpload(click.ClickException):
    """The upload is refused; the exit status is 2."""

    exit_code = 2


class ImportRequest(NamedTuple):
    """What is to be done with the rows of a file."""

    partner: str
    operation: str
    is_atomic: bool
    is_rehearsal: bool


def upload_file(mount: Mount, file: BinaryIO, format: str, wanted: ImportRequest, progress: Progress) -> Job:
    """The job of a whole file, for workers to find. Raises `UnusableUpload`; then nothing of it is kept."""
    mode = "atomic" if wanted.is_atomic else "partial"
    limits = actions.get_upload_limits(mount.settings, mode)
    try:
        encoding, stream = _detect_encoding(file, progress)
        upload = Upload(
            wanted.operation, mode, wanted.is_rehearsal, MEDIA_TYPES[format], encoding, stream, unescape_formula
        )
        job = actions.receive_upload(mount.storage, make_operator(wanted.partner), wanted.partner, upload, limits)
        return mount.storage.transaction(lambda session: actions.queue_job(session, job))
    except (UploadError, OSError) as error:
        raise UnusableUpload(f"{get_file_name(file)}: {_format_upload_error(error)} Nothing of it is kept.") from error
    finally:
        progress.clear()


def _detect_encoding(file: BinaryIO, progress: Progress) -> tuple[str | None, Iterator[bytes]]:
    """The encoding and the bytes of a file; gzip tells itself by its first two, or by the file's name."""
    first = file.read(BLOCK_SIZE)
    is_packed = is_gzip(get_file_name(file)) or first.startswith(_GZIP_MAGIC)
    return "gzip" if is_packed else None, _iter_blocks(first, file, progress)


def _iter_blocks(first: bytes, file: BinaryIO, progress: Progress) -> Iterator[bytes]:
    total = 0
    for block in chain([first], iter(lambda: file.read(BLOCK_SIZE), b"")):
        total += len(block)
        if progress.is_due():
            progress.show(f"{total / (1 << 20):,.1f} MiB read")
        yield block


def _format_upload_error(error: UploadError | OSError) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}."
    return error.detail if error.line is None else f"{error.detail.removesuffix('.')}, on line {error.line}."


#: How long whoever interrupts a job waits for the chunks that are being done, in seconds.
GRACE_SECONDS = 10.0


class JobRunner:
    """One job, done here until it has ended, whoever does the last of it."""

    def __init__(self, mount: Mount, job: Job, progress: Progress) -> None:
        self._storage, self._job, self._progress = mount.storage, job, progress
        self._pace = Pace(job.rows, self._seen().processed)
        self._work = SingleJobWork(mount, float(mount.settings.worker_lease_seconds), job)
        self._worker = Worker(self._work, lookout=self._look)
        self._interruptions = 0

    def run(self) -> JobProgress:
        """Do it. Raises `KeyboardInterrupt` at Ctrl-C, once what is begun is ended, and at a second one at once."""
        try:
            with self._handle_interrupts():
                self._worker.run()
                self._worker.finish(GRACE_SECONDS)
        finally:
            self._progress.clear()
        seen = self._seen()
        if self._interruptions and seen.job.finished_at is None:
            raise KeyboardInterrupt
        return seen

    @contextlib.contextmanager
    def _handle_interrupts(self) -> Iterator[None]:
        """Let Ctrl-C, and SIGTERM, end the work; elsewhere than in the main thread nobody sends any."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._record_interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _record_interrupt(self, *_: Any) -> None:
        """Remember the signal: `_look` sees it, since in the midst of anything else the worker's locks may be held."""
        self._interruptions += 1
        if self._interruptions > 1:
            raise KeyboardInterrupt

    def _look(self) -> bool:
        """Whether there is anything left to do; tells how far it is."""
        job = self._work.current()
        if self._interruptions or job is None or job.finished_at is not None:
            self._worker.stop()
            return False
        if self._progress.is_due():
            self._tell(self._seen())
        return True

    def _tell(self, seen: JobProgress) -> None:
        bar = f"{self._pace.bar(seen.processed)} " if self._progress.is_terminal else ""
        self._progress.show(f"{bar}{self._pace.told(seen.processed)}, {seen.tally.failed:,} failed")

    def _seen(self) -> JobProgress:
        job = self._job
        return self._storage.read(partial(actions.load_progress, partner=job.partner_id, job_id=job.id))


FAILURE_COLUMNS = ("row", "line", "code", "detail", "external_id")
#: How many rows that failed people are shown.
MAX_FAILURES_SHOWN = 20


def print_outcome(mount: Mount, seen: JobProgress, *, as_json: bool) -> None:
    """Print what came of the rows, and which of them failed: the first ones, or in JSON all, one a line."""
    if as_json:
        print_json({**describe_finished_job(seen.job), **seen.tally._asdict()})
        for result in iter_failures(mount, seen, MAX_PAGE_SIZE):
            print_json(result._asdict())
        return
    print_text(_format_summary(seen))
    if seen.tally.failed:
        _print_failures(mount, seen)


def iter_failures(mount: Mount, seen: JobProgress, page: int) -> Iterator[RowResult]:
    """Every row that failed, read so many at a time."""
    job, after = seen.job, 0
    while True:
        work = partial(
            actions.list_results, partner=job.partner_id, job_id=job.id, state="failed", limit=page, after=after
        )
        found, end = mount.storage.read(work)
        yield from found
        if end is None:
            return
        after = end


def _format_summary(seen: JobProgress) -> str:
    job, tally = seen.job, seen.tally
    undone = job.rows - sum(tally)
    parts = [
        f"{tally.succeeded:,} {_get_success_phrase(seen)}",
        f"{tally.unchanged:,} unchanged",
        f"{tally.failed:,} failed",
    ]
    parts += [f"{undone:,} not done"] if undone else []
    return f"{job.rows:,} {'row' if job.rows == 1 else 'rows'}: {', '.join(parts)}.\nJob {job.id}: {job.state}."


def _get_success_phrase(seen: JobProgress) -> str:
    return "would succeed" if seen.job.rehearsal else "succeeded"


def _print_failures(mount: Mount, seen: JobProgress) -> None:
    first = [
        _build_failure_row(result)
        for result, _ in zip(iter_failures(mount, seen, MAX_FAILURES_SHOWN), range(MAX_FAILURES_SHOWN), strict=False)
    ]
    print_text("\n" + "\n".join(Table(FAILURE_COLUMNS, get_terminal_width()).lines(first)))
    if seen.tally.failed > MAX_FAILURES_SHOWN:
        print_text(
            f"There are {seen.tally.failed - MAX_FAILURES_SHOWN:,} more: --resume {seen.job.id} --json lists them all.",
            err=True,
        )


def _build_failure_row(result: RowResult) -> dict[str, Any]:
    problem = result.problem or {}
    return {
        "row": result.row,
        "line": problem.get("line"),
        "code": problem.get("code"),
        "detail": explain_problem(problem),
        "external_id": result.external_id,
    }
