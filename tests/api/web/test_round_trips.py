"""Every GET matches the document and is accepted by PUT, for every resource and every kind of field."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from marshmallow import Schema, fields, validate

from flask_tenant_provisioning import ConfigurationError
from tests.support import custom_fields, tenant_settings
from tests.support.callers import EXAMPLE, Caller
from tests.support.hosts import get_engine
from tests.support.openapi import DocumentedHost


class Colour(enum.Enum):
    """A choice."""

    red = 1
    blue = 2


class Inner(Schema):
    """A nested object."""

    city = fields.String(required=True)
    zip = fields.Integer(as_string=True, allow_none=True)
    since = fields.Date()
    price = fields.Decimal(as_string=True)


class Case(NamedTuple):
    """A field, and a value that clients send for it; `ABSENT` where they send none."""

    field: fields.Field[Any]
    sent: Any


ABSENT = object()
DAY, MOMENT = dt.date(2025, 1, 2), dt.datetime(2025, 1, 2, 10, 20, 30, tzinfo=dt.UTC)
CASES: dict[str, Case] = {
    "string": Case(fields.String(), "x"),
    "string_absent": Case(fields.String(), ABSENT),
    "string_null": Case(fields.String(allow_none=True), None),
    "string_default": Case(fields.String(load_default="d"), ABSENT),
    "string_length": Case(fields.String(validate=validate.Length(min=1, max=5)), "abc"),
    "string_pattern": Case(fields.String(validate=validate.Regexp(r"[a-z]+\Z")), "abc"),
    "string_choice": Case(fields.String(validate=validate.OneOf(["a", "b"])), "a"),
    "string_other": Case(fields.String(validate=validate.NoneOf(["x"])), "abc"),
    "string_letters": Case(fields.String(validate=validate.ContainsOnly("abc")), "aab"),
    "string_shown": Case(fields.String(dump_default="x"), ABSENT),
    "uuid": Case(fields.UUID(), "0193d5f0-0000-7000-8000-000000000000"),
    "uuid_default": Case(fields.UUID(load_default=uuid.UUID(int=1)), ABSENT),
    "integer": Case(fields.Integer(), 5),
    "integer_strict": Case(fields.Integer(strict=True), 5),
    "integer_choice": Case(fields.Integer(validate=validate.OneOf([1, 2]), allow_none=True), 1),
    "integer_equal": Case(fields.Integer(validate=validate.Equal(3)), 3),
    "integer_as_text": Case(fields.Integer(as_string=True), "5"),
    "integer_as_text_null": Case(fields.Integer(as_string=True, allow_none=True), None),
    "integer_as_text_range": Case(fields.Integer(as_string=True, validate=validate.Range(min=1, max=9)), "5"),
    "integer_as_text_default": Case(fields.Integer(as_string=True, load_default=7), ABSENT),
    "integer_as_text_choice": Case(fields.Integer(as_string=True, validate=validate.OneOf([1, 2])), "1"),
    "float": Case(fields.Float(), 1.5),
    "float_as_text": Case(fields.Float(as_string=True), "1.5"),
    "float_as_text_large": Case(fields.Float(as_string=True), "1e+300"),
    "decimal": Case(fields.Decimal(as_string=True), "1.50"),
    "decimal_places": Case(fields.Decimal(places=2, as_string=True), "1.5"),
    "decimal_large": Case(fields.Decimal(as_string=True), "1E+30"),
    "decimal_range": Case(
        fields.Decimal(as_string=True, validate=validate.Range(min=decimal.Decimal("0.5"), max_inclusive=False)), "1.5"
    ),
    "decimal_default": Case(fields.Decimal(as_string=True, load_default=decimal.Decimal("0.5")), ABSENT),
    "boolean": Case(fields.Boolean(), True),
    "boolean_default": Case(fields.Boolean(load_default=False), ABSENT),
    "date": Case(fields.Date(), "2025-01-02"),
    "date_format": Case(fields.Date(format="%d.%m.%Y"), "02.01.2025"),
    "date_range": Case(fields.Date(validate=validate.Range(min=DAY)), "2025-01-02"),
    "date_choice": Case(fields.Date(validate=validate.OneOf([DAY])), "2025-01-02"),
    "date_equal": Case(fields.Date(validate=validate.Equal(DAY)), "2025-01-02"),
    "date_default": Case(fields.Date(load_default=DAY), ABSENT),
    "date_default_made": Case(fields.Date(load_default=lambda: DAY), ABSENT),
    "date_example": Case(fields.Date(metadata={"example": DAY}), "2025-01-02"),
    "time": Case(fields.Time(), "10:20:30"),
    "time_format": Case(fields.Time(format="%H-%M"), "10-20"),
    "datetime": Case(fields.DateTime(), "2025-01-02T10:20:30"),
    "datetime_rfc": Case(fields.DateTime(format="rfc"), "Thu, 02 Jan 2025 10:20:30 -0000"),
    "datetime_timestamp": Case(fields.DateTime(format="timestamp"), 1735813230),
    "datetime_timestamp_ms": Case(fields.DateTime(format="timestamp_ms"), 1735813230000),
    "datetime_format": Case(fields.DateTime(format="%Y/%m/%d"), "2025/01/02"),
    "datetime_aware": Case(fields.AwareDateTime(default_timezone=dt.UTC), "2025-01-02T10:20:30+00:00"),
    "datetime_naive": Case(fields.NaiveDateTime(), "2025-01-02T10:20:30"),
    "datetime_range": Case(fields.AwareDateTime(validate=validate.Range(min=MOMENT)), "2025-01-02T10:20:30+00:00"),
    "timedelta": Case(fields.TimeDelta(), 5),
    "timedelta_default": Case(fields.TimeDelta(load_default=dt.timedelta(hours=1)), ABSENT),
    "timedelta_range": Case(fields.TimeDelta(validate=validate.Range(max=dt.timedelta(hours=1))), 5),
    "url": Case(fields.Url(), "https://example.com/a"),
    "mail": Case(fields.Email(), "a@example.com"),
    "ip": Case(fields.IP(), "192.0.2.1"),
    "ipv6": Case(fields.IPv6(), "2001:db8::1"),
    "ip_interface": Case(fields.IPInterface(), "192.0.2.1/24"),
    "enum": Case(fields.Enum(Colour), "red"),
    "enum_null": Case(fields.Enum(Colour, allow_none=True), None),
    "enum_default": Case(fields.Enum(Colour, load_default=Colour.blue), ABSENT),
    "enum_value": Case(fields.Enum(Colour, by_value=True), 1),
    "enum_value_as_text": Case(fields.Enum(Colour, by_value=fields.Integer(as_string=True)), "2"),
    "list": Case(fields.List(fields.Integer()), [1, 2]),
    "list_as_text": Case(fields.List(fields.Integer(as_string=True)), ["1", "2"]),
    "list_dates": Case(fields.List(fields.Date(), validate=validate.Length(max=3)), ["2025-01-02"]),
    "list_nulls": Case(fields.List(fields.String(allow_none=True)), ["a", None]),
    "list_choice": Case(fields.List(fields.String(), validate=validate.ContainsOnly(["a", "b"])), ["a"]),
    "list_choice_dates": Case(fields.List(fields.Date(), validate=validate.ContainsOnly([DAY])), ["2025-01-02"]),
    "list_default": Case(fields.List(fields.Date(), load_default=lambda: [DAY]), ABSENT),
    "tuple": Case(fields.Tuple((fields.Integer(), fields.String())), [1, "a"]),
    "dict": Case(fields.Dict(), {"a": [1, None]}),
    "dict_typed": Case(fields.Dict(fields.String(), fields.Decimal(as_string=True)), {"a": "1.5"}),
    "dict_nulls": Case(fields.Dict(fields.String(), fields.Integer(allow_none=True)), {"a": None}),
    "nested": Case(fields.Nested(Inner), {"city": "Faro", "zip": "5", "since": "2025-01-02", "price": "1.5"}),
    "nested_null": Case(fields.Nested(Inner, allow_none=True), None),
    "nested_many": Case(fields.Nested(Inner, many=True), [{"city": "Faro", "zip": None}]),
    "nested_only": Case(fields.Nested(Inner, only=("city",)), {"city": "Faro"}),
    "nested_without": Case(fields.Nested(Inner, exclude=("zip",)), {"city": "Faro"}),
    "nested_deep": Case(fields.Nested(Schema.from_dict({"i": fields.Nested(Inner)})), {"i": {"city": "x", "zip": "1"}}),
    "pluck": Case(fields.Pluck(Inner, "city"), "Faro"),
    "pluck_many": Case(fields.Pluck(Inner, "city", many=True), ["Faro"]),
    "constant": Case(fields.Constant("fixed"), "fixed"),
    "raw": Case(fields.Raw(), {"a": [1]}),
    "named": Case(fields.Integer(data_key="dataKey", as_string=True), "5"),
}
#: All of one kind: what a schema holds is described by itself, whatever stands beside it.
EVERY = type("Every", (Schema,), {name: case.field for name, case in CASES.items()})
pytestmark = [
    pytest.mark.one_database("a schema is the same on each"),
    pytest.mark.filterwarnings("ignore:Multiple schemas resolved to the name"),
]


def get_key(name: str) -> str:
    return CASES[name].field.data_key or name


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, Flask]]:
    """A host with fields of every kind, and one with such settings."""
    folder = tmp_path_factory.mktemp("round")
    new_apps = (
        custom_fields.make_host(f"sqlite:///{folder}/fields.sqlite3", EVERY, ()),
        tenant_settings.make_host(
            f"sqlite:///{folder}/settings.sqlite3", namespaces={**tenant_settings.NAMESPACES, "ns": EVERY}
        ),
    )
    yield new_apps
    for app in new_apps:
        get_engine(app).dispose()


@pytest.fixture(scope="module")
def documents(apps: tuple[Flask, Flask]) -> tuple[DocumentedHost, DocumentedHost]:
    return DocumentedHost(apps[0]), DocumentedHost(apps[1])


@pytest.mark.parametrize("name", CASES)
def test_an_own_field_is_shown_as_documented_and_taken_back(
    apps: tuple[Flask, Flask], documents: tuple[DocumentedHost, DocumentedHost], name: str
) -> None:
    partner, documented, sent = Caller(apps[0]), documents[0], CASES[name].sent
    body = {**EXAMPLE, **({} if sent is ABSENT else {get_key(name): sent})}
    created = partner("POST", "/tenants", json=body)
    assert created.status_code == 201, created.text
    shown = created.get_json()
    schema = documented.component("schemas", "TenantInput")
    assert documented.errors(schema, body) == []
    documented.require(created, "POST", "/tenants")
    back = {field: value for field, value in shown.items() if field in schema["properties"]}
    assert documented.errors(schema, back) == []
    response = partner("PUT", f"/tenants/{shown['tenant']}", json=back)
    assert (response.status_code, response.get_json()) == (200, shown)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.sent is not ABSENT])
def test_a_setting_is_shown_as_documented_and_taken_back(
    apps: tuple[Flask, Flask], documents: tuple[DocumentedHost, DocumentedHost], name: str
) -> None:
    partner, documented = Caller(apps[1]), documents[1]
    path = f"/tenants/{partner.create()['tenant']}/settings"
    body = {"ns": {get_key(name): CASES[name].sent}}
    changed = partner("PUT", path, json=body)
    assert changed.status_code == 200, changed.text
    shown = changed.get_json()
    documented.require(changed, "PUT", "/tenants/{tenant_id}/settings")
    assert documented.errors(documented.component("schemas", "ExplicitSettingsInput"), shown["explicit"]) == []
    schema = partner("GET", "/settings-schema").get_json()
    errors = Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(shown["explicit"])
    assert [error.message for error in errors] == []
    response = partner("PUT", path, json=shown["explicit"])
    assert (response.status_code, response.get_json()) == (200, shown)


ONE_WAY = {
    "a flag that takes neither": (fields.Boolean(truthy={"yes"}, falsy={"no"}), "shows true and false"),
    "a strict number as a text": (fields.Integer(strict=True, as_string=True), "shows a text"),
}


@pytest.mark.parametrize(("field", "why"), ONE_WAY.values(), ids=ONE_WAY)
def test_a_field_that_cannot_be_taken_back_is_refused_at_start(
    database_url: str, field: fields.Field[Any], why: str
) -> None:
    schema = type("OneWay", (Schema,), {"flag": field})
    with pytest.raises(ConfigurationError, match=f"'flag' {why}"):
        custom_fields.make_host(database_url, schema, ())
    with pytest.raises(ConfigurationError, match=f"'flag' {why}"):
        tenant_settings.make_host(database_url, namespaces={"ns": schema})


# Every resource that can be read and replaced.


Prepared = tuple[Caller, str, dict[str, str]]


def prepare_tenant(app: Flask) -> Prepared:
    partner = Caller(app)
    return partner, "/tenants/{tenant_id}", {"tenant_id": partner.create(metadata={"a": "b"}, plan="pro")["tenant"]}


def prepare_suspended_tenant(app: Flask) -> Prepared:
    partner, path, where = prepare_tenant(app)
    partner("POST", f"/tenants/{where['tenant_id']}/suspend", json={"reason": "unpaid"})
    return partner, path, where


def prepare_settings(app: Flask) -> Prepared:
    partner, _, where = prepare_tenant(app)
    tenant_settings.patch_settings(
        partner, f"/tenants/{where['tenant_id']}/settings", {"mail": {"password": "hunter22"}}
    )
    return partner, "/tenants/{tenant_id}/settings", where


def prepare_partner(app: Flask, **more: Any) -> Prepared:
    admin = Caller(app, roles=["provisioning-admin"])
    body = {"name": "Acme", "max_tenants": 5, **more}
    assert admin("PUT", f"/partners/{admin.partner}", json=body).status_code in (200, 201)
    return admin, "/partners/{partner_id}", {"partner_id": admin.partner}


def prepare_suspended_partner(app: Flask) -> Prepared:
    return prepare_partner(app, status="suspended", suspended_reason="unpaid", allowed_plans=["pro"])


def prepare_defaults(app: Flask) -> Prepared:
    admin, _, where = prepare_partner(app)
    tenant_settings.patch_settings(
        admin, f"/partners/{where['partner_id']}/settings", {"mail": {"daily": 5, "password": "hunter22"}}
    )
    return admin, "/partners/{partner_id}/settings", where


RESOURCES = (
    prepare_tenant,
    prepare_suspended_tenant,
    prepare_settings,
    prepare_partner,
    prepare_suspended_partner,
    prepare_defaults,
)


@pytest.mark.parametrize("prepare", RESOURCES)
def test_put_accepts_the_body_of_a_get(
    apps: tuple[Flask, Flask], documents: tuple[DocumentedHost, DocumentedHost], prepare: Callable[[Flask], Prepared]
) -> None:
    documented = documents[1]
    caller, template, where = prepare(apps[1])
    path = template.format(**where)
    before = caller("GET", path)
    documented.require(before, "GET", template)
    shown = before.get_json()
    back = shown.get("explicit", shown)
    (media_type,) = documented.operation("PUT", template)["requestBody"]["content"].values()
    if "explicit" not in shown:
        _, _, name = media_type["schema"]["$ref"].rpartition("/")
        schema_properties = documented.component("schemas", name)["properties"]
        back = {field: value for field, value in shown.items() if field in schema_properties}
    assert documented.errors(media_type["schema"], back) == []
    response = caller("PUT", path, json=back, headers={"If-Match": before.headers["ETag"]})
    assert (response.status_code, response.get_json()) == (200, shown)
    assert caller("GET", path).headers["ETag"] == before.headers["ETag"]


def test_every_resource_that_is_read_and_replaced_is_tried(
    apps: tuple[Flask, Flask], documents: tuple[DocumentedHost, DocumentedHost]
) -> None:
    pairs = {path for path, operations in documents[1].document["paths"].items() if {"get", "put"} <= operations.keys()}
    assert pairs == {prepare(apps[1])[1] for prepare in RESOURCES}
    assert all(re.fullmatch("(/[a-z{}_]+)+", path) for path in pairs)
