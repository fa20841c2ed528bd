"""Rows with an idempotency key of their own take effect once, however often they are sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.bulk import actions
from flask_tenant_provisioning.bulk.results import RowResult
from tests.bulk import Bulk
from tests.servers import at_once
from tests.witness import Clock, rows
from tests.world import Caller, configuration

REUSED = {"code": "idempotency-key-reused", "detail": "Another row was sent with this key before."}


def keyed(number: int, key: Any, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Client {number}", "email": f"u{number}@example.com", "idempotency_key": key, **more}


def came(found: list[RowResult]) -> list[tuple[str, int | None, str | None]]:
    return [(one.state, one.status, one.problem["code"] if one.problem else None) for one in found]


def hooked(database_url: str) -> Flask:
    """A host that takes part in every creation."""
    provisioning, app = TenantProvisioning(), Flask("host")
    app.config.update(configuration())
    provisioning.hook("tenant.create", name="nothing")(lambda: None)
    provisioning.init_app(app, database_url)
    return app


@pytest.fixture(params=["together", "hooks"])
def bulk(request: pytest.FixtureRequest, make_app: Callable[..., Flask], database_url: str) -> Bulk:
    app = make_app() if request.param == "together" else hooked(database_url)
    return Bulk(app, Caller(app))


def test_a_file_sent_again_makes_nothing_again(bulk: Bulk) -> None:
    sent = [keyed(1, "one"), keyed(2, "two", external_id="2"), {**keyed(3, "three"), "idempotency_key": None}]
    first = bulk.do("create", sent)
    before = rows(bulk.app, "events", type="tenant.created")
    again = bulk.do("create", sent)
    assert came(first) == [("succeeded", 201, None)] * 3
    assert came(again) == [("unchanged", 201, None)] * 2 + [("failed", 409, "tenant-exists")]
    assert [(one.tenant, one.external_id) for one in again[:2]] == [(one.tenant, one.external_id) for one in first[:2]]
    assert rows(bulk.app, "events", type="tenant.created") == before


def test_a_key_is_one_row_s_alone(bulk: Bulk) -> None:
    bulk.do("create", [keyed(1, "one")])
    (other,) = bulk.do("create", [keyed(2, "one")])
    (update,) = bulk.do("update", [{**keyed(1, "one"), "external_id": "1"}])
    assert [other.state, other.status, other.problem] == ["failed", 422, {**REUSED, "line": 1}]
    assert update.problem == {**REUSED, "line": 1}
    assert len(rows(bulk.app, "tenants")) == 1


def test_within_one_upload_too(bulk: Bulk) -> None:
    found = bulk.do("create", [keyed(1, "one"), keyed(1, "one"), keyed(2, "one"), keyed(3, "three")])
    assert came(found) == [
        ("succeeded", 201, None),
        ("unchanged", 201, None),
        ("failed", 422, "idempotency-key-reused"),
        ("succeeded", 201, None),
    ]
    assert found[0].tenant == found[1].tenant


def test_and_across_its_chunks_whoever_does_them(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 5)
    job = bulk.upload("create", [keyed(n % 10, f"key {n % 10}") for n in range(60)])
    at_once(3, lambda _number: bulk.work())
    found = bulk.results(job)
    assert sorted(came(found)) == [("succeeded", 201, None)] * 10 + [("unchanged", 201, None)] * 50
    assert {one.tenant for one in found} == {row["id"] for row in rows(bulk.app, "tenants")}


def test_a_row_that_failed_leaves_its_key_to_the_one_that_mends_it(bulk: Bulk) -> None:
    taken = bulk.partner.create()["email"]
    bad, good = keyed(1, "one", email=taken), keyed(1, "one")
    (failed,) = bulk.do("create", [bad])
    mended, *again = bulk.do("create", [good, good, bad])
    assert came([failed, mended, *again]) == [
        ("failed", 409, "tenant-exists"),
        ("succeeded", 201, None),
        ("unchanged", 201, None),
        ("failed", 422, "idempotency-key-reused"),
    ]


def test_in_the_same_chunk_too(bulk: Bulk) -> None:
    taken = bulk.partner.create()["email"]
    found = bulk.do("create", [keyed(1, "one", email=taken), keyed(1, "one"), keyed(1, "one")])
    assert came(found) == [("failed", 409, "tenant-exists"), ("succeeded", 201, None), ("unchanged", 201, None)]


@pytest.mark.parametrize("operation", ["upsert", "update", "suspend"])
def test_other_operations_answer_as_they_did_the_first_time(bulk: Bulk, operation: str) -> None:
    bulk.do("create", [keyed(1, "made", external_id="1")])
    more = {"upsert": {"client_name": "New", "email": "u1@example.com"}, "update": {"client_name": "New"}}
    sent = [{"external_id": "1", "idempotency_key": "one", **more.get(operation, {})}]
    first, again = bulk.do(operation, sent), bulk.do(operation, sent)
    assert came(first + again) == [("succeeded", 200, None), ("unchanged", 200, None)]


@pytest.mark.parametrize("options", [{"dry_run": True}, {"mode": "atomic"}], ids=["rehearsal", "failed atomic job"])
def test_what_leaves_nothing_leaves_no_key(bulk: Bulk, options: dict[str, Any]) -> None:
    bulk.do("create", [keyed(1, "one"), keyed(2, "two", email="no address")], **options)
    assert rows(bulk.app, "idempotency") == []
    assert came(bulk.do("create", [keyed(9, "one")])) == [("succeeded", 201, None)]


def test_keys_are_their_partner_s_and_apart_from_those_of_requests(bulk: Bulk) -> None:
    header = {"Idempotency-Key": "one"}
    body = {"client_name": "Single", "email": "single@example.com"}
    assert bulk.partner("POST", "/tenants", json=body, headers=header).status_code == 201
    other = Bulk(bulk.app, Caller(bulk.app))
    for mine in (bulk, other):
        assert came(mine.do("create", [keyed(1, "one")])) == [("succeeded", 201, None)]
    answer = bulk.partner("POST", "/tenants", json=body, headers=header)
    assert (answer.status_code, answer.headers["Idempotency-Replayed"]) == (201, "true")


def test_a_key_is_forgotten_after_its_time(make_app: Callable[..., Flask]) -> None:
    clock = Clock()
    app = make_app(mount={"clock": clock}, PROVISIONING_IDEMPOTENCY_HOURS=2)
    bulk = Bulk(app, Caller(app))
    bulk.do("create", [keyed(1, "one")])
    clock.now += 2 * 3600 - 1
    assert came(bulk.do("create", [keyed(2, "one")])) == [("failed", 422, "idempotency-key-reused")]
    clock.now += 1
    assert came(bulk.do("create", [keyed(2, "one")])) == [("succeeded", 201, None)]


@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel", "a\nb", 1, True, ["one"], {}], ids=ascii)
def test_what_is_no_key_is_said(bulk: Bulk, key: Any) -> None:
    wrong, right = bulk.do("create", [keyed(1, key), keyed(2, "k" * 255)])
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
    assert came(first) == [("succeeded", 201, None)] * 2
    assert came(again) == [("unchanged", 201, None), ("failed", 409, "tenant-exists")]


def test_a_rehearsal_of_the_same_row_in_several_chunks_ends(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 1)
    bulk.do("create", [keyed(1, "done")])
    found = bulk.do("create", [keyed(1, "done"), keyed(2, "two"), keyed(2, "two"), keyed(1, "done")], dry_run=True)
    unchanged, new = ("unchanged", 201, None), ("succeeded", 201, None)
    assert came(found) == [unchanged, new, new, unchanged]
    assert len(rows(bulk.app, "tenants")) == 1
