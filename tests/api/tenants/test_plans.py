"""Plans of the host's: what a tenant can be put on, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import JWTManager

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.config import ConfigurationError
from tests.support.assertions import assert_invalid_fields
from tests.support.callers import EXAMPLE, Caller
from tests.support.database.rows import get_storage
from tests.support.hosts import PREFIX, make_config

UNKNOWN = ("#/plan", "unknown-plan", "Must be one of: free, pro.")


@pytest.fixture
def make(database_url: str) -> Iterator[Callable[..., Flask]]:
    """Makes hosts that sell the plans free and pro."""
    apps: list[Flask] = []

    def make(**settings: Any) -> Flask:
        app = Flask("plans")
        app.config.update(make_config(**settings))
        JWTManager(app)
        provisioning = TenantProvisioning(app, database_url)
        provisioning.plan("free", limits={"seats": 1})
        provisioning.plan("pro", limits={"seats": 50}, settings={"mail": {"daily": 10_000}})
        apps.append(app)
        return app

    yield make
    for app in apps:
        get_storage(app).engine.dispose()


def test_a_plan_that_the_host_does_not_sell_is_refused(make: Callable[..., Flask]) -> None:
    partner = Caller(make())
    tenant = partner.create(plan="pro")
    assert tenant["plan"] == "pro"
    assert_invalid_fields(partner("POST", "/tenants", json={**EXAMPLE, "plan": "gold"}), UNKNOWN)
    assert_invalid_fields(partner("PATCH", f"/tenants/{tenant['tenant']}", json={"plan": "gold"}), UNKNOWN)
    assert partner("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant


def test_a_mount_may_offer_fewer_than_are_declared(make: Callable[..., Flask]) -> None:
    app = make(PROVISIONING_PLANS=["gold", "pro"])
    partner = Caller(app)
    assert partner.create(plan="pro")["plan"] == "pro"
    for plan in ("free", "gold"):
        response = partner("POST", "/tenants", json={**EXAMPLE, "plan": plan})
        assert_invalid_fields(response, ("#/plan", "unknown-plan", "Must be one of: pro."))
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
def test_invalid_plan_is_refused_at_registration(name: Any, limits: dict[str, Any], message: str) -> None:
    provisioning = TenantProvisioning()
    provisioning.plan("free")
    with pytest.raises(ConfigurationError) as refusal:
        provisioning.plan(name, limits=limits)
    assert str(refusal.value) == message
    assert [*provisioning.registry.plans] == ["free"]
