"""OpenAPI describes a host's own fields: in what comes in, in what goes out, and as filters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields
from marshmallow.validate import OneOf
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support import callers, custom_fields
from tests.support.callers import EXAMPLE, Caller, tenant_path
from tests.support.custom_fields import FILTERABLE, NAMES, BillingSchema
from tests.support.database.rows import get_storage
from tests.support.hosts import PREFIX
from tests.support.openapi import DocumentedHost


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    new_app = custom_fields.make_host(f"sqlite:///{tmp_path_factory.mktemp('own')}/x.sqlite3")
    yield new_app
    get_storage(new_app).engine.dispose()


@pytest.fixture(scope="module")
def documented(app: Flask) -> DocumentedHost:
    return DocumentedHost(app)


@pytest.fixture
def partner(app: Flask) -> Caller:
    return Caller(app)


def properties(documented: DocumentedHost, name: str) -> dict[str, Any]:
    schemas: dict[str, Any] = documented.component("schemas", name)["properties"]
    return schemas


def test_the_document_is_valid(documented: DocumentedHost) -> None:
    assert list(OpenAPIV31SpecValidator(documented.document).iter_errors()) == []


def test_answers_have_them_all_after_ours_and_each_may_be_null(documented: DocumentedHost) -> None:
    tenant = documented.component("schemas", "Tenant")
    assert tuple(tenant["properties"])[-len(NAMES) :] == NAMES
    assert set(tenant["required"]) == set(tenant["properties"])
    schemas = properties(documented, "Tenant")
    assert schemas["region"] == {"anyOf": [{"type": "string", "enum": ["eu", "us"]}, {"type": "null"}]}
    assert schemas["seats"] == {"type": ["integer", "null"], "minimum": 1}
    assert schemas["address"] == {"anyOf": [{"$ref": "#/components/schemas/Address"}, {"type": "null"}]}
    assert schemas["badge"]["readOnly"] is True


@pytest.mark.parametrize("name", ["TenantInput", "TenantByExternalIdInput"])
def test_bodies_have_those_that_clients_send(documented: DocumentedHost, name: str) -> None:
    sent = documented.component("schemas", name)
    assert tuple(sent["properties"])[-len(NAMES) + 1 :] == NAMES[:-1]
    assert "region" in sent["required"]
    assert sent["properties"]["seats"] == {"type": ["integer", "null"], "minimum": 1, "default": 1}
    assert documented.component("schemas", "Address")["required"] == ["city"]


def test_patch_schema_requires_no_field(documented: DocumentedHost) -> None:
    schema = documented.component("schemas", "TenantPatch")
    assert "region" not in schema.get("required", ())
    assert "null" not in str(schema["properties"]["region"])
    assert schema["properties"]["seats"] == {"type": ["integer", "null"], "minimum": 1}
    assert schema["properties"]["address"] == {"type": ["object", "null"]}


#: A value for one field, and whether it is accepted.
SENT: list[tuple[str, Any, bool]] = [
    ("region", "eu", True),
    ("region", "mars", False),
    ("region", None, False),
    ("seats", 1, True),
    ("seats", 0, False),
    ("seats", None, True),
    ("seats", "1", False),
    ("trial", None, True),
    ("trial", True, True),
    ("costCenter", "x" * 100, True),
    ("costCenter", "x" * 101, False),
    ("cost_center", "x", False),
    ("address", {"city": "Faro"}, True),
    ("address", {}, False),
    ("address", {"city": "Faro", "zip": "123456"}, False),
    ("contacts", [{"city": "Faro"}], True),
    ("contacts", [1], False),
    ("limits", {"cpu": 1}, True),
    ("limits", {"cpu": "x"}, False),
    ("badge", "x", False),
    ("extra", [1, {"a": None}], True),
]


@pytest.mark.parametrize(("field", "value", "good"), SENT)
def test_create_schema_agrees_with_the_app(
    documented: DocumentedHost, partner: Caller, field: str, value: Any, good: bool
) -> None:
    body = {**EXAMPLE, "region": "eu", field: value}
    assert (documented.errors(documented.component("schemas", "TenantInput"), body) == []) is good
    response = partner("POST", "/tenants", json=body)
    assert response.status_code == (201 if good else 400)
    documented.require(response, "POST", "/tenants")


@pytest.mark.parametrize(
    ("patch", "good"),
    [
        ({"seats": 3}, True),
        ({"seats": None}, True),
        ({"region": None}, False),
        ({"address": {"zip": None}}, True),
        ({"limits": {"cpu": None}}, True),
        ({"badge": "x"}, False),
    ],
)
def test_patch_schema_agrees_with_the_app(
    documented: DocumentedHost, partner: Caller, patch: dict[str, Any], good: bool
) -> None:
    tenant = partner.create(region="eu", address={"city": "Faro", "zip": "1"}, limits={"cpu": 1})
    assert (documented.errors(documented.component("schemas", "TenantPatch"), patch) == []) is good
    response = partner("PATCH", tenant_path(tenant), json=patch)
    assert response.status_code == (200 if good else 400)
    documented.require(response, "PATCH", "/tenants/{tenant_id}")


def test_lists_are_as_documented(documented: DocumentedHost, partner: Caller) -> None:
    partner.create(region="eu", address={"city": "Faro"}, renewal="2026-01-01", trial=True, score=1.5)
    documented.require(partner("GET", "/tenants?region=eu"), "GET", "/tenants")


def test_filters_are_described_as_the_field_is(documented: DocumentedHost) -> None:
    parameters = {
        parameter["name"]: parameter
        for parameter in documented.operation("GET", "/tenants")["parameters"]
        if "name" in parameter
    }
    assert set(FILTERABLE) <= parameters.keys()
    assert not {"address", "score"} & parameters.keys()
    assert parameters["region"]["schema"]["enum"] == ["eu", "us"]
    assert parameters["trial"]["schema"]["type"] == "boolean"
    assert parameters["seats"] == {
        "in": "query",
        "name": "seats",
        "required": False,
        "description": "Only tenants with this value.",
        "schema": {"type": "integer", "minimum": 1, "examples": [1]},
    }
    assert parameters["renewal"]["schema"]["format"] == "date"
    assert "costCenter" in parameters


def test_required_field_without_example_omits_the_schema_example(documented: DocumentedHost) -> None:
    assert "examples" not in documented.component("schemas", "TenantInput")
    for name in ("Tenant", "TenantPage", "TenantPatch"):
        schema = documented.component("schemas", name)
        assert documented.errors(schema, schema["examples"][0]) == []


class Exemplary(Schema):
    """Fields with examples, as apispec reads them."""

    region = fields.String(required=True, validate=OneOf(["eu"]), metadata={"example": "eu", "description": "Where."})
    seats = fields.Integer()


def test_the_examples_of_the_fields_are_those_of_the_document(tmp_path: Any) -> None:
    documented = DocumentedHost(custom_fields.make_host(f"sqlite:///{tmp_path}/x.sqlite3", Exemplary, ()))
    sent = documented.component("schemas", "TenantInput")["examples"][0]
    assert sent == {**callers.EXAMPLE, "region": "eu"}
    shown = documented.component("schemas", "Tenant")["examples"][0]
    assert (shown["region"], shown["seats"]) == ("eu", None)
    assert properties(documented, "TenantInput")["region"]["description"] == "Where."
    assert Caller(documented.app)("POST", "/tenants", json=sent).status_code == 201


class TenantSchema(Schema):
    """A schema of the host's that is called as one of ours."""

    city = fields.String()


class CollidingSchema(Schema):
    home = fields.Nested(TenantSchema)


@pytest.mark.filterwarnings("ignore:Multiple schemas resolved")
def test_a_schema_that_is_called_as_ours_replaces_none(tmp_path: Any) -> None:
    documented = DocumentedHost(custom_fields.make_host(f"sqlite:///{tmp_path}/x.sqlite3", CollidingSchema, ()))
    assert "client_name" in properties(documented, "Tenant")
    assert list(OpenAPIV31SpecValidator(documented.document).iter_errors()) == []
    partner = Caller(documented.app)
    tenant = partner.create(home={"city": "Faro"})
    documented.require(partner("GET", tenant_path(tenant)), "GET", "/tenants/{tenant_id}")


def test_problem_page_example_includes_required_custom_fields(app: Flask) -> None:
    example = app.test_client().get(f"{PREFIX}/problems/validation-error").get_json()["example"]
    assert [wrong["pointer"] for wrong in example["errors"]] == ["#/email", "#/region"]


def test_a_host_without_them_has_none_in_its_document(tmp_path: Any) -> None:
    documented = DocumentedHost(custom_fields.make_host(f"sqlite:///{tmp_path}/x.sqlite3", None))
    assert not set(NAMES) & properties(documented, "Tenant").keys()
    assert BillingSchema.__name__.removesuffix("Schema") not in documented.document["components"]["schemas"]
