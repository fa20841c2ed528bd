"""`PUT /tenants/by-external-id/{external_id}`: creation or replacement of a tenant."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from flask_tenant_provisioning.testing.callers import Caller, get_tenant_path, get_upsert_path

ODD = ("a/b", "a//b", "..", "a b", "a%2Fb", "ü", "株式会社", "a;b?c#d", "x" * 128, "restore", "by-external-id/a")


def make_body(partner: Caller) -> dict[str, Any]:
    """A body for an upsert, whose external id stands in the path."""
    return {name: value for name, value in partner.body().items() if name != "external_id"}


def test_upsert_creates_a_missing_tenant(provisioning_partner: Caller) -> None:
    body = make_body(provisioning_partner)
    response = provisioning_partner("PUT", get_upsert_path("crm-1"), json=body)
    tenant = response.tenant(201)
    response.require(tenant == {**tenant, **body, "external_id": "crm-1", "version": 1}, "create what was sent")
    read = provisioning_partner("GET", provisioning_partner.api.get_path(response.header("Location"))).tenant()
    response.require(read["tenant"] == tenant["tenant"], "name in Location where the tenant is")


def test_upsert_replaces_an_existing_tenant(provisioning_partner: Caller) -> None:
    tenant, body = (
        provisioning_partner.create(external_id="crm-1", metadata={"a": "b"}),
        make_body(provisioning_partner),
    )
    matching = provisioning_partner.make_if_match(tenant)
    response = provisioning_partner("PUT", get_upsert_path("crm-1"), json=body, headers=matching)
    replaced = response.tenant()
    response.require(replaced == {**replaced, **body, "metadata": {}, "tenant": tenant["tenant"]}, "replace the tenant")
    response.require(replaced["version"] == tenant["version"] + 1, "count one version more")


def test_upsert_of_the_current_values_changes_nothing(provisioning_partner: Caller) -> None:
    body = make_body(provisioning_partner)
    created = provisioning_partner("PUT", get_upsert_path("crm-1"), json=body).tenant(201)
    tenant = provisioning_partner.wait_until_active(created)
    matching = provisioning_partner.make_if_match(tenant)
    response = provisioning_partner("PUT", get_upsert_path("crm-1"), json=body, headers=matching)
    response.require(response.tenant() == tenant, "change nothing, the version neither")


@pytest.mark.parametrize("external_id", ODD)
def test_an_external_id_may_be_any_text(provisioning_partner: Caller, external_id: str) -> None:
    path, body = get_upsert_path(quote(external_id, safe="/")), make_body(provisioning_partner)
    response = provisioning_partner("PUT", path, json=body)
    tenant = response.tenant(201)
    response.require(tenant["external_id"] == external_id, f"name the tenant {external_id!r}")
    response.require(
        provisioning_partner.list_tenants(external_id=external_id) != [], "make a tenant that is found by it"
    )


def test_the_body_may_repeat_the_external_id_and_name_no_other(provisioning_partner: Caller) -> None:
    path, body = get_upsert_path("crm-1"), make_body(provisioning_partner)
    response = provisioning_partner("PUT", path, json={**body, "external_id": "crm-2"})
    response.require(response.faults() == {"#/external_id": "mismatch"}, "refuse another external id")
    provisioning_partner("PUT", path, json={**body, "external_id": "crm-1"}).tenant(201)


def test_an_upsert_of_a_long_external_id_is_refused(provisioning_partner: Caller) -> None:
    response = provisioning_partner("PUT", get_upsert_path("x" * 129), json=make_body(provisioning_partner))
    response.require(response.faults() == {"#/external_id": "invalid-length"}, "refuse the external id")


def test_upsert_with_the_email_of_another_tenant_is_refused(provisioning_partner: Caller) -> None:
    holder = provisioning_partner.create()
    body = {**make_body(provisioning_partner), "email": holder["email"]}
    response = provisioning_partner("PUT", get_upsert_path("crm-1"), json=body)
    response.problem(409, "tenant-exists", field="email", conflicting_tenant=holder["tenant"])


def test_an_upsert_can_insist_on_creating(provisioning_partner: Caller) -> None:
    path, only_new = get_upsert_path("crm-1"), {"If-None-Match": "*"}
    created = provisioning_partner("PUT", path, json=make_body(provisioning_partner), headers=only_new).tenant(201)
    tenant = provisioning_partner.wait_until_active(created)
    response = provisioning_partner("PUT", path, json=make_body(provisioning_partner), headers=only_new)
    response.problem(412, "precondition-failed")
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


def test_an_upsert_can_insist_on_replacing(provisioning_partner: Caller) -> None:
    path, body = get_upsert_path("crm-1"), make_body(provisioning_partner)
    response = provisioning_partner("PUT", path, json=body, headers={"If-Match": "*"})
    response.problem(412, "precondition-failed")
    response.require(provisioning_partner.list_tenants() == [], "create nothing")


def test_an_upsert_does_not_touch_a_deleted_tenant(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create(external_id="crm-1")
    deleted = provisioning_partner.delete(tenant)
    response = provisioning_partner("PUT", get_upsert_path("crm-1"), json=make_body(provisioning_partner))
    response.require(response.tenant(201)["tenant"] != tenant["tenant"], "create another tenant")
    gone = provisioning_partner("GET", get_tenant_path(tenant))
    gone.require(gone.tenant() == deleted, "leave the deleted tenant as it was")
