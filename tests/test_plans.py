"""Plans of the host's: what a tenant can be put on, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import JWTManager

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.config import ConfigurationError
from tests.refusals import invalid
from tests.witness import storage_of
from tests.world import EXAMPLE, PREFIX, Caller, configuration

UNKNOWN = ("#/plan", "unknown-plan", "Must be one of: free, pro.")


@pytest.fixture
def make(database_url: str) -> Iterator[Callable[..., Flask]]:
    """Makes hosts that sell the plans free and pro."""
    made: list[Flask] = []

    def make(**settings: Any) -> Flask:
        app = Flask("plans")
        app.config.update(configuration(**settings))
        JWTManager(app)
        provisioning = TenantProvisioning(app, database_url)
        provisioning.plan("free", limits={"seats": 1})
        provisioning.plan("pro", limits={"seats": 50}, settings={"mail": {"daily": 10_000}})
        made.append(app)
        return app

    yield make
    for app in made:
        storage_of(app).engine.dispose()


def test_a_plan_that_the_host_does_not_sell_is_refused(make: Callable[..., Flask]) -> None:
    partner = Caller(make())
    made = partner.create(plan="pro")
    assert made["plan"] == "pro"
    invalid(partner("POST", "/tenants", json={**EXAMPLE, "plan": "gold"}), UNKNOWN)
    invalid(partner("PATCH", f"/tenants/{made['tenant']}", json={"plan": "gold"}), UNKNOWN)
    assert partner("GET", f"/tenants/{made['tenant']}").get_json() == made


def test_a_mount_may_offer_fewer_than_are_declared(make: Callable[..., Flask]) -> None:
    app = make(PROVISIONING_PLANS=["gold", "pro"])
    partner = Caller(app)
    assert partner.create(plan="pro")["plan"] == "pro"
    for plan in ("free", "gold"):
        answer = partner("POST", "/tenants", json={**EXAMPLE, "plan": plan})
        invalid(answer, ("#/plan", "unknown-plan", "Must be one of: pro."))
    document = app.test_client().get(f"{PREFIX}/openapi.json").get_json()
    assert document["components"]["schemas"]["TenantInput"]["properties"]["plan"]["enum"] == ["pro", None]


@pytest.mark.parametrize(
    ("name", "limits", "message"),
    [
        ("free", {}, "There is a plan named 'free' already."),
        ("", {}, "A plan's name is 1 to 100 of a-z, A-Z, 0-9, - _ and ., not ''."),
        (1, {}, "A plan's name is 1 to 100 of a-z, A-Z, 0-9, - _ and ., not 1."),
        ("a b", {}, "A plan's name is 1 to 100 of a-z, A-Z, 0-9, - _ and ., not 'a b'."),
        ("gold", {"seats": -1}, "A limit of the plan 'gold' is a name and a number from 0 on, not 'seats'."),
        ("gold", {"seats": True}, "A limit of the plan 'gold' is a name and a number from 0 on, not 'seats'."),
        ("gold", {"": 1}, "A limit of the plan 'gold' is a name and a number from 0 on, not ''."),
    ],
)
def test_a_plan_that_cannot_be_is_refused_at_once(name: Any, limits: dict[str, Any], message: str) -> None:
    provisioning = TenantProvisioning()
    provisioning.plan("free")
    with pytest.raises(ConfigurationError) as refusal:
        provisioning.plan(name, limits=limits)
    assert str(refusal.value) == message
    assert [*provisioning.registry.plans] == ["free"]
