"""`/bulk-jobs`: each row of an upload is done as the single call would be, and a bad one fails alone."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest

from flask_tenant_provisioning.blueprint import ROUTES
from flask_tenant_provisioning.testing.answers import Answer
from flask_tenant_provisioning.testing.callers import Caller, path_of
from flask_tenant_provisioning.testing.following import followed
from flask_tenant_provisioning.testing.uploads import (
    JOBS,
    KINDS,
    NEEDED,
    as_lines,
    done,
    ended,
    items,
    job,
    job_path,
    require_job,
    upload,
)
from flask_tenant_provisioning.web.media_types import CSV, JSON, NDJSON
from flask_tenant_provisioning.web.routing import Route

NO_JOB = "01890000-0000-7000-8000-000000000000"
OF_A_JOB = [route for route in ROUTES if "<job_id>" in route.rule]
MANY = 1000
BROKEN: dict[str, tuple[str, bytes]] = {
    "an object": (JSON, b'{"client_name": "x"}'),
    "an array without an end": (JSON, b'[{"client_name": "x"}'),
    "an array without commas": (JSON, b"[{} {}]"),
    "two arrays": (JSON, b"[{}][{}]"),
    "brackets that cross": (JSON, b"[{]}"),
    "a quote without an end": (CSV, b'client_name,email\n"x,y\n'),
    "a column twice": (CSV, b"email,email\nx,y\n"),
    "a column without a name": (CSV, b"email,\nx,y\n"),
}
WRONG_UPLOADS = {
    "operation=purge": "#/operation",
    "operation=": "#/operation",
    "mode=total": "#/mode",
    "validate_only=1": "#/validate_only",
    "colour=red": "#/colour",
}
WRONG_LISTS = {"state=gone": "#/state", "limit=0": "#/limit", "cursor=": "#/cursor", "sort=state": "#/sort"}


def bodies(partner: Caller, count: int = 2, **fields: Any) -> list[dict[str, Any]]:
    """Rows for new tenants, each with an external id of its own."""
    return [partner.body(external_id=f"bulk-{uuid.uuid4().hex}", **fields) for _ in range(count)]


def named(tenant: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A row that means this tenant, and says what is to become of it."""
    return {"tenant": tenant["tenant"], **more}


def with_a_bad_one(partner: Caller) -> list[dict[str, Any]]:
    """Three rows, of which the second has an invalid email."""
    first, last = bodies(partner)
    return [first, *bodies(partner, 1, email="admin@"), last]


def told(answer: Answer) -> dict[str, Any]:
    """The refusal, without what differs between two requests."""
    found = answer.problem(404, "bulk-job-not-found")
    return {name: value for name, value in found.items() if name not in ("request_id", "instance")}


def require_nothing(partner: Caller, answer: Answer) -> None:
    """Demand that the partner has neither a job nor a tenant."""
    answer.require(partner("GET", JOBS).document()["items"] == [], "keep nothing of the upload")
    answer.require(partner.listed(include_deleted="true") == [], "create nothing")


def test_an_upload_is_a_job_that_comes_to_its_end(provisioning_partner: Caller) -> None:
    answer = upload(provisioning_partner, bodies(provisioning_partner))
    begun = job(answer, 202)
    answer.require(int(answer.header("Retry-After")) > 0, "say when to look again")
    answer.require(provisioning_partner.api.at(answer.header("Location")) == job_path(begun), "say where the job is")
    asked = {"operation": "create", "mode": "partial", "validate_only": False, "total": 2}
    answer.require(begun | asked == begun, "show a job of two rows")
    answer.require(begun["partner"] == provisioning_partner.partner, "make it the caller's partner's")
    found = ended(provisioning_partner, begun)
    counts = {"state": "succeeded", "processed": 2, "succeeded": 2, "failed": 0, "unchanged": 0}
    answer.require(found | counts == found and bool(found["started_at"]), "come to its end, with both rows done")
    answer.require(len(provisioning_partner.listed()) == 2, "create both tenants")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_upload_is_read(provisioning_partner: Caller, kind: str, packed: bool) -> None:
    rows = bodies(provisioning_partner, metadata={"text": 'a "quote", a comma\nand ü'})
    found = done(provisioning_partner, rows, kind, packed=packed)
    answer = provisioning_partner("GET", "/tenants")
    answer.require(found["state"] == "succeeded", "show what a job has created")
    made = {tenant["external_id"]: tenant for tenant in answer.document()["items"]}
    for row in rows:
        tenant = made.get(row["external_id"], {})
        answer.require(tenant | row == tenant, "show the tenants as they were sent")


@pytest.mark.parametrize(("kind", "line"), [(JSON, 3), (NDJSON, 2), (CSV, 3)])
def test_a_bad_row_fails_alone(provisioning_partner: Caller, kind: str, line: int) -> None:
    rows = with_a_bad_one(provisioning_partner)
    found = done(provisioning_partner, rows, kind)
    answer = provisioning_partner("GET", job_path(found, "/items"))
    first, bad, last = items(provisioning_partner, found)
    answer.require(
        (found["state"], found["succeeded"], found["failed"]) == ("partial", 2, 1), "belong to a partial job"
    )
    for number, item in ((1, first), (3, last)):
        made = {"row": number, "state": "succeeded", "status": 201, "problem": None}
        answer.require(item | made == item and bool(item["tenant"]), "show the others as created")
    wrong = {"row": 2, "state": "failed", "status": 400, "tenant": None, "external_id": rows[1]["external_id"]}
    answer.require(bad | wrong == bad, "show the bad row as refused, by the external id that it names")
    problem = bad["problem"]
    single = provisioning_partner("POST", "/tenants", json=rows[1]).problem(400, "validation-error")
    same = all(problem[name] == single[name] for name in ("type", "title", "status", "code", "detail", "errors"))
    answer.require(same and problem["line"] == line, f"refuse it as the single call does, and name its line, {line}")


def test_what_is_no_object_is_a_bad_row(provisioning_partner: Caller) -> None:
    good = json.dumps(bodies(provisioning_partner, 1)[0]).encode()
    found = done(provisioning_partner, b'{"client_name": \n\n7\n' + good + b"\n")
    answer = provisioning_partner("GET", job_path(found, "/items"))
    problems = [(one["problem"] or {}) for one in items(provisioning_partner, found)]
    codes = [(one.get("code"), one.get("line")) for one in problems]
    expected = [("malformed-json", 1), ("validation-error", 3), (None, None)]
    answer.require(codes == expected, "refuse the rows that are no objects, by their lines")


def test_a_row_of_a_taken_email_is_refused_as_the_single_call_is(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    first, second = bodies(provisioning_partner, 1, email=tenant["email"]), bodies(provisioning_partner, 1)
    found = done(provisioning_partner, [*first, *second, {**second[0], "external_id": "another"}])
    answer = provisioning_partner("GET", job_path(found, "/items"))
    taken, made, twice = items(provisioning_partner, found)
    for item, holder in ((taken, tenant["tenant"]), (twice, made["tenant"])):
        expected = {"status": 409, "code": "tenant-exists", "field": "email", "conflicting_tenant": holder}
        problem = item["problem"] or {}
        answer.require(problem | expected == problem, "name who has the email, within the upload too")


#: What a row says, and what it makes of its tenant.
EFFECTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "update": ({"industry": "Changed"}, {"industry": "Changed"}),
    "suspend": ({"reason": "unpaid"}, {"status": "suspended", "suspended_reason": "unpaid"}),
    "delete": ({}, {"status": "deleted"}),
}


@pytest.mark.parametrize("operation", EFFECTS)
def test_a_row_changes_the_tenant_that_it_means(provisioning_partner: Caller, operation: str) -> None:
    provisioning_partner.api.require_retention()
    by_id, by_name = provisioning_partner.create(), provisioning_partner.create(external_id="meant")
    said, expected = EFFECTS[operation]
    rows = [named(by_id, **said), {"external_id": "meant", **said}, {"external_id": "nobody", **said}]
    found = done(provisioning_partner, rows, operation=operation)
    answer = provisioning_partner("GET", job_path(found, "/items"))
    results = [(one["state"], one["status"], one["tenant"]) for one in items(provisioning_partner, found)]
    done_to = [("succeeded", 200, one["tenant"]) for one in (by_id, by_name)]
    answer.require(results == [*done_to, ("failed", 404, None)], "show what came of each row")
    for tenant in (by_id, by_name):
        changed = provisioning_partner("GET", path_of(tenant))
        changed.require(changed.tenant() | expected == changed.tenant(), "show what the row has changed")


def test_what_is_so_already_is_unchanged(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    found = done(provisioning_partner, [named(tenant)], operation="reactivate")
    answer = provisioning_partner("GET", job_path(found))
    answer.require((found["state"], found["unchanged"]) == ("succeeded", 1), "count the row as unchanged")
    answer.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


def test_an_upsert_row_creates_or_replaces(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create(external_id="there", metadata={"a": "b"})
    rows = [provisioning_partner.body(external_id=name, metadata={}) for name in ("there", "new")]
    found = done(provisioning_partner, rows, operation="upsert")
    answer = provisioning_partner("GET", job_path(found, "/items"))
    old, new = items(provisioning_partner, found)
    answer.require((old["status"], old["tenant"], new["status"]) == (200, tenant["tenant"], 201), "replace and create")
    replaced = provisioning_partner.read(tenant)
    answer.require(replaced["metadata"] == {} and replaced | rows[0] == replaced, "replace the tenant as a whole")


def test_an_atomic_job_leaves_nothing_where_a_row_fails(provisioning_partner: Caller) -> None:
    found = done(provisioning_partner, with_a_bad_one(provisioning_partner), mode="atomic")
    answer = provisioning_partner("GET", job_path(found))
    answer.require((found["mode"], found["state"], found["failed"]) == ("atomic", "failed", 1), "show that it failed")
    results = [(one["state"], one["status"]) for one in items(provisioning_partner, found)]
    answer.require(results == [("skipped", None), ("failed", 400), ("skipped", None)], "have skipped the good rows")
    answer.require(provisioning_partner.listed(include_deleted="true") == [], "leave nothing")


def test_an_atomic_job_of_good_rows_is_done(provisioning_partner: Caller) -> None:
    found = done(provisioning_partner, bodies(provisioning_partner), mode="atomic")
    answer = provisioning_partner("GET", job_path(found))
    answer.require(found["state"] == "succeeded" and len(provisioning_partner.listed()) == 2, "create both tenants")


def test_a_rehearsed_job_leaves_nothing_but_its_results(provisioning_partner: Caller) -> None:
    rows = with_a_bad_one(provisioning_partner)
    answer = upload(provisioning_partner, rows, validate_only="true")
    answer.require(answer.headers.get("X-Validate-Only") == "true", "answer with X-Validate-Only: true")
    found = ended(provisioning_partner, job(answer, 202))
    answer.require(found["validate_only"] is True and found["state"] == "partial", "show what would come of it")
    results = [one["status"] for one in items(provisioning_partner, found)]
    answer.require(results == [201, 400, 201], "show what would come of each row")
    answer.require(provisioning_partner.listed(include_deleted="true") == [], "create nothing")
    again = done(provisioning_partner, rows)
    answer.require(again["succeeded"] == 2, "leave room for the same rows")


def test_an_upload_that_is_repeated_is_one_job(provisioning_partner: Caller) -> None:
    rows, headers = bodies(provisioning_partner), {"Idempotency-Key": "upload"}
    first = upload(provisioning_partner, rows, headers=headers)
    ended(provisioning_partner, job(first, 202))
    again = upload(provisioning_partner, rows, headers=headers)
    again.require(job(again, 202) == first.json(), "repeat the first answer")
    again.require(again.headers.get("Idempotency-Replayed") == "true", "answer with Idempotency-Replayed: true")
    other = upload(provisioning_partner, bodies(provisioning_partner), headers=headers)
    other.problem(422, "idempotency-key-reused")
    listed = provisioning_partner("GET", JOBS)
    listed.require(len(listed.document()["items"]) == 1, "list one job")
    listed.require(len(provisioning_partner.listed()) == 2, "be all that is done")


def test_an_ended_job_is_in_the_feed(provisioning_partner: Caller) -> None:
    found = done(provisioning_partner, bodies(provisioning_partner))
    (event,) = followed(provisioning_partner, type="bulk_job.finished")
    answer = provisioning_partner("GET", job_path(found))
    expected = {name: found[name] for name in ("job", "operation", "mode", "state", "total", "succeeded", "failed")}
    answer.require(event["data"] | expected == event["data"], "be told of in the feed as it is")
    answer.require(event["tenant"] is None, "be told of as no tenant's")


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_told_apart_into_rows_is_malformed(provisioning_partner: Caller, case: str) -> None:
    kind, body = BROKEN[case]
    answer = upload(provisioning_partner, body, kind)
    answer.problem(400, "malformed-upload")
    require_nothing(provisioning_partner, answer)


def test_what_is_no_gzip_is_malformed(provisioning_partner: Caller) -> None:
    answer = upload(provisioning_partner, b"{}\n", headers={"Content-Encoding": "gzip"})
    answer.problem(400, "malformed-upload")
    require_nothing(provisioning_partner, answer)


def test_an_upload_of_nothing_is_malformed(provisioning_partner: Caller) -> None:
    upload(provisioning_partner, b"").problem(400, "malformed-upload")


@pytest.mark.parametrize(
    "sent",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/csv; charset=iso-8859-1"},
        {"Content-Encoding": "br"},
    ],
    ids=lambda sent: next(iter(sent.values())),
)
def test_an_upload_of_another_kind_is_refused(provisioning_partner: Caller, sent: dict[str, str]) -> None:
    answer = upload(provisioning_partner, b"{}\n", headers=sent)
    answer.problem(415, "unsupported-media-type")
    require_nothing(provisioning_partner, answer)


@pytest.mark.parametrize("query", WRONG_UPLOADS)
def test_what_an_upload_cannot_be_asked_is_named(provisioning_partner: Caller, query: str) -> None:
    body, typed = as_lines(bodies(provisioning_partner)), {"Content-Type": NDJSON}
    answer = provisioning_partner("POST", f"{JOBS}?{query}", body=body, headers=typed, also=NEEDED["create"])
    wrong = WRONG_UPLOADS[query]
    answer.require({*answer.faults("invalid-parameter")} == {wrong}, f"name {wrong} alone")
    require_nothing(provisioning_partner, answer)


def test_an_upload_that_announces_too_much_is_refused(provisioning_partner: Caller) -> None:
    announced = {"CONTENT_LENGTH": str(provisioning_partner.api.settings.bulk_max_bytes + 1)}
    sent: dict[str, Any] = {"input_stream": io.BytesIO(b"{}"), "headers": {"Content-Type": NDJSON}}
    answer = provisioning_partner("POST", JOBS, **sent, environ_overrides=announced, also=NEEDED["create"])
    answer.problem(413, "upload-too-large")
    require_nothing(provisioning_partner, answer)


@pytest.mark.parametrize("mode", ["partial", "atomic"])
def test_an_upload_of_too_many_rows_is_refused(provisioning_partner: Caller, mode: str) -> None:
    settings = provisioning_partner.api.settings
    limit = min(settings.bulk_max_rows, settings.bulk_atomic_rows if mode == "atomic" else settings.bulk_max_rows)
    if limit > MANY:
        pytest.skip(f"the host allows more rows than the {MANY} that the suite sends at most")
    answer = upload(provisioning_partner, b"{}\n" * (limit + 1), mode=mode)
    answer.problem(413, "upload-too-large")
    require_nothing(provisioning_partner, answer)


@pytest.mark.parametrize("operation", NEEDED)
def test_an_operation_needs_what_its_single_calls_need(provisioning_partner: Caller, operation: str) -> None:
    claim = provisioning_partner.api.settings.permissions_claim
    if claim is None:
        pytest.skip("PROVISIONING_PERMISSIONS_CLAIM is None: no claim narrows a role")
    role = provisioning_partner.role("bulk:create", *NEEDED[operation])
    for missing in NEEDED[operation]:
        granted = ["bulk:create", *{one for needed in NEEDED.values() for one in needed} - {missing}]
        headers = {**provisioning_partner.in_role(role, **{claim: granted}), "Content-Type": NDJSON}
        answer = provisioning_partner.api("POST", f"{JOBS}?operation={operation}", body=b"{}\n", headers=headers)
        answer.problem(403, "insufficient-permission", required=[*NEEDED[operation]])
        require_nothing(provisioning_partner, answer)


@pytest.mark.parametrize("action", ["cancel", "resume"])
def test_what_has_ended_is_neither_cancelled_nor_resumed(provisioning_partner: Caller, action: str) -> None:
    found = done(provisioning_partner, bodies(provisioning_partner, 1))
    answer = provisioning_partner("POST", job_path(found, f"/{action}"), also=NEEDED["create"])
    answer.problem(409, "invalid-state", job_state="succeeded")
    answer.require(job(provisioning_partner("GET", job_path(found))) == found, "leave the job as it was")


def test_a_job_that_is_cancelled_goes_on_once_it_is_resumed(provisioning_partner: Caller) -> None:
    begun = job(upload(provisioning_partner, bodies(provisioning_partner)), 202)
    answer = provisioning_partner("POST", job_path(begun, "/cancel"))
    if answer.status == 409:
        answer.problem(409, "invalid-state")
        pytest.skip("a worker had ended the job before it was cancelled")
    answer.require(job(answer)["state"] == "cancelled", "cancel the job")
    resumed = provisioning_partner("POST", job_path(begun, "/resume"), also=NEEDED["create"])
    resumed.require(job(resumed, 202)["state"] in ("queued", "running"), "go on with the job")
    found = ended(provisioning_partner, begun)
    resumed.require((found["state"], found["succeeded"]) == ("succeeded", 2), "do what is left of it")


def test_jobs_are_listed_the_newest_first(provisioning_partner: Caller) -> None:
    good = [done(provisioning_partner, bodies(provisioning_partner, 1)) for _ in range(2)]
    bad = done(provisioning_partner, b"{}\n")
    first = provisioning_partner("GET", f"{JOBS}?limit=2")
    page = first.document()
    for one in page["items"]:
        require_job(first, one)
    rest = provisioning_partner("GET", f"{JOBS}?limit=2&cursor={page['next']}").document()
    same = page["items"] + rest["items"] == [bad, good[1], good[0]] and rest["next"] is None
    first.require(same, "list each job once, as it is, the newest first")
    first.require(page["next"] in first.header("Link"), "lead to the next page")
    failed = provisioning_partner("GET", f"{JOBS}?state=failed")
    failed.require(failed.document()["items"] == [bad], "list the failed job alone")
    other = provisioning_partner("GET", f"{JOBS}?state=failed&cursor={page['next']}")
    other.problem(400, "invalid-cursor")


@pytest.mark.parametrize("query", WRONG_LISTS)
def test_what_a_list_of_jobs_cannot_be_asked_is_named(provisioning_partner: Caller, query: str) -> None:
    answer = provisioning_partner("GET", f"{JOBS}?{query}")
    answer.require({*answer.faults("invalid-parameter")} == {WRONG_LISTS[query]}, f"name {WRONG_LISTS[query]} alone")


@pytest.mark.parametrize("route", OF_A_JOB, ids=lambda route: f"{route.method} {route.rule}")
def test_anothers_job_answers_as_one_that_never_was(
    provisioning_partner: Caller, provisioning_stranger: Caller, route: Route
) -> None:
    found = done(provisioning_partner, bodies(provisioning_partner, 1))
    theirs, nobodys = (
        provisioning_stranger(route.method, route.rule.replace("<job_id>", one)) for one in (found["job"], NO_JOB)
    )
    theirs.require(told(theirs) == told(nobodys), "answer as for an id that never was")
    theirs.require(
        job(provisioning_partner("GET", job_path(found))) == found, "leave the other partner's job as it was"
    )


def test_a_row_reaches_no_tenant_of_anothers(provisioning_partner: Caller, provisioning_stranger: Caller) -> None:
    tenant = provisioning_partner.create(external_id="shared")
    rows = [named(tenant, industry="Stolen"), {"external_id": "shared", "industry": "Stolen"}]
    found = done(provisioning_stranger, rows, operation="update")
    answer = provisioning_stranger("GET", job_path(found, "/items"))
    codes = [one["problem"]["code"] for one in items(provisioning_stranger, found)]
    answer.require(codes == ["tenant-not-found"] * 2, "find no tenant of another partner's")
    answer.require(provisioning_partner.read(tenant) == tenant, "leave the other partner's tenant as it was")


def test_a_partner_may_name_no_partner_to_jobs(provisioning_partner: Caller) -> None:
    name = provisioning_partner.partner
    listed = provisioning_partner("GET", f"{JOBS}?partner={name}")
    for answer in (listed, upload(provisioning_partner, bodies(provisioning_partner), partner=name)):
        answer.problem(403, "insufficient-permission")
    require_nothing(provisioning_partner, listed)


def test_an_administrator_uploads_for_the_partner_that_it_names(
    provisioning_partner: Caller, provisioning_stranger: Caller
) -> None:
    tenant, everybody = provisioning_partner.create(), provisioning_stranger.administrator()
    named_alone = {"partner": provisioning_partner.partner}
    found = done(everybody, bodies(provisioning_partner), **named_alone)
    answer = everybody("GET", f"{JOBS}?{urlencode(named_alone)}")
    answer.require(answer.document()["items"] == [found], "list this partner's job")
    answer.require(found | named_alone == found, "do it for the partner that was named")
    names = [one["tenant"] for one in provisioning_partner.listed()]
    answer.require(len(names) == 3 and names[0] == tenant["tenant"], "create this partner's tenants")
