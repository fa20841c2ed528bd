"""A tenant's states: suspended and reactivated, deleted and restored, purged for good."""

from __future__ import annotations

import pytest
from flask import Flask

from flask_tenant_provisioning.cli.doctor.context import DoctorContext
from flask_tenant_provisioning.cli.doctor.database import check_tenant_rows
from flask_tenant_provisioning.testing.api import MountedApi
from flask_tenant_provisioning.testing.callers import Caller, get_tenant_path


def test_a_tenant_is_suspended_for_a_reason(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner.write("POST", tenant, "/suspend", json={"reason": "unpaid"})
    suspended = response.tenant()
    state = {"status": "suspended", "suspended_reason": "unpaid", "version": tenant["version"] + 1}
    response.require(
        suspended == {**tenant, **state, "updated_at": suspended["updated_at"]}, "suspend the tenant, no more"
    )
    response.require(provisioning_partner.read(tenant) == suspended, "keep what it showed")


def test_a_tenant_is_suspended_without_a_body(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner.write("POST", tenant, "/suspend")
    suspended = response.tenant()
    response.require((suspended["status"], suspended["suspended_reason"]) == ("suspended", None), "suspend the tenant")


def test_a_reason_must_be_text(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner.write("POST", tenant, "/suspend", json={"reason": 7, "colour": "red"})
    faults = {"#/reason": "invalid-type", "#/colour": "unknown-field"}
    response.require(response.faults() == faults, "name the reason and the unknown field")


def test_a_suspended_tenant_is_reactivated(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    suspended = provisioning_partner.write("POST", tenant, "/suspend", json={"reason": "unpaid"}).tenant()
    response = provisioning_partner.write("POST", suspended, "/reactivate")
    reactivated = response.tenant()
    moved = {"version": tenant["version"] + 2, "updated_at": reactivated["updated_at"]}
    response.require(reactivated == {**tenant, **moved}, "make the tenant what it was")


@pytest.mark.parametrize("twice", ["/suspend", "/reactivate"])
def test_transition_to_the_same_state_changes_nothing(provisioning_partner: Caller, twice: str) -> None:
    tenant = provisioning_partner.create()
    if twice == "/suspend":
        tenant = provisioning_partner.write("POST", tenant, "/suspend", json={"reason": "unpaid"}).tenant()
    response = provisioning_partner.write("POST", tenant, twice)
    response.require(response.tenant() == tenant, "change nothing, the reason neither")


def test_a_suspended_tenant_can_be_changed(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.write("POST", provisioning_partner.create(), "/suspend").tenant()
    name = provisioning_partner.body()["client_name"]
    response = provisioning_partner.write("PATCH", tenant, json={"client_name": name})
    renamed = response.tenant()
    response.require(
        (renamed["client_name"], renamed["status"]) == (name, "suspended"), "change the name, not the state"
    )


def test_a_deleted_tenant_can_still_be_read(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    provisioning_partner.api.require_retention()
    response = provisioning_partner.write("DELETE", tenant)
    deleted = response.tenant()
    response.require(deleted["status"] == "deleted", "show that the tenant is deleted")
    response.require(
        bool(deleted["deleted_at"]) and deleted["purge_at"] > deleted["deleted_at"], "say until when it is kept"
    )
    response.require(provisioning_partner.read(tenant) == deleted, "keep what it showed")


def test_a_second_deletion_changes_nothing(provisioning_partner: Caller) -> None:
    deleted = provisioning_partner.delete(provisioning_partner.create())
    response = provisioning_partner.write("DELETE", deleted)
    response.require(response.tenant() == deleted, "change nothing, the date of the purge neither")


def test_a_deleted_tenant_cannot_be_changed(provisioning_partner: Caller) -> None:
    deleted, body = provisioning_partner.delete(provisioning_partner.create()), provisioning_partner.body()
    for method, action, content in (
        ("PATCH", "", {"json": {"client_name": body["client_name"]}}),
        ("PUT", "", {"json": body}),
        ("POST", "/suspend", {}),
        ("POST", "/reactivate", {}),
    ):
        response = provisioning_partner.write(method, deleted, action, **content)
        response.problem(409, "invalid-state", tenant_status="deleted")
    response.require(provisioning_partner.read(deleted) == deleted, "leave the tenant as it was")


def test_a_deletion_frees_the_email_and_the_external_id(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create(external_id="freed")
    provisioning_partner.delete(tenant)
    again = provisioning_partner.create(email=tenant["email"], external_id="freed")
    response = provisioning_partner("GET", get_tenant_path(again))
    response.require(response.tenant()["tenant"] != tenant["tenant"], "show another tenant")


def test_a_deleted_tenant_is_restored_to_the_state_of_before(provisioning_partner: Caller) -> None:
    active = provisioning_partner.create()
    suspended = provisioning_partner.write("POST", provisioning_partner.create(), "/suspend").tenant()
    for tenant in (active, suspended):
        deleted = provisioning_partner.delete(tenant)
        response = provisioning_partner.write("POST", deleted, "/restore")
        restored = response.tenant()
        moved = {"version": deleted["version"] + 1, "updated_at": restored["updated_at"]}
        response.require(restored == {**tenant, **moved}, f"restore the tenant, {tenant['status']} as it was")


def test_only_a_deleted_tenant_can_be_restored(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner.write("POST", tenant, "/restore")
    response.problem(409, "invalid-state", tenant_status=tenant["status"])


def test_tenant_with_a_reused_email_cannot_be_restored(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    deleted = provisioning_partner.delete(tenant)
    holder = provisioning_partner.create(email=tenant["email"])
    response = provisioning_partner.write("POST", deleted, "/restore")
    response.problem(409, "tenant-exists", field="email", conflicting_tenant=holder["tenant"])
    response.require(provisioning_partner.read(tenant) == deleted, "leave the tenant deleted")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE", "POST"])
def test_a_purged_tenant_is_gone(provisioning_partner: Caller, method: str) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner.purge(tenant)
    content = {"json": {"client_name": "x"}} if method == "PATCH" else {}
    action = "/restore" if method == "POST" else ""
    provisioning_partner.write(method, tenant, action, **content).problem(404, "tenant-not-found")
    response.require(provisioning_partner.list_tenants(include_deleted="true") == [], "leave nothing in the list")


def test_purge_needs_its_permission(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    settings = provisioning_partner.api.config
    role = provisioning_partner.api.find_role(["tenant:delete"])
    if "tenant:purge" in settings.roles[role]:
        pytest.skip(f"the role {role} may purge")
    response = provisioning_partner.write("DELETE", tenant, "?purge=true")
    response.problem(403, "insufficient-permission", required=["tenant:purge"])
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


@pytest.mark.parametrize("value", ["1", "True", "", "yes"])
def test_purge_is_true_or_false_and_nothing_else(provisioning_partner: Caller, value: str) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner.write("DELETE", tenant, f"?purge={value}")
    response.require(response.faults("invalid-parameter") == {"#/purge": "invalid-flag"}, "refuse the flag")
    response.require(provisioning_partner.list_tenants() == [tenant], "leave the tenant as it was")


def test_rows_that_the_host_keeps_of_a_tenant_go_with_it(provisioning_app: Flask, provisioning_api: MountedApi) -> None:
    check = check_tenant_rows(DoctorContext(provisioning_app, provisioning_api.mount))
    if "no purge hook" in check.detail:
        pytest.fail(f"A purge should remove the host's rows too. {check.detail}: {check.advice}.", pytrace=False)
