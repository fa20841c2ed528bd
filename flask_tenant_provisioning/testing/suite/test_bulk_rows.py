"""Rows of bulk jobs: each does the same as the single call, and an invalid one fails alone."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from flask_tenant_provisioning.testing.callers import Caller, get_tenant_path
from flask_tenant_provisioning.testing.uploads import (
    get_job_path,
    list_items,
    make_rows,
    make_rows_with_error,
    read_job,
    upload,
    upload_and_wait,
    wait_for_job,
)
from flask_tenant_provisioning.web.headers import CSV, JSON, NDJSON

#: What a row says, and what it makes of its tenant.
EFFECTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "update": ({"industry": "Changed"}, {"industry": "Changed"}),
    "suspend": ({"reason": "unpaid"}, {"status": "suspended", "suspended_reason": "unpaid"}),
    "delete": ({}, {"status": "deleted"}),
}


def make_row(tenant: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Make a row that refers to this tenant, with these changes."""
    return {"tenant": tenant["tenant"], **more}


@pytest.mark.parametrize(("kind", "line"), [(JSON, 3), (NDJSON, 2), (CSV, 3)])
def test_a_bad_row_fails_alone(provisioning_partner: Caller, kind: str, line: int) -> None:
    rows = make_rows_with_error(provisioning_partner)
    job = upload_and_wait(provisioning_partner, rows, kind)
    response = provisioning_partner("GET", get_job_path(job, "/items"))
    first, bad, last = list_items(provisioning_partner, job)
    response.require((job["state"], job["succeeded"], job["failed"]) == ("partial", 2, 1), "belong to a partial job")
    for number, item in ((1, first), (3, last)):
        expected = {"row": number, "state": "succeeded", "status": 201, "problem": None}
        response.require(item | expected == item and bool(item["tenant"]), "show the others as created")
    wrong = {"row": 2, "state": "failed", "status": 400, "tenant": None, "external_id": rows[1]["external_id"]}
    response.require(bad | wrong == bad, "show the bad row as refused, by the external id that it names")
    problem = bad["problem"]
    single = provisioning_partner("POST", "/tenants", json=rows[1]).problem(400, "validation-error")
    same = all(problem[name] == single[name] for name in ("type", "title", "status", "code", "detail", "errors"))
    response.require(same and problem["line"] == line, f"refuse it as the single call does, and name its line, {line}")


def test_row_that_is_no_object_fails(provisioning_partner: Caller) -> None:
    good = json.dumps(make_rows(provisioning_partner, 1)[0]).encode()
    job = upload_and_wait(provisioning_partner, b'{"client_name": \n\n7\n' + good + b"\n")
    response = provisioning_partner("GET", get_job_path(job, "/items"))
    problems = [(item["problem"] or {}) for item in list_items(provisioning_partner, job)]
    codes = [(problem.get("code"), problem.get("line")) for problem in problems]
    expected = [("malformed-json", 1), ("validation-error", 3), (None, None)]
    response.require(codes == expected, "refuse the rows that are no objects, by their lines")


def test_row_with_an_invalid_tenant_id_fails_alone(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    job = upload_and_wait(provisioning_partner, [{"tenant": "no id"}, make_row(tenant)], operation="reactivate")
    response = provisioning_partner("GET", get_job_path(job, "/items"))
    wrong, right = list_items(provisioning_partner, job)
    faults = [(error["pointer"], error["code"]) for error in (wrong["problem"] or {}).get("errors", ())]
    response.require(faults == [("#/tenant", "invalid-id")], "say that the tenant of the first row is no id")
    response.require(right["status"] == 200, "do the other row")


def test_row_with_a_taken_email_is_refused_like_the_single_call(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    first, second = make_rows(provisioning_partner, 1, email=tenant["email"]), make_rows(provisioning_partner, 1)
    job = upload_and_wait(provisioning_partner, [*first, *second, {**second[0], "external_id": "another"}])
    response = provisioning_partner("GET", get_job_path(job, "/items"))
    taken, created, twice = list_items(provisioning_partner, job)
    for item, holder in ((taken, tenant["tenant"]), (twice, created["tenant"])):
        expected = {"status": 409, "code": "tenant-exists", "field": "email", "conflicting_tenant": holder}
        problem = item["problem"] or {}
        response.require(problem | expected == problem, "name who has the email, within the upload too")


@pytest.mark.parametrize("operation", EFFECTS)
def test_row_changes_the_referenced_tenant(provisioning_partner: Caller, operation: str) -> None:
    if operation == "delete":
        provisioning_partner.api.require_retention()
    by_id, by_name = provisioning_partner.create(), provisioning_partner.create(external_id="meant")
    fields, expected = EFFECTS[operation]
    rows = [make_row(by_id, **fields), {"external_id": "meant", **fields}, {"external_id": "nobody", **fields}]
    job = upload_and_wait(provisioning_partner, rows, operation=operation)
    response = provisioning_partner("GET", get_job_path(job, "/items"))
    results = [(item["state"], item["status"], item["tenant"]) for item in list_items(provisioning_partner, job)]
    done_to = [("succeeded", 200, tenant["tenant"]) for tenant in (by_id, by_name)]
    response.require(results == [*done_to, ("failed", 404, None)], "show what came of each row")
    for tenant in (by_id, by_name):
        changed = provisioning_partner("GET", get_tenant_path(tenant))
        changed.require(changed.tenant() | expected == changed.tenant(), "show what the row has changed")


def test_row_without_a_change_is_unchanged(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    job = upload_and_wait(provisioning_partner, [make_row(tenant)], operation="reactivate")
    response = provisioning_partner("GET", get_job_path(job))
    response.require((job["state"], job["unchanged"]) == ("succeeded", 1), "count the row as unchanged")
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


def test_a_row_with_a_key_of_its_own_takes_effect_once(provisioning_partner: Caller) -> None:
    (row,) = make_rows(provisioning_partner, 1)
    rows = [{**row, "idempotency_key": uuid.uuid4().hex}]
    (first,) = list_items(provisioning_partner, upload_and_wait(provisioning_partner, rows))
    job = upload_and_wait(provisioning_partner, rows)
    response = provisioning_partner("GET", get_job_path(job, "/items"))
    (again,) = list_items(provisioning_partner, job)
    response.require(again == first | {"state": "unchanged"}, "show what came of the row the first time")
    changed = upload_and_wait(provisioning_partner, [{**rows[0], "industry": "Another"}])
    response = provisioning_partner("GET", get_job_path(changed, "/items"))
    (other,) = list_items(provisioning_partner, changed)
    refused = (other["status"], (other["problem"] or {}).get("code")) == (422, "idempotency-key-reused")
    response.require(refused, "refuse another row with the same key")


def test_an_upsert_row_creates_or_replaces(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create(external_id="there", metadata={"a": "b"})
    rows = [provisioning_partner.body(external_id=name, metadata={}) for name in ("there", "new")]
    job = upload_and_wait(provisioning_partner, rows, operation="upsert")
    response = provisioning_partner("GET", get_job_path(job, "/items"))
    old, new = list_items(provisioning_partner, job)
    response.require(
        (old["status"], old["tenant"], new["status"]) == (200, tenant["tenant"], 201), "replace and create"
    )
    replaced = provisioning_partner.read(tenant)
    response.require(replaced["metadata"] == {} and replaced | rows[0] == replaced, "replace the tenant as a whole")


def test_atomic_job_with_a_failed_row_stores_nothing(provisioning_partner: Caller) -> None:
    job = upload_and_wait(provisioning_partner, make_rows_with_error(provisioning_partner), mode="atomic")
    response = provisioning_partner("GET", get_job_path(job))
    response.require((job["mode"], job["state"], job["failed"]) == ("atomic", "failed", 1), "show that it failed")
    results = [(item["state"], item["status"]) for item in list_items(provisioning_partner, job)]
    response.require(results == [("skipped", None), ("failed", 400), ("skipped", None)], "have skipped the good rows")
    response.require(provisioning_partner.list_tenants(include_deleted="true") == [], "leave nothing")


def test_an_atomic_job_of_good_rows_is_done(provisioning_partner: Caller) -> None:
    job = upload_and_wait(provisioning_partner, make_rows(provisioning_partner), mode="atomic")
    response = provisioning_partner("GET", get_job_path(job))
    response.require(
        job["state"] == "succeeded" and len(provisioning_partner.list_tenants()) == 2, "create both tenants"
    )


def test_dry_run_leaves_only_its_results(provisioning_partner: Caller) -> None:
    rows = make_rows_with_error(provisioning_partner)
    response = upload(provisioning_partner, rows, validate_only="true")
    response.require(response.headers.get("X-Validate-Only") == "true", "answer with X-Validate-Only: true")
    job = wait_for_job(provisioning_partner, read_job(response, 202))
    response.require(job["validate_only"] is True and job["state"] == "partial", "show what would come of it")
    results = [item["status"] for item in list_items(provisioning_partner, job)]
    response.require(results == [201, 400, 201], "show what would come of each row")
    response.require(provisioning_partner.list_tenants(include_deleted="true") == [], "create nothing")
    again = upload_and_wait(provisioning_partner, rows)
    response.require(again["succeeded"] == 2, "leave room for the same rows")


def test_a_row_reaches_no_tenant_of_anothers(provisioning_partner: Caller, provisioning_stranger: Caller) -> None:
    tenant = provisioning_partner.create(external_id="shared")
    rows = [make_row(tenant, industry="Stolen"), {"external_id": "shared", "industry": "Stolen"}]
    job = upload_and_wait(provisioning_stranger, rows, operation="update")
    response = provisioning_stranger("GET", get_job_path(job, "/items"))
    codes = [item["problem"]["code"] for item in list_items(provisioning_stranger, job)]
    response.require(codes == ["tenant-not-found"] * 2, "find no tenant of another partner's")
    response.require(provisioning_partner.read(tenant) == tenant, "leave the other partner's tenant as it was")
