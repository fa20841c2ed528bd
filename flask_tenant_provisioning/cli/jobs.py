"""``flask provisioning jobs``: what the API does about bulk jobs, for an operator."""

from __future__ import annotations

from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ..bulk import actions, documents
from ..bulk.models import STATES
from ..bulk.requests import NEEDED, named
from ..bulk.results import STATES as ROW_STATES, Result
from ..bulk.sheets import explained
from .mounts import chosen_mount, mount_option
from .output import json_option, say, say_one
from .paging import pages, say_pages
from .problems import told
from .tenants.options import TEXT, on_one
from .tenants.working import allowance

COLUMNS = ("job", "partner", "operation", "state", "total", "processed", "failed", "created_at", "finished_at")
ROWS = ("row", "state", "status", "code", "detail", "external_id", "tenant")


@click.group("jobs", help="List, show, cancel and resume bulk jobs as the API does.")
def job_commands() -> None:
    """The group."""


@job_commands.command("list", help="List bulk jobs, the newest first, of every partner unless --partner names one.")
@click.option("--partner", type=TEXT, help="Only this partner's.")
@click.option("--state", type=click.Choice([state for state in STATES if state != "receiving"]), help="Only those.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="How many at most; 0: all.")
@json_option
@mount_option
@with_appcontext
def list_jobs(partner: str | None, state: str | None, limit: int, as_json: bool, mount: str | None) -> None:
    work = partial(actions.page, partner=partner, state=state)
    with told():
        found = pages(chosen_mount(mount).storage, work, documents.job, limit)
        say_pages(found, COLUMNS, "bulk jobs", as_json=as_json)


@job_commands.command("show", help="Show the bulk job with the id JOB: how far it is, and its results.")
@on_one("job")
def show(job: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        found = chosen.storage.read(partial(actions.read, partner=partner, job_id=named(job)))
        say_one(documents.job(found), as_json=as_json)
    if not as_json and found.tally.failed:
        say(f"`jobs items {found.job.id} --state failed` lists the rows that failed.", err=True)


@job_commands.command("items", help="List the results of the rows of the bulk job with the id JOB so far.")
@click.option("--state", type=click.Choice(ROW_STATES), help="Only rows with this result.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="How many at most; 0: all.")
@on_one("job")
def items(job: str, partner: str | None, state: str | None, limit: int, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)

    def work(session: Any, limit: int, after: int | None) -> tuple[list[Result], Any]:
        return actions.items(session, partner, named(job), state, limit, after or 0)

    def shown(result: Result) -> dict[str, Any]:
        problem = result.problem or {}
        return {**result._asdict(), **({} if as_json else {"code": problem.get("code"), "detail": explained(problem)})}

    with told():
        say_pages(pages(chosen.storage, work, shown, limit), ROWS, "rows", as_json=as_json)


@job_commands.command("cancel", help="Do no further row of the bulk job with the id JOB; what is done stays done.")
@on_one("job")
def cancel(job: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        work = partial(actions.cancel, partner=partner, job_id=named(job))
        say_one(documents.job(chosen.storage.transaction(work)), as_json=as_json)


@job_commands.command("resume", help="Go on with the cancelled bulk job with the id JOB; workers do its rows.")
@on_one("job")
def resume(job: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        found = chosen.storage.read(partial(actions.read, partner=partner, job_id=named(job)))
        if "tenant:create" in NEEDED[found.job.operation]:
            allowance(chosen).license.require_provisioning()
        work = partial(actions.resume, partner=partner, job_id=named(job))
        say_one(documents.job(chosen.storage.transaction(work)), as_json=as_json)
