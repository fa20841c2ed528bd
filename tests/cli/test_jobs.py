"""``flask provisioning jobs``."""

from __future__ import annotations

import json
from typing import Any

from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.commands import CommandResult, run_command

JOBS = "/bulk-jobs"
ROWS = [{"client_name": "A", "email": "a@example.com"}, {"client_name": "B", "email": "b@"}]


def create_job(partner: Caller, rows: Any = ROWS) -> str:
    job: str = partner("POST", JOBS, json=rows).get_json()["job"]
    return job


def jobs(partner: Caller, *arguments: str) -> CommandResult:
    return run_command(partner.app, "jobs", *arguments)


def test_jobs_are_listed_and_shown_as_the_api_does(partner: Caller) -> None:
    ids = [create_job(partner), create_job(partner)]
    listed = jobs(partner, "list", "--partner", partner.partner, "--json")
    documents = [json.loads(line) for line in listed.out.splitlines()]
    assert [job["job"] for job in documents] == ids[::-1]
    assert documents == partner("GET", JOBS).get_json()["items"]
    assert json.loads(jobs(partner, "show", ids[0], "--json").out) == partner("GET", f"{JOBS}/{ids[0]}").get_json()
    table = jobs(partner, "list", "--partner", partner.partner, "--limit", "1")
    assert (table.out.count("\n"), table.err) == (2, "There are more: --limit 0 lists them all.\n")
    none = jobs(partner, "list", "--partner", partner.partner, "--state", "failed")
    assert none == (0, "", "There are no such bulk jobs.\n")


def test_items_show_the_result_of_each_row(partner: Caller) -> None:
    job = create_job(partner)
    Bulk(partner.app, partner).work()
    items = [json.loads(line) for line in jobs(partner, "items", job, "--json").out.splitlines()]
    assert [(item["row"], item["state"], item["status"]) for item in items] == [
        (1, "succeeded", 201),
        (2, "failed", 400),
    ]
    failed = jobs(partner, "items", job, "--state", "failed")
    assert "validation-error" in failed.out
    assert "email: Invalid email address." in failed.out
    shown = jobs(partner, "show", job)
    assert shown.err == f"`jobs items {job} --state failed` lists the rows that failed.\n"


def test_a_job_is_cancelled_and_resumed(partner: Caller) -> None:
    job = create_job(partner)
    assert json.loads(jobs(partner, "cancel", job, "--json").out)["state"] == "cancelled"
    assert json.loads(jobs(partner, "resume", job, "--json").out)["state"] == "queued"
    Bulk(partner.app, partner).work()
    done = jobs(partner, "cancel", job)
    assert (done.status, done.err.splitlines()[0]) == (
        1,
        "Error: Invalid state: A job that has ended cannot be cancelled.",
    )


def test_a_job_of_another_partner_is_not_found(partner: Caller) -> None:
    job = create_job(partner)
    for command in ("show", "items", "cancel", "resume"):
        done = jobs(partner, command, job, "--partner", "another")
        assert (done.status, done.err.splitlines()[0]) == (1, "Error: Bulk job not found."), command
