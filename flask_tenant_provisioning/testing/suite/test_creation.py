"""`POST /tenants`: new tenants, refused bodies, and unique fields."""

from __future__ import annotations

from typing import Any

import pytest

from flask_tenant_provisioning.testing.callers import TENANTS, Caller

READ_ONLY = {
    "tenant": "01890000-0000-7000-8000-000000000000",
    "partner": "somebody-else",
    "status": "active",
    "suspended_reason": None,
    "version": 1,
    "created_at": "2025-02-10T16:30:00.000Z",
    "updated_at": "2025-02-10T16:30:00.000Z",
    "deleted_at": None,
    "purge_at": None,
}
WRONG: dict[str, tuple[str, Any, str, str]] = {
    "no name": ("client_name", "", "#/client_name", "invalid-length"),
    "a blank name": ("client_name", " \t\n", "#/client_name", "invalid-length"),
    "a long name": ("client_name", "x" * 256, "#/client_name", "invalid-length"),
    "a name that is a number": ("client_name", 7, "#/client_name", "invalid-type"),
    "a name that is null": ("client_name", None, "#/client_name", "null"),
    "an email without a domain": ("email", "admin@", "#/email", "invalid-email"),
    "an email with a space": ("email", "ad min@example.com", "#/email", "invalid-email"),
    "a long email": ("email", "x" * 250 + "@example.com", "#/email", "invalid-email"),
    "an email that is a list": ("email", ["admin@example.com"], "#/email", "invalid-type"),
    "a phone number of letters": ("phone_number", "call me", "#/phone_number", "invalid-phone-number"),
    "a short phone number": ("phone_number", "1", "#/phone_number", "invalid-length"),
    "a long industry": ("industry", "x" * 101, "#/industry", "invalid-length"),
    "a plan that is an object": ("plan", {}, "#/plan", "invalid-type"),
    "no external id": ("external_id", "", "#/external_id", "invalid-length"),
    "a long external id": ("external_id", "x" * 129, "#/external_id", "invalid-length"),
    "metadata that is a list": ("metadata", [], "#/metadata", "invalid-type"),
    "metadata that holds a number": ("metadata", {"seats": 7}, "#/metadata/seats", "invalid-type"),
    "metadata that nests": ("metadata", {"a": {"b": "c"}}, "#/metadata/a", "invalid-type"),
    "a long value in metadata": ("metadata", {"a": "x" * 501}, "#/metadata/a", "invalid-length"),
    "a long key in metadata": ("metadata", {"x" * 41: "a"}, f"#/metadata/{'x' * 41}", "invalid-key"),
    "metadata of many keys": ("metadata", {str(number): "" for number in range(51)}, "#/metadata", "too-many-keys"),
}


def test_a_tenant_is_created(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body()
    response = provisioning_partner("POST", TENANTS, json=body)
    tenant = response.tenant(201)
    response.require(tenant | body == tenant, "show the tenant as it was sent")
    response.require(tenant["partner"] == provisioning_partner.partner, "create it for the caller's partner")
    response.require(tenant["status"] in ("active", "provisioning"), "create it active, or provisioning")
    response.require(tenant["created_at"] == tenant["updated_at"], "say that it was never changed")
    unset = {"suspended_reason": None, "deleted_at": None, "purge_at": None, "version": 1}
    response.require(tenant | unset == tenant, "create it in version 1, neither suspended nor deleted")


def test_location_of_a_new_tenant_returns_it(provisioning_partner: Caller) -> None:
    response = provisioning_partner("POST", TENANTS, json=provisioning_partner.body())
    created = response.tenant(201)
    tenant = provisioning_partner("GET", provisioning_partner.api.get_path(response.header("Location"))).tenant()
    response.require(tenant["tenant"] == created["tenant"], "name in Location where the tenant is")


def test_absent_fields_are_empty(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body()
    response = provisioning_partner("POST", TENANTS, json=body)
    empty: dict[str, Any] = {"external_id": None, "phone_number": None, "industry": None, "plan": None, "metadata": {}}
    tenant = response.tenant(201)
    for name in empty.keys() - body.keys():
        response.require(tenant[name] == empty[name], f"leave {name} empty")


def test_a_name_is_trimmed(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body()
    response = provisioning_partner("POST", TENANTS, json={**body, "client_name": f" \t{body['client_name']}\n "})
    response.require(response.tenant(201)["client_name"] == body["client_name"], "trim the name")


def test_text_of_every_script_is_returned_unchanged(provisioning_partner: Caller) -> None:
    metadata = {
        "имя": "株式会社 🏢",
        "e\u0301": "a\u202eb",
        "quote": '"\\/\b\u2028',
        "sql": "'; --",
        "html": "<script>&",
    }
    tenant = provisioning_partner.create(metadata=metadata)
    response = provisioning_partner("GET", f"{TENANTS}/{tenant['tenant']}")
    response.require(response.tenant()["metadata"] == metadata, "show every text as it was sent")


@pytest.mark.parametrize("name", READ_ONLY)
def test_a_field_of_the_servers_is_refused(provisioning_partner: Caller, name: str) -> None:
    response = provisioning_partner("POST", TENANTS, json={**provisioning_partner.body(), name: READ_ONLY[name]})
    response.require(response.faults() == {f"#/{name}": "read-only"}, f"refuse {name} alone, as read-only")


def test_an_unknown_field_is_named(provisioning_partner: Caller) -> None:
    body = {**provisioning_partner.body(), "no~such/field": 1}
    response = provisioning_partner("POST", TENANTS, json=body)
    response.require(response.faults() == {"#/no~0such~1field": "unknown-field"}, "name the unknown field")


@pytest.mark.parametrize("name", ["client_name", "email"])
def test_a_required_field_is_missed(provisioning_partner: Caller, name: str) -> None:
    body = {field: value for field, value in provisioning_partner.body().items() if field != name}
    response = provisioning_partner("POST", TENANTS, json=body)
    response.require(response.faults() == {f"#/{name}": "required"}, f"miss {name} alone")


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_named(provisioning_partner: Caller, case: str) -> None:
    name, value, pointer, code = WRONG[case]
    response = provisioning_partner("POST", TENANTS, json=provisioning_partner.body(**{name: value}))
    response.require(response.faults() == {pointer: code}, f"say {code} of {pointer} alone")


def test_all_wrong_values_are_named_at_once(provisioning_partner: Caller) -> None:
    wrong = {"client_name": "", "email": "admin@", "phone_number": "call me", "colour": "red", "metadata": {"a": 1}}
    response = provisioning_partner("POST", TENANTS, json=provisioning_partner.body(**wrong))
    named = {"#/client_name", "#/email", "#/phone_number", "#/colour", "#/metadata/a"}
    response.require({*response.faults()} == named, f"name {', '.join(sorted(named))}")


def test_unknown_plan_is_refused_if_plans_are_declared(provisioning_partner: Caller) -> None:
    if provisioning_partner.api.mount.plans is None:
        pytest.skip("the host declares no plans")
    response = provisioning_partner("POST", TENANTS, json=provisioning_partner.body(plan="no such plan"))
    response.require(response.faults() == {"#/plan": "unknown-plan"}, "refuse a plan that does not exist")


def test_email_is_unique_regardless_of_case(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner("POST", TENANTS, json=provisioning_partner.body(email=tenant["email"].upper()))
    response.problem(409, "tenant-exists", field="email", conflicting_tenant=tenant["tenant"])


def test_an_external_id_is_taken_once(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create(external_id="taken")
    response = provisioning_partner("POST", TENANTS, json=provisioning_partner.body(external_id="taken"))
    response.problem(409, "tenant-exists", field="external_id", conflicting_tenant=tenant["tenant"])


def test_a_tenant_that_was_refused_does_not_exist(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    refused = provisioning_partner("POST", TENANTS, json=provisioning_partner.body(email=tenant["email"]))
    refused.problem(409, "tenant-exists")
    provisioning_partner("POST", TENANTS, json=provisioning_partner.body(email="admin@")).faults()
    refused.require(provisioning_partner.list_tenants() == [tenant], "leave nothing behind")
