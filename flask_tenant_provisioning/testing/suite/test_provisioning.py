"""The progress of a tenant's provisioning, and the service's health."""

from __future__ import annotations

import pytest

from flask_tenant_provisioning.testing.api import MountedApi
from flask_tenant_provisioning.testing.callers import TENANTS, Caller, get_tenant_path

STEP = {
    "name", "after", "state", "attempts", "undo_attempts", "started_at", "finished_at", "next_attempt_at", "error",
}  # fmt: skip


def test_an_active_tenant_has_been_provisioned(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner("GET", f"{get_tenant_path(tenant)}/provisioning")
    progress = response.document()
    done = {"tenant": tenant["tenant"], "phase": "provisioning", "state": "succeeded"}
    response.require(progress | done == progress, "show that the provisioning has succeeded")
    for step in progress["steps"]:
        response.require({*step} == STEP, f"show {', '.join(sorted(STEP))} of each step")
        response.require(step["state"] == "succeeded", "show that each step has succeeded")


def test_a_tenant_is_provisioning_while_there_are_steps_to_do(provisioning_partner: Caller) -> None:
    response = provisioning_partner("POST", TENANTS, json=provisioning_partner.body())
    created = response.tenant(201)
    if created["status"] != "provisioning":
        pytest.skip("this host registers no steps")
    tenant = provisioning_partner.wait_until_active(created)
    response.require(tenant["version"] > created["version"], "be followed by a change that makes the tenant active")


@pytest.mark.parametrize("action", ["retry", "cancel"])
def test_active_tenant_cannot_be_retried_or_cancelled(provisioning_partner: Caller, action: str) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner.write("POST", tenant, f"/provisioning/{action}")
    response.problem(409, "invalid-state")
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


@pytest.mark.parametrize("probe", ["live", "ready"])
def test_the_health_of_the_service_is_public(provisioning_api: MountedApi, probe: str) -> None:
    response = provisioning_api("GET", f"/health/{probe}")
    response.require(response.document() == {"status": "ok"}, "show that the service is well, and nothing more")


def test_an_administrator_reads_the_health_report(provisioning_partner: Caller) -> None:
    response = provisioning_partner.administrator()("GET", "/health")
    health = response.document()
    response.require({*health} == {"status", "database", "worker"}, "show the status, the database and the worker")
    response.require(health["database"]["status"] == "ok", "show that the database answers")
