"""Settings: effective values, explicit values, and the return to inherited ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flask_tenant_provisioning.testing.callers import Caller, get_tenant_path
from flask_tenant_provisioning.testing.responses import ApiResponse
from flask_tenant_provisioning.web.headers import format_etag

SOURCES = {"tenant", "plan", "partner", "default"}

Document = dict[str, Any]


def settings_path(tenant: Mapping[str, Any]) -> str:
    """The path of a tenant's settings."""
    return f"{get_tenant_path(tenant)}/settings"


def require_settings(response: ApiResponse) -> Document:
    """The settings in the body, whole, with their `ETag`."""
    settings = response.document()
    response.require(
        {*settings} == {"version", "effective", "explicit", "sources"}, "show version, effective, explicit, sources"
    )
    response.require(response.header("ETag") == format_etag(settings["version"]), "answer with the version in the ETag")
    counting = {f"{name}.{key}" for name, values in settings["effective"].items() for key in values}
    response.require({*settings["sources"]} == counting, "name the source of each key that counts, and of no other")
    response.require({*settings["sources"].values()} <= SOURCES, "name sources out of tenant, plan, partner, default")
    return settings


def read_settings(partner: Caller, tenant: Mapping[str, Any]) -> Document:
    """A tenant's settings."""
    return require_settings(partner("GET", settings_path(tenant)))


def write_settings(
    partner: Caller, method: str, tenant: Mapping[str, Any], version: int, body: Any, rest: str = "", **headers: str
) -> ApiResponse:
    """The answer to a write to this version of a tenant's settings."""
    return partner(
        method, settings_path(tenant) + rest, json=body, headers={"If-Match": format_etag(version), **headers}
    )


@pytest.fixture
def settable(provisioning_partner: Caller) -> tuple[str, str, Any]:
    """A namespace and a key in it, with its default. Skips where the host declares none that can be set at will."""
    schema = provisioning_partner("GET", "/settings-schema").document()
    for name, namespace in schema["properties"].items():
        for key, key_schema in namespace["properties"].items():
            if "default" in key_schema and key_schema["default"] is not None and "x-immutable" not in key_schema:
                return name, key, key_schema["default"]
    return pytest.skip("this host declares no setting with a default that can be changed")


def test_settings_schema_describes_the_settings(provisioning_partner: Caller) -> None:
    response = provisioning_partner("GET", "/settings-schema")
    schema = response.document()
    response.require(schema["$schema"].endswith("2020-12/schema"), "answer with JSON Schema, draft 2020-12")
    effective = read_settings(provisioning_partner, provisioning_partner.create())["effective"]
    for name, values in effective.items():
        known_keys = schema["properties"].get(name, {}).get("properties", {})
        response.require(known_keys.keys() >= values.keys(), f"describe every key of {name}")


def test_a_new_tenant_sets_nothing(provisioning_partner: Caller) -> None:
    response = provisioning_partner("GET", settings_path(provisioning_partner.create()))
    settings = require_settings(response)
    response.require((settings["version"], settings["explicit"]) == (0, {}), "show version 0, in which nothing is set")
    response.require("tenant" not in settings["sources"].values(), "name no key as the tenant's")


def test_value_applies_until_it_is_inherited_again(
    provisioning_partner: Caller, settable: tuple[str, str, Any]
) -> None:
    name, key, value = settable
    tenant = provisioning_partner.create()
    before = read_settings(provisioning_partner, tenant)
    response = write_settings(provisioning_partner, "PATCH", tenant, 0, {name: {key: value}})
    settings = require_settings(response)
    response.require(
        (settings["version"], settings["explicit"]) == (1, {name: {key: value}}), "set the key, and nothing else"
    )
    response.require(settings["sources"][f"{name}.{key}"] == "tenant", "name the tenant as its source")
    again = write_settings(provisioning_partner, "PATCH", tenant, 1, {name: {key: value}})
    again.require(require_settings(again) == settings, "change nothing where nothing differs")
    response = write_settings(provisioning_partner, "PATCH", tenant, 1, {name: {key: None}})
    response.require(require_settings(response) == {**before, "version": 2}, "return the key to what it inherits")
    listed = provisioning_partner("GET", f"{settings_path(tenant)}/history")
    versions = listed.document()["items"]
    listed.require([version["version"] for version in versions] == [2, 1], "list both versions, the newest first")
    listed.require_instants(version["timestamp"] for version in versions)
    back = write_settings(provisioning_partner, "POST", tenant, 2, {"version": 1}, "/rollback")
    back.require(require_settings(back) == {**settings, "version": 3}, "set what version 1 had set")
    replaced = write_settings(provisioning_partner, "PUT", tenant, 3, {})
    replaced.require(require_settings(replaced) == {**before, "version": 4}, "set nothing")


def test_a_change_of_settings_is_an_event(provisioning_partner: Caller, settable: tuple[str, str, Any]) -> None:
    name, key, value = settable
    tenant = provisioning_partner.create()
    require_settings(write_settings(provisioning_partner, "PATCH", tenant, 0, {name: {key: value}}))
    response = provisioning_partner("GET", f"/events?tenant={tenant['tenant']}&type=tenant.settings_updated")
    told = [event["changes"] for event in response.document()["items"]]
    changes = {f"{name}.{key}": {"previous": None, "new": value}}
    response.require(told == [changes], "show the event with what changed")


def test_dry_run_sets_nothing(provisioning_partner: Caller, settable: tuple[str, str, Any]) -> None:
    name, key, value = settable
    tenant = provisioning_partner.create()
    before = read_settings(provisioning_partner, tenant)
    for method in ("PATCH", "PUT"):
        response = write_settings(provisioning_partner, method, tenant, 0, {name: {key: value}}, "?validate_only=true")
        response.require(require_settings(response)["explicit"] == {name: {key: value}}, "show what would be set")
        response.require(response.headers.get("X-Validate-Only") == "true", "answer with X-Validate-Only: true")
    response.require(read_settings(provisioning_partner, tenant) == before, "set nothing")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_another_version_of_settings_is_not_overwritten(provisioning_partner: Caller, method: str) -> None:
    tenant = provisioning_partner.create()
    write_settings(provisioning_partner, method, tenant, 7, {}).problem(412, "precondition-failed")
    response = write_settings(provisioning_partner, method, tenant, 0, {})
    response.require(require_settings(response)["version"] == 0, "take version 0 for the present one")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_unknown_settings_are_refused_by_name(provisioning_partner: Caller, method: str) -> None:
    tenant = provisioning_partner.create()
    response = write_settings(provisioning_partner, method, tenant, 0, {"no such/namespace": {}})
    response.require(response.faults() == {"#/no%20such~1namespace": "unknown-field"}, "name the namespace")
    response = write_settings(provisioning_partner, method, tenant, 0, [])
    response.require(response.faults() == {"#": "invalid-type"}, "ask for an object")


def test_rollback_to_a_missing_version_is_refused(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    response = write_settings(provisioning_partner, "POST", tenant, 0, {"version": 9}, "/rollback")
    response.problem(404, "settings-version-not-found")
    response = write_settings(provisioning_partner, "POST", tenant, 0, {"version": "x"}, "/rollback")
    response.require(response.faults() == {"#/version": "invalid-number"}, "name the version")
    require_settings(write_settings(provisioning_partner, "POST", tenant, 0, {"version": 0}, "/rollback"))


def test_a_deleted_tenant_s_settings_can_only_be_read(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    before = read_settings(provisioning_partner, tenant)
    provisioning_partner.delete(tenant)
    write_settings(provisioning_partner, "PATCH", tenant, 0, {}).problem(409, "invalid-state", tenant_status="deleted")
    response = provisioning_partner("GET", settings_path(tenant))
    response.require(require_settings(response) == before, "show what was set before")


def test_a_partner_reads_the_defaults_of_its_tenants(provisioning_partner: Caller) -> None:
    response = provisioning_partner("GET", f"/partners/{provisioning_partner.partner}/settings")
    settings = require_settings(response)
    response.require(
        {*settings["sources"].values()} <= {"partner", "default"}, "name sources out of partner and default"
    )
    other = provisioning_partner("GET", "/partners/nobody-of-this-name/settings")
    other.problem(404, "partner-not-found")
