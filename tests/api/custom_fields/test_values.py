"""Fields of the host's own: validated beside ours, kept as JSON, shown, patched, in events and in hooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields, post_load, pre_load
from marshmallow.validate import Length

from flask_tenant_provisioning import TenantProvisioning
from tests.support import custom_fields
from tests.support.assertions import assert_invalid_fields, assert_problem
from tests.support.callers import EXAMPLE, Caller, tenant_path
from tests.support.commands import run_command
from tests.support.custom_fields import NAMES, NO_VALUES
from tests.support.database.rows import fetch_all_rows, fetch_rows, get_storage
from tests.support.events import fetch_tenant_events
from tests.support.hosts import make_config
from tests.support.servers import run_concurrently

REQUIRED = "Missing data for required field."
NULL = "Field may not be null."


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    import sqlalchemy

    from tests.support.database import postgresql

    if database == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('own')}/x.sqlite3"
    else:
        server = sqlalchemy.make_url(request.getfixturevalue("postgresql_url"))
        url = postgresql.create_schema(server).render_as_string(hide_password=False)
    new_app = custom_fields.make_host(url)
    yield new_app
    get_storage(new_app).engine.dispose()


@pytest.fixture
def make(database_url: str) -> Iterator[Callable[..., Flask]]:
    """Makes hosts whose tenants have other fields, on one database."""
    apps: list[Flask] = []

    def make(*arguments: Any, **options: Any) -> Flask:
        apps.append(custom_fields.make_host(database_url, *arguments, **options))
        return apps[-1]

    yield make
    for app in apps:
        get_storage(app).engine.dispose()


def custom_values(tenant: dict[str, Any]) -> dict[str, Any]:
    """The host's fields of a tenant, those that are null left out."""
    return {name: tenant[name] for name in NAMES if tenant[name] is not None}


def patch(partner: Caller, tenant: dict[str, Any], **changes: Any) -> dict[str, Any]:
    response = partner("PATCH", tenant_path(tenant), json=changes)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.get_json()
    return document


def read_stored(partner: Caller, tenant: dict[str, Any]) -> Any:
    """Return the stored value of the column."""
    text = fetch_rows(partner.app, "tenants", id=tenant["tenant"])[0]["fields"]
    return text and json.loads(text)


def test_custom_fields_follow_the_built_in_ones(partner: Caller) -> None:
    sent = {
        "region": "eu",
        "trial": True,
        "renewal": "2026-02-01",
        "costCenter": "R&D",
        "address": {"city": "Évora"},
        "contacts": [{"city": "Faro", "zip": "8000"}],
        "limits": {"cpu": 4},
        "score": 1.5,
        "extra": [{"deep": [1, 2.5, None, "ü"]}],
    }
    tenant = partner.create(**sent)
    assert list(tenant)[-len(NAMES) :] == list(NAMES)
    assert custom_values(tenant) == {**sent, "seats": 1, "badge": "eu/1"}
    assert partner("GET", tenant_path(tenant)).get_json() == tenant
    assert partner("GET", "/tenants").get_json()["items"] == [tenant]


def test_absent_field_is_null(partner: Caller) -> None:
    tenant = partner.create(region="us")
    assert {name: tenant[name] for name in NAMES} == {**NO_VALUES, "region": "us", "seats": 1, "badge": "us/1"}
    assert read_stored(partner, tenant) == {"region": "us", "seats": 1, "badge": "us/1"}


def test_errors_of_built_in_and_custom_fields_are_reported_together(partner: Caller) -> None:
    response = partner(
        "POST",
        "/tenants",
        json={
            "client_name": "",
            "email": "nobody",
            "region": "mars",
            "seats": "many",
            "renewal": "tomorrow",
            "costCenter": 7,
            "address": {"zip": "123456", "moon": 1},
            "contacts": [{"city": "Faro"}, {"city": 1}, 7],
            "limits": {"cpu": "x", "disk": 1, "a/b~c": 2},
            "badge": "gold",
            "tenant": "x",
            "surprise": 1,
        },
    )
    wrong = "invalid-field"
    assert_invalid_fields(
        response,
        ("#/address/city", wrong, REQUIRED),
        ("#/address/moon", wrong, "Unknown field."),
        ("#/address/zip", wrong, "Longer than maximum length 5."),
        ("#/badge", "read-only", "This field is set by the server."),
        ("#/client_name", "invalid-length", "Must have 1 to 255 characters."),
        ("#/contacts/1/city", wrong, "Not a valid string."),
        ("#/contacts/2", wrong, "Invalid input type."),
        ("#/costCenter", wrong, "Not a valid string."),
        ("#/email", "invalid-email", "Invalid email address."),
        ("#/limits/a~1b~0c", wrong, "Longer than maximum length 3."),
        ("#/limits/cpu", wrong, "Not a valid integer."),
        ("#/limits/disk", wrong, "Longer than maximum length 3."),
        ("#/region", wrong, "Must be one of: eu, us."),
        ("#/renewal", wrong, "Not a valid date."),
        ("#/seats", wrong, "Not a valid integer."),
        ("#/surprise", "unknown-field", "There is no such field."),
        ("#/tenant", "read-only", "This field is set by the server."),
    )


@pytest.mark.parametrize("body", [[], 7, "x", None])
def test_non_object_body_is_refused(partner: Caller, body: Any) -> None:
    response = partner("POST", "/tenants", data=json.dumps(body), content_type="application/json")
    assert_invalid_fields(response, ("#", "invalid-type", "Must be an object."))


def test_rules_between_fields_are_the_hosts(partner: Caller) -> None:
    response = partner("POST", "/tenants", json={**EXAMPLE, "region": "eu", "first": 2, "last": 1})
    assert_invalid_fields(response, ("#/last", "invalid-field", "Must not end before it begins."))
    response = partner("POST", "/tenants", json={**EXAMPLE, "region": "eu", "seats": 13})
    assert_invalid_fields(response, ("#", "invalid-field", "Thirteen is not sold."))


@pytest.mark.parametrize("method", ["POST", "PUT", "upsert"])
def test_a_required_field_is_required_of_a_whole_tenant(partner: Caller, method: str) -> None:
    tenant = partner.create(region="eu", external_id="7")
    path = {"POST": "/tenants", "PUT": tenant_path(tenant), "upsert": "/tenants/by-external-id/7"}[method]
    response = partner(method if method == "POST" else "PUT", path, json={**EXAMPLE, "email": "nobody"})
    assert_invalid_fields(
        response, ("#/email", "invalid-email", "Invalid email address."), ("#/region", "invalid-field", REQUIRED)
    )


def test_put_replaces_all_custom_fields(partner: Caller) -> None:
    tenant = partner.create(region="eu", seats=7, limits={"cpu": 1})
    response = partner("PUT", tenant_path(tenant), json={**EXAMPLE, "region": "us"})
    assert custom_values(response.get_json()) == {"region": "us", "seats": 1, "badge": "us/1"}
    assert response.get_json()["version"] == 2


def test_the_same_values_change_nothing(partner: Caller) -> None:
    sent = {"region": "eu", "score": 1e20, "limits": {"b": 1, "a": 2}, "external_id": "7", "trial": None, **EXAMPLE}
    tenant = partner.create(**sent)
    again = {**sent, "limits": {"a": 2, "b": 1}}
    assert partner("PUT", tenant_path(tenant), json=again).get_json() == tenant
    assert partner("PUT", "/tenants/by-external-id/7", json=again).get_json() == tenant
    assert patch(partner, tenant, region="eu", limits={"a": 2}) == tenant
    assert [kind for kind, _, _ in fetch_tenant_events(partner, tenant)] == ["tenant.created"]


def test_a_flag_is_no_number(partner: Caller) -> None:
    tenant = partner.create(region="eu", extra=1)
    assert patch(partner, tenant, extra=True)["extra"] is True
    assert fetch_tenant_events(partner, tenant)[1][2] == {"extra": {"previous": 1, "new": True}}


def test_an_upsert_creates_and_replaces(partner: Caller) -> None:
    created = partner("PUT", "/tenants/by-external-id/7", json={**EXAMPLE, "region": "eu"})
    assert (created.status_code, custom_values(created.get_json())) == (
        201,
        {"region": "eu", "seats": 1, "badge": "eu/1"},
    )
    again = partner("PUT", "/tenants/by-external-id/7", json={**EXAMPLE, "region": "us", "seats": 2})
    assert (again.status_code, custom_values(again.get_json())) == (200, {"region": "us", "seats": 2, "badge": "us/2"})


def test_patch_merges_objects_and_removes_null_members(partner: Caller) -> None:
    tenant = partner.create(
        region="eu", seats=5, trial=True, address={"city": "Faro", "zip": "1"}, limits={"a": 1, "b": 2}
    )
    changed = patch(
        partner,
        tenant,
        industry="Mining",
        trial=None,
        address={"zip": None},
        limits={"a": None, "c": 3},
        contacts=[{"city": "Lagos"}],
    )
    assert custom_values(changed) == {
        "region": "eu",
        "seats": 5,
        "address": {"city": "Faro"},
        "limits": {"b": 2, "c": 3},
        "contacts": [{"city": "Lagos"}],
        "badge": "eu/5",
    }
    assert changed["industry"] == "Mining"


def test_removed_field_gets_the_value_of_a_new_tenant(partner: Caller) -> None:
    tenant = partner.create(region="eu", seats=5, renewal="2026-01-01")
    assert custom_values(patch(partner, tenant, seats=None, renewal=None)) == {
        "region": "eu",
        "seats": 1,
        "badge": "eu/1",
    }


def test_patch_with_an_invalid_result_returns_400(partner: Caller) -> None:
    tenant = partner.create(region="eu", first=5, address={"city": "Faro"})
    response = partner(
        "PATCH",
        tenant_path(tenant),
        json={"region": None, "address": {"city": None}, "client_name": " ", "badge": "x", "seats": 0},
    )
    assert_invalid_fields(
        response,
        ("#/address/city", "invalid-field", REQUIRED),
        ("#/badge", "read-only", "This field is set by the server."),
        ("#/client_name", "invalid-length", "Must have 1 to 255 characters."),
        ("#/region", "invalid-field", REQUIRED),
        ("#/seats", "invalid-field", "Must be greater than or equal to 1."),
    )
    response = partner("PATCH", tenant_path(tenant), json={"last": 1})
    assert_invalid_fields(response, ("#/last", "invalid-field", "Must not end before it begins."))
    assert partner("GET", tenant_path(tenant)).get_json() == tenant


def test_patch_of_built_in_fields_keeps_custom_fields(partner: Caller) -> None:
    tenant = partner.create(region="eu", seats=5)
    assert custom_values(patch(partner, tenant, plan="gold")) == custom_values(tenant)


def test_events_contain_custom_fields_and_their_changes(partner: Caller) -> None:
    tenant = partner.create(region="eu", limits={"a": 1})
    changed = patch(partner, tenant, limits={"a": 2}, seats=2)
    (_, first, none), (kind, data, changes) = fetch_tenant_events(partner, tenant)
    assert (first, none) == (tenant, None)
    assert (kind, data) == ("tenant.updated", changed)
    assert changes == {
        "seats": {"previous": 1, "new": 2},
        "limits": {"previous": {"a": 1}, "new": {"a": 2}},
        "badge": {"previous": "eu/1", "new": "eu/2"},
    }


def test_every_transition_keeps_custom_fields(partner: Caller) -> None:
    tenant = partner.create(region="eu", seats=3)
    for method, path in (("POST", "/suspend"), ("POST", "/reactivate"), ("DELETE", ""), ("POST", "/restore")):
        response = partner(method, tenant_path(tenant) + path)
        assert (response.status_code, custom_values(response.get_json())) == (200, custom_values(tenant))


def test_a_repeated_request_is_answered_the_same(partner: Caller) -> None:
    body, key = {**EXAMPLE, "region": "eu"}, {"Idempotency-Key": "one"}
    first, again = (partner("POST", "/tenants", json=body, headers=key) for _ in "ab")
    assert (first.status_code, again.get_json()) == (201, first.get_json())
    assert partner("POST", "/tenants", json={**body, "region": "us"}, headers=key).status_code == 422


def test_dry_run_validates_custom_fields_and_leaves_nothing(partner: Caller) -> None:
    path = "/tenants?validate_only=true"
    assert partner("POST", path, json={**EXAMPLE, "region": "eu"}).get_json()["region"] == "eu"
    assert partner("POST", path, json=EXAMPLE).status_code == 400
    tenant = partner.create(region="eu")
    assert partner("PATCH", f"{tenant_path(tenant)}?validate_only=true", json={"seats": 9}).get_json()["seats"] == 9
    assert partner("GET", tenant_path(tenant)).get_json() == tenant


def test_patches_at_once_lose_nothing(app: Flask, partner: Caller) -> None:
    tenant = partner.create(region="eu")

    def write(number: int) -> int:
        body = {"limits": {f"n{number}": number}}
        return Caller(app, partner.partner)("PATCH", tenant_path(tenant), json=body).status_code

    assert run_concurrently(10, write) == [200] * 10
    document = partner("GET", tenant_path(tenant)).get_json()
    assert (document["limits"], document["version"]) == ({f"n{number}": number for number in range(10)}, 11)


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ({"score": "nan"}, "NaN is not JSON."),
        ({"score": "1e999"}, "Infinity is not JSON."),
        ({"costCenter": "x" * 101}, "Must be a string of at most 100 characters, an integer or a boolean."),
    ],
)
def test_unstorable_value_is_refused(partner: Caller, sent: dict[str, Any], detail: str) -> None:
    response = partner("POST", "/tenants", json={**EXAMPLE, "region": "eu", **sent})
    assert_invalid_fields(response, (f"#/{next(iter(sent))}", "invalid-field", detail))


def test_hostile_text_is_refused_before_validation(partner: Caller) -> None:
    for text in ('"\\u0000"', '"\\ud800"', "NaN", "[" * 40 + "]" * 40, '{"a":1,"a":2}', "1" * 30):
        data = f'{{"client_name": "A", "email": "a@example.com", "region": "eu", "extra": {text}}}'
        response = partner("POST", "/tenants", data=data, content_type="application/json")
        assert (response.status_code, response.get_json()["code"]) == (400, "malformed-json")


def test_sixteen_kib_of_json_are_kept_and_no_more(partner: Caller) -> None:
    room = 16 * 1024 - len('{"region":"eu","seats":1,"extra":"","badge":"eu/1"}')
    tenant = partner.create(region="eu", extra="x" * room)
    assert partner("GET", tenant_path(tenant)).get_json()["extra"] == "x" * room
    detail = "The custom fields must not exceed 16384 bytes of JSON."
    for extra in ("x" * (room + 1), "é" * (room // 2 + 1), {"a": {"b": ["x" * 16_384]}}):
        response = partner("POST", "/tenants", json={**EXAMPLE, "region": "eu", "extra": extra})
        assert_invalid_fields(response, ("#", "too-large", detail))
    assert_invalid_fields(partner("PATCH", tenant_path(tenant), json={"limits": {"a": 1}}), ("#", "too-large", detail))


def test_hooks_see_them_before_and_after(database_url: str) -> None:
    app, provisioning, seen = Flask("host"), TenantProvisioning(), []
    app.config.update(make_config())
    provisioning.tenant_fields(custom_fields.BillingSchema)
    provisioning.init_app(app, database_url)

    @provisioning.hook("tenant.create", "tenant.update")
    def look(tenant: dict[str, Any], before: dict[str, Any] | None) -> None:
        seen.append((before and custom_values(before), custom_values(tenant)))

    partner = Caller(app)
    tenant = partner.create(region="eu")
    changed = patch(partner, tenant, seats=4)
    assert seen == [(None, custom_values(tenant)), (custom_values(tenant), custom_values(changed))]
    get_storage(app).engine.dispose()


class Later(Schema):
    """The fields of a later release of the host: one less, and one more."""

    region = fields.String(required=True)
    tier = fields.String(required=True)


def test_a_field_that_the_host_gives_up_loses_nothing_and_breaks_no_read(make: Callable[..., Flask]) -> None:
    partner = Caller(make())
    tenant = partner.create(region="eu", seats=7, limits={"a": 1})
    later = Caller(make(Later, filterable=()), partner.partner)
    document = later("GET", tenant_path(tenant)).get_json()
    assert [document[name] for name in ("region", "tier")] == ["eu", None]
    assert "seats" not in document
    assert_invalid_fields(
        later("PATCH", tenant_path(tenant), json={"seats": 8}), ("#/seats", "unknown-field", "There is no such field.")
    )
    assert patch(later, tenant, region="us")["region"] == "us"
    replaced = later("PUT", tenant_path(tenant), json={**EXAMPLE, "region": "us", "tier": "gold"}).get_json()
    assert (replaced["tier"], read_stored(later, tenant)["seats"]) == ("gold", 7)

    none = Caller(make(None), partner.partner)
    assert none("GET", tenant_path(tenant)).get_json().keys() == set(replaced) - {"region", "tier"}
    assert none("PUT", tenant_path(tenant), json={**EXAMPLE, "plan": "pro"}).status_code == 200
    assert [data for _, data, _ in fetch_tenant_events(none, tenant)][-1].get("region") is None
    assert none("DELETE", tenant_path(tenant)).status_code == 200
    assert none("POST", f"{tenant_path(tenant)}/restore").status_code == 200

    back = Caller(make(), partner.partner)("GET", tenant_path(tenant)).get_json()
    assert custom_values(back) == {"region": "us", "seats": 7, "limits": {"a": 1}, "badge": "eu/7"}


def test_tenants_of_before_get_fields_that_are_null(make: Callable[..., Flask]) -> None:
    before = Caller(make(None))
    tenant = before.create()
    assert read_stored(before, tenant) is None
    partner = Caller(make(), before.partner)
    assert custom_values(partner("GET", tenant_path(tenant)).get_json()) == {}
    assert partner("GET", "/tenants").get_json()["items"] == [{**tenant, **NO_VALUES}]
    assert custom_values(patch(partner, tenant, limits={"a": 1})) == {"limits": {"a": 1}, "badge": "None/None"}
    assert_invalid_fields(
        partner("PATCH", tenant_path(tenant), json={"region": None}), ("#/region", "invalid-field", REQUIRED)
    )
    assert partner("POST", f"{tenant_path(tenant)}/suspend").status_code == 200


class UpperCaseSchema(Schema):
    """A schema that makes something else of what was sent."""

    name_of_ship = fields.String(validate=Length(max=9))
    tags = fields.List(fields.String())

    @pre_load
    def shout(self, data: dict[str, Any], **_options: Any) -> dict[str, Any]:
        return {key: value.upper() if isinstance(value, str) else value for key, value in data.items()}

    @post_load
    def make(self, data: dict[str, Any], **_options: Any) -> Any:
        return type("Ship", (), {**data, "tags": tuple(data.get("tags", ()))})()


def test_value_is_stored_as_the_schema_dumps_it(make: Callable[..., Flask]) -> None:
    partner = Caller(make(UpperCaseSchema, filterable=()))
    tenant = partner.create(name_of_ship="vega", tags=["a"])
    assert (tenant["name_of_ship"], tenant["tags"]) == ("VEGA", ["a"])
    assert patch(partner, tenant, name_of_ship="lyra")["name_of_ship"] == "LYRA"
    assert_invalid_fields(
        partner("PATCH", tenant_path(tenant), json={"name_of_ship": "altair & deneb"}),
        ("#/name_of_ship", "invalid-field", "Longer than maximum length 9."),
    )


class Odd(Schema):
    """Fields that dump what is no JSON."""

    odd = fields.Function(lambda note: {"set": set(), "deep": _deep()}.get(note["kind"]))
    kind = fields.String(required=True)


def _deep() -> Any:
    nested: Any = []
    for _ in range(40):
        nested = [nested]
    return nested


def test_non_json_dump_is_refused(make: Callable[..., Flask]) -> None:
    partner = Caller(make(Odd, filterable=()))
    for kind, detail in (
        ("set", "Does not serialise to JSON."),
        ("deep", "The JSON is nested deeper than 32 levels."),
    ):
        response = partner("POST", "/tenants", json={**EXAMPLE, "kind": kind})
        assert_invalid_fields(response, ("#/odd", "invalid-field", detail))


def test_another_partners_tenant_returns_404_for_any_body(app: Flask, partner: Caller) -> None:
    tenant = partner.create(region="eu")
    response = Caller(app)("PATCH", tenant_path(tenant), json={"seats": "many"})
    assert_problem(response, 404, "tenant-not-found", "Tenant not found.")


def test_stale_etag_returns_412_and_changes_nothing(partner: Caller) -> None:
    tenant = partner.create(region="eu")
    response = partner("PATCH", tenant_path(tenant), json={"seats": 3}, headers={"If-Match": '"9"'})
    assert (response.status_code, partner("GET", tenant_path(tenant)).get_json()) == (412, tenant)


def test_command_line_sets_patches_and_shows_custom_fields(make: Callable[..., Flask]) -> None:
    app = make()
    new = ("tenants", "create", "--json", "--partner", "acme", "--client-name", "A", "--email", "a@example.com")
    result = run_command(app, *new, *_set("region=eu", "seats=5", "costCenter=007", 'limits={"cpu": 2}', "trial=true"))
    assert result.status == 0, result.err
    tenant = json.loads(result.out)
    assert custom_values(tenant) == {
        "region": "eu",
        "seats": 5,
        "costCenter": "007",
        "limits": {"cpu": 2},
        "trial": True,
        "badge": "eu/5",
    }
    update = ("tenants", "update", tenant["tenant"])
    result = run_command(app, *update, "--json", *_set('limits={"mem": 1}', "costCenter=7"), "--unset", "trial")
    assert custom_values(json.loads(result.out)) == {
        "region": "eu",
        "seats": 5,
        "costCenter": "7",
        "limits": {"cpu": 2, "mem": 1},
        "badge": "eu/5",
    }
    assert "limits.mem" in run_command(app, "tenants", "show", tenant["tenant"]).out
    wrong = run_command(app, *update, *_set("seats=many", "region=mars"))
    assert (wrong.status, wrong.err.splitlines()[1:3]) == (
        1,
        ["  region: Must be one of: eu, us.", "  seats: Not a valid integer."],
    )
    strange = run_command(app, *update, *_set("moon=1"))
    assert strange.status == 2
    assert "'moon' is not one of the app's own fields; it has region, seats" in strange.err


def _set(*pairs: str) -> list[str]:
    return [word for pair in pairs for word in ("--set", pair)]


def test_without_fields_of_its_own_a_host_has_none_to_set(make: Callable[..., Flask]) -> None:
    app = make(None)
    result = run_command(app, "tenants", "list", "--where", "region=eu")
    assert result.status == 2
    assert "'region' is not one of the app's own fields; it has none." in result.err
    partner = Caller(app)
    refusal = ("#/region", "unknown-field", "There is no such field.")
    assert_invalid_fields(partner("POST", "/tenants", json={**EXAMPLE, "region": "eu"}), refusal)
    assert fetch_all_rows(app)["tenants"] == []
