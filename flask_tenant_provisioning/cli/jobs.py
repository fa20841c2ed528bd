"""`flask provisioning jobs`: the API's operations on bulk jobs, for operators."""

from __future__ import annotations

from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ..bulk import actions, schemas
from ..bulk.models import JOB_STATES, OPERATIONS
from ..bulk.results import RESULT_STATES as ROW_STATES, RowResult
from ..bulk.results_csv import explain_problem
from ..bulk.schemas import parse_job_id
from .options import TEXT, find_mount, json_option, mount_option, resource_options
from .output import iter_pages, print_document, print_pages, print_text
from .tenants.common import load_allowance

COLUMNS = ("job", "partner", "operation", "state", "total", "processed", "failed", "created_at", "finished_at")
ROW_COLUMNS = ("row", "state", "status", "code", "detail", "external_id", "tenant")


@click.group("jobs", help="List, show, cancel and resume bulk jobs.")
def job_commands() -> None:
    """Group of the commands."""


@job_commands.command("list", help="List bulk jobs, newest first. Those of every partner, unless --partner names one.")
@click.option("--partner", type=TEXT, help="Only those of this partner.")
@click.option(
    "--state",
    type=click.Choice([state for state in JOB_STATES if state != "receiving"]),
    help="Only jobs in this state.",
)
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="Maximum number to list; 0 for all."
)
@json_option
@mount_option
@with_appcontext
def list_jobs(partner: str | None, state: str | None, limit: int, as_json: bool, mount_name: str | None) -> None:
    read_page = partial(actions.list_jobs, partner=partner, state=state)
    pages = iter_pages(find_mount(mount_name).storage, read_page, schemas.dump_job, limit)
    print_pages(pages, COLUMNS, "bulk jobs", as_json=as_json)


@job_commands.command("show", help="Show the bulk job JOB. Shows its progress and the count of each result.")
@resource_options("job")
def show(job: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    progress = mount.storage.read(partial(actions.load_progress, partner=partner, job_id=parse_job_id(job)))
    print_document(schemas.dump_job(progress), as_json=as_json)
    if not as_json and progress.tally.failed:
        print_text(f"`jobs items {progress.job.id} --state failed` lists the rows that failed.", err=True)


@job_commands.command(
    "items", help="List the row results of the bulk job JOB. Rows that are not done yet are left out."
)
@click.option("--state", type=click.Choice(ROW_STATES), help="Only rows with this result.")
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="Maximum number to list; 0 for all."
)
@resource_options("job")
def items(job: str, partner: str | None, state: str | None, limit: int, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)

    def read_page(session: Any, limit: int, after: int | None) -> tuple[list[RowResult], Any]:
        return actions.list_results(session, partner, parse_job_id(job), state, limit, after or 0)

    def render(result: RowResult) -> dict[str, Any]:
        document = result._asdict()
        if not as_json:
            problem = result.problem or {}
            document |= {"code": problem.get("code"), "detail": explain_problem(problem)}
        return document

    print_pages(iter_pages(mount.storage, read_page, render, limit), ROW_COLUMNS, "rows", as_json=as_json)


@job_commands.command("cancel", help="Cancel the bulk job JOB. Rows that are already done stay done.")
@resource_options("job")
def cancel(job: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    action = partial(actions.cancel_job, partner=partner, job_id=parse_job_id(job))
    print_document(schemas.dump_job(mount.storage.transaction(action)), as_json=as_json)


@job_commands.command("resume", help="Resume the cancelled bulk job JOB. Workers process its remaining rows.")
@resource_options("job")
def resume(job: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    progress = mount.storage.read(partial(actions.load_progress, partner=partner, job_id=parse_job_id(job)))
    if OPERATIONS[progress.job.operation].creates_tenants:
        load_allowance(mount).license.require_provisioning()
    action = partial(actions.resume_job, partner=partner, job_id=parse_job_id(job))
    print_document(schemas.dump_job(mount.storage.transaction(action)), as_json=as_json)
