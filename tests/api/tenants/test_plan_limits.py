"""Limits of a tenant's plan: a change to a plan that allows less than the tenant uses is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, current_app
from flask_jwt_extended import JWTManager
from sqlalchemy import text

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.config import ConfigurationError
from tests.support.assertions import assert_problem
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.database.rows import get_storage
from tests.support.events import fetch_tenant_events
from tests.support.hosts import make_config


class Host:
    """A host that sells the plans free, pro and solo; of what tenants use it counts seats and events, no projects."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.app = Flask("limits")
        self.app.config.update(make_config(**settings))
        JWTManager(self.app)
        self.asked: list[str] = []
        self.provisioning = TenantProvisioning(self.app, url)
        self.provisioning.plan("free", limits={"seats": 3, "events": 9, "projects": 1})
        self.provisioning.plan("pro", limits={"seats": 50, "events": 1000})
        self.provisioning.plan("solo", limits={"seats": 1, "events": 0})
        self.provisioning.usage("seats")(self._seats)
        self.provisioning.usage("events")(self._events)
        self.partner = Caller(self.app)

    def _seats(self, tenant: dict[str, Any]) -> int:
        self.asked.append(tenant["tenant"])
        return int(tenant["metadata"].get("seats", 0))

    def _events(self, session: Any, tenant: dict[str, Any]) -> int:
        assert current_app.name == "limits"
        count = text("SELECT count(*) FROM provisioning_events WHERE partner_id = :partner AND type = 'tenant.updated'")
        return int(session.execute(count, {"partner": tenant["partner"]}).scalar_one())


@pytest.fixture
def host(database_url: str) -> Iterator[Host]:
    new_host = Host(database_url)
    yield new_host
    get_storage(new_host.app).engine.dispose()


def assert_exceeded(response: Any, where: str, *limits: tuple[str, int, int]) -> None:
    """Assert that these stand in the way: limit, used, allowed."""
    names = ", ".join(name for name, _, _ in limits)
    detail = f"The tenant uses more than it may {where}: {names}."
    exceeded = [{"limit": name, "used": used, "allowed": most} for name, used, most in limits]
    assert_problem(response, 409, "plan-limit-exceeded", detail, limits=exceeded)


def test_all_exceeded_limits_are_reported(host: Host) -> None:
    partner = host.partner
    tenant = partner.create(plan="pro", metadata={"seats": "12"}, external_id="x")
    path = f"/tenants/{tenant['tenant']}"
    assert_exceeded(partner("PATCH", path, json={"plan": "free"}), "on the plan 'free'", ("seats", 12, 3))
    assert partner("PATCH", path, json={"industry": "Farming"}).status_code == 200
    both = ("seats", 12, 1), ("events", 1, 0)
    whole = {"client_name": "Example Corp", "email": tenant["email"], "external_id": "x", "plan": "solo"}
    assert_exceeded(
        partner("PATCH", path, json={"plan": "solo", "metadata": {"seats": "0"}}), "on the plan 'solo'", *both
    )
    assert_exceeded(partner("PUT", path, json=whole), "on the plan 'solo'", *both)
    assert_exceeded(partner("PUT", "/tenants/by-external-id/x", json=whole), "on the plan 'solo'", *both)
    none = ("seats", 12, 0), ("events", 1, 0)
    assert_exceeded(partner("PATCH", path, json={"plan": None}), "without a plan", *none)
    assert partner("GET", path).get_json()["plan"] == "pro"


def test_a_change_of_plan_is_an_event_with_before_and_after(host: Host) -> None:
    tenant = host.partner.create(plan="pro", metadata={"seats": "3"})
    after = host.partner("PATCH", f"/tenants/{tenant['tenant']}", json={"plan": "free"}).get_json()
    assert after["plan"] == "free"
    plan_changes = [(kind, changes) for kind, _, changes in fetch_tenant_events(host.partner, tenant)]
    assert plan_changes == [("tenant.created", None), ("tenant.updated", {"plan": {"previous": "pro", "new": "free"}})]


def test_usage_functions_run_only_if_the_plan_changes(host: Host) -> None:
    partner = host.partner
    tenant = partner.create(plan="free", metadata={"seats": "100"})
    path = f"/tenants/{tenant['tenant']}"
    assert partner("PATCH", path, json={"plan": "free", "industry": "Farming"}).status_code == 200
    partner("DELETE", path)
    assert partner("POST", f"{path}/restore").status_code == 200
    assert host.asked == []
    response = partner("PATCH", f"{path}?validate_only=true", json={"plan": "pro"})
    assert_exceeded(response, "on the plan 'pro'", ("seats", 100, 50))
    assert host.asked == [tenant["tenant"]]


def test_rows_that_change_the_plan_are_refused_and_the_others_done(host: Host) -> None:
    bulk = Bulk(host.app, host.partner)
    rows = [
        {"client_name": f"C{n}", "email": f"c{n}@example.com", "external_id": f"e{n}", "plan": "pro"} for n in range(4)
    ]
    many = {"metadata": {"seats": "12"}}
    assert [result.status for result in bulk.do("create", [{**rows[0], **many}, {**rows[1], **many}, *rows[2:]])] == [
        201
    ] * 4
    assert host.asked == []
    sent = [
        {"external_id": "e0", "plan": "free"},
        {"external_id": "e1", "industry": "Farming"},
        {"external_id": "e2", "plan": "free"},
    ]
    results = bulk.do("update", sent)
    assert [result.status for result in results] == [409, 200, 200]
    problem = results[0].problem or {}
    assert (problem["code"], problem["limits"]) == (
        "plan-limit-exceeded",
        [{"limit": "seats", "used": 12, "allowed": 3}],
    )
    assert len({*host.asked}) == 2
    results = bulk.do("upsert", [{**rows[0], "plan": "free"}, {**rows[3], "plan": "free"}])
    assert [result.status for result in results] == [409, 200]


class Frozen(Exception):
    """The host's error if it cannot count."""


def test_errors_of_usage_functions_are_mapped_like_in_hooks(database_url: str) -> None:
    host = Host(database_url)
    host.provisioning.plan("big", limits={"disks": 1})
    host.provisioning.map_error(Frozen, status=409, code="frozen")

    @host.provisioning.usage("disks")
    def disks(tenant: dict[str, Any]) -> Any:
        if tenant["industry"] == "Ice":
            raise Frozen("It is too cold.")
        return "many"

    first, other = host.partner.create(industry="Ice"), host.partner.create()
    response = host.partner("PATCH", f"/tenants/{first['tenant']}", json={"plan": "big"})
    assert (response.status_code, response.get_json()["detail"]) == (409, "It is too cold.")
    host.app.config["PROPAGATE_EXCEPTIONS"] = False
    response = host.partner("PATCH", f"/tenants/{other['tenant']}", json={"plan": "big"})
    assert (response.status_code, response.get_json()["code"]) == (500, "internal-error")
    get_storage(host.app).engine.dispose()


def test_limits_are_those_of_the_plan_and_nothing_else(host: Host) -> None:
    nothing = {"seats": 0, "events": 0, "projects": 0}
    limits_for: Callable[[str | None], dict[str, int]] = host.provisioning.limits_for
    assert limits_for("free") == {"seats": 3, "events": 9, "projects": 1}
    assert limits_for("pro") == {"seats": 50, "events": 1000, "projects": 0}
    assert limits_for(None) == limits_for("gold") == nothing
    assert TenantProvisioning().limits_for("free") == {}


@pytest.mark.parametrize("limit", ["", "a b", None, "seats", "x" * 101])
def test_a_limit_that_cannot_be_counted_is_refused_at_once(limit: Any) -> None:
    provisioning = TenantProvisioning()
    provisioning.usage("seats")(lambda tenant: 0)
    with pytest.raises(ConfigurationError) as refusal:
        provisioning.usage(limit)
    assert str(refusal.value) == f"usage needs the name of a limit that no other function counts, not {limit!r}."


def test_usage_function_with_more_parameters_is_refused() -> None:
    def seats(tenant: Any, plan: Any) -> int:
        return 0

    with pytest.raises(ConfigurationError) as refusal:
        TenantProvisioning().usage("seats")(seats)
    assert str(refusal.value) == "The usage 'seats' has the parameter 'plan'; available are session, tenant."
