"""Rows with an idempotency key of their own take effect once, however often they are sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.bulk import actions
from flask_tenant_provisioning.bulk.results import RowResult
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.clock import Clock
from tests.support.database.rows import fetch_rows
from tests.support.hosts import make_config
from tests.support.servers import run_concurrently

REUSED = {"code": "idempotency-key-reused", "detail": "Another row was sent with this key before."}


def make_keyed_row(number: int, key: Any, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Client {number}", "email": f"u{number}@example.com", "idempotency_key": key, **more}


def summarize(results: list[RowResult]) -> list[tuple[str, int | None, str | None]]:
    return [(result.state, result.status, result.problem["code"] if result.problem else None) for result in results]


def make_hooked_host(database_url: str) -> Flask:
    """A host that takes part in every creation."""
    provisioning, app = TenantProvisioning(), Flask("host")
    app.config.update(make_config())
    provisioning.hook("tenant.create", name="nothing")(lambda: None)
    provisioning.init_app(app, database_url)
    return app


@pytest.fixture(params=["together", "hooks"])
def bulk(request: pytest.FixtureRequest, make_app: Callable[..., Flask], database_url: str) -> Bulk:
    app = make_app() if request.param == "together" else make_hooked_host(database_url)
    return Bulk(app, Caller(app))


def test_a_file_sent_again_makes_nothing_again(bulk: Bulk) -> None:
    sent = [
        make_keyed_row(1, "one"),
        make_keyed_row(2, "two", external_id="2"),
        {**make_keyed_row(3, "three"), "idempotency_key": None},
    ]
    first = bulk.do("create", sent)
    before = fetch_rows(bulk.app, "events", type="tenant.created")
    again = bulk.do("create", sent)
    assert summarize(first) == [("succeeded", 201, None)] * 3
    assert summarize(again) == [("unchanged", 201, None)] * 2 + [("failed", 409, "tenant-exists")]
    assert [(result.tenant, result.external_id) for result in again[:2]] == [
        (result.tenant, result.external_id) for result in first[:2]
    ]
    assert fetch_rows(bulk.app, "events", type="tenant.created") == before


def test_key_belongs_to_one_row(bulk: Bulk) -> None:
    bulk.do("create", [make_keyed_row(1, "one")])
    (other,) = bulk.do("create", [make_keyed_row(2, "one")])
    (update,) = bulk.do("update", [{**make_keyed_row(1, "one"), "external_id": "1"}])
    assert [other.state, other.status, other.problem] == ["failed", 422, {**REUSED, "line": 1}]
    assert update.problem == {**REUSED, "line": 1}
    assert len(fetch_rows(bulk.app, "tenants")) == 1


def test_row_keys_apply_within_one_upload(bulk: Bulk) -> None:
    results = bulk.do(
        "create",
        [make_keyed_row(1, "one"), make_keyed_row(1, "one"), make_keyed_row(2, "one"), make_keyed_row(3, "three")],
    )
    assert summarize(results) == [
        ("succeeded", 201, None),
        ("unchanged", 201, None),
        ("failed", 422, "idempotency-key-reused"),
        ("succeeded", 201, None),
    ]
    assert results[0].tenant == results[1].tenant


def test_row_key_takes_effect_once_across_concurrent_chunks(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 5)
    job = bulk.upload("create", [make_keyed_row(n % 10, f"key {n % 10}") for n in range(60)])
    run_concurrently(3, lambda _number: bulk.work())
    results = bulk.results(job)
    assert sorted(summarize(results)) == [("succeeded", 201, None)] * 10 + [("unchanged", 201, None)] * 50
    assert {result.tenant for result in results} == {row["id"] for row in fetch_rows(bulk.app, "tenants")}


def test_a_row_that_failed_leaves_its_key_to_the_one_that_mends_it(bulk: Bulk) -> None:
    taken = bulk.partner.create()["email"]
    bad, good = make_keyed_row(1, "one", email=taken), make_keyed_row(1, "one")
    (failed,) = bulk.do("create", [bad])
    mended, *again = bulk.do("create", [good, good, bad])
    assert summarize([failed, mended, *again]) == [
        ("failed", 409, "tenant-exists"),
        ("succeeded", 201, None),
        ("unchanged", 201, None),
        ("failed", 422, "idempotency-key-reused"),
    ]


def test_row_keys_apply_within_one_chunk(bulk: Bulk) -> None:
    taken = bulk.partner.create()["email"]
    results = bulk.do(
        "create", [make_keyed_row(1, "one", email=taken), make_keyed_row(1, "one"), make_keyed_row(1, "one")]
    )
    assert summarize(results) == [("failed", 409, "tenant-exists"), ("succeeded", 201, None), ("unchanged", 201, None)]


@pytest.mark.parametrize("operation", ["upsert", "update", "suspend"])
def test_other_operations_answer_as_they_did_the_first_time(bulk: Bulk, operation: str) -> None:
    bulk.do("create", [make_keyed_row(1, "made", external_id="1")])
    more = {"upsert": {"client_name": "New", "email": "u1@example.com"}, "update": {"client_name": "New"}}
    sent = [{"external_id": "1", "idempotency_key": "one", **more.get(operation, {})}]
    first, again = bulk.do(operation, sent), bulk.do(operation, sent)
    assert summarize(first + again) == [("succeeded", 200, None), ("unchanged", 200, None)]


@pytest.mark.parametrize("options", [{"dry_run": True}, {"mode": "atomic"}], ids=["rehearsal", "failed atomic job"])
def test_failed_row_leaves_no_key(bulk: Bulk, options: dict[str, Any]) -> None:
    bulk.do("create", [make_keyed_row(1, "one"), make_keyed_row(2, "two", email="no address")], **options)
    assert fetch_rows(bulk.app, "idempotency") == []
    assert summarize(bulk.do("create", [make_keyed_row(9, "one")])) == [("succeeded", 201, None)]


def test_keys_are_their_partner_s_and_apart_from_those_of_requests(bulk: Bulk) -> None:
    header = {"Idempotency-Key": "one"}
    body = {"client_name": "Single", "email": "single@example.com"}
    assert bulk.partner("POST", "/tenants", json=body, headers=header).status_code == 201
    other = Bulk(bulk.app, Caller(bulk.app))
    for mine in (bulk, other):
        assert summarize(mine.do("create", [make_keyed_row(1, "one")])) == [("succeeded", 201, None)]
    response = bulk.partner("POST", "/tenants", json=body, headers=header)
    assert (response.status_code, response.headers["Idempotency-Replayed"]) == (201, "true")


def test_a_key_is_forgotten_after_its_time(make_app: Callable[..., Flask]) -> None:
    clock = Clock()
    app = make_app(mount={"clock": clock}, PROVISIONING_IDEMPOTENCY_HOURS=2)
    bulk = Bulk(app, Caller(app))
    bulk.do("create", [make_keyed_row(1, "one")])
    clock.now += 2 * 3600 - 1
    assert summarize(bulk.do("create", [make_keyed_row(2, "one")])) == [("failed", 422, "idempotency-key-reused")]
    clock.now += 1
    assert summarize(bulk.do("create", [make_keyed_row(2, "one")])) == [("succeeded", 201, None)]


@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel", "a\nb", 1, True, ["one"], {}], ids=ascii)
def test_invalid_row_key_is_reported(bulk: Bulk, key: Any) -> None:
    wrong, right = bulk.do("create", [make_keyed_row(1, key), make_keyed_row(2, "k" * 255)])
    assert wrong.problem == {
        "code": "validation-error",
        "detail": "1 field is invalid.",
        "line": 1,
        "errors": [
            {
                "pointer": "#/idempotency_key",
                "code": "invalid-idempotency-key",
                "detail": "Must have 1 to 255 printable ASCII characters.",
            }
        ],
    }
    assert right.state == "succeeded"


def test_a_table_may_have_a_column_of_keys(bulk: Bulk) -> None:
    table = "client_name,email,idempotency_key\nA,a@example.com,one\nB,b@example.com,\n"
    first, again = bulk.do("create", table), bulk.do("create", table)
    assert summarize(first) == [("succeeded", 201, None)] * 2
    assert summarize(again) == [("unchanged", 201, None), ("failed", 409, "tenant-exists")]


def test_dry_run_of_the_same_row_in_several_chunks_ends(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 1)
    bulk.do("create", [make_keyed_row(1, "done")])
    results = bulk.do(
        "create",
        [make_keyed_row(1, "done"), make_keyed_row(2, "two"), make_keyed_row(2, "two"), make_keyed_row(1, "done")],
        dry_run=True,
    )
    unchanged, new = ("unchanged", 201, None), ("succeeded", 201, None)
    assert summarize(results) == [unchanged, new, new, unchanged]
    assert len(fetch_rows(bulk.app, "tenants")) == 1
