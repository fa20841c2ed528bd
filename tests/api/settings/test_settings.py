"""Settings of tenants over HTTP: what counts, what is set, and who set it when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields

from tests.support import tenant_settings
from tests.support.assertions import assert_invalid_fields, assert_problem
from tests.support.callers import Caller
from tests.support.database.rows import fetch_all_rows, fetch_rows, get_storage, open_host
from tests.support.events import read_feed
from tests.support.servers import run_concurrently
from tests.support.tenant_settings import (
    DEFAULTS,
    MASK,
    NOTHING_SET,
    SOURCES,
    expect_values,
    patch_settings,
    read_settings,
    settings_path,
)

NOBODY = "00000000-0000-7000-8000-000000000000"
GONE = "Tenant not found."


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """One host with settings for all tests of this module; partners keep them apart."""
    with open_host(request, database, make=tenant_settings.make_host) as new_app:
        yield new_app


@pytest.fixture
def admin(app: Flask) -> Caller:
    return Caller(app, roles=["provisioning-admin"])


@pytest.fixture
def tenant(partner: Caller) -> dict[str, Any]:
    return partner.create()


def defaults_path(partner: Caller) -> str:
    return f"/partners/{partner.partner}/settings"


# What counts.


def test_defaults_apply_without_values(partner: Caller, tenant: dict[str, Any]) -> None:
    assert read_settings(partner, tenant) == NOTHING_SET


def test_a_tenant_counts_over_its_plan_over_its_partner(partner: Caller, admin: Caller) -> None:
    tenant = partner.create(plan="pro")
    partners = {"from": "acme@example.com", "daily": 5, "region": "us"}
    patch_settings(admin, defaults_path(partner), {"mail": partners})
    expected = {
        "version": 0,
        "effective": {**DEFAULTS, "mail": {**partners, "daily": 10_000}},
        "explicit": {},
        "sources": {**SOURCES, "mail.from": "partner", "mail.daily": "plan", "mail.region": "partner"},
    }
    assert read_settings(partner, tenant) == expected
    settings = patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7}})
    assert settings == read_settings(partner, tenant) == expect_values(expected, mail={"daily": 7})
    partner("PATCH", f"/tenants/{tenant['tenant']}", json={"plan": "free"})
    assert read_settings(partner, tenant)["effective"]["mail"] == {**partners, "daily": 7}
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": None}})
    assert read_settings(partner, tenant)["effective"]["mail"] == partners


def test_put_replaces_everything_that_is_set(partner: Caller, tenant: dict[str, Any]) -> None:
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7, "note": "x"}, "look": {"colour": "red"}})
    response = partner("PUT", settings_path(tenant), json={"mail": {"daily": 8, "note": None}})
    document = response.get_json()
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    assert document == {**expect_values(NOTHING_SET, mail={"daily": 8, "note": None}), "version": 2}


def test_unchanged_write_creates_no_version_and_no_event(partner: Caller, tenant: dict[str, Any]) -> None:
    settings = patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7, "password": "hunter22"}})
    assert (
        patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7, "password": "hunter22"}, "look": {}})
        == settings
    )
    assert partner("PUT", settings_path(tenant), json=settings["explicit"]).get_json() == settings
    assert [event["type"] for event in read_feed(partner)] == ["tenant.created", "tenant.settings_updated"]


def test_values_are_kept_as_the_schema_writes_them(database_url: str) -> None:
    class Keys(Schema):
        id = fields.UUID()

    app = tenant_settings.make_host(database_url, {"keys": Keys})
    partner = Caller(app)
    settings = patch_settings(
        partner, settings_path(partner.create()), {"keys": {"id": "0193B5A0C2D47A6E8F00112233445566"}}
    )
    assert settings["explicit"] == {"keys": {"id": "0193b5a0-c2d4-7a6e-8f00-112233445566"}}
    get_storage(app).engine.dispose()


def test_a_namespace_that_is_null_is_inherited_again(partner: Caller, tenant: dict[str, Any]) -> None:
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7, "note": "x"}, "look": {"colour": "red"}})
    settings = patch_settings(partner, settings_path(tenant), {"mail": None})
    assert settings == {**expect_values(NOTHING_SET, look={"colour": "red"}), "version": 2}


# What is refused.


def test_all_errors_are_reported_at_once(partner: Caller, tenant: dict[str, Any]) -> None:
    patch_settings(partner, settings_path(tenant), {"mail": {"region": "eu"}})
    wrong = {
        "mail": {
            "from": "nobody",
            "daily": "5",
            "region": "us",
            "headers": {"x": 5},
            "colour": "red",
            "password": "abc",
        },
        "look": {"low": 5, "high": 1},
        "a/b": {},
    }
    errors = (
        ("#/a~1b", "unknown-field", "There is no such field."),
        ("#/look/low", "invalid-field", "Must not be above `high`."),
        ("#/mail/colour", "unknown-field", "There is no such field."),
        ("#/mail/daily", "invalid-field", "Not a valid integer."),
        ("#/mail/from", "invalid-field", "Not a valid email address."),
        ("#/mail/headers/x", "invalid-field", "Not a valid string."),
        ("#/mail/password", "invalid-field", "Not valid."),
        ("#/mail/region", "immutable", "Cannot be changed once it is set."),
    )
    before = fetch_all_rows(partner.app)
    for method in ("PUT", "PATCH"):
        assert_invalid_fields(partner(method, settings_path(tenant), json=wrong), *errors)
    assert fetch_all_rows(partner.app) == before


def test_null_for_an_unknown_key_returns_400(partner: Caller, tenant: dict[str, Any]) -> None:
    response = partner("PATCH", settings_path(tenant), json={"nothing": None, "mail": {"nothing": None}})
    unknown = ("unknown-field", "There is no such field.")
    assert_invalid_fields(response, ("#/mail/nothing", *unknown), ("#/nothing", *unknown))


def test_null_for_a_non_nullable_field_returns_400(partner: Caller, tenant: dict[str, Any]) -> None:
    response = partner("PUT", settings_path(tenant), json={"mail": {"daily": None, "note": None}})
    assert_invalid_fields(response, ("#/mail/daily", "invalid-field", "Field may not be null."))


def test_rules_between_keys_include_inherited_values(partner: Caller, admin: Caller, tenant: dict[str, Any]) -> None:
    patch_settings(admin, defaults_path(partner), {"look": {"high": 3}})
    response = partner("PATCH", settings_path(tenant), json={"look": {"low": 4}})
    assert_invalid_fields(response, ("#/look/low", "invalid-field", "Must not be above `high`."))
    assert patch_settings(partner, settings_path(tenant), {"look": {"low": 4, "high": 4}})["version"] == 1


def test_immutable_setting_is_set_once(partner: Caller, tenant: dict[str, Any]) -> None:
    settings = patch_settings(partner, settings_path(tenant), {"mail": {"region": "eu"}})
    error = ("#/mail/region", "immutable", "Cannot be changed once it is set.")
    for body in ({"mail": {"region": "us"}}, {"mail": {"region": None}}, {"mail": None}):
        assert_invalid_fields(partner("PATCH", settings_path(tenant), json=body), error)
    assert_invalid_fields(partner("PUT", settings_path(tenant), json={}), error)
    assert patch_settings(partner, settings_path(tenant), {"mail": {"region": "eu"}}) == settings
    assert partner("PUT", settings_path(tenant), json={"mail": {"region": "eu", "daily": 5}}).status_code == 200


def test_the_limit_is_exact_in_bytes_of_utf_8(partner: Caller, tenant: dict[str, Any]) -> None:
    around = len('{"free":{"big":""}}')
    full = "ä" * ((64 * 1024 - around) // 2) + "x"
    assert len(full.encode()) + around == 64 * 1024
    settings = patch_settings(partner, settings_path(tenant), {"free": {"big": full}})
    assert settings["explicit"]["free"]["big"] == full
    response = partner("PATCH", settings_path(tenant), json={"free": {"big": f"{full}x"}})
    assert_invalid_fields(response, ("#", "too-large", "The settings must have 65536 bytes of JSON at most."))
    assert read_settings(partner, tenant) == settings


def test_invisible_tenant_returns_404(partner: Caller, admin: Caller, tenant: dict[str, Any]) -> None:
    stranger = Caller(partner.app)
    for caller, path in (
        (stranger, settings_path(tenant)),
        (partner, f"/tenants/{NOBODY}/settings"),
        (partner, "/tenants/x/settings"),
    ):
        for method, rest in (("GET", ""), ("PUT", ""), ("PATCH", ""), ("GET", "/history"), ("POST", "/rollback")):
            body = {"version": 0} if rest else {}
            options = {} if method == "GET" else {"json": body}
            assert_problem(caller(method, path + rest, **options), 404, "tenant-not-found", GONE)
    assert patch_settings(admin, settings_path(tenant), {"mail": {"daily": 7}})["version"] == 1
    assert read_settings(partner.with_roles("partner-viewer"), tenant)["version"] == 1
    response = partner.with_roles("partner-viewer")("PATCH", settings_path(tenant), json={})
    assert (response.status_code, response.get_json()["code"]) == (403, "insufficient-permission")


def test_a_deleted_tenant_s_settings_are_read_and_not_changed(partner: Caller, tenant: dict[str, Any]) -> None:
    settings = patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7}})
    partner("DELETE", f"/tenants/{tenant['tenant']}")
    assert read_settings(partner, tenant) == settings
    detail = "A deleted tenant cannot be changed."
    for method, path, body in (("PUT", "", {}), ("PATCH", "", {}), ("POST", "/rollback", {"version": 0})):
        response = partner(method, settings_path(tenant) + path, json=body)
        assert_problem(response, 409, "invalid-state", detail, tenant_status="deleted")


# Optimistic locking, dry runs and replays.


def test_unset_settings_exist_at_version_0(partner: Caller, tenant: dict[str, Any]) -> None:
    for header in ({"If-Match": '"1"'}, {"If-Match": 'W/"0"'}, {"If-None-Match": "*"}):
        response = partner("PATCH", settings_path(tenant), json={"mail": {"daily": 7}}, headers=header)
        assert (response.status_code, response.get_json()["code"]) == (412, "precondition-failed")
    assert fetch_rows(partner.app, "settings", tenant_id=tenant["tenant"]) == []
    assert (
        patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7}}, headers={"If-Match": '"0"'})["version"]
        == 1
    )
    assert (
        patch_settings(partner, settings_path(tenant), {"mail": {"daily": 8}}, headers={"If-Match": "*"})["version"]
        == 2
    )


@pytest.mark.parametrize("version", [0, 1])
def test_concurrent_writes_to_one_version_have_one_winner(
    partner: Caller, tenant: dict[str, Any], version: int
) -> None:
    if version:
        patch_settings(partner, settings_path(tenant), {"mail": {"note": "x"}})

    def write(number: int) -> int:
        caller = Caller(partner.app, partner.partner)
        body = {"mail": {"daily": number + 1, "password": f"secret {number}"}}
        return caller("PATCH", settings_path(tenant), json=body, headers={"If-Match": f'"{version}"'}).status_code

    assert sorted(run_concurrently(6, write)) == [200, 412, 412, 412, 412, 412]
    assert read_settings(partner, tenant)["version"] == version + 1
    history = fetch_rows(partner.app, "settings_history", tenant_id=tenant["tenant"])
    assert [row["version"] for row in history] == list(range(1, version + 2))
    assert (
        len(fetch_rows(partner.app, "events", tenant_id=tenant["tenant"], type="tenant.settings_updated"))
        == version + 1
    )


def test_writers_at_once_without_a_version_all_count(partner: Caller, tenant: dict[str, Any]) -> None:
    keys = ["a", "b", "e", "big"]
    responses = run_concurrently(
        4, lambda n: Caller(partner.app, partner.partner)("PATCH", settings_path(tenant), json={"free": {keys[n]: "x"}})
    )
    assert [response.status_code for response in responses] == [200] * 4
    document = read_settings(partner, tenant)
    assert (document["version"], document["explicit"]) == (4, {"free": dict.fromkeys(keys, "x")})


def test_dry_run_returns_the_result_and_leaves_nothing(partner: Caller, tenant: dict[str, Any]) -> None:
    before = fetch_all_rows(partner.app)
    body = {"mail": {"daily": 7, "password": "hunter22"}}
    for method in ("PUT", "PATCH"):
        response = partner(method, f"{settings_path(tenant)}?validate_only=true", json=body)
        expected = expect_values(NOTHING_SET, mail={"daily": 7, "password": MASK})
        assert (response.get_json(), response.headers["X-Validate-Only"]) == (expected, "true")
    assert fetch_all_rows(partner.app) == before


def test_a_patch_is_repeated_safely(partner: Caller, tenant: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": "one"}
    first = partner("PATCH", settings_path(tenant), json={"mail": {"daily": 7}}, headers=headers)
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": 8}})
    again = partner("PATCH", settings_path(tenant), json={"mail": {"daily": 7}}, headers=headers)
    assert (again.get_json(), again.headers["Idempotency-Replayed"]) == (first.get_json(), "true")
    assert (again.headers["ETag"], read_settings(partner, tenant)["version"]) == ('"1"', 2)
    other = partner("PATCH", settings_path(tenant), json={"mail": {"daily": 9}}, headers=headers)
    assert other.get_json()["code"] == "idempotency-key-reused"


# What has happened.


def test_change_publishes_an_event_with_tenant_and_changes(partner: Caller, tenant: dict[str, Any]) -> None:
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7, "password": "hunter22"}})
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": None, "password": "hunter23", "note": "x"}})
    first, second = read_feed(partner)[1:]
    assert (first["type"], first["tenant"], first["data"]) == ("tenant.settings_updated", tenant["tenant"], tenant)
    assert first["changes"] == {
        "mail.daily": {"previous": None, "new": 7},
        "mail.password": {"previous": None, "new": MASK},
    }
    assert second["changes"] == {
        "mail.daily": {"previous": 7, "new": None},
        "mail.note": {"previous": None, "new": "x"},
        "mail.password": {"previous": MASK, "new": MASK},
    }
    assert second["timestamp"] >= first["timestamp"] >= tenant["updated_at"]


def versions(caller: Caller, path: str) -> list[dict[str, Any]]:
    """Every version that a history lists, page by page."""
    entries, more = [], f"{path}/history?limit=2"
    while more:
        page = caller("GET", more).get_json()
        entries += page["items"]
        more = f"{path}/history?limit=2&cursor={page['next']}" if page["next"] else ""
    return entries


def test_history_has_actor_time_and_changes(partner: Caller, admin: Caller, tenant: dict[str, Any]) -> None:
    assert versions(partner, settings_path(tenant)) == []
    response = admin("PATCH", settings_path(tenant), json={"mail": {"daily": 7, "password": "hunter22"}})
    for daily in (8, 9):
        patch_settings(partner, settings_path(tenant), {"mail": {"daily": daily}})
    third, second, first = versions(partner, settings_path(tenant))
    assert [third["version"], second["version"]] == [3, 2]
    assert second["changes"] == {"mail.daily": {"previous": 7, "new": 8}}
    assert third["actor"] == {"sub": "someone", "partner": partner.partner}
    events = [event for event in read_feed(partner) if event["type"] == "tenant.settings_updated"]
    assert first == {
        "version": 1,
        "timestamp": events[0]["timestamp"],
        "actor": {"sub": "someone", "partner": admin.partner},
        "request_id": response.headers["X-Request-ID"],
        "changes": events[0]["changes"],
    }


def test_a_cursor_of_a_history_is_of_no_other(partner: Caller, tenant: dict[str, Any]) -> None:
    for daily in (7, 8):
        patch_settings(partner, settings_path(tenant), {"mail": {"daily": daily}})
    cursor = partner("GET", f"{settings_path(tenant)}/history?limit=1").get_json()["next"]
    other = partner.create()
    response = partner("GET", f"{settings_path(other)}/history?cursor={cursor}")
    assert (response.status_code, response.get_json()["code"]) == (400, "invalid-cursor")


def test_a_history_keeps_as_many_versions_as_are_configured(database_url: str) -> None:
    app = tenant_settings.make_host(database_url, PROVISIONING_SETTINGS_HISTORY=3)
    partner = Caller(app)
    tenant = partner.create()
    for daily in range(1, 6):
        patch_settings(partner, settings_path(tenant), {"mail": {"daily": daily}})
    assert [version["version"] for version in versions(partner, settings_path(tenant))] == [5, 4, 3]
    response = partner("POST", f"{settings_path(tenant)}/rollback", json={"version": 2})
    assert_problem(response, 404, "settings-version-not-found", "Settings version not found.")
    get_storage(app).engine.dispose()


def test_rollback_restores_earlier_values(partner: Caller, tenant: dict[str, Any]) -> None:
    first = patch_settings(
        partner, settings_path(tenant), {"mail": {"daily": 7, "password": "hunter22"}, "look": {"colour": "red"}}
    )
    patch_settings(
        partner,
        settings_path(tenant),
        {"mail": {"daily": None, "password": "hunter23"}, "look": None, "free": {"a": 1}},
    )
    response = partner(
        "POST", f"{settings_path(tenant)}/rollback", json={"version": 1}, headers={"Idempotency-Key": "back"}
    )
    document = response.get_json()
    assert (response.status_code, response.headers["ETag"], document) == (200, '"3"', {**first, "version": 3})
    again = partner(
        "POST", f"{settings_path(tenant)}/rollback", json={"version": 1}, headers={"Idempotency-Key": "back"}
    )
    assert (again.get_json(), again.headers["Idempotency-Replayed"]) == (document, "true")
    assert partner("POST", f"{settings_path(tenant)}/rollback", json={"version": 3}).get_json() == document
    with partner.app.app_context():
        assert tenant_settings.get_extension(partner.app).settings_for(tenant["tenant"]).mail.password == "hunter22"
    empty = partner("POST", f"{settings_path(tenant)}/rollback", json={"version": 0}).get_json()
    assert empty == {**NOTHING_SET, "version": 4}


@pytest.mark.parametrize(
    ("version", "error"),
    [
        (None, ("null", "This field may not be null.")),
        ("1", ("invalid-number", "Must be a whole number from 0 to 2147483647.")),
        (-1, ("invalid-number", "Must be a whole number from 0 to 2147483647.")),
        (True, ("invalid-number", "Must be a whole number from 0 to 2147483647.")),
        (1 << 31, ("invalid-number", "Must be a whole number from 0 to 2147483647.")),
    ],
)
def test_a_rollback_needs_a_version(
    partner: Caller, tenant: dict[str, Any], version: Any, error: tuple[str, str]
) -> None:
    path = f"{settings_path(tenant)}/rollback"
    assert_invalid_fields(partner("POST", path, json={"version": version}), ("#/version", *error))
    assert_invalid_fields(partner("POST", path, json={}), ("#/version", "required", "This field is required."))
    assert_problem(
        partner("POST", path, json={"version": 1}),
        404,
        "settings-version-not-found",
        "Settings version not found.",
    )


def test_rollback_supports_dry_run_and_preconditions(partner: Caller, tenant: dict[str, Any]) -> None:
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7}})
    settings = patch_settings(partner, settings_path(tenant), {"mail": {"daily": 8}})
    path = f"{settings_path(tenant)}/rollback"
    stale = partner("POST", path, json={"version": 1}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.get_json()["code"]) == (412, "precondition-failed")
    rehearsed = partner("POST", f"{path}?validate_only=true", json={"version": 1})
    assert (rehearsed.get_json()["version"], rehearsed.headers["X-Validate-Only"]) == (3, "true")
    assert read_settings(partner, tenant) == settings


def test_a_rollback_undoes_nothing_that_is_set_for_good(partner: Caller, tenant: dict[str, Any]) -> None:
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7}})
    settings = patch_settings(partner, settings_path(tenant), {"mail": {"region": "eu"}})
    entry = {"pointer": "#/mail/region", "code": "immutable", "detail": "Cannot be changed once it is set."}
    assert_problem(
        partner("POST", f"{settings_path(tenant)}/rollback", json={"version": 1}),
        409,
        "settings-outdated",
        "The settings of version 1 are no longer valid.",
        errors=[entry],
    )
    assert read_settings(partner, tenant) == settings


# The end.


def test_purge_removes_the_settings_of_its_tenant_only(partner: Caller, admin: Caller, tenant: dict[str, Any]) -> None:
    other = partner.create()
    patch_settings(admin, defaults_path(partner), {"mail": {"daily": 3}})
    for owner in (tenant, other):
        patch_settings(partner, settings_path(owner), {"mail": {"daily": 7}})
    assert admin("DELETE", f"/tenants/{tenant['tenant']}?purge=true").status_code == 204
    for table in ("settings", "settings_history"):
        assert [row["tenant_id"] for row in fetch_rows(partner.app, table, partner_id=partner.partner)] == [
            "",
            other["tenant"],
        ]
    assert_problem(partner("GET", settings_path(tenant)), 404, "tenant-not-found", GONE)
    assert not get_storage(partner.app).reactions_to("tenant.create")


# A partner's.


def test_a_partner_s_defaults_are_an_administrator_s_to_set(
    partner: Caller, admin: Caller, tenant: dict[str, Any]
) -> None:
    path = defaults_path(partner)
    assert partner("GET", path).get_json() == NOTHING_SET
    response = admin("PUT", path, json={"mail": {"daily": 5, "password": "hunter22"}})
    expected = expect_values(NOTHING_SET, "partner", mail={"daily": 5, "password": MASK})
    assert (response.status_code, response.headers["ETag"], response.get_json()) == (200, '"1"', expected)
    assert partner("GET", path).get_json() == expected
    document = read_settings(partner, tenant)
    assert (document["effective"], document["explicit"]) == (expected["effective"], {})
    event = read_feed(partner)[-1]
    shown = admin("GET", f"/partners/{partner.partner}").get_json()
    assert (event["type"], event["tenant"], event["data"]) == ("partner.settings_updated", None, shown)
    assert event["changes"]["mail.password"] == {"previous": None, "new": MASK}
    patch_settings(admin, path, {"mail": {"daily": 6}})
    assert [version["version"] for version in versions(partner, path)] == [2, 1]
    back = admin("POST", f"{path}/rollback", json={"version": 1})
    assert back.get_json() == {**expected, "version": 3}


@pytest.mark.parametrize("id", ["a/b", "auth0|1", "ä", "x/settings/"])
def test_defaults_of_every_partner_id_are_reachable(partner: Caller, admin: Caller, id: str) -> None:
    from urllib.parse import quote

    name = f"{partner.partner}-{id}"
    response = Caller(partner.app, name)("GET", f"/partners/{quote(name, safe='')}/settings")
    assert response.get_json() == NOTHING_SET


def test_other_partners_cannot_read_or_change_defaults(partner: Caller, admin: Caller) -> None:
    path = defaults_path(partner)
    partner("GET", "/tenants")
    stranger = Caller(partner.app)
    for rest in ("", "/history"):
        assert_problem(stranger("GET", path + rest), 404, "partner-not-found", "Partner not found.")
        assert_problem(admin("GET", f"/partners/nobody/settings{rest}"), 404, "partner-not-found", "Partner not found.")
    for method, rest, body in (("PUT", "", {}), ("PATCH", "", {}), ("POST", "/rollback", {"version": 0})):
        response = partner(method, path + rest, json=body)
        assert (response.status_code, response.get_json()["code"]) == (403, "insufficient-permission")
        response = admin(method, f"/partners/nobody/settings{rest}", json=body)
        assert_problem(response, 404, "partner-not-found", "Partner not found.")


@pytest.mark.parametrize("id", ["acme", "a/b"])
def test_a_wrong_method_beneath_a_partner_means_no_partner_of_that_name(admin: Caller, id: str) -> None:
    allowed = {"": "GET, HEAD, OPTIONS, PATCH, PUT", "/history": "GET, HEAD, OPTIONS", "/rollback": "OPTIONS, POST"}
    before = fetch_rows(admin.app, "partners")
    for rest, methods in allowed.items():
        path = f"/partners/{id}/settings{rest}"
        for method in {"PUT", "PATCH", "POST", "DELETE", "PROPFIND"} - {*methods.split(", ")}:
            response = admin(method, path, json={})
            assert_problem(response, 405, "method-not-allowed", f"{method} is not possible here.")
            assert response.headers["Allow"] == methods
        response = admin("OPTIONS", path)
        assert (response.status_code, response.data, response.headers["Allow"]) == (200, b"", methods)
    assert fetch_rows(admin.app, "partners") == before


def test_concurrent_first_defaults_have_one_winner(partner: Caller, admin: Caller) -> None:
    partner("GET", "/tenants")

    def write(number: int) -> int:
        caller = Caller(partner.app, roles=["provisioning-admin"])
        body = {"mail": {"daily": number + 1}}
        return caller("PATCH", defaults_path(partner), json=body, headers={"If-Match": '"0"'}).status_code

    assert sorted(run_concurrently(4, write)) == [200, 412, 412, 412]
    assert len(fetch_rows(partner.app, "settings_history", partner_id=partner.partner)) == 1
