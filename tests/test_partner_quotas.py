"""How many tenants a partner may have, and on which plans: exact, whoever writes and from wherever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.tenants.quotas import INSTALLATION, SETTLING_SECONDS
from tests.bulk import Bulk
from tests.refusals import invalid, refused
from tests.servers import Reply, ask, at_once, served
from tests.witness import LASTING, Clock, rows, storage_of
from tests.world import EXAMPLE, PREFIX, Caller, configuration, signed_license

MakeApp = Callable[..., Flask]
NO_LIST = "Must be a list of 100 strings at most, each of 1 to 100 characters."
WHOLE = "Must be a whole number from 0 to 2000000000."


def body(number: int, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Client {number}", "email": f"u{number}@example.com", **more}


def limited(partner: Caller, **fields: Any) -> dict[str, Any]:
    """What an administrator makes of the partner."""
    answer = Caller(partner.app, roles=["provisioning-admin"])("PUT", f"/partners/{partner.partner}", json=fields)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def full(answer: Any, partner: Caller, limit: int) -> None:
    """Assert that the partner has no room."""
    detail = f"The partner's limit of {limit} tenants is reached."
    refused(answer, 403, "quota-exceeded", detail, limit=limit, partner=partner.partner)


def other_plan(answer: Any, plan: str, *allowed: str) -> None:
    """Assert that the plan is refused."""
    detail = f"The partner may not put a tenant on the plan {plan!r}."
    refused(answer, 403, "plan-not-allowed", detail, plan=plan, allowed=list(allowed))


def living(partner: Caller) -> int:
    return len(rows(partner.app, "tenants", partner_id=partner.partner, live=1))


def counter(partner: Caller) -> dict[str, Any]:
    (found,) = rows(partner.app, "usage", partner_id=partner.partner)
    return found


# What an administrator says.


def test_limits_are_members_of_the_partner_and_of_its_event(partner: Caller) -> None:
    made = limited(partner, max_tenants=3, allowed_plans=["pro", "free", "pro"])
    assert (made["max_tenants"], made["allowed_plans"]) == (3, ["pro", "free"])
    assert limited(partner, max_tenants=3, allowed_plans=["pro", "free"]) == made
    (told,) = rows(partner.app, "events", partner_id=partner.partner)
    assert '"max_tenants":{"previous":null,"new":3}' in told["changes"]
    assert '"allowed_plans":{"previous":null,"new":["pro","free"]}' in told["changes"]
    assert limited(partner, max_tenants=3.0, allowed_plans=["pro", "free"]) == made
    bare = limited(partner)
    assert (bare["max_tenants"], bare["allowed_plans"], bare["version"]) == (None, None, 2)


def test_everything_wrong_with_limits_is_told(partner: Caller) -> None:
    admin = Caller(partner.app, roles=["provisioning-admin"])
    for wrong in (-1, 1.5, "3", True, 2_000_000_001, 2**70):
        answer = admin("PUT", f"/partners/{partner.partner}", json={"max_tenants": wrong, "allowed_plans": "pro"})
        if wrong == 2**70:
            assert answer.get_json()["code"] == "malformed-json"
            continue
        invalid(answer, ("#/allowed_plans", "invalid-type", NO_LIST), ("#/max_tenants", "invalid-number", WHOLE))
    plans: Any
    for plans in ([""], [None], ["x" * 101], ["x"] * 101, {}):
        answer = admin("PUT", f"/partners/{partner.partner}", json={"allowed_plans": plans})
        invalid(answer, ("#/allowed_plans", "invalid-type", NO_LIST))
    assert rows(partner.app, "partners", partner_id=partner.partner) == []


def test_a_plan_that_the_host_does_not_sell_cannot_be_allowed(make_app: MakeApp) -> None:
    admin = Caller(make_app(PROVISIONING_PLANS=["free", "pro"]), roles=["provisioning-admin"])
    answer = admin("PUT", "/partners/acme", json={"allowed_plans": ["pro", "gold"]})
    invalid(answer, ("#/allowed_plans/1", "unknown-plan", "Must be one of: free, pro."))
    assert admin("PUT", "/partners/acme", json={"allowed_plans": ["pro"]}).status_code == 201


# How many.


def test_the_next_tenant_beyond_the_limit_is_refused(partner: Caller) -> None:
    limited(partner, max_tenants=2)
    first, _ = partner.create(), partner.create()
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 2)
    full(partner("PUT", "/tenants/by-external-id/x", json=EXAMPLE), partner, 2)
    full(partner.as_("provisioning-admin")("POST", "/tenants", json=EXAMPLE), partner, 2)
    assert partner("PATCH", f"/tenants/{first['tenant']}", json={"industry": "Farming"}).status_code == 200
    assert living(partner) == 2
    Caller(partner.app).create()


@pytest.mark.parametrize("purge", ["", "?purge=true"])
def test_a_tenant_that_goes_makes_room_once(partner: Caller, purge: str) -> None:
    limited(partner, max_tenants=1)
    made, admin = partner.create(), partner.as_("provisioning-admin")
    for _ in range(2):
        admin("DELETE", f"/tenants/{made['tenant']}{purge}")
    partner.create()
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 1)


def test_a_restored_tenant_needs_room(partner: Caller) -> None:
    limited(partner, max_tenants=1)
    path = f"/tenants/{partner.create()['tenant']}"
    partner("DELETE", path)
    full_again = partner.create()
    full(partner("POST", f"{path}/restore"), partner, 1)
    partner("DELETE", f"/tenants/{full_again['tenant']}")
    assert partner("POST", f"{path}/restore").status_code == 200
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 1)


def test_what_fails_or_is_rehearsed_takes_no_room(partner: Caller) -> None:
    limited(partner, max_tenants=2)
    made = partner.create()
    for _ in range(3):
        assert partner("POST", "/tenants", json=body(1, email=made["email"])).status_code == 409
        assert partner("POST", "/tenants?validate_only=true", json=EXAMPLE).status_code == 201
    partner.create()
    full(partner("POST", "/tenants?validate_only=true", json=EXAMPLE), partner, 2)


def test_a_limit_may_come_later_change_and_go(partner: Caller) -> None:
    for _ in range(3):
        partner.create()
    for most in (0, 2, 3):
        limited(partner, max_tenants=most)
        full(partner("POST", "/tenants", json=EXAMPLE), partner, most)
    limited(partner, max_tenants=4)
    partner.create()
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 4)
    limited(partner)
    partner.create()
    assert rows(partner.app, "usage", partner_id=partner.partner) == []
    limited(partner, max_tenants=5)
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 5)


def test_both_limits_hold_whoever_s_it_is(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_LICENSE=signed_license(max_tenants=3))
    one, star = Caller(app), Caller(app, partner="*")
    limited(one, max_tenants=1)
    limited(star, max_tenants=5)
    one.create()
    full(one("POST", "/tenants", json=EXAMPLE), one, 1)
    star.create(), star.create()
    answer = star("POST", "/tenants", json=EXAMPLE)
    refused(answer, 403, "quota-exceeded", "The limit of 3 tenants is reached.", limit=3)
    counts = {row["partner_id"]: row["tenants"] for row in rows(app, "usage")}
    assert counts == {INSTALLATION: 3, one.partner: 1, "*": 2}


@pytest.mark.one_database
def test_a_partner_without_a_limit_costs_no_statement_more(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_PARTNER_CACHE_SECONDS=60)
    partner, said = Caller(app), list[str]()
    partner.create()
    event.listen(storage_of(app).engine, "checkout", lambda driver, *_: driver.set_trace_callback(said.append))
    for fields in ({}, {"plan": "pro"}):
        said.clear()
        partner.create(**fields)
        assert [statement.split(" (")[0] for statement in said] == [
            "BEGIN IMMEDIATE", "INSERT INTO provisioning_tenants", "INSERT INTO provisioning_events", "COMMIT",
        ]  # fmt: skip
    assert rows(app, "usage") == []


# In other processes.


class Processes:
    """Two hosts on one database, which remember partners for 5 seconds, and their clock."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.here, self.there = (Caller(self._process(url), "acme") for _ in range(2))

    def _process(self, url: str) -> Flask:
        app = Flask("host")
        app.config.update(configuration(PROVISIONING_PARTNER_CACHE_SECONDS=5, **LASTING))
        TenantProvisioning(clock=self.clock).init_app(app, url)
        return app


def test_who_does_not_know_of_a_limit_yet_is_counted_all_the_same(database_url: str) -> None:
    both = Processes(database_url)
    here, there = both.here, both.there
    there.create()
    limited(here, max_tenants=3)
    there.create()
    here.create()
    full(here("POST", "/tenants", json=EXAMPLE), here, 3)
    there.create()
    both.clock.now += 5
    full(there("POST", "/tenants", json=EXAMPLE), there, 3)
    full(here("POST", "/tenants", json=EXAMPLE), here, 3)
    assert living(here) == 4


def test_a_counter_is_believed_once_all_know_of_the_limit(database_url: str) -> None:
    both = Processes(database_url)
    here, there = both.here, both.there
    there.create()
    limited(here, max_tenants=3)
    there.create()
    assert (counter(here)["tenants"], counter(here)["doubtful_until"] is None) == (0, False)
    both.clock.now += 5 + SETTLING_SECONDS
    made = here.create()
    assert (counter(here)["tenants"], counter(here)["doubtful_until"]) == (3, None)
    full(there("POST", "/tenants", json=EXAMPLE), there, 3)
    there("DELETE", f"/tenants/{made['tenant']}")
    assert counter(here)["tenants"] == 2
    there.create()
    full(here("POST", "/tenants", json=EXAMPLE), here, 3)


def test_a_limit_that_is_changed_elsewhere_holds_at_once(database_url: str) -> None:
    both = Processes(database_url)
    here, there = both.here, both.there
    limited(here, max_tenants=1)
    there.create()
    full(there("POST", "/tenants", json=EXAMPLE), there, 1)
    limited(here, max_tenants=2)
    there.create()
    limited(here, max_tenants=1)
    full(there("POST", "/tenants", json=EXAMPLE), there, 1)
    limited(here)
    there.create()
    assert living(here) == 3


# In bulk.


def test_rows_beyond_the_limit_are_refused(partner: Caller) -> None:
    limited(partner, max_tenants=3)
    found = Bulk(partner.app, partner).do("create", [body(n) for n in (1, 1, 2, 3, 4)])
    assert [one.status for one in found] == [201, 409, 201, 201, 403]
    problem = found[-1].problem or {}
    detail = "The partner's limit of 3 tenants is reached."
    assert problem == {"code": "quota-exceeded", "detail": detail, "line": 5, "limit": 3, "partner": partner.partner}
    assert counter(partner)["tenants"] == living(partner) == 3


def test_rows_that_upsert_and_delete_are_counted(partner: Caller) -> None:
    limited(partner, max_tenants=2)
    bulk = Bulk(partner.app, partner)
    sent = [body(n, external_id=f"e{n}") for n in (1, 2, 3)]
    assert [one.status for one in bulk.do("upsert", sent)] == [201, 201, 403]
    assert [one.status for one in bulk.do("upsert", [body(9, external_id="e1"), sent[2]])] == [200, 403]
    assert [one.status for one in bulk.do("delete", [{"external_id": "e1"}, {"external_id": "e2"}])] == [200, 200]
    assert [one.status for one in bulk.do("upsert", sent)] == [201, 201, 403]


def test_an_atomic_job_that_finds_no_room_leaves_it_as_it_was(partner: Caller) -> None:
    limited(partner, max_tenants=2)
    found = Bulk(partner.app, partner).do("create", [body(n) for n in (1, 2, 3)], mode="atomic")
    assert [one.state for one in found] == ["skipped", "skipped", "failed"]
    partner.create(), partner.create()
    full(partner("POST", "/tenants", json=EXAMPLE), partner, 2)


# On which plans.


def test_a_tenant_is_put_on_allowed_plans_alone(partner: Caller) -> None:
    limited(partner, allowed_plans=["pro", "free"])
    other_plan(partner("POST", "/tenants", json={**EXAMPLE, "plan": "gold"}), "gold", "pro", "free")
    path = "/tenants/by-external-id/x"
    other_plan(partner("PUT", path, json={**EXAMPLE, "plan": "gold"}), "gold", "pro", "free")
    made = partner("PUT", path, json={**EXAMPLE, "plan": "pro"}).get_json()
    one = f"/tenants/{made['tenant']}"
    for method, where in (("PATCH", one), ("PUT", one), ("PUT", path)):
        other_plan(partner(method, where, json={**EXAMPLE, "plan": "gold"}), "gold", "pro", "free")
    assert partner("PATCH", f"/tenants/{made['tenant']}", json={"plan": "free"}).get_json()["plan"] == "free"
    assert partner.create()["plan"] is None


def test_the_plan_that_a_tenant_is_on_is_let_be(partner: Caller) -> None:
    made = partner.create(plan="gold")
    path = f"/tenants/{made['tenant']}"
    limited(partner, allowed_plans=[])
    other_plan(partner("PATCH", path, json={"plan": "pro"}), "pro")
    changed = partner("PATCH", path, json={"plan": "gold", "industry": "Farming"}).get_json()
    assert (changed["plan"], changed["industry"]) == ("gold", "Farming")
    partner("DELETE", path)
    assert partner("POST", f"{path}/restore").get_json()["plan"] == "gold"
    assert partner("PATCH", path, json={"plan": None}).get_json()["plan"] is None
    other_plan(partner("PATCH", path, json={"plan": "gold"}), "gold")


def test_rows_on_other_plans_are_refused_and_take_no_room(partner: Caller) -> None:
    limited(partner, allowed_plans=["pro"], max_tenants=1)
    bulk = Bulk(partner.app, partner)
    sent = [body(1, plan="gold"), body(2, plan="pro", external_id="x"), body(3, plan="gold"), body(4)]
    found = bulk.do("create", sent)
    assert [(one.status, (one.problem or {}).get("code")) for one in found] == [
        (403, "plan-not-allowed"), (201, None), (403, "plan-not-allowed"), (403, "quota-exceeded"),
    ]  # fmt: skip
    assert (found[0].problem or {})["allowed"] == ["pro"]
    for operation in ("upsert", "update"):
        found = bulk.do(operation, [body(2, external_id="x", plan="gold")])
        assert [(one.status, (one.problem or {})["code"]) for one in found] == [(403, "plan-not-allowed")]


# At once.


def test_a_limit_is_exact_under_100_threads_single_and_bulk(make_app: MakeApp) -> None:
    app = make_app()
    partner = Caller(app)
    limited(partner, max_tenants=10)
    bulk = Bulk(app, partner)
    jobs = [bulk.upload("create", [body(1000 * n + row) for row in range(3)]) for n in range(1, 21)]

    def create(number: int) -> int:
        if number >= 96:
            bulk.work()
            return 0
        reply: Reply = ask(address, "POST", f"{PREFIX}/tenants", partner.token, body(number))
        return int(reply.status)

    with served(app) as address:
        statuses = Counter(at_once(100, create))
    bulk.work()
    assert set(statuses) <= {0, 201, 403}
    assert (statuses[0], statuses.total()) == (4, 100)
    assert all(bulk.job(job).finished_at for job in jobs)
    assert statuses[201] + sum(bulk.job(job).succeeded for job in jobs) == 10
    assert living(partner) == counter(partner)["tenants"] == 10
    assert len(rows(app, "events", partner_id=partner.partner, type="tenant.created")) == 10
