"""`PATCH` and `PUT`: what changes, what stays, and what cannot be changed."""

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
    answer = provisioning_partner.write("PATCH", tenant, json=patch)
    found = answer.tenant()
    changed = {"version": tenant["version"] + 1, "updated_at": found["updated_at"]}
    answer.require(found == {**tenant, **patch, **changed}, "change this field, the version and updated_at alone")
    answer.require(provisioning_partner.read(tenant) == found, "keep what it showed")


@pytest.mark.parametrize("media_type", ["application/json", "application/merge-patch+json"])
def test_a_patch_comes_in_two_media_types(provisioning_partner: Caller, media_type: str) -> None:
    tenant, patch = provisioning_partner.create(), make_rename(provisioning_partner)
    headers = {"Content-Type": media_type}
    answer = provisioning_partner.write("PATCH", tenant, json=patch, headers=headers)
    answer.require(answer.tenant()["client_name"] == patch["client_name"], "change the name")


@pytest.mark.parametrize("name", ["external_id", "phone_number", "industry"])
def test_null_clears_an_optional_field(provisioning_partner: Caller, name: str) -> None:
    tenant = provisioning_partner.create()
    answer = provisioning_partner.write("PATCH", tenant, json={name: None})
    answer.require(answer.tenant()[name] is None, f"clear {name}")


@pytest.mark.parametrize("name", ["client_name", "email"])
def test_null_clears_no_required_field(provisioning_partner: Caller, name: str) -> None:
    tenant = provisioning_partner.create()
    answer = provisioning_partner.write("PATCH", tenant, json={name: None})
    answer.require(answer.faults() == {f"#/{name}": "null"}, f"refuse to clear {name}")


@pytest.mark.parametrize("patch", [{}, {"metadata": {}}], ids=repr)
def test_a_patch_of_nothing_changes_nothing(provisioning_partner: Caller, patch: dict[str, Any]) -> None:
    tenant = provisioning_partner.create()
    answer = provisioning_partner.write("PATCH", tenant, json=patch)
    answer.require(answer.tenant() == tenant, "change nothing, the version neither")


@pytest.mark.parametrize(("before", "patch", "after"), MERGES)
def test_metadata_merges_as_rfc_7396_says(
    provisioning_partner: Caller, before: dict[str, str], patch: Any, after: dict[str, str]
) -> None:
    tenant = provisioning_partner.create(metadata=before)
    answer = provisioning_partner.write("PATCH", tenant, json={"metadata": patch})
    answer.require(answer.tenant()["metadata"] == after, f"make {after} of {before}")


@pytest.mark.parametrize("patch", UNMERGEABLE, ids=repr)
def test_invalid_metadata_patch_returns_400(provisioning_partner: Caller, patch: Any) -> None:
    tenant = provisioning_partner.create(metadata={"a": "b"})
    answer = provisioning_partner.write("PATCH", tenant, json={"metadata": patch})
    pointers = {*answer.faults()}
    answer.require(pointers in ({"#/metadata"}, {"#/metadata/a"}), "point into the metadata")
    answer.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


@pytest.mark.parametrize("name", READ_ONLY)
def test_a_field_of_the_servers_cannot_be_changed(provisioning_partner: Caller, name: str) -> None:
    tenant = provisioning_partner.create()
    for method, body in (("PATCH", {}), ("PUT", provisioning_partner.body())):
        answer = provisioning_partner.write(method, tenant, json={**body, name: READ_ONLY[name]})
        answer.require(answer.faults() == {f"#/{name}": "read-only"}, f"refuse {name} alone, as read-only")


def test_a_put_replaces_every_writable_field(provisioning_partner: Caller) -> None:
    tenant, body = provisioning_partner.create(metadata={"a": "b"}), provisioning_partner.body()
    answer = provisioning_partner.write("PUT", tenant, json=body)
    found = answer.tenant()
    empty: dict[str, Any] = {"external_id": None, "phone_number": None, "industry": None, "plan": None, "metadata": {}}
    answer.require(found == {**found, **empty, **body}, "show what was sent, and nothing of before")
    kept = {name: tenant[name] for name in ("tenant", "partner", "status", "created_at")}
    answer.require(found == {**found, **kept, "version": tenant["version"] + 1}, "keep what is the server's")


def test_put_of_the_current_values_changes_nothing(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body()
    tenant = provisioning_partner.wait_until_active(provisioning_partner("POST", "/tenants", json=body).tenant(201))
    answer = provisioning_partner.write("PUT", tenant, json=body)
    answer.require(answer.tenant() == tenant, "change nothing, the version neither")


def test_a_put_makes_no_tenant(provisioning_partner: Caller) -> None:
    path = get_tenant_path({"tenant": "01890000-0000-7000-8000-000000000000"})
    answer = provisioning_partner("PUT", path, json=provisioning_partner.body(), headers={"If-Match": "*"})
    answer.problem(404, "tenant-not-found")


@pytest.mark.parametrize("name", ["email", "external_id"])
def test_email_and_external_id_of_another_tenant_are_refused(provisioning_partner: Caller, name: str) -> None:
    holder, tenant = provisioning_partner.create(external_id="held"), provisioning_partner.create()
    answer = provisioning_partner.write("PATCH", tenant, json={name: holder[name]})
    answer.problem(409, "tenant-exists", field=name, conflicting_tenant=holder["tenant"])
    answer.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")
