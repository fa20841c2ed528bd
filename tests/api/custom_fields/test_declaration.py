"""Invalid declarations are refused at once, with the fix."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import Schema, fields

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning
from flask_tenant_provisioning.tenants.custom_field_checks import BUILT_IN_FIELDS, LIST_PARAMETERS
from flask_tenant_provisioning.tenants.models import DOCUMENT_FIELDS
from flask_tenant_provisioning.tenants.schemas import ListQuery


def schema(**declared: Any) -> type[Schema]:
    return type("Own", (Schema,), declared)


def refusal(kind: Any, **options: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        TenantProvisioning().tenant_fields(kind, **options)
    return str(refused.value).splitlines()


def test_the_reserved_names_are_those_of_tenants_and_lists() -> None:
    assert {*DOCUMENT_FIELDS} == BUILT_IN_FIELDS
    assert {field.data_key or name for name, field in ListQuery().fields.items()} == LIST_PARAMETERS


def test_name_of_the_administrator_is_refused() -> None:
    message = "Own: new tenants may have an 'admin' already; rename yours."
    assert refusal(schema(admin=fields.String())) == [message]


@pytest.mark.parametrize("name", DOCUMENT_FIELDS)
def test_built_in_field_name_is_refused(name: str) -> None:
    message = f"Own: every tenant has a field {name!r} already; rename yours."
    assert refusal(schema(**{name: fields.String()})) == [message]
    assert refusal(schema(other=fields.String(data_key=name))) == [message]


def test_names_of_bulk_row_members_are_refused() -> None:
    message = "Own: rows of bulk jobs may have an 'idempotency_key' already; rename yours."
    assert refusal(schema(idempotency_key=fields.String())) == [message]


@pytest.mark.parametrize("name", sorted(set(ListQuery().fields) - set(DOCUMENT_FIELDS)))
def test_the_name_of_a_parameter_cannot_be_filtered_by(name: str) -> None:
    own = schema(**{name: fields.String()})
    TenantProvisioning().tenant_fields(own)
    assert refusal(own, filterable=[name]) == [
        f"Own: lists have a parameter {name!r} already; rename the field, or do not filter by it."
    ]


@pytest.mark.parametrize("name", ["", "a-b", "a.b", "é", "1a", "_x", "a b", "x" * 64, "a'b"])
def test_field_name_must_be_an_identifier(name: str) -> None:
    message = f"Own: {name!r} is not a valid field name: use 1 to 63 letters, digits and _, starting with a letter."
    assert refusal(schema(x=fields.String(data_key=name))) == [message]


@pytest.mark.parametrize(
    "field",
    [
        fields.Float(),
        fields.Decimal(as_string=True),
        fields.Raw(),
        fields.Dict(),
        fields.List(fields.String()),
        fields.Nested(schema(a=fields.String())),
        fields.Function(lambda _found: 1),
    ],
    ids=lambda field: type(field).__name__,
)
def test_only_scalar_fields_are_filterable(field: fields.Field[Any]) -> None:
    message = "Own: 'x' is not filterable: only strings, integers, booleans, dates and times are."
    assert refusal(schema(x=field), filterable=["x"]) == [message]


def test_all_errors_are_listed_at_once() -> None:
    own = schema(
        status=fields.String(), secret=fields.String(load_only=True), price=fields.Decimal(), limit=fields.Integer()
    )
    assert refusal(own, filterable=["limit", "moon"]) == [
        "Own: every tenant has a field 'status' already; rename yours.",
        "Own: 'secret' is load_only, so its value would not be stored.",
        "Own: 'price' does not serialise to JSON: give it as_string=True.",
        "Own: lists have a parameter 'limit' already; rename the field, or do not filter by it.",
        "Own: filterable names 'moon', which is not a field.",
    ]


def test_declaration_needs_a_schema_class_with_fields() -> None:
    own = schema(x=fields.String())
    assert "needs a marshmallow Schema class, not" in refusal(own())[0]
    assert "needs a marshmallow Schema class, not {'x': 1}" in refusal({"x": 1})[0]
    assert refusal(schema()) == ["Own declares no field."]
    assert "a list of filterable fields: filterable=('x',)" in refusal(own, filterable="x")[0]


def test_one_schema_holds_all_of_them() -> None:
    provisioning = TenantProvisioning()
    provisioning.tenant_fields(schema(x=fields.String()))
    with pytest.raises(ConfigurationError, match="was called already"):
        provisioning.tenant_fields(schema(y=fields.String()))
