"""Quotas of a partner for tenants and plans, exact for every writer in every process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.tenants.quotas import INSTALLATION, SETTLING_SECONDS
from tests.support.assertions import assert_invalid_fields, assert_problem
from tests.support.bulk import Bulk
from tests.support.callers import EXAMPLE, Caller
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.hosts import PREFIX, issue_license, make_config
from tests.support.servers import Reply, run_concurrently, send_request, serve

MakeApp = Callable[..., Flask]
NO_LIST = "Must be a list of 100 strings at most, each of 1 to 100 characters."
WHOLE = "Must be a whole number from 0 to 2000000000."


def body(number: int, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Client {number}", "email": f"u{number}@example.com", **more}


def set_limits(partner: Caller, **fields: Any) -> dict[str, Any]:
    """Set limits of the partner as an administrator."""
    response = Caller(partner.app, roles=["provisioning-admin"])("PUT", f"/partners/{partner.partner}", json=fields)
    assert response.status_code in (200, 201), response.text
    document: dict[str, Any] = response.get_json()
    return document


def full(response: Any, partner: Caller, limit: int) -> None:
    """Assert that the partner has no room."""
    detail = f"The partner's limit of {limit} tenants is reached."
    assert_problem(response, 403, "quota-exceeded", detail, limit=limit, partner=partner.partner)


def other_plan(response: Any, plan: str, *allowed: str) -> None:
    """Assert that the plan is refused."""
    detail = f"The partner may not put a tenant on the plan {plan!r}."
    assert_problem(response, 403, "plan-not-allowed", detail, plan=plan, allowed=list(allowed))


def count_living(partner: Caller) -> int:
    return len(fetch_rows(partner.app, "tenants", partner_id=partner.partner, live=1))


def counter(partner: Caller) -> dict[str, Any]:
    (row,) = fetch_rows(partner.app, "usage", partner_id=partner.partner)
    return row


# What an administrator says.


def test_limits_are_members_of_the_partner_and_of_its_event(partner: Caller) -> None:
    document = set_limits(partner, max_tenants=3, allowed_plans=["pro", "free", "pro"])
    assert (document["max_tenants"], document["allowed_plans"]) == (3, ["pro", "free"])
    assert set_limits(partner, max_tenants=3, allowed_plans=["pro", "free"]) == document
    (event,) = fetch_rows(partner.app, "events", partner_id=partner.partner)
    assert '"max_tenants":{"previous":null,"new":3}' in event["changes"]
    assert '"allowed_plans":{"previous":null,"new":["pro","free"]}' in event["changes"]
    assert set_limits(partner, max_tenants=3.0, allowed_plans=["pro", "free"]) == document
    bare = set_limits(partner)
    assert (bare["max_tenants"], bare["allowed_plans"], bare["version"]) == (None, None, 2)


def test_all_errors_of_limits_are_reported(partner: Caller) -> None:
    admin = Caller(partner.app, roles=["provisioning-admin"])
    for wrong in (-1, 1.5, "3", True, 2_000_000_001, 2**70):
        response = admin("PUT", f"/partners/{partner.partner}", json={"max_tenants": wrong, "allowed_plans": "pro"})
        if wrong == 2**70:
            assert response.get_json()["code"] == "malformed-json"
            continue
        assert_invalid_fields(
            response, ("#/allowed_plans", "invalid-type", NO_LIST), ("#/max_tenants", "invalid-number", WHOLE)
        )
    plans: Any
    for plans in ([""], [None], ["x" * 101], ["x"] * 101, {}):
        response = admin("PUT", f"/partners/{partner.partner}", json={"allowed_plans": plans})
        assert_invalid_fields(response, ("#/allowed_plans", "invalid-type", NO_LIST))
    assert fetch_rows(partner.app, "partners", partner_id=partner.partner) == []


def test_a_plan_that_the_host_does_not_sell_cannot_be_allowed(make_app: MakeApp) -> None:
    admin = Caller(make_app(PROVISIONING_PLANS=["free", "pro"]), roles=["provisioning-admin"])
    response = admin("PUT", "/partners/acme", json={"allowed_plans": ["pro", "gold"]})
    assert_invalid_fields(response, ("#/allowed_plans/1", "unknown-plan", "Must be one of: free, pro."))
    assert admin("PUT", "/partners/acme", json={"allowed_plans": ["pro"]}).status_code == 201


# How many.


def test_the_next_tenant_beyond_the_limit_is_refused(partner: Caller) -> None:
    set_limits(partner, max_tenants=2)
    first, _ = partner.create(), partner.create()
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 2)
    full(partner("PUT", "/tenants/by-external-id/x", json=EXAMPLE), partner, 2)
    full(partner.with_roles("provisioning-admin")("POST", "/tenants", json=EXAMPLE), partner, 2)
    assert partner("PATCH", f"/tenants/{first['tenant']}", json={"industry": "Farming"}).status_code == 200
    assert count_living(partner) == 2
    Caller(partner.app).create()


@pytest.mark.parametrize("purge", ["", "?purge=true"])
def test_removed_tenant_frees_one_place(partner: Caller, purge: str) -> None:
    set_limits(partner, max_tenants=1)
    tenant, admin = partner.create(), partner.with_roles("provisioning-admin")
    for _ in range(2):
        admin("DELETE", f"/tenants/{tenant['tenant']}{purge}")
    partner.create()
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 1)


def test_a_restored_tenant_needs_room(partner: Caller) -> None:
    set_limits(partner, max_tenants=1)
    path = f"/tenants/{partner.create()['tenant']}"
    partner("DELETE", path)
    full_again = partner.create()
    full(partner("POST", f"{path}/restore"), partner, 1)
    partner("DELETE", f"/tenants/{full_again['tenant']}")
    assert partner("POST", f"{path}/restore").status_code == 200
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 1)


def test_failed_writes_and_dry_runs_do_not_count(partner: Caller) -> None:
    set_limits(partner, max_tenants=2)
    tenant = partner.create()
    for _ in range(3):
        assert partner("POST", "/tenants", json=body(1, email=tenant["email"])).status_code == 409
        assert partner("POST", "/tenants?validate_only=true", json=EXAMPLE).status_code == 201
    partner.create()
    full(partner("POST", "/tenants?validate_only=true", json=EXAMPLE), partner, 2)


def test_a_limit_may_come_later_change_and_go(partner: Caller) -> None:
    for _ in range(3):
        partner.create()
    for most in (0, 2, 3):
        set_limits(partner, max_tenants=most)
        full(partner("POST", "/tenants", json=EXAMPLE), partner, most)
    set_limits(partner, max_tenants=4)
    partner.create()
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 4)
    set_limits(partner)
    partner.create()
    assert fetch_rows(partner.app, "usage", partner_id=partner.partner) == []
    set_limits(partner, max_tenants=5)
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 5)


def test_partner_limit_and_licence_limit_both_hold(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_LICENSE=issue_license(max_tenants=3))
    partner, star = Caller(app), Caller(app, partner="*")
    set_limits(partner, max_tenants=1)
    set_limits(star, max_tenants=5)
    partner.create()
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 1)
    star.create(), star.create()
    response = star("POST", "/tenants", json=EXAMPLE)
    assert_problem(response, 403, "quota-exceeded", "The limit of 3 tenants is reached.", limit=3)
    counts = {row["partner_id"]: row["tenants"] for row in fetch_rows(app, "usage")}
    assert counts == {INSTALLATION: 3, partner.partner: 1, "*": 2}


@pytest.mark.one_database
def test_a_partner_without_a_limit_costs_no_statement_more(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_PARTNER_CACHE_SECONDS=60)
    partner, statements = Caller(app), list[str]()
    partner.create()
    event.listen(get_storage(app).engine, "checkout", lambda driver, *_: driver.set_trace_callback(statements.append))
    for fields in ({}, {"plan": "pro"}):
        statements.clear()
        partner.create(**fields)
        assert [statement.split(" (")[0] for statement in statements] == [
            "BEGIN IMMEDIATE", "INSERT INTO provisioning_tenants", "INSERT INTO provisioning_events", "COMMIT",
        ]  # fmt: skip
    assert fetch_rows(app, "usage") == []


# In other processes.


class Processes:
    """Two hosts on one database, which remember partners for 5 seconds, and their clock."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.here, self.there = (Caller(self._process(url), "acme") for _ in range(2))

    def _process(self, url: str) -> Flask:
        app = Flask("host")
        app.config.update(make_config(PROVISIONING_PARTNER_CACHE_SECONDS=5, **LONG_LIVED_TOKENS))
        TenantProvisioning(clock=self.clock).init_app(app, url)
        return app


def test_process_with_a_stale_limit_counts_tenants(database_url: str) -> None:
    both = Processes(database_url)
    here, there = both.here, both.there
    there.create()
    set_limits(here, max_tenants=3)
    there.create()
    here.create()
    full(here("POST", "/tenants", json=EXAMPLE), here, 3)
    there.create()
    both.clock.now += 5
    full(there("POST", "/tenants", json=EXAMPLE), there, 3)
    full(here("POST", "/tenants", json=EXAMPLE), here, 3)
    assert count_living(here) == 4


def test_a_counter_is_believed_once_all_know_of_the_limit(database_url: str) -> None:
    both = Processes(database_url)
    here, there = both.here, both.there
    there.create()
    set_limits(here, max_tenants=3)
    there.create()
    assert (counter(here)["tenants"], counter(here)["doubtful_until"] is None) == (0, False)
    both.clock.now += 5 + SETTLING_SECONDS
    tenant = here.create()
    assert (counter(here)["tenants"], counter(here)["doubtful_until"]) == (3, None)
    full(there("POST", "/tenants", json=EXAMPLE), there, 3)
    there("DELETE", f"/tenants/{tenant['tenant']}")
    assert counter(here)["tenants"] == 2
    there.create()
    full(here("POST", "/tenants", json=EXAMPLE), here, 3)


def test_limit_changed_by_another_process_applies_at_once(database_url: str) -> None:
    both = Processes(database_url)
    here, there = both.here, both.there
    set_limits(here, max_tenants=1)
    there.create()
    full(there("POST", "/tenants", json=EXAMPLE), there, 1)
    set_limits(here, max_tenants=2)
    there.create()
    set_limits(here, max_tenants=1)
    full(there("POST", "/tenants", json=EXAMPLE), there, 1)
    set_limits(here)
    there.create()
    assert count_living(here) == 3


# In bulk.


def test_rows_beyond_the_limit_are_refused(partner: Caller) -> None:
    set_limits(partner, max_tenants=3)
    results = Bulk(partner.app, partner).do("create", [body(n) for n in (1, 1, 2, 3, 4)])
    assert [result.status for result in results] == [201, 409, 201, 201, 403]
    problem = results[-1].problem or {}
    detail = "The partner's limit of 3 tenants is reached."
    assert problem == {"code": "quota-exceeded", "detail": detail, "line": 5, "limit": 3, "partner": partner.partner}
    assert counter(partner)["tenants"] == count_living(partner) == 3


def test_rows_that_upsert_and_delete_are_counted(partner: Caller) -> None:
    set_limits(partner, max_tenants=2)
    bulk = Bulk(partner.app, partner)
    sent = [body(n, external_id=f"e{n}") for n in (1, 2, 3)]
    assert [result.status for result in bulk.do("upsert", sent)] == [201, 201, 403]
    assert [result.status for result in bulk.do("upsert", [body(9, external_id="e1"), sent[2]])] == [200, 403]
    assert [result.status for result in bulk.do("delete", [{"external_id": "e1"}, {"external_id": "e2"}])] == [200, 200]
    assert [result.status for result in bulk.do("upsert", sent)] == [201, 201, 403]


def test_atomic_job_over_quota_reserves_nothing(partner: Caller) -> None:
    set_limits(partner, max_tenants=2)
    results = Bulk(partner.app, partner).do("create", [body(n) for n in (1, 2, 3)], mode="atomic")
    assert [result.state for result in results] == ["skipped", "skipped", "failed"]
    partner.create(), partner.create()
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 2)


# On which plans.


def test_a_tenant_is_put_on_allowed_plans_alone(partner: Caller) -> None:
    set_limits(partner, allowed_plans=["pro", "free"])
    other_plan(partner("POST", "/tenants", json={**EXAMPLE, "plan": "gold"}), "gold", "pro", "free")
    path = "/tenants/by-external-id/x"
    other_plan(partner("PUT", path, json={**EXAMPLE, "plan": "gold"}), "gold", "pro", "free")
    document = partner("PUT", path, json={**EXAMPLE, "plan": "pro"}).get_json()
    tenant_url = f"/tenants/{document['tenant']}"
    for method, where in (("PATCH", tenant_url), ("PUT", tenant_url), ("PUT", path)):
        other_plan(partner(method, where, json={**EXAMPLE, "plan": "gold"}), "gold", "pro", "free")
    assert partner("PATCH", f"/tenants/{document['tenant']}", json={"plan": "free"}).get_json()["plan"] == "free"
    assert partner.create()["plan"] is None


def test_current_plan_of_a_tenant_stays_allowed(partner: Caller) -> None:
    tenant = partner.create(plan="gold")
    path = f"/tenants/{tenant['tenant']}"
    set_limits(partner, allowed_plans=[])
    other_plan(partner("PATCH", path, json={"plan": "pro"}), "pro")
    changed = partner("PATCH", path, json={"plan": "gold", "industry": "Farming"}).get_json()
    assert (changed["plan"], changed["industry"]) == ("gold", "Farming")
    partner("DELETE", path)
    assert partner("POST", f"{path}/restore").get_json()["plan"] == "gold"
    assert partner("PATCH", path, json={"plan": None}).get_json()["plan"] is None
    other_plan(partner("PATCH", path, json={"plan": "gold"}), "gold")


def test_rows_on_other_plans_are_refused_and_take_no_room(partner: Caller) -> None:
    set_limits(partner, allowed_plans=["pro"], max_tenants=1)
    bulk = Bulk(partner.app, partner)
    sent = [body(1, plan="gold"), body(2, plan="pro", external_id="x"), body(3, plan="gold"), body(4)]
    results = bulk.do("create", sent)
    assert [(result.status, (result.problem or {}).get("code")) for result in results] == [
        (403, "plan-not-allowed"), (201, None), (403, "plan-not-allowed"), (403, "quota-exceeded"),
    ]  # fmt: skip
    assert (results[0].problem or {})["allowed"] == ["pro"]
    for operation in ("upsert", "update"):
        results = bulk.do(operation, [body(2, external_id="x", plan="gold")])
        assert [(result.status, (result.problem or {})["code"]) for result in results] == [(403, "plan-not-allowed")]


# At once.


def test_a_limit_is_exact_under_100_threads_single_and_bulk(make_app: MakeApp) -> None:
    app = make_app()
    partner = Caller(app)
    set_limits(partner, max_tenants=10)
    bulk = Bulk(app, partner)
    jobs = [bulk.upload("create", [body(1000 * n + row) for row in range(3)]) for n in range(1, 21)]

    def create(number: int) -> int:
        if number >= 96:
            bulk.work()
            return 0
        reply: Reply = send_request(address, "POST", f"{PREFIX}/tenants", partner.token, body(number))
        return int(reply.status)

    with serve(app) as address:
        statuses = Counter(run_concurrently(100, create))
    bulk.work()
    assert set(statuses) <= {0, 201, 403}
    assert (statuses[0], statuses.total()) == (4, 100)
    assert all(bulk.job(job).finished_at for job in jobs)
    assert statuses[201] + sum(bulk.job(job).succeeded for job in jobs) == 10
    assert count_living(partner) == counter(partner)["tenants"] == 10
    assert len(fetch_rows(app, "events", partner_id=partner.partner, type="tenant.created")) == 10
