"""Bulk jobs over HTTP: uploaded, read, listed, cancelled, resumed, and by whom."""

from __future__ import annotations

import csv
import gzip
import io
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.bulk import actions
from flask_tenant_provisioning.database.ids import make_uuid7
from flask_tenant_provisioning.workers.maintenance import Maintenance
from tests.support.assertions import assert_invalid_parameters, assert_problem
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows
from tests.support.events import read_feed
from tests.support.hosts import KEYS, PREFIX, get_mount, issue_license
from tests.support.servers import run_concurrently, send_request, serve

MakeApp = Callable[..., Flask]
JOBS = "/bulk-jobs"
ABSENT = "Bulk job not found."
OPERATIONS = "Must be one of: create, upsert, update, suspend, reactivate, delete."


def make_row(n: int, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Client {n}", "email": f"admin{n}@example.com", **more}


def create_job(partner: Caller, sent: Any, query: str = "", **headers: str) -> dict[str, Any]:
    """The job that an upload has made, as it was answered."""
    response = partner("POST", f"{JOBS}{query}", json=sent, headers=headers)
    assert response.status_code == 202, response.text
    document: dict[str, Any] = response.get_json()
    return document


def read(partner: Caller, job: dict[str, Any]) -> dict[str, Any]:
    response = partner("GET", f"{JOBS}/{job['job']}")
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.get_json()
    return document


def finish_job(partner: Caller, job: dict[str, Any]) -> dict[str, Any]:
    """The job once a worker has done all that is due."""
    Bulk(partner.app, partner).work()
    return read(partner, job)


def list_items(partner: Caller, job: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = partner("GET", f"{JOBS}/{job['job']}/items?limit=1000").get_json()["items"]
    return items


def as_ndjson(sent: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in sent).encode()


def as_csv(sent: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, sent[0].keys())
    writer.writeheader()
    writer.writerows(sent)
    return text.getvalue().encode()


FORMATS: dict[str, Callable[[Any], bytes]] = {
    "application/json": lambda sent: json.dumps(sent).encode(),
    "application/json; charset=UTF-8": lambda sent: json.dumps(sent).encode(),
    "application/x-ndjson": as_ndjson,
    "application/jsonl": as_ndjson,
    "text/csv": as_csv,
    "text/csv; charset=utf-8; header=present": as_csv,
}


def test_a_job_from_its_upload_to_its_end(partner: Caller) -> None:
    response = partner("POST", JOBS, json=[make_row(1), make_row(2, email="nobody")])
    job = response.get_json()
    assert job == {
        "job": job["job"], "partner": partner.partner, "operation": "create", "mode": "partial",
        "validate_only": False, "state": "queued", "total": 2, "processed": 0, "succeeded": 0, "failed": 0,
        "unchanged": 0, "rate": 0.0, "created_at": job["created_at"], "started_at": None, "finished_at": None,
    }  # fmt: skip
    assert (response.status_code, response.headers["Retry-After"]) == (202, "1")
    assert response.headers["Location"] == f"{PREFIX}{JOBS}/{job['job']}"
    assert read(partner, job) == job
    after = finish_job(partner, job)
    changed = {"state": "partial", "processed": 2, "succeeded": 1, "failed": 1}
    times = {name: after[name] for name in ("rate", "started_at", "finished_at")}
    assert after == {**job, **changed, **times}
    assert job["created_at"] <= after["started_at"] <= after["finished_at"]
    assert after["rate"] > 0


@pytest.mark.parametrize("packed", [None, "gzip", "X-GZIP"])
@pytest.mark.parametrize("media_type", FORMATS)
def test_rows_come_in_many_formats(partner: Caller, media_type: str, packed: str | None) -> None:
    data = FORMATS[media_type]([make_row(1), make_row(2)])
    headers = {"Content-Encoding": packed} if packed else {}
    body = gzip.compress(data) if packed else data
    response = partner("POST", JOBS, data=body, content_type=media_type, headers=headers)
    assert response.status_code == 202, response.text
    assert finish_job(partner, response.get_json())["succeeded"] == 2
    tenants = partner("GET", "/tenants").get_json()["items"]
    assert [tenant["email"] for tenant in tenants] == ["admin1@example.com", "admin2@example.com"]


@pytest.mark.parametrize(
    ("operation", "status"),
    [("update", "active"), ("suspend", "suspended"), ("reactivate", "active"), ("delete", "deleted")],
)
def test_each_operation_takes_effect(partner: Caller, operation: str, status: str) -> None:
    tenant = partner.create(external_id="one")
    job = create_job(partner, [{"external_id": "one"}], f"?operation={operation}")
    assert finish_job(partner, job)["failed"] == 0
    assert partner("GET", f"/tenants/{tenant['tenant']}").get_json()["status"] == status


def test_an_upsert_and_an_atomic_job(partner: Caller) -> None:
    job = create_job(partner, [make_row(1, external_id="one"), make_row(2)], "?operation=upsert&mode=atomic")
    after = finish_job(partner, job)
    assert (after["operation"], after["mode"], after["state"], after["failed"]) == ("upsert", "atomic", "failed", 1)
    assert partner("GET", "/tenants").get_json()["items"] == []


def test_dry_run_leaves_only_its_results(partner: Caller) -> None:
    response = partner("POST", f"{JOBS}?validate_only=true", json=[make_row(1)])
    assert response.headers["X-Validate-Only"] == "true"
    after = finish_job(partner, response.get_json())
    assert (after["validate_only"], after["state"], after["succeeded"]) == (True, "succeeded", 1)
    assert partner("GET", "/tenants").get_json()["items"] == []


def test_invalid_upload_parameters_are_refused(partner: Caller) -> None:
    assert_invalid_parameters(
        partner("POST", f"{JOBS}?operation=drop&mode=all&validate_only=1&rows=2", json=[]),
        ("#/mode", "invalid-choice", "Must be one of: partial, atomic."),
        ("#/operation", "invalid-choice", OPERATIONS),
        ("#/rows", "unknown-field", "There is no such field."),
        ("#/validate_only", "invalid-flag", "Must be true or false."),
    )


# Who may.


@pytest.mark.parametrize(
    ("operation", "needed"),
    [
        ("create", ["tenant:create"]),
        ("upsert", ["tenant:create", "tenant:update"]),
        ("update", ["tenant:update"]),
        ("suspend", ["tenant:update"]),
        ("reactivate", ["tenant:update"]),
        ("delete", ["tenant:delete"]),
    ],
)
def test_bulk_job_requires_each_permission_of_its_operation(partner: Caller, operation: str, needed: list[str]) -> None:
    path = f"{JOBS}?operation={operation}"
    for missing in needed:
        granted = ["bulk:create", *(permission for permission in needed if permission != missing)]
        narrow = Caller(partner.app, partner.partner, permissions=granted)
        detail = f"This needs the permission {missing}."
        response = narrow("POST", path, json=[])
        assert_problem(response, 403, "insufficient-permission", detail, required=needed)
        scope = " ".join(needed)
        expected = f'Bearer realm="provisioning", error="insufficient_scope", scope="{scope}"'
        assert response.headers["WWW-Authenticate"] == expected
    able = Caller(partner.app, partner.partner, permissions=["bulk:create", *needed])
    job = create_job(able, [{}], f"?operation={operation}")
    assert partner("POST", f"{JOBS}/{job['job']}/cancel").status_code == 200
    for missing in needed:
        narrow = Caller(partner.app, partner.partner, permissions=["bulk:create", *({*needed} - {missing})])
        assert narrow("POST", f"{JOBS}/{job['job']}/resume").status_code == 403


def test_viewer_reads_jobs_and_cannot_create_one(partner: Caller) -> None:
    job, viewer = create_job(partner, [make_row(1)]), partner.with_roles("partner-viewer")
    assert read(viewer, job) == job
    for path in (JOBS, f"{JOBS}/{job['job']}/cancel", f"{JOBS}/{job['job']}/resume"):
        response = viewer("POST", path, json=[])
        assert_problem(
            response, 403, "insufficient-permission", "This needs the permission bulk:create.", required=["bulk:create"]
        )


def test_an_administrator_uploads_for_a_partner(partner: Caller) -> None:
    admin = Caller(partner.app, roles=["provisioning-admin"])
    job = create_job(admin, [make_row(1)], f"?partner={partner.partner}")
    assert job["partner"] == partner.partner
    assert finish_job(admin, job)["succeeded"] == 1
    (tenant,) = partner("GET", "/tenants").get_json()["items"]
    assert tenant["partner"] == partner.partner
    assert read(partner, job)["state"] == "succeeded"
    for path in (JOBS, f"{JOBS}?operation=update"):
        partner_path = f"{path}{'&' if '?' in path else '?'}partner=another"
        response = partner("POST", partner_path, json=[])
        assert_problem(response, 403, "insufficient-permission", "Only an administrator may name a partner.")


@pytest.mark.parametrize(
    ("method", "action"),
    [("GET", ""), ("GET", "/items"), ("GET", "/progress"), ("POST", "/cancel"), ("POST", "/resume")],
)
def test_another_partners_job_returns_the_404_of_an_absent_one(partner: Caller, method: str, action: str) -> None:
    job = create_job(Caller(partner.app), [make_row(1)])
    for id in (job["job"], make_uuid7(), "nonsense"):
        assert_problem(partner(method, f"{JOBS}/{id}{action}"), 404, "bulk-job-not-found", ABSENT)


def test_expired_licence_refuses_create_and_upsert_jobs(make_app: MakeApp) -> None:
    now = int(time.time())
    ended = issue_license(not_before=now - 90 * 86_400, expires=now - 60 * 86_400)
    app = make_app(PROVISIONING_LICENSE=ended, PROVISIONING_LICENSE_PUBLIC_KEYS={KEYS.kid: KEYS.public})
    partner = Caller(app)
    for operation in ("create", "upsert"):
        assert partner("POST", f"{JOBS}?operation={operation}", json=[make_row(1)]).status_code == 403
    assert fetch_rows(app, "bulk_jobs") == []
    assert create_job(partner, [{}], "?operation=suspend")["state"] == "queued"


# Lists.


def test_jobs_are_listed_the_newest_first_a_page_at_a_time(partner: Caller) -> None:
    jobs = [create_job(partner, [make_row(n)], "?validate_only=true") for n in range(5)]
    create_job(Caller(partner.app), [make_row(9)])
    ids: list[str] = []
    path = f"{JOBS}?limit=2"
    while path:
        response = partner("GET", path)
        page = response.get_json()
        ids += [job["job"] for job in page["items"]]
        path = f"{JOBS}?limit=2&cursor={page['next']}" if page["next"] else ""
        expected = f'<{PREFIX}{path}>; rel="next"' if path else None
        assert response.headers.get("Link") == expected
    assert ids == [job["job"] for job in reversed(jobs)]


def test_jobs_are_listed_by_state_and_by_partner(partner: Caller) -> None:
    first = finish_job(partner, create_job(partner, [make_row(1)]))
    second = create_job(partner, [make_row(2)])
    assert partner("GET", f"{JOBS}?state=queued").get_json() == {"items": [second], "next": None}
    assert partner("GET", f"{JOBS}?state=succeeded").get_json() == {"items": [first], "next": None}
    assert partner("GET", f"{JOBS}?state=failed").get_json() == {"items": [], "next": None}
    admin = Caller(partner.app, roles=["provisioning-admin"])
    assert admin("GET", f"{JOBS}?partner={partner.partner}").get_json()["items"] == [second, first]
    assert second in admin("GET", JOBS).get_json()["items"]


def test_a_cursor_is_good_for_its_own_list(partner: Caller) -> None:
    for n in range(2):
        create_job(partner, [make_row(n)])
    cursor = partner("GET", f"{JOBS}?limit=1").get_json()["next"]
    for query in (f"cursor={cursor}&state=queued", f"cursor={cursor[:-1]}", "cursor=x"):
        assert partner("GET", f"{JOBS}?{query}").get_json()["code"] == "invalid-cursor"


# Cancel and resume.


def test_a_job_is_cancelled_and_resumed(partner: Caller) -> None:
    job = create_job(partner, [make_row(1)])
    response = partner("POST", f"{JOBS}/{job['job']}/cancel")
    cancelled = response.get_json()
    assert (response.status_code, cancelled["state"], cancelled["processed"]) == (200, "cancelled", 0)
    assert partner("POST", f"{JOBS}/{job['job']}/cancel").get_json() == cancelled
    assert finish_job(partner, job) == cancelled
    response = partner("POST", f"{JOBS}/{job['job']}/resume")
    assert (response.status_code, response.get_json()) == (202, job)
    assert response.headers["Location"] == f"{PREFIX}{JOBS}/{job['job']}"
    assert finish_job(partner, job)["state"] == "succeeded"
    for action in ("cancel", "resume"):
        detail = f"A job that has ended cannot be {action}{'led' if action == 'cancel' else 'd'}."
        assert_problem(
            partner("POST", f"{JOBS}/{job['job']}/{action}"), 409, "invalid-state", detail, job_state="succeeded"
        )


def test_cancel_supports_dry_run_and_replay(partner: Caller) -> None:
    job = create_job(partner, [make_row(1)])
    path = f"{JOBS}/{job['job']}/cancel"
    rehearsed = partner("POST", f"{path}?validate_only=true")
    assert (rehearsed.get_json()["state"], rehearsed.headers["X-Validate-Only"]) == ("cancelled", "true")
    assert read(partner, job) == job
    first = partner("POST", path, headers={"Idempotency-Key": "k"})
    again = partner("POST", path, headers={"Idempotency-Key": "k"})
    assert (again.get_json(), again.headers["Idempotency-Replayed"]) == (first.get_json(), "true")


# Repeated uploads.


def test_a_repeated_upload_is_one_job(partner: Caller) -> None:
    first = create_job(partner, [make_row(1)], **{"Idempotency-Key": "k"})
    finish_job(partner, first)
    response = partner("POST", JOBS, json=[make_row(1)], headers={"Idempotency-Key": "k"})
    assert (response.status_code, response.get_json(), response.headers["Idempotency-Replayed"]) == (202, first, "true")
    assert [job["id"] for job in fetch_rows(partner.app, "bulk_jobs", partner_id=partner.partner)] == [first["job"]]
    assert len(fetch_rows(partner.app, "bulk_chunks", partner_id=partner.partner)) == 1


@pytest.mark.parametrize(
    ("query", "sent", "headers"),
    [
        ("", [make_row(2)], {}),
        ("?operation=upsert", [make_row(1)], {}),
        ("?mode=atomic", [make_row(1)], {}),
    ],
)
def test_another_upload_with_the_same_key_is_refused_and_not_kept(
    partner: Caller, query: str, sent: Any, headers: dict[str, str]
) -> None:
    create_job(partner, [make_row(1)], **{"Idempotency-Key": "k"})
    response = partner("POST", f"{JOBS}{query}", json=sent, headers={"Idempotency-Key": "k", **headers})
    assert_problem(response, 422, "idempotency-key-reused", "Another request was sent with this key before.")
    assert len(fetch_rows(partner.app, "bulk_jobs", partner_id=partner.partner)) == 1


def test_a_wrong_key_is_refused_before_anything_is_read(partner: Caller) -> None:
    response = partner("POST", JOBS, data=b"[", content_type="application/json", headers={"Idempotency-Key": "a,b"})
    assert response.get_json()["code"] == "invalid-idempotency-key"


def test_uploads_at_once_with_one_key_are_one_job(partner: Caller) -> None:
    def upload(_number: int) -> Any:
        caller = Caller(partner.app, partner.partner)
        return caller("POST", JOBS, json=[make_row(1)], headers={"Idempotency-Key": "k"})

    responses = run_concurrently(6, upload)
    assert {response.status_code for response in responses} <= {202, 409}
    (job,) = {response.get_json()["job"] for response in responses if response.status_code == 202}
    assert [row["id"] for row in fetch_rows(partner.app, "bulk_jobs", partner_id=partner.partner)] == [job]


# Limits.


@pytest.mark.parametrize("operation", ["create", "upsert"])
def test_concurrent_single_creates_fill_the_limit_exactly(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 10)
    app = make_app(PROVISIONING_LICENSE=issue_license(max_tenants=40))
    partner = Caller(app)
    sent = [make_row(n, external_id=str(n)) for n in range(60)]
    job = create_job(partner, sent, f"?operation={operation}")

    def create(number: int) -> int:
        body = {"client_name": "Single", "email": f"single{number}@example.com"}
        return Caller(app, partner.partner)("POST", "/tenants", json=body).status_code

    with ThreadPoolExecutor(5) as pool:
        workers = [pool.submit(Bulk(app, partner).work) for _ in range(2)]
        singles = list(pool.map(create, range(20)))
    for worker in workers:
        worker.result()
    after = finish_job(partner, job)
    assert after["processed"] == 60
    assert after["succeeded"] + singles.count(201) == 40
    assert len(fetch_rows(app, "tenants")) == 40
    assert {*singles} <= {201, 403}
    failed = partner("GET", f"{JOBS}/{job['job']}/items?state=failed&limit=1000").get_json()["items"]
    assert len(failed) == after["failed"] == 60 - after["succeeded"]
    assert {(item["status"], item["problem"]["code"], item["problem"]["detail"]) for item in failed} == {
        (403, "quota-exceeded", "The limit of 40 tenants is reached.")
    }


def test_a_partner_has_so_many_jobs_under_way(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_BULK_OPEN_JOBS=2)
    partner, other = Caller(app), Caller(app)
    first, _second = create_job(partner, [make_row(1)]), create_job(partner, [make_row(2)])
    detail = "2 bulk jobs are in progress. Wait until one has ended."
    assert_problem(partner("POST", JOBS, json=[make_row(3)]), 403, "quota-exceeded", detail, limit=2)
    create_job(other, [make_row(4)])
    partner("POST", f"{JOBS}/{first['job']}/cancel")
    finish_job(partner, create_job(partner, [make_row(5)]))
    create_job(partner, [make_row(6)])


def test_a_resumed_job_counts_as_under_way(make_app: MakeApp) -> None:
    partner = Caller(make_app(PROVISIONING_BULK_OPEN_JOBS=2))
    cancelled = [create_job(partner, [make_row(n)]) for n in (1, 2)]
    for job in cancelled:
        assert partner("POST", f"{JOBS}/{job['job']}/cancel").status_code == 200
    first = create_job(partner, [make_row(3)])
    assert partner("POST", f"{JOBS}/{cancelled[0]['job']}/resume").status_code == 202
    assert partner("POST", f"{JOBS}/{cancelled[0]['job']}/resume").status_code == 202
    detail = "2 bulk jobs are in progress. Wait until one has ended."
    assert_problem(partner("POST", f"{JOBS}/{cancelled[1]['job']}/resume"), 403, "quota-exceeded", detail, limit=2)
    assert read(partner, cancelled[1])["state"] == "cancelled"
    finish_job(partner, first)
    assert partner("POST", f"{JOBS}/{cancelled[1]['job']}/resume").status_code == 202


def test_uploads_at_once_are_no_more_than_may_be_under_way(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_BULK_OPEN_JOBS=3)
    partner = Caller(app)
    with serve(app) as address:
        replies = run_concurrently(
            12, lambda n: send_request(address, "POST", f"{PREFIX}{JOBS}", partner.token, [make_row(n)])
        )
        assert Counter(reply.status for reply in replies) == {202: 3, 403: 9}
        jobs = [reply.json()["job"] for reply in replies if reply.status == 202]
        for job in jobs:
            assert partner("POST", f"{JOBS}/{job}/cancel").status_code == 200
        jobs += [create_job(partner, [make_row(20 + n)])["job"] for n in range(2)]
        path = f"{PREFIX}{JOBS}/{{}}/resume"
        replies = run_concurrently(3, lambda n: send_request(address, "POST", path.format(jobs[n]), partner.token))
        assert Counter(reply.status for reply in replies) == {202: 1, 403: 2}


def test_a_partners_oldest_results_are_dropped_first(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_BULK_KEPT_BYTES=3000)
    partner, other = Caller(app), Caller(app)
    noise = [[make_row(n, email=secrets.token_hex(20)) for n in range(60)] for _ in range(3)]  # some 2 kB, packed
    cancelled = create_job(partner, noise[2])
    partner("POST", f"{JOBS}/{cancelled['job']}/cancel")
    old, new = (create_job(partner, some) for some in noise[:2])
    finish_job(partner, new)
    others = create_job(other, [make_row(1)])
    waiting = create_job(Caller(app), noise[2])
    Bulk(app, partner).work()
    Maintenance(get_mount(app)).run()
    assert [read(partner, job)["failed"] for job in (old, new)] == [60, 60]
    assert [len(list_items(partner, job)) for job in (old, new)] == [0, 60]
    assert len(list_items(other, others)) == 1
    assert partner("GET", f"{JOBS}/{cancelled['job']}").status_code == 404
    assert waiting["total"] == 60


def test_a_finished_job_tells_its_partner(partner: Caller) -> None:
    response = partner("POST", JOBS, json=[make_row(1)], headers={"X-Request-ID": "upload-1"})
    finish_job(partner, response.get_json())
    created, finished = read_feed(partner)
    assert (created["type"], created["request_id"]) == ("tenant.created", "upload-1")
    assert (finished["type"], finished["data"]["job"]) == ("bulk_job.finished", response.get_json()["job"])
