"""`PATCH` and `PUT`: changed fields, kept fields, and read-only fields."""

from __future__ import annotations

from typing import Any

import pytest

from flask_tenant_provisioning.testing.callers import Caller, get_tenant_path
from flask_tenant_provisioning.testing.suite.test_creation import READ_ONLY

#: RFC 7396, Appendix A, as far as metadata can hold it: what there is, the patch, and what becomes of it.
MERGES: list[tuple[dict[str, str], Any, dict[str, str]]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": "b"}, {"z": None}, {"a": "b"}),
    ({"a": "b"}, {}, {"a": "b"}),
    ({"a": "b"}, None, {}),
    ({}, {"a": "b", "c": None}, {"a": "b"}),
]
UNMERGEABLE: tuple[Any, ...] = ("text", 7, [], ["a"], {"a": 1}, {"a": {"b": "c"}}, {"a": ["b"]})


def make_rename(partner: Caller) -> dict[str, Any]:
    """A patch that gives a tenant another valid name."""
    return {"client_name": partner.body()["client_name"]}


def test_a_patch_changes_the_fields_that_are_sent(provisioning_partner: Caller) -> None:
    tenant, patch = provisioning_partner.create(), make_rename(provisioning_partner)
    response = provisioning_partner.write("PATCH", tenant, json=patch)
    patched = response.tenant()
    changed = {"version": tenant["version"] + 1, "updated_at": patched["updated_at"]}
    response.require(patched == {**tenant, **patch, **changed}, "change this field, the version and updated_at alone")
    response.require(provisioning_partner.read(tenant) == patched, "keep what it showed")


@pytest.mark.parametrize("media_type", ["application/json", "application/merge-patch+json"])
def test_a_patch_comes_in_two_media_types(provisioning_partner: Caller, media_type: str) -> None:
    tenant, patch = provisioning_partner.create(), make_rename(provisioning_partner)
    headers = {"Content-Type": media_type}
    response = provisioning_partner.write("PATCH", tenant, json=patch, headers=headers)
    response.require(response.tenant()["client_name"] == patch["client_name"], "change the name")


@pytest.mark.parametrize("name", ["external_id", "phone_number", "industry"])
def test_null_clears_an_optional_field(provisioning_partner: Caller, name: str) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner.write("PATCH", tenant, json={name: None})
    response.require(response.tenant()[name] is None, f"clear {name}")


@pytest.mark.parametrize("name", ["client_name", "email"])
def test_null_clears_no_required_field(provisioning_partner: Caller, name: str) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner.write("PATCH", tenant, json={name: None})
    response.require(response.faults() == {f"#/{name}": "null"}, f"refuse to clear {name}")


@pytest.mark.parametrize("patch", [{}, {"metadata": {}}], ids=repr)
def test_a_patch_of_nothing_changes_nothing(provisioning_partner: Caller, patch: dict[str, Any]) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner.write("PATCH", tenant, json=patch)
    response.require(response.tenant() == tenant, "change nothing, the version neither")


@pytest.mark.parametrize(("before", "patch", "after"), MERGES)
def test_metadata_merges_as_rfc_7396_says(
    provisioning_partner: Caller, before: dict[str, str], patch: Any, after: dict[str, str]
) -> None:
    tenant = provisioning_partner.create(metadata=before)
    response = provisioning_partner.write("PATCH", tenant, json={"metadata": patch})
    response.require(response.tenant()["metadata"] == after, f"make {after} of {before}")


@pytest.mark.parametrize("patch", UNMERGEABLE, ids=repr)
def test_invalid_metadata_patch_returns_400(provisioning_partner: Caller, patch: Any) -> None:
    tenant = provisioning_partner.create(metadata={"a": "b"})
    response = provisioning_partner.write("PATCH", tenant, json={"metadata": patch})
    pointers = {*response.faults()}
    response.require(pointers in ({"#/metadata"}, {"#/metadata/a"}), "point into the metadata")
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


@pytest.mark.parametrize("name", READ_ONLY)
def test_a_field_of_the_servers_cannot_be_changed(provisioning_partner: Caller, name: str) -> None:
    tenant = provisioning_partner.create()
    for method, body in (("PATCH", {}), ("PUT", provisioning_partner.body())):
        response = provisioning_partner.write(method, tenant, json={**body, name: READ_ONLY[name]})
        response.require(response.faults() == {f"#/{name}": "read-only"}, f"refuse {name} alone, as read-only")


def test_a_put_replaces_every_writable_field(provisioning_partner: Caller) -> None:
    tenant, body = provisioning_partner.create(metadata={"a": "b"}), provisioning_partner.body()
    response = provisioning_partner.write("PUT", tenant, json=body)
    replaced = response.tenant()
    empty: dict[str, Any] = {"external_id": None, "phone_number": None, "industry": None, "plan": None, "metadata": {}}
    response.require(replaced == {**replaced, **empty, **body}, "show what was sent, and nothing of before")
    kept = {name: tenant[name] for name in ("tenant", "partner", "status", "created_at")}
    response.require(replaced == {**replaced, **kept, "version": tenant["version"] + 1}, "keep what is the server's")


def test_put_of_the_current_values_changes_nothing(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body()
    tenant = provisioning_partner.wait_until_active(provisioning_partner("POST", "/tenants", json=body).tenant(201))
    response = provisioning_partner.write("PUT", tenant, json=body)
    response.require(response.tenant() == tenant, "change nothing, the version neither")


def test_a_put_makes_no_tenant(provisioning_partner: Caller) -> None:
    path = get_tenant_path({"tenant": "01890000-0000-7000-8000-000000000000"})
    response = provisioning_partner("PUT", path, json=provisioning_partner.body(), headers={"If-Match": "*"})
    response.problem(404, "tenant-not-found")


@pytest.mark.parametrize("name", ["email", "external_id"])
def test_email_and_external_id_of_another_tenant_are_refused(provisioning_partner: Caller, name: str) -> None:
    holder, tenant = provisioning_partner.create(external_id="held"), provisioning_partner.create()
    response = provisioning_partner.write("PATCH", tenant, json={name: holder[name]})
    response.problem(409, "tenant-exists", field=name, conflicting_tenant=holder["tenant"])
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")
