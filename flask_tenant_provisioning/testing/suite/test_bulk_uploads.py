"""`POST /bulk-jobs`: accepted uploads, their permissions, and refused uploads, which leave nothing."""

from __future__ import annotations

import io
from typing import Any

import pytest

from flask_tenant_provisioning.testing.callers import Caller
from flask_tenant_provisioning.testing.uploads import (
    JOBS,
    OPERATION_PERMISSIONS,
    ROW_WRITERS,
    make_rows,
    read_job,
    require_nothing,
    upload,
    upload_and_wait,
    wait_for_job,
    write_ndjson,
)
from flask_tenant_provisioning.web.headers import CSV, JSON, NDJSON

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


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("kind", ROW_WRITERS)
def test_every_kind_of_upload_is_read(provisioning_partner: Caller, kind: str, packed: bool) -> None:
    rows = make_rows(provisioning_partner, metadata={"text": 'a "quote", a comma\nand ü'})
    job = upload_and_wait(provisioning_partner, rows, kind, packed=packed)
    response = provisioning_partner("GET", "/tenants")
    response.require(job["state"] == "succeeded", "show what a job has created")
    tenants = {tenant["external_id"]: tenant for tenant in response.document()["items"]}
    for row in rows:
        tenant = tenants.get(row["external_id"], {})
        response.require(tenant | row == tenant, "show the tenants as they were sent")


def test_an_upload_that_is_repeated_is_one_job(provisioning_partner: Caller) -> None:
    rows, headers = make_rows(provisioning_partner), {"Idempotency-Key": "upload"}
    first = upload(provisioning_partner, rows, headers=headers)
    wait_for_job(provisioning_partner, read_job(first, 202))
    again = upload(provisioning_partner, rows, headers=headers)
    again.require(read_job(again, 202) == first.json(), "repeat the first answer")
    again.require(again.headers.get("Idempotency-Replayed") == "true", "answer with Idempotency-Replayed: true")
    other = upload(provisioning_partner, make_rows(provisioning_partner), headers=headers)
    other.problem(422, "idempotency-key-reused")
    listed = provisioning_partner("GET", JOBS)
    listed.require(len(listed.document()["items"]) == 1, "list one job")
    listed.require(len(provisioning_partner.list_tenants()) == 2, "be all that is done")


@pytest.mark.parametrize("case", BROKEN)
def test_unreadable_rows_are_malformed(provisioning_partner: Caller, case: str) -> None:
    kind, body = BROKEN[case]
    response = upload(provisioning_partner, body, kind)
    response.problem(400, "malformed-upload")
    require_nothing(provisioning_partner, response)


def test_invalid_gzip_is_malformed(provisioning_partner: Caller) -> None:
    response = upload(provisioning_partner, b"{}\n", headers={"Content-Encoding": "gzip"})
    response.problem(400, "malformed-upload")
    require_nothing(provisioning_partner, response)


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
    response = upload(provisioning_partner, b"{}\n", headers=sent)
    response.problem(415, "unsupported-media-type")
    require_nothing(provisioning_partner, response)


@pytest.mark.parametrize("query", WRONG_UPLOADS)
def test_invalid_upload_parameters_are_named(provisioning_partner: Caller, query: str) -> None:
    body, typed = write_ndjson(make_rows(provisioning_partner)), {"Content-Type": NDJSON}
    response = provisioning_partner(
        "POST", f"{JOBS}?{query}", body=body, headers=typed, also=OPERATION_PERMISSIONS["create"]
    )
    wrong = WRONG_UPLOADS[query]
    response.require({*response.faults("invalid-parameter")} == {wrong}, f"name {wrong} alone")
    require_nothing(provisioning_partner, response)


def test_an_upload_that_announces_too_much_is_refused(provisioning_partner: Caller) -> None:
    announced = {"CONTENT_LENGTH": str(provisioning_partner.api.config.bulk_max_bytes + 1)}
    sent: dict[str, Any] = {"input_stream": io.BytesIO(b"{}"), "headers": {"Content-Type": NDJSON}}
    response = provisioning_partner(
        "POST", JOBS, **sent, environ_overrides=announced, also=OPERATION_PERMISSIONS["create"]
    )
    response.problem(413, "upload-too-large")
    require_nothing(provisioning_partner, response)


@pytest.mark.parametrize("mode", ["partial", "atomic"])
def test_an_upload_of_too_many_rows_is_refused(provisioning_partner: Caller, mode: str) -> None:
    settings = provisioning_partner.api.config
    limit = min(settings.bulk_max_rows, settings.bulk_atomic_rows if mode == "atomic" else settings.bulk_max_rows)
    if limit > MANY:
        pytest.skip(f"the host allows more rows than the {MANY} that the suite sends at most")
    response = upload(provisioning_partner, b"{}\n" * (limit + 1), mode=mode)
    response.problem(413, "upload-too-large")
    require_nothing(provisioning_partner, response)


@pytest.mark.parametrize("operation", OPERATION_PERMISSIONS)
def test_bulk_operation_needs_the_rights_of_its_single_calls(provisioning_partner: Caller, operation: str) -> None:
    claim = provisioning_partner.api.config.permissions_claim
    if claim is None:
        pytest.skip("PROVISIONING_PERMISSIONS_CLAIM is None: no claim narrows a role")
    role = provisioning_partner.find_role("bulk:create", *OPERATION_PERMISSIONS[operation])
    for missing in OPERATION_PERMISSIONS[operation]:
        granted = [
            "bulk:create",
            *{permission for needed in OPERATION_PERMISSIONS.values() for permission in needed} - {missing},
        ]
        headers = {**provisioning_partner.make_role_header(role, **{claim: granted}), "Content-Type": NDJSON}
        response = provisioning_partner.api("POST", f"{JOBS}?operation={operation}", body=b"{}\n", headers=headers)
        response.problem(403, "insufficient-permission", required=[*OPERATION_PERMISSIONS[operation]])
        require_nothing(provisioning_partner, response)
