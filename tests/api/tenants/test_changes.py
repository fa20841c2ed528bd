"""Patches, replacements and deletions, and what they leave in the events."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from marshmallow import fields
from sqlalchemy import select

from flask_tenant_provisioning.errors import InvalidInput
from flask_tenant_provisioning.validation import StrictSchema, load
from tests.support.assertions import assert_invalid_fields, assert_problem
from tests.support.callers import EXAMPLE, Caller

NULL = ("null", "This field may not be null.")
TOO_MANY = ("#/metadata", "too-many-keys", "Must have 50 keys at most.")
FULL = {
    "client_name": "Example Corp",
    "email": "admin@example.com",
    "phone_number": "+1234567890",
    "industry": "Technology",
    "plan": "pro",
    "external_id": "crm-1",
    "metadata": {"a": "1", "b": "2"},
}
EMPTY: dict[str, Any] = {"phone_number": None, "industry": None, "plan": None, "external_id": None, "metadata": {}}


PATCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a required field": ({"client_name": "Other"}, {"client_name": "Other"}),
    "trimmed": ({"client_name": "  Other "}, {"client_name": "Other"}),
    "the address": ({"email": "other@example.com"}, {"email": "other@example.com"}),
    "an optional field": ({"plan": "free"}, {"plan": "free"}),
    "null clears phone_number": ({"phone_number": None}, {"phone_number": None}),
    "null clears industry": ({"industry": None}, {"industry": None}),
    "null clears plan": ({"plan": None}, {"plan": None}),
    "null clears external_id": ({"external_id": None}, {"external_id": None}),
    "null clears metadata": ({"metadata": None}, {"metadata": {}}),
    "a key is added": ({"metadata": {"c": "3"}}, {"metadata": {"a": "1", "b": "2", "c": "3"}}),
    "a key is changed": ({"metadata": {"a": "3"}}, {"metadata": {"a": "3", "b": "2"}}),
    "a key is removed": ({"metadata": {"a": None}}, {"metadata": {"b": "2"}}),
    "every key is removed": ({"metadata": {"a": None, "b": None}}, {"metadata": {}}),
    "all at once": ({"metadata": {"a": None, "b": "x", "c": ""}}, {"metadata": {"b": "x", "c": ""}}),
    "a key named _schema": ({"metadata": {"_schema": "x"}}, {"metadata": {"a": "1", "b": "2", "_schema": "x"}}),
    "several fields": ({"industry": "", "plan": None}, {"industry": "", "plan": None}),
}
UNCHANGING: dict[str, dict[str, Any]] = {
    "nothing": {},
    "one field": {"industry": "Technology"},
    "every field": FULL,
    "trimmed": {"client_name": " Example Corp "},
    "a pair of metadata": {"metadata": {"a": "1"}},
    "no metadata": {"metadata": {}},
    "a key that is not there": {"metadata": {"x": None}},
}


@pytest.mark.parametrize(("patch", "changed"), PATCHES.values(), ids=PATCHES)
def test_patch_changes_named_fields_and_publishes_an_event(
    partner: Caller, patch: dict[str, Any], changed: dict[str, Any]
) -> None:
    tenant = partner.create(**FULL)
    response = partner("PATCH", tenant_path(tenant), json=patch)
    document = response.get_json()
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    assert document == {**tenant, **changed, "version": 2, "updated_at": document["updated_at"]}
    assert document["updated_at"] >= tenant["updated_at"]
    assert partner("GET", tenant_path(tenant)).get_json() == document
    assert fetch_tenant_events(partner, tenant)[1:] == [("tenant.updated", document, differences(tenant, changed))]


@pytest.mark.parametrize("patch", UNCHANGING.values(), ids=UNCHANGING)
def test_a_patch_that_changes_nothing_leaves_no_trace(partner: Caller, patch: dict[str, Any]) -> None:
    tenant = partner.create(**FULL)
    response = partner("PATCH", tenant_path(tenant), json=patch)
    assert (response.status_code, response.headers["ETag"], response.get_json()) == (200, '"1"', tenant)
    assert fetch_tenant_events(partner, tenant) == [("tenant.created", tenant, None)]


@pytest.mark.parametrize("field", ["client_name", "email"])
def test_null_does_not_clear_a_required_field(partner: Caller, field: str) -> None:
    tenant = partner.create()
    assert_invalid_fields(partner("PATCH", tenant_path(tenant), json={field: None}), (f"#/{field}", *NULL))


def test_metadata_may_not_grow_past_50_keys_by_merging(partner: Caller) -> None:
    tenant = partner.create(metadata={f"k{n}": "" for n in range(49)})
    assert partner("PATCH", tenant_path(tenant), json={"metadata": {"k0": "x", "x": "50th"}}).status_code == 200
    assert_invalid_fields(partner("PATCH", tenant_path(tenant), json={"metadata": {"y": "51st"}}), TOO_MANY)
    assert partner("PATCH", tenant_path(tenant), json={"metadata": {"y": "50th again", "x": None}}).status_code == 200


def test_60_keys_can_be_removed_at_once(partner: Caller) -> None:
    tenant = partner.create(metadata={f"k{n}": "" for n in range(50)})
    response = partner(
        "PATCH", tenant_path(tenant), json={"metadata": {**{f"k{n}": None for n in range(60)}, "new": "x"}}
    )
    assert response.get_json()["metadata"] == {"new": "x"}


def test_put_replaces_every_writable_field(partner: Caller) -> None:
    tenant = partner.create(**FULL)
    response = partner("PUT", tenant_path(tenant), json={"client_name": "Other", "email": "other@example.com"})
    changed = {**EMPTY, "client_name": "Other", "email": "other@example.com"}
    document = response.get_json()
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    assert document == {**tenant, **changed, "version": 2, "updated_at": document["updated_at"]}
    assert partner("GET", tenant_path(tenant)).get_json() == document
    assert fetch_tenant_events(partner, tenant)[1:] == [("tenant.updated", document, differences(tenant, changed))]


def test_put_replaces_metadata_whole(partner: Caller) -> None:
    tenant = partner.create(**FULL)
    assert partner("PUT", tenant_path(tenant), json={**FULL, "metadata": {"c": "3"}}).get_json()["metadata"] == {
        "c": "3"
    }


@pytest.mark.parametrize(
    "body", [FULL, {**FULL, "metadata": {"b": "2", "a": "1"}}, {**FULL, "client_name": " Example Corp"}]
)
def test_a_put_that_changes_nothing_leaves_no_trace(partner: Caller, body: dict[str, Any]) -> None:
    tenant = partner.create(**FULL)
    response = partner("PUT", tenant_path(tenant), json=body)
    assert (response.status_code, response.headers["ETag"], response.get_json()) == (200, '"1"', tenant)
    assert fetch_tenant_events(partner, tenant) == [("tenant.created", tenant, None)]


@pytest.mark.parametrize("body", [EXAMPLE, {**EXAMPLE, **EMPTY}, {**EXAMPLE, "metadata": None}])
def test_fields_that_put_does_not_name_are_as_null(partner: Caller, body: dict[str, Any]) -> None:
    tenant = partner.create(**{**EXAMPLE, **{name: body.get(name) for name in EMPTY}})
    assert partner("PUT", tenant_path(tenant), json=body).get_json() == tenant


def test_put_creates_nothing(partner: Caller) -> None:
    response = partner("PUT", "/tenants/0193d5f0-0000-7000-8000-000000000000", json=EXAMPLE)
    assert_problem(response, 404, "tenant-not-found", "Tenant not found.")
    assert partner("GET", "/tenants").get_json()["items"] == []


def test_delete_keeps_the_tenant_for_its_retention(partner: Caller) -> None:
    tenant = partner.create(**FULL)
    response = partner("DELETE", tenant_path(tenant))
    document = response.get_json()
    later = {name: document[name] for name in ("updated_at", "deleted_at", "purge_at")}
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    assert document == {**tenant, **later, "status": "deleted", "version": 2}
    assert partner("GET", tenant_path(tenant)).get_json() == document
    changes = {
        "status": {"previous": "active", "new": "deleted"},
        "deleted_at": {"previous": None, "new": document["deleted_at"]},
        "purge_at": {"previous": None, "new": document["purge_at"]},
    }
    assert fetch_tenant_events(partner, tenant)[1:] == [("tenant.deleted", document, changes)]


def test_deleting_twice_changes_nothing(partner: Caller) -> None:
    tenant = partner.create()
    first, second = partner("DELETE", tenant_path(tenant)), partner("DELETE", tenant_path(tenant))
    assert (second.status_code, second.headers["ETag"], second.get_json()) == (200, '"2"', first.get_json())
    assert [kind for kind, _, _ in fetch_tenant_events(partner, tenant)] == ["tenant.created", "tenant.deleted"]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("body", [EXAMPLE, {"client_name": "Other", "email": "other@example.com"}])
def test_a_deleted_tenant_is_not_changed(partner: Caller, method: str, body: dict[str, Any]) -> None:
    tenant = partner.create(**EXAMPLE)
    deleted = partner("DELETE", tenant_path(tenant)).get_json()
    response = partner(method, tenant_path(tenant), json=body)
    assert_problem(response, 409, "invalid-state", "A deleted tenant cannot be changed.", tenant_status="deleted")
    assert partner("GET", tenant_path(tenant)).get_json() == deleted


def test_the_address_and_id_of_a_deleted_tenant_can_be_used_again(partner: Caller) -> None:
    for _ in range(3):
        partner("DELETE", tenant_path(partner.create(email="admin@example.com", external_id="crm-1")))
    tenant = partner.create(email="admin@example.com", external_id="crm-1")
    assert partner("GET", "/tenants?email=admin@example.com").get_json()["items"] == [tenant]


def test_event_has_actor_request_id_and_source(app: Flask) -> None:
    partner = Caller(app, sub="Jörg")
    headers = {"X-Request-ID": "request-1", "User-Agent": "agent/1 " + "x" * 300}
    response = partner("POST", "/tenants", json=FULL, headers=headers, environ_base={"REMOTE_ADDR": "2001:db8::1"})
    document = response.get_json()
    (row,) = rows(partner, document)
    assert {name: row[name] for name in row if name not in ("id", "timestamp", "data")} == {
        "partner_id": partner.partner,
        "position": None,
        "type": "tenant.created",
        "tenant_id": document["tenant"],
        "request_id": "request-1",
        "actor_subject": "Jörg",
        "actor_partner": partner.partner,
        "actor_address": "2001:db8::1",
        "actor_user_agent": headers["User-Agent"][:255],
        "changes": None,
        "traceparent": None,
    }
    assert f"{row['timestamp'][:23]}Z" == document["created_at"]
    assert json.loads(row["data"]) == document


def test_an_administrator_is_the_actor_in_another_partners_event(app: Flask, partner: Caller) -> None:
    tenant = partner.create()
    administrator = Caller(app, roles=["provisioning-admin"], sub="root")
    administrator("PATCH", tenant_path(tenant), json={"industry": "Energy"})
    event = rows(partner, tenant)[-1]
    assert (event["partner_id"], event["actor_partner"], event["actor_subject"]) == (
        partner.partner, administrator.partner, "root",
    )  # fmt: skip


def test_refused_write_leaves_no_event(partner: Caller) -> None:
    tenant, holder = partner.create(), partner.create()
    partner("PATCH", tenant_path(tenant), json={"email": holder["email"]})
    partner("PATCH", tenant_path(tenant), json={"email": "nobody"})
    partner("PATCH", tenant_path(tenant), json={"industry": "x"}, headers={"If-Match": '"9"'})
    partner("POST", "/tenants", json={"client_name": "Other", "email": tenant["email"]})
    partner("DELETE", tenant_path(tenant), headers={"If-Match": '"9"'})
    assert [kind for kind, _, _ in fetch_tenant_events(partner, tenant)] == ["tenant.created"]
    assert len(rows(partner)) == 2


def tenant_path(tenant: dict[str, Any]) -> str:
    return f"/tenants/{tenant['tenant']}"


def rows(partner: Caller, tenant: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The events of a tenant, or of all of the partner's, in their order."""
    storage = partner.app.extensions["tenant_provisioning"]["provisioning"].storage
    table = storage.table("events")
    query = select(table).where(table.c.partner_id == partner.partner).order_by(table.c.id)
    if tenant is not None:
        query = query.where(table.c.tenant_id == tenant["tenant"])
    with storage.engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def fetch_tenant_events(partner: Caller, tenant: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """The type, data and changes of each of a tenant's events."""
    return [
        (row["type"], json.loads(row["data"]), row["changes"] and json.loads(row["changes"]))
        for row in rows(partner, tenant)
    ]


def differences(before: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """The `changes` of an event for these changes; for metadata, only the keys that differ."""
    changes = {name: {"previous": before[name], "new": value} for name, value in changed.items()}
    if "metadata" in changes:
        old, new = changes["metadata"]["previous"], changes["metadata"]["new"]
        changes["metadata"] = {
            "previous": {key: text for key, text in old.items() if new.get(key) != text},
            "new": {key: text for key, text in new.items() if old.get(key) != text},
        }
    return changes


def test_errors_of_marshmallow_fields_have_our_format() -> None:
    class Booking(StrictSchema):
        id = fields.UUID()
        seats = fields.Nested(StrictSchema.from_dict({"count": fields.Integer()}))

    with pytest.raises(InvalidInput) as caught:
        load(Booking(), {"id": "x", "seats": {"count": "many"}})
    assert caught.value.errors == [
        {"pointer": "#/id", "code": "invalid-field", "detail": "Not a valid UUID."},
        {"pointer": "#/seats/count", "code": "invalid-field", "detail": "Not a valid integer."},
    ]
