"""Settings that a host can declare, and stored values whose declaration changes or goes."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, ValidationError, fields, post_load, validates_schema
from marshmallow.validate import OneOf, Range

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.config import ConfigurationError
from tests.support import tenant_settings
from tests.support.assertions import assert_problem
from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.hosts import make_config
from tests.support.tenant_settings import (
    DEFAULTS,
    MASK,
    NAMESPACES,
    LookSettings,
    MailSettings,
    MakeHost,
    patch_settings,
    read_settings,
    settings_path,
)


def schema(**declared: Any) -> type[Schema]:
    """A schema with these fields."""
    return Schema.from_dict(declared, name="Declared")


def declare(provisioning: TenantProvisioning) -> None:
    """Declare every namespace."""
    for name, schema in NAMESPACES.items():
        provisioning.settings(name, schema)


SECRET = {"secret": True}
TEXT = fields.String()
NAME = "A namespace's name is 1 to 63 letters, digits and _, beginning with a letter, not "
KEY = "is not a valid key: use 1 to 63 letters, digits, _ and -, beginning with a letter."


@pytest.mark.parametrize(
    ("name", "declared", "message"),
    [
        ("", schema(a=TEXT), f"{NAME}''."),
        ("a.b", schema(a=TEXT), f"{NAME}'a.b'."),
        ("1a", schema(a=TEXT), f"{NAME}'1a'."),
        (5, schema(a=TEXT), f"{NAME}5."),
        ("mail", schema(a=TEXT), "There is a namespace named 'mail' already."),
        ("new", Schema(), "settings('new') needs a marshmallow Schema class, not <Schema(many=False)>."),
        ("new", dict, "settings('new') needs a marshmallow Schema class, not <class 'dict'>."),
        ("new", schema(), "Declared: it declares no field."),
        ("new", schema(a=fields.String(data_key="a.b")), f"Declared: 'a.b' {KEY}"),
        ("new", schema(a=fields.String(data_key="")), f"Declared: '' {KEY}"),
        ("new", schema(a=fields.String(dump_only=True)), "Declared: 'a' is dump_only, so it could never be set."),
        ("new", schema(a=fields.Decimal()), "Declared: 'a' does not serialise to JSON: give it as_string=True."),
        (
            "new",
            schema(a=fields.String(metadata={"secret": "yes"})),
            "Declared: 'a' has metadata 'secret' that is neither True nor False.",
        ),
        (
            "new",
            schema(a=fields.Raw(load_default=object)),
            "Declared: the default of 'a' does not serialise to JSON.",
        ),
        (
            "new",
            schema(a=fields.Float(load_default=float("nan"), allow_nan=True)),
            "Declared: the default of 'a' does not serialise to JSON.",
        ),
        (
            "new",
            schema(a=fields.Integer(load_default=0, validate=Range(min=1))),
            "Declared refuses its own defaults: {'a': ['Must be greater than or equal to 1.']}.",
        ),
        (
            "new",
            schema(a=fields.String(load_default="hunter22", validate=OneOf(["hunter23"]), metadata=SECRET)),
            "Declared refuses its own defaults: {'a': ['Not valid.']}.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invalid_namespace_is_refused_at_registration(name: Any, declared: Any, message: str) -> None:
    provisioning = TenantProvisioning()
    provisioning.settings("mail", MailSettings)
    with pytest.raises(ConfigurationError) as refusal:
        provisioning.settings(name, declared)
    assert str(refusal.value) == message
    assert [*provisioning.registry.namespaces] == ["mail"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mail": {"colour": 1}}, "The plan 'pro' cannot set 'mail': there is no key 'colour'."),
        (
            {"mail": {"daily": 0}},
            "The plan 'pro' cannot set 'mail': {'daily': ['Must be greater than or equal to 1.']}.",
        ),
        ({"mail": {"password": "abc"}}, "The plan 'pro' cannot set 'mail': {'password': ['Not valid.']}."),
        ({"free": {"a": {1, 2}}}, "The plan 'pro' cannot set 'free': its values must be JSON."),
    ],
    ids=str,
)
@pytest.mark.parametrize("plan_first", [True, False])
def test_plan_with_invalid_settings_is_refused(settings: Any, message: str, plan_first: bool) -> None:
    provisioning = TenantProvisioning()
    steps: list[Callable[[], None]] = [
        lambda: declare(provisioning),
        lambda: provisioning.plan("pro", settings=settings),
    ]
    first, second = reversed(steps) if plan_first else steps
    first()
    with pytest.raises(ConfigurationError) as refusal:
        second()
    assert str(refusal.value) == message
    assert provisioning.registry.plans.keys() == ({"pro"} if plan_first else set())


def test_a_plan_that_sets_an_unknown_namespace_stops_the_start(database_url: str) -> None:
    provisioning = TenantProvisioning()
    provisioning.plan("pro", settings={"mail": {"daily": 5}})
    app = Flask("host")
    app.config.update(make_config())
    with pytest.raises(ConfigurationError) as refusal:
        provisioning.init_app(app, database_url)
    assert str(refusal.value) == (
        "The plan 'pro' sets 'mail', and there is no such namespace: register provisioning.settings('mail', …) first."
    )
    provisioning.settings("mail", MailSettings)
    provisioning.init_app(app, database_url)
    get_storage(app).engine.dispose()


@pytest.mark.parametrize("plan_first", [True, False])
def test_hooks_without_dependencies_run_in_any_order(database_url: str, plan_first: bool) -> None:
    app = tenant_settings.make_host(database_url, {})
    provisioning = tenant_settings.get_extension(app)
    partner = Caller(app)
    if plan_first:
        provisioning.plan("gold", settings={"mail": {"daily": 5}})
    provisioning.settings("mail", MailSettings)
    if not plan_first:
        provisioning.plan("gold", settings={"mail": {"daily": 5}})
    tenant = partner.create(plan="gold")
    assert read_settings(partner, tenant)["effective"] == {"mail": {**DEFAULTS["mail"], "daily": 5}}
    get_storage(app).engine.dispose()


def test_defaults_and_plans_are_shown_as_the_schema_writes_them(database_url: str) -> None:
    declared = schema(
        price=fields.Decimal(as_string=True, load_default=decimal.Decimal("1.5")),
        tags=fields.List(fields.String(), load_default=lambda: ["a"]),
        key=fields.String(load_default="hunter22", load_only=True, metadata=SECRET),
        count=fields.Integer(),
    )
    app = tenant_settings.make_host(database_url, {"new": declared})
    tenant_settings.get_extension(app).plan("gold", settings={"new": {"count": "5"}})
    partner = Caller(app)
    tenant = partner.create(plan="gold")
    document = read_settings(partner, tenant)
    assert document["effective"] == {"new": {"price": "1.5", "tags": ["a"], "key": MASK, "count": 5}}
    with app.app_context():
        mine = tenant_settings.get_extension(app).settings_for(tenant["tenant"]).new
    assert mine == {"price": decimal.Decimal("1.5"), "tags": ("a",), "key": "hunter22", "count": 5}
    get_storage(app).engine.dispose()


def test_keys_are_optional_but_required_nested_fields_are_not(database_url: str) -> None:
    class Inner(Schema):
        city = fields.String(required=True)

    app = tenant_settings.make_host(
        database_url, {"new": schema(name=fields.String(required=True), where=fields.Nested(Inner))}
    )
    partner = Caller(app)
    tenant = partner.create()
    response = partner("PATCH", settings_path(tenant), json={"new": {"where": {}}})
    assert [error["pointer"] for error in response.get_json()["errors"]] == ["#/new/where/city"]
    assert patch_settings(partner, settings_path(tenant), {"new": {"where": {"city": "Faro"}}})["version"] == 1
    get_storage(app).engine.dispose()


# What changes, and what goes.


@pytest.fixture
def make(database_url: str) -> Iterator[MakeHost]:
    """Makes hosts with settings on one database."""
    with tenant_settings.open_hosts(database_url) as make:
        yield make


def test_write_loads_a_namespace_that_it_leaves_alone_once(make: MakeHost) -> None:
    loads: list[str] = []

    class Counted(Schema):
        value = fields.String()

        @post_load
        def count_load(self, data: dict[str, Any], **_options: Any) -> dict[str, Any]:
            loads.append(type(self).__name__)
            return data

    partner = Caller(make({"changed": type("Changed", (Counted,), {}), "same": type("Same", (Counted,), {})}))
    path = settings_path(partner.create())
    patch_settings(partner, path, {"changed": {"value": "1"}, "same": {"value": "2"}})
    loads.clear()
    document = patch_settings(partner, path, {"changed": {"value": "3"}})
    assert document["effective"] == {"changed": {"value": "3"}, "same": {"value": "2"}}
    assert loads.count("Same") == 1
    assert loads.count("Changed") == 4


class Narrow(Schema):
    """The remaining keys of `MailSettings`, with stricter rules."""

    daily = fields.Integer(strict=True, load_default=3, validate=Range(max=5))
    note = fields.String()


FIRST: dict[str, dict[str, Any]] = {
    "mail": {"from": "a@example.com", "daily": 50, "password": "hunter22", "note": "x"},
    "look": {"colour": "red"},
}


@pytest.fixture
def tenant(make: MakeHost) -> dict[str, Any]:
    """A tenant that has set much of what a host declares."""
    app = make(NAMESPACES)
    partner, admin = Caller(app, "acme"), Caller(app, roles=["provisioning-admin"])
    new_tenant = partner.create()
    patch_settings(admin, "/partners/acme/settings", {"look": {"low": 1, "key": {"a": "hunter23"}}})
    patch_settings(partner, settings_path(new_tenant), FIRST)
    return new_tenant


def test_a_namespace_that_goes_is_kept_and_comes_back(make: MakeHost, tenant: dict[str, Any]) -> None:
    whole = read_settings(Caller(make(NAMESPACES), "acme"), tenant)
    less = Caller(make({"look": LookSettings}), "acme")
    document = read_settings(less, tenant)
    assert document == {
        "version": 1,
        "effective": {"look": whole["effective"]["look"]},
        "explicit": {"look": {"colour": "red"}},
        "sources": {name: source for name, source in whole["sources"].items() if name.startswith("look")},
    }
    assert less("GET", f"{settings_path(tenant)}/history").get_json()["items"][0]["changes"] == {
        "look.colour": {"previous": None, "new": "red"}
    }
    refusal = less("PATCH", settings_path(tenant), json={"mail": None}).get_json()
    assert (refusal["code"], refusal["errors"][0]["pointer"]) == ("validation-error", "#/mail")
    patch_settings(less, settings_path(tenant), {"look": {"colour": "green"}})
    assert less("PUT", settings_path(tenant), json={}).get_json()["explicit"] == {}
    assert (
        less("POST", f"{settings_path(tenant)}/rollback", json={"version": 1}).get_json()["explicit"]
        == document["explicit"]
    )
    again = make(NAMESPACES)
    assert read_settings(Caller(again, "acme"), tenant) == {**whole, "version": 4}
    with again.app_context():
        assert tenant_settings.get_extension(again).settings_for(tenant["tenant"]).mail.password == "hunter22"


def test_undeclared_settings_are_hidden_and_kept(make: MakeHost, tenant: dict[str, Any]) -> None:
    none = Caller(make({}), "acme")
    assert read_settings(none, tenant) == {"version": 1, "effective": {}, "explicit": {}, "sources": {}}
    for method in ("PUT", "PATCH"):
        assert none(method, settings_path(tenant), json={}).get_json()["version"] == 1
    assert read_settings(Caller(make(NAMESPACES), "acme"), tenant)["explicit"]["mail"] == {
        **FIRST["mail"],
        "password": MASK,
    }


def test_a_value_that_is_not_valid_any_more_gives_way(
    make: MakeHost, tenant: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    app = make({"mail": Narrow})
    partner = Caller(app, "acme")
    expected = {
        "version": 1,
        "effective": {"mail": {"daily": 3, "note": "x"}},
        "explicit": {"mail": {"note": "x"}},
        "sources": {"mail.daily": "default", "mail.note": "tenant"},
    }
    for _ in range(2):
        assert read_settings(partner, tenant) == expected
    with app.app_context():
        assert tenant_settings.get_extension(app).settings_for(tenant["tenant"]).mail.daily == 3
    (record,) = [record for record in caplog.records if "is not valid" in record.getMessage()]
    assert record.getMessage() == (
        f"settings of the tenant {tenant['tenant']}: mail.daily, set by the tenant, is not valid and is ignored"
    )
    patch_settings(partner, settings_path(tenant), {"mail": {"note": "y"}})
    assert read_settings(Caller(make(NAMESPACES), "acme"), tenant)["explicit"]["mail"]["daily"] == 50
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": 4}})
    assert read_settings(partner, tenant)["effective"] == {"mail": {"daily": 4, "note": "y"}}


def test_values_that_are_not_valid_together_give_way_from_the_top(make: MakeHost, tenant: dict[str, Any]) -> None:
    class Strict(LookSettings):
        @validates_schema
        def check_colour(self, data: dict[str, Any], **_options: Any) -> None:
            if data["colour"] == "red" and "low" in data:
                raise ValidationError("No red where there is a lowest.")

    partner = Caller(make({"look": Strict}), "acme")
    document = read_settings(partner, tenant)
    assert document["effective"] == {"look": {"colour": "blue", "low": 1, "key": MASK}}
    assert document["explicit"] == {}


def test_rollback_to_an_invalid_version_is_refused(make: MakeHost, tenant: dict[str, Any]) -> None:
    app = make({"mail": Narrow})
    partner = Caller(app, "acme")
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": 4}})
    assert_problem(
        partner("POST", f"{settings_path(tenant)}/rollback", json={"version": 1}, headers={"Idempotency-Key": "k"}),
        409,
        "settings-outdated",
        "The settings of version 1 are no longer valid.",
        errors=[
            {"pointer": "#/mail/daily", "code": "invalid-field", "detail": "Must be less than or equal to 5."}
        ],
    )  # fmt: skip
    assert [row["version"] for row in fetch_rows(app, "settings_history", tenant_id=tenant["tenant"])] == [1, 2]
