"""``tenants import``."""

from __future__ import annotations

import uuid
from functools import partial
from typing import BinaryIO

import click
from flask.cli import with_appcontext

from ...bulk import actions
from ...bulk.actions import Seen
from ...bulk.models import OPERATIONS, Job
from ...tenants.queries import create_query
from ...web.mount import Mount
from ...web.validation import load_parameters
from ..mounts import chosen_mount, mount_option
from ..output import json_option, say
from ..problems import told
from ..progress import Progress
from .files import MEDIA_TYPES
from .options import TEXT
from .outcome import say_outcome
from .performing import Performance
from .uploading import Wanted, format_told, received
from .working import allowance

#: The status of a command that Ctrl-C ended, as shells have it.
INTERRUPTED = 130
_PROVISIONING = ("create", "upsert")


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
    mount: str | None,
) -> None:
    """Exits with 0 where no row failed, 1 where one did or was not done, 2 where FILE or an option is unusable."""
    if job_id is not None and (file or operation or is_atomic or is_rehearsal or format):
        raise click.UsageError("--resume takes a job as it is: only --partner, --json and --mount go with it.")
    chosen, progress = chosen_mount(mount), Progress()
    with told():
        if job_id is not None:
            job = _taken_up(chosen, partner, str(job_id))
        else:
            if file is None or partner is None:
                raise click.UsageError("Name a FILE and its --partner, or a job with --resume.")
            wanted = Wanted(partner, operation or "create", is_atomic, is_rehearsal)
            job = _received(chosen, file, format_told(file, format), wanted, progress)
        seen = _performed(chosen, job, progress)
        say_outcome(chosen, seen, as_json=as_json)
    if seen.job.state != "succeeded":
        click.get_current_context().exit(1)


def _taken_up(mount: Mount, partner: str | None, job_id: str) -> Job:
    """The job with this id, going on where it was cancelled; one that has ended otherwise stays as it is."""
    job = mount.storage.read(partial(actions.read, partner=partner, job_id=job_id)).job
    if job.finished_at is not None and job.state != "cancelled":
        return job
    _require_allowance(mount, job.operation)
    return mount.storage.transaction(partial(actions.resume, partner=partner, job_id=job_id)).job


def _received(mount: Mount, file: BinaryIO, format: str, wanted: Wanted, progress: Progress) -> Job:
    load_parameters(create_query(), {"partner": [wanted.partner]})
    _require_allowance(mount, wanted.operation)
    try:
        return received(mount, file, format, wanted, progress)
    except KeyboardInterrupt:
        raise _interrupted("Stopped. Nothing of the upload is kept.") from None


def _require_allowance(mount: Mount, operation: str) -> None:
    """Raise `LicenseExpired` at once where no row could succeed."""
    if operation in _PROVISIONING:
        allowance(mount).license.require_provisioning()


def _performed(mount: Mount, job: Job, progress: Progress) -> Seen:
    try:
        return Performance(mount, job, progress).run()
    except KeyboardInterrupt:
        named = "" if mount is chosen_mount(None) else f" --mount {mount.name}"
        again = f"flask provisioning tenants import --resume {job.id}{named}"
        raise _interrupted(
            f"Stopped. Nothing is lost: other workers go on with it, if there are any, and so does\n  {again}"
        ) from None


def _interrupted(text: str) -> click.exceptions.Exit:
    say(text, err=True)
    return click.exceptions.Exit(INTERRUPTED)
