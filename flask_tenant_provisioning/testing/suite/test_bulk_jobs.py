"""`/bulk-jobs`: an upload is a job, which comes to its end, and which only its partner sees."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from flask_tenant_provisioning.routes import ROUTES
from flask_tenant_provisioning.testing.callers import Caller
from flask_tenant_provisioning.testing.events import read_events
from flask_tenant_provisioning.testing.responses import ApiResponse
from flask_tenant_provisioning.testing.uploads import (
    JOBS,
    OPERATION_PERMISSIONS,
    get_job_path,
    make_rows,
    read_job,
    require_job,
    require_nothing,
    upload,
    upload_and_wait,
    wait_for_job,
)
from flask_tenant_provisioning.web.routing import Route

NO_JOB = "01890000-0000-7000-8000-000000000000"
OF_A_JOB = [route for route in ROUTES if "<job_id>" in route.rule]
WRONG_LISTS = {"state=gone": "#/state", "limit=0": "#/limit", "cursor=": "#/cursor", "sort=state": "#/sort"}


def read_notification(response: ApiResponse) -> dict[str, Any]:
    """Return the problem without the members that differ between two requests."""
    problem = response.problem(404, "bulk-job-not-found")
    return {name: value for name, value in problem.items() if name not in ("request_id", "instance")}


def test_an_upload_is_a_job_that_comes_to_its_end(provisioning_partner: Caller) -> None:
    response = upload(provisioning_partner, make_rows(provisioning_partner))
    accepted = read_job(response, 202)
    response.require(int(response.header("Retry-After")) > 0, "say when to look again")
    response.require(
        provisioning_partner.api.get_path(response.header("Location")) == get_job_path(accepted), "say where the job is"
    )
    expected = {"operation": "create", "mode": "partial", "validate_only": False, "total": 2}
    response.require(accepted | expected == accepted, "show a job of two rows")
    response.require(accepted["partner"] == provisioning_partner.partner, "make it the caller's partner's")
    job = wait_for_job(provisioning_partner, accepted)
    counts = {"state": "succeeded", "processed": 2, "succeeded": 2, "failed": 0, "unchanged": 0}
    response.require(job | counts == job and bool(job["started_at"]), "come to its end, with both rows done")
    response.require(len(provisioning_partner.list_tenants()) == 2, "create both tenants")


def test_an_ended_job_is_in_the_feed(provisioning_partner: Caller) -> None:
    job = upload_and_wait(provisioning_partner, make_rows(provisioning_partner))
    (event,) = read_events(provisioning_partner, type="bulk_job.finished")
    response = provisioning_partner("GET", get_job_path(job))
    expected = {name: job[name] for name in ("job", "operation", "mode", "state", "total", "succeeded", "failed")}
    response.require(event["data"] | expected == event["data"], "be told of in the feed as it is")
    response.require(event["tenant"] is None, "be told of as no tenant's")


@pytest.mark.parametrize("action", ["cancel", "resume"])
def test_ended_job_cannot_be_cancelled_or_resumed(provisioning_partner: Caller, action: str) -> None:
    job = upload_and_wait(provisioning_partner, make_rows(provisioning_partner, 1))
    response = provisioning_partner("POST", get_job_path(job, f"/{action}"), also=OPERATION_PERMISSIONS["create"])
    response.problem(409, "invalid-state", job_state="succeeded")
    response.require(read_job(provisioning_partner("GET", get_job_path(job))) == job, "leave the job as it was")


def test_cancelled_job_continues_after_resume(provisioning_partner: Caller) -> None:
    accepted = read_job(upload(provisioning_partner, make_rows(provisioning_partner)), 202)
    response = provisioning_partner("POST", get_job_path(accepted, "/cancel"))
    if response.status == 409:
        response.problem(409, "invalid-state")
        pytest.skip("a worker had ended the job before it was cancelled")
    response.require(read_job(response)["state"] == "cancelled", "cancel the job")
    resumed = provisioning_partner("POST", get_job_path(accepted, "/resume"), also=OPERATION_PERMISSIONS["create"])
    resumed.require(read_job(resumed, 202)["state"] in ("queued", "running"), "go on with the job")
    job = wait_for_job(provisioning_partner, accepted)
    resumed.require((job["state"], job["succeeded"]) == ("succeeded", 2), "do what is left of it")


def test_jobs_are_listed_the_newest_first(provisioning_partner: Caller) -> None:
    good = [upload_and_wait(provisioning_partner, make_rows(provisioning_partner, 1)) for _ in range(2)]
    bad = upload_and_wait(provisioning_partner, b"{}\n")
    first = provisioning_partner("GET", f"{JOBS}?limit=2")
    page = first.document()
    for job in page["items"]:
        require_job(first, job)
    rest = provisioning_partner("GET", f"{JOBS}?limit=2&cursor={page['next']}").document()
    same = page["items"] + rest["items"] == [bad, good[1], good[0]] and rest["next"] is None
    first.require(same, "list each job once, as it is, the newest first")
    first.require(page["next"] in first.header("Link"), "lead to the next page")
    failed = provisioning_partner("GET", f"{JOBS}?state=failed")
    failed.require(failed.document()["items"] == [bad], "list the failed job alone")
    other = provisioning_partner("GET", f"{JOBS}?state=failed&cursor={page['next']}")
    other.problem(400, "invalid-cursor")


@pytest.mark.parametrize("query", WRONG_LISTS)
def test_invalid_list_parameters_are_named(provisioning_partner: Caller, query: str) -> None:
    response = provisioning_partner("GET", f"{JOBS}?{query}")
    response.require(
        {*response.faults("invalid-parameter")} == {WRONG_LISTS[query]}, f"name {WRONG_LISTS[query]} alone"
    )


@pytest.mark.parametrize("route", OF_A_JOB, ids=lambda route: f"{route.method} {route.rule}")
def test_job_of_another_partner_returns_404(
    provisioning_partner: Caller, provisioning_stranger: Caller, route: Route
) -> None:
    job = upload_and_wait(provisioning_partner, make_rows(provisioning_partner, 1))
    theirs, absent = (
        provisioning_stranger(route.method, route.rule.replace("<job_id>", id)) for id in (job["job"], NO_JOB)
    )
    theirs.require(read_notification(theirs) == read_notification(absent), "answer as for an id that never was")
    theirs.require(
        read_job(provisioning_partner("GET", get_job_path(job))) == job, "leave the other partner's job as it was"
    )


def test_partner_cannot_use_the_partner_parameter_for_jobs(provisioning_partner: Caller) -> None:
    name = provisioning_partner.partner
    listed = provisioning_partner("GET", f"{JOBS}?partner={name}")
    for response in (listed, upload(provisioning_partner, make_rows(provisioning_partner), partner=name)):
        response.problem(403, "insufficient-permission")
    require_nothing(provisioning_partner, listed)


def test_administrator_uploads_for_the_partner_parameter(
    provisioning_partner: Caller, provisioning_stranger: Caller
) -> None:
    tenant, administrator = provisioning_partner.create(), provisioning_stranger.administrator()
    named_alone = {"partner": provisioning_partner.partner}
    job = upload_and_wait(administrator, make_rows(provisioning_partner), **named_alone)
    response = administrator("GET", f"{JOBS}?{urlencode(named_alone)}")
    response.require(response.document()["items"] == [job], "list this partner's job")
    response.require(job | named_alone == job, "do it for the partner that was named")
    names = [tenant["tenant"] for tenant in provisioning_partner.list_tenants()]
    response.require(len(names) == 3 and names[0] == tenant["tenant"], "create this partner's tenants")
