"""`tenants import`: a file uploaded as a bulk job that the command itself runs, beside other workers.

The upload is stored first. Then the job runs until it has finished, here or in other workers, and its results are
printed.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import click
from flask.cli import with_appcontext

from ...bulk import actions
from ...bulk.actions import JobProgress, Upload, describe_finished_job
from ...bulk.models import DEFAULT_OPERATION, OPERATIONS, Job
from ...bulk.results import RowResult
from ...bulk.results_csv import explain_problem
from ...bulk.upload.limits import UploadError
from ...bulk.upload.reader import BLOCK_SIZE
from ...bulk.worker import SingleJobWork
from ...encoding import unescape_formula
from ...mount import Mount
from ...tenants.schemas import CreateQuery
from ...validation import load_parameters
from ...web.pagination import MAX_PAGE_SIZE
from ...workers.worker import Worker
from ..options import TEXT, find_mount, json_option, make_operator, mount_option
from ..output import make_table, print_json, print_text
from ..progress import Pace, Progress
from ..worker import handle_signals
from .common import load_allowance
from .files import MEDIA_TYPES, get_file_name, is_gzip, resolve_import_format

#: Exit status of a command stopped by Ctrl-C, as in shells.
EXIT_INTERRUPTED = 130
_GZIP_MAGIC = b"\x1f\x8b"


@click.command("import", help="Import tenants from FILE. Creates or changes them as a bulk job; - is standard input.")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--partner", type=TEXT, help="The partner of the tenants; with --resume, only if the job belongs to it.")
@click.option("--operation", type=click.Choice(tuple(OPERATIONS)), help="Operation of each row; by default create.")
@click.option("--atomic", "is_atomic", is_flag=True, help="Apply all rows or none.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only report the result that each row would have.")
@click.option(
    "--format", "format", type=click.Choice([*MEDIA_TYPES]), help="Format of FILE; by default that of its name."
)
@click.option("--resume", "job_id", type=click.UUID, metavar="JOB", help="Resume the job with this id.")
@json_option
@mount_option
@with_appcontext
def import_tenants(
    file: BinaryIO | None,
    partner: str | None,
    operation: str | None,
    is_atomic: bool,
    is_dry_run: bool,
    format: str | None,
    job_id: uuid.UUID | None,
    as_json: bool,
    mount_name: str | None,
) -> None:
    """Exit with 0 if no row failed, 1 if a row failed or was not done, 2 if FILE or an option cannot be used."""
    if job_id is not None and (file or operation or is_atomic or is_dry_run or format):
        raise click.UsageError("--resume can only be combined with --partner, --json and --mount.")
    mount, progress = find_mount(mount_name), Progress()
    if job_id is not None:
        job = _resume_job(mount, partner, str(job_id))
    else:
        if file is None or partner is None:
            raise click.UsageError("Name a FILE and its --partner, or a job with --resume.")
        request = ImportRequest(partner, operation or DEFAULT_OPERATION, is_atomic, is_dry_run)
        job = _start_job(mount, file, resolve_import_format(file, format), request, progress)
    result = _run_job(mount, job, progress)
    print_results(mount, result, as_json=as_json)
    if result.job.state != "succeeded":
        click.get_current_context().exit(1)


def _resume_job(mount: Mount, partner: str | None, job_id: str) -> Job:
    """Return the job with this id, resumed if it was cancelled; other finished jobs are returned unchanged."""
    job = mount.storage.read(partial(actions.load_progress, partner=partner, job_id=job_id)).job
    if job.finished_at is not None and job.state != "cancelled":
        return job
    _require_allowance(mount, job.operation)
    return mount.storage.transaction(partial(actions.resume_job, partner=partner, job_id=job_id)).job


def _start_job(mount: Mount, file: BinaryIO, format: str, request: ImportRequest, progress: Progress) -> Job:
    load_parameters(CreateQuery(), {"partner": [request.partner]})
    _require_allowance(mount, request.operation)
    try:
        return upload_file(mount, file, format, request, progress)
    except KeyboardInterrupt:
        raise _make_interrupt_exit("Stopped. Nothing was saved.") from None


def _require_allowance(mount: Mount, operation: str) -> None:
    """Raise `LicenseExpired` before the upload if the licence lets no row succeed."""
    if OPERATIONS[operation].creates_tenants:
        load_allowance(mount).license.require_provisioning()


def _run_job(mount: Mount, job: Job, progress: Progress) -> JobProgress:
    try:
        return JobRunner(mount, job, progress).run()
    except KeyboardInterrupt:
        mount_argument = "" if mount is find_mount(None) else f" --mount {mount.name}"
        command = f"flask provisioning tenants import --resume {job.id}{mount_argument}"
        raise _make_interrupt_exit(
            f"Stopped. The job is kept: other workers continue it, if any run. To continue it here:\n  {command}"
        ) from None


def _make_interrupt_exit(text: str) -> click.exceptions.Exit:
    print_text(text, err=True)
    return click.exceptions.Exit(EXIT_INTERRUPTED)


class UnusableUpload(click.ClickException):
    """A file that cannot be imported; the exit status is 2."""

    exit_code = 2


class ImportRequest(NamedTuple):
    """Options of an import: the partner, and how the rows of the file are processed."""

    partner: str
    operation: str
    is_atomic: bool
    is_dry_run: bool


def upload_file(mount: Mount, file: BinaryIO, format: str, request: ImportRequest, progress: Progress) -> Job:
    """Store the file as a queued job. Raises `UnusableUpload`, and then nothing is saved."""
    mode = "atomic" if request.is_atomic else "partial"
    limits = actions.get_upload_limits(mount.config, mode)
    try:
        encoding, stream = _detect_encoding(file, progress)
        upload = Upload(
            request.operation, mode, request.is_dry_run, MEDIA_TYPES[format], encoding, stream, unescape_formula
        )
        job = actions.receive_upload(mount.storage, make_operator(request.partner), request.partner, upload, limits)
        return mount.storage.transaction(lambda session: actions.queue_job(session, job))
    except (UploadError, OSError) as error:
        raise UnusableUpload(f"{get_file_name(file)}: {_format_upload_error(error)} Nothing was saved.") from error
    finally:
        progress.clear()


def _detect_encoding(file: BinaryIO, progress: Progress) -> tuple[str | None, Iterator[bytes]]:
    """Return the content encoding and the blocks of a file: gzip by its first two bytes, or by the file's name."""
    first = file.read(BLOCK_SIZE)
    is_compressed = is_gzip(get_file_name(file)) or first.startswith(_GZIP_MAGIC)
    return "gzip" if is_compressed else None, _iter_blocks(first, file, progress)


def _iter_blocks(first: bytes, file: BinaryIO, progress: Progress) -> Iterator[bytes]:
    total = 0
    for block in itertools.chain([first], iter(lambda: file.read(BLOCK_SIZE), b"")):
        total += len(block)
        if progress.is_due():
            progress.show(f"{total / (1 << 20):,.1f} MiB read")
        yield block


def _format_upload_error(error: UploadError | OSError) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}."
    return error.detail if error.line is None else f"{error.detail.removesuffix('.')}, on line {error.line}."


#: Seconds to wait for running chunks after an interruption.
GRACE_SECONDS = 10.0


class JobRunner:
    """A bulk job that is run here until it has finished, while other workers may process chunks of it too."""

    def __init__(self, mount: Mount, job: Job, progress: Progress) -> None:
        self._storage, self._job, self._progress = mount.storage, job, progress
        self._pace = Pace(job.rows, self._load_progress().processed)
        self._work = SingleJobWork(mount, float(mount.config.worker_lease_seconds), job)
        self._worker = Worker(self._work, is_work_due=self._has_work)
        self._interruptions = 0

    def run(self) -> JobProgress:
        """Run the job and return its progress at the end.

        Raises `KeyboardInterrupt` after Ctrl-C, when running chunks have ended, or at once after a second Ctrl-C.
        """
        try:
            with handle_signals(self._record_interrupt):
                self._worker.run()
                self._worker.finish(GRACE_SECONDS)
        finally:
            self._progress.clear()
        result = self._load_progress()
        if self._interruptions and result.job.finished_at is None:
            raise KeyboardInterrupt
        return result

    def _record_interrupt(self) -> None:
        """Count the signal. `_has_work` stops the worker, since a signal may arrive while the worker holds locks."""
        self._interruptions += 1
        if self._interruptions > 1:
            raise KeyboardInterrupt

    def _has_work(self) -> bool:
        """Return True if the job has not finished, and show its progress; otherwise stop the worker."""
        job = self._work.load_job()
        if self._interruptions or job is None or job.finished_at is not None:
            self._worker.stop()
            return False
        if self._progress.is_due():
            self._show_progress(self._load_progress())
        return True

    def _show_progress(self, state: JobProgress) -> None:
        text = f"{self._pace.format(state.processed)}, {state.tally.failed:,} failed"
        self._progress.show(text, done=state.processed, total=self._job.rows)

    def _load_progress(self) -> JobProgress:
        job = self._job
        return self._storage.read(partial(actions.load_progress, partner=job.partner_id, job_id=job.id))


FAILURE_COLUMNS = ("row", "line", "code", "detail", "external_id")
#: Maximum number of failed rows shown without --json.
MAX_FAILURES_SHOWN = 20


def print_results(mount: Mount, result: JobProgress, *, as_json: bool) -> None:
    """Print a summary and the first failed rows, or as JSON the job and every failed row, one a line."""
    if as_json:
        print_json({**describe_finished_job(result.job), **result.tally._asdict()})
        for row in iter_failures(mount, result, MAX_PAGE_SIZE):
            print_json(row._asdict())
        return
    print_text(_format_summary(result))
    if result.tally.failed:
        _print_failures(mount, result)


def iter_failures(mount: Mount, result: JobProgress, page_size: int) -> Iterator[RowResult]:
    """Yield every failed row of a job, reading `page_size` rows at a time."""
    job, after = result.job, 0
    while True:
        action = partial(
            actions.list_results, partner=job.partner_id, job_id=job.id, state="failed", limit=page_size, after=after
        )
        rows, end = mount.storage.read(action)
        yield from rows
        if end is None:
            return
        after = end


def _format_summary(result: JobProgress) -> str:
    job, tally = result.job, result.tally
    not_done = job.rows - sum(tally)
    parts = [
        f"{tally.succeeded:,} {'would succeed' if job.rehearsal else 'succeeded'}",
        f"{tally.unchanged:,} unchanged",
        f"{tally.failed:,} failed",
    ]
    parts += [f"{not_done:,} not done"] if not_done else []
    return f"{job.rows:,} {'row' if job.rows == 1 else 'rows'}: {', '.join(parts)}.\nJob {job.id}: {job.state}."


def _print_failures(mount: Mount, result: JobProgress) -> None:
    first = [
        _build_failure_row(row)
        for row in itertools.islice(iter_failures(mount, result, MAX_FAILURES_SHOWN), MAX_FAILURES_SHOWN)
    ]
    print_text("\n" + "\n".join(make_table(FAILURE_COLUMNS).format_rows(first)))
    if result.tally.failed > MAX_FAILURES_SHOWN:
        print_text(
            f"There are {result.tally.failed - MAX_FAILURES_SHOWN:,} more: "
            f"--resume {result.job.id} --json lists them all.",
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
