"""If-Match and If-None-Match (RFC 9110 §13), and refusals with precedence over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from tests.support.assertions import (
    NO_TAG,
    STALE as STALE_DETAIL,
    WEAK_TAG,
    assert_invalid_fields,
    assert_problem,
    check_problem,
)
from tests.support.callers import EXAMPLE, Caller
from tests.support.database.rows import fetch_all_rows, open_host
from tests.support.hosts import PREFIX

NO_VERSION = "If-Match names no version: an ETag is a number in quotes here, and a proxy may have changed it."
NOWHERE = "/tenants/0193d5f0-0000-7000-8000-000000000000"
WRITES: dict[str, dict[str, Any]] = {"PATCH": {"json": {"industry": "Energy"}}, "PUT": {"json": EXAMPLE}, "DELETE": {}}
MATCHING = {
    "the same": '"1"',
    "any": "*",
    "any, padded": " * ",
    "first of a list": '"1", "2"',
    "last of a list": '"0", "2","1"',
    "beside a weak one": 'W/"1", "1"',
    "empty elements": ', ,"1",,',
    "padded": ' "1" ',
    "encoded, by Apache or Caddy": '"1-gzip"',
    "encoded, by Jetty": '"1--gzip"',
    "encoded, by Flask-Compress": '"1:br"',
    "encoded, by LiteSpeed": '"1;gz;;;"',
    "encoded, and others": '"0-br", "1.zstd"',
}
OTHERS = {
    "another": '"2"',
    "a list of others": '"0", "2"',
    "another, encoded": '"2-gzip"',
    "longer, encoded": '"11-gzip"',
    "leading zero, encoded": '"01-gzip"',
    "weak, of another version": 'W/"0"',
    "leading zero": '"01"',
    "longer": '"11"',
}
#: Tags that are not those of an answer, and what is said of them.
CHANGED = {
    "weak": ('W/"1"', WEAK_TAG),
    "weak ones": ('W/"0", W/"1"', WEAK_TAG),
    "weak and encoded": ('W/"1-gzip"', WEAK_TAG),
    "white space inside": ('" 1"', NO_TAG),
    "empty tag": ('""', NO_VERSION),
    "any, quoted": ('"*"', NO_VERSION),
    "a comma in a tag": ('"0,1"', NO_VERSION),
    "not ASCII": ('"\xe9"', NO_VERSION),
    "made anew by a cache": ('"1:1549298324.1234"', NO_VERSION),
    "of no encoding": ('"1-other"', NO_VERSION),
    "an encoding without a sign before it": ('"1gzip"', NO_VERSION),
    "an encoding alone": ('"-gzip"', NO_VERSION),
    "not quoted": ("1", NO_TAG),
    "half quoted": ('"1', NO_TAG),
    "single quotes": ("'1'", NO_TAG),
    "no comma": ('"1" "2"', NO_TAG),
    "any in a list": ('"0", *', NO_TAG),
    "weak, lower case": ('w/"1"', NO_TAG),
    "good, then malformed": ('"1", oops', NO_TAG),
    "empty": ("", NO_TAG),
    "ten thousand commas": ("," * 10_000, NO_TAG),
    "a hundred thousand tags": (", ".join(['"x"'] * 100_000), NO_VERSION),
}


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("header", MATCHING.values(), ids=MATCHING)
def test_a_write_to_the_version_that_if_match_names_is_done(partner: Caller, method: str, header: str) -> None:
    response = write(partner, method, tenant_path(partner.create()), {"If-Match": header})
    assert (response.status_code, response.headers["ETag"], response.get_json()["version"]) == (200, '"2"', 2)


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("header", OTHERS.values(), ids=OTHERS)
def test_a_write_to_another_version_answers_412_and_changes_nothing(partner: Caller, method: str, header: str) -> None:
    tenant = partner.create()
    assert_problem(
        write(partner, method, tenant_path(tenant), {"If-Match": header}), 412, "precondition-failed", STALE_DETAIL
    )
    assert partner("GET", tenant_path(tenant)).get_json() == tenant


@pytest.mark.parametrize(("header", "detail"), CHANGED.values(), ids=CHANGED)
def test_weakened_etag_is_explained(partner: Caller, header: str, detail: str) -> None:
    tenant = partner.create()
    assert_problem(
        write(partner, "PATCH", tenant_path(tenant), {"If-Match": header}), 412, "precondition-failed", detail
    )
    assert partner("GET", tenant_path(tenant)).get_json() == tenant


@pytest.mark.parametrize("header", ['"1-gzip"', 'W/"1"', 'W/"1:br"', '"0", "1;gz"'])
def test_a_tag_of_an_encoding_is_not_modified_and_excludes(partner: Caller, header: str) -> None:
    tenant = partner.create()
    response = partner("GET", tenant_path(tenant), headers={"If-None-Match": header})
    assert (response.status_code, response.headers["ETag"]) == (304, '"1"')
    excluded = write(partner, "PATCH", tenant_path(tenant), {"If-None-Match": header})
    detail = "The resource has the version that If-None-Match excludes."
    assert_problem(excluded, 412, "precondition-failed", detail)


def test_every_version_has_its_own_etag(partner: Caller) -> None:
    tenant = partner.create()
    seen = [
        partner("PATCH", tenant_path(tenant), json={"industry": text}).headers["ETag"] for text in ("a", "b", "b", "c")
    ]
    assert seen == ['"2"', '"3"', '"3"', '"4"']
    stale = partner("PATCH", tenant_path(tenant), json={"industry": "d"}, headers={"If-Match": '"3"'})
    assert_problem(stale, 412, "precondition-failed", STALE_DETAIL)


def test_stale_if_match_returns_412_even_if_nothing_would_change(partner: Caller) -> None:
    tenant = partner.create(industry="Energy")
    response = write(partner, "PATCH", tenant_path(tenant), {"If-Match": '"7"'})
    assert_problem(response, 412, "precondition-failed", STALE_DETAIL)


@pytest.mark.parametrize(
    "header",
    ['"1"', 'W/"1"', "*", '"0", "1"', 'W/"0", W/"1"', ' "1" '],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_current_version_returns_304(partner: Caller, method: str, header: str) -> None:
    tenant = partner.create()
    response = partner(method, tenant_path(tenant), headers={"If-None-Match": header})
    assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", '"1"')
    assert response.headers["Cache-Control"] == "no-store"
    assert len(response.headers["X-Request-ID"]) == 32


@pytest.mark.parametrize("header", ['"2"', 'W/"2"', '"0", "2"', "1", '"1', "", '"*"', "oops"])
def test_other_version_returns_the_tenant(partner: Caller, header: str) -> None:
    tenant = partner.create()
    response = partner("GET", tenant_path(tenant), headers={"If-None-Match": header})
    assert (response.status_code, response.headers["ETag"], response.get_json()) == (200, '"1"', tenant)


def test_a_deleted_tenant_has_a_version_too(partner: Caller) -> None:
    tenant = partner.create()
    partner("DELETE", tenant_path(tenant))
    assert partner("GET", tenant_path(tenant), headers={"If-None-Match": '"1"'}).status_code == 200
    assert partner("GET", tenant_path(tenant), headers={"If-None-Match": '"2"'}).status_code == 304


STALE = {"If-Match": '"999"'}


@pytest.mark.parametrize("method", WRITES)
def test_401_wins_over_412(partner: Caller, method: str) -> None:
    response = partner.client.open(
        PREFIX + tenant_path(partner.create()), method=method, headers=STALE, **WRITES[method]
    )
    assert_problem(response, 401, "authentication-required", "Authentication required.")


@pytest.mark.parametrize(("method", "permission"), [
    ("PATCH", "tenant:update"), ("PUT", "tenant:update"), ("DELETE", "tenant:delete"),
])  # fmt: skip
def test_403_wins_over_412(partner: Caller, method: str, permission: str) -> None:
    viewer = partner.with_roles("partner-viewer")
    detail = f"This needs the permission {permission}."
    response = write(viewer, method, tenant_path(partner.create()), STALE)
    assert_problem(response, 403, "insufficient-permission", detail, required=[permission])


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("header", ['"999"', "*"])
def test_404_wins_over_412(app: Flask, partner: Caller, method: str, header: str) -> None:
    for path in (NOWHERE, tenant_path(Caller(app).create()), "/tenants/oops"):
        response = write(partner, method, path, {"If-Match": header})
        assert_problem(response, 404, "tenant-not-found", "Tenant not found.")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_400_wins_over_412(partner: Caller, method: str) -> None:
    path = tenant_path(partner.create())
    malformed = partner(method, path, data=b"{", content_type="application/json", headers=STALE)
    assert (malformed.status_code, malformed.get_json()["code"]) == (400, "malformed-json")
    wrong = partner(method, path, json={**EXAMPLE, "email": "nobody"}, headers=STALE)
    assert_invalid_fields(wrong, ("#/email", "invalid-email", "Invalid email address."))


@pytest.mark.parametrize("method", WRITES)
def test_an_unknown_parameter_wins_over_412(partner: Caller, method: str) -> None:
    response = write(partner, method, f"{tenant_path(partner.create())}?force=true", STALE)
    assert (response.status_code, response.get_json()["code"]) == (400, "invalid-parameter")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_415_and_406_win_over_412(partner: Caller, method: str) -> None:
    path = tenant_path(partner.create())
    assert partner(method, path, data="{}", content_type="text/plain", headers=STALE).status_code == 415
    assert partner(method, path, json=EXAMPLE, headers={**STALE, "Accept": "text/html"}).status_code == 406


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_409_of_the_state_wins_over_412(partner: Caller, method: str) -> None:
    path = tenant_path(partner.create())
    partner("DELETE", path)
    detail = "A deleted tenant cannot be changed."
    assert_problem(write(partner, method, path, STALE), 409, "invalid-state", detail, tenant_status="deleted")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_412_wins_over_a_taken_address(partner: Caller, method: str) -> None:
    holder, tenant = partner.create(), partner.create()
    body = {"client_name": "Example Corp", "email": holder["email"]}
    assert_problem(
        partner(method, tenant_path(tenant), json=body, headers=STALE), 412, "precondition-failed", STALE_DETAIL
    )


#: Every write to a tenant that exists: what is sent where, to a tenant in which state.
EVERY_WRITE: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "patch": ("PATCH", "/tenants/{}", {"json": {"industry": "Energy"}}, "active"),
    "patch, unchanged": ("PATCH", "/tenants/{}", {"json": {}}, "active"),
    "replace": ("PUT", "/tenants/{}", {"json": EXAMPLE}, "active"),
    "upsert": ("PUT", "/tenants/by-external-id/crm-1", {"json": EXAMPLE}, "active"),
    "suspend": ("POST", "/tenants/{}/suspend", {}, "active"),
    "suspend, already": ("POST", "/tenants/{}/suspend", {}, "suspended"),
    "reactivate": ("POST", "/tenants/{}/reactivate", {}, "suspended"),
    "delete": ("DELETE", "/tenants/{}", {}, "active"),
    "delete, already": ("DELETE", "/tenants/{}", {}, "deleted"),
    "restore": ("POST", "/tenants/{}/restore", {}, "deleted"),
    "purge": ("DELETE", "/tenants/{}?purge=true", {}, "active"),
    "purge, deleted": ("DELETE", "/tenants/{}?purge=true", {}, "deleted"),
}
TO_AN_ID = [name for name in EVERY_WRITE if name != "upsert" and "," not in name]
DEMANDED = "Send the resource's ETag in If-Match."


@pytest.fixture(scope="module")
def strict_app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    with open_host(request, database, PROVISIONING_REQUIRE_IF_MATCH=True) as app:
        yield app


@pytest.fixture
def strict(strict_app: Flask) -> Caller:
    """A caller with all permissions, in an app that requires If-Match."""
    return Caller(strict_app, roles=["provisioning-admin"])


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": '"99"'}], ids=["no condition", "another condition"])
@pytest.mark.parametrize("name", EVERY_WRITE)
def test_required_if_match_missing_returns_428(strict: Caller, name: str, headers: dict[str, str]) -> None:
    resource = ready(strict, name)
    before = fetch_all_rows(strict.app)
    assert_problem(send_write(strict, name, resource, headers), 428, "precondition-required", DEMANDED)
    assert fetch_all_rows(strict.app) == before


@pytest.mark.parametrize("header", ['"{}"', "*", '"0", "{}"'], ids=["its version", "any version", "a list"])
@pytest.mark.parametrize("name", EVERY_WRITE)
def test_required_if_match_accepts_any_matching_tag(strict: Caller, name: str, header: str) -> None:
    resource = ready(strict, name)
    response = send_write(strict, name, resource, {"If-Match": header.format(resource["version"])})
    assert response.status_code in (200, 204), response.text


@pytest.mark.parametrize("header", ['"99"', '"0", W/"99"'])
@pytest.mark.parametrize("name", EVERY_WRITE)
def test_required_if_match_stale_returns_412(strict: Caller, name: str, header: str) -> None:
    resource = ready(strict, name)
    assert_problem(send_write(strict, name, resource, {"If-Match": header}), 412, "precondition-failed", STALE_DETAIL)


def test_creating_is_exempt(strict: Caller) -> None:
    assert strict("POST", "/tenants", json=EXAMPLE).status_code == 201


def test_an_upsert_that_creates_is_exempt(strict: Caller) -> None:
    path, body = "/tenants/by-external-id/crm-9", {**EXAMPLE, "email": "new@example.com"}
    assert strict("PUT", path, json=body, headers={"If-None-Match": "*"}).status_code == 201
    response = strict("PUT", path, json=body, headers={"If-None-Match": "*"})
    detail = "The resource has the version that If-None-Match excludes."
    assert_problem(response, 412, "precondition-failed", detail)


def test_reading_is_exempt(strict: Caller) -> None:
    tenant = strict.create()
    assert strict("GET", tenant_path(tenant)).status_code == strict("GET", "/tenants").status_code == 200


def test_a_missing_if_match_is_not_remembered_under_the_key(strict: Caller) -> None:
    tenant = strict.create()
    key = {"Idempotency-Key": "key-1"}
    assert_problem(send_write(strict, "patch", tenant, key), 428, "precondition-required", DEMANDED)
    response = send_write(strict, "patch", tenant, {**key, "If-Match": '"1"'})
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')


@pytest.mark.parametrize("headers", [{}, STALE], ids=["over 428", "over 412"])
class TestWhatWins:
    """Over a precondition that is missing, and over one that fails."""

    @pytest.mark.parametrize("name", EVERY_WRITE)
    def test_401(self, strict: Caller, name: str, headers: dict[str, str]) -> None:
        resource, anonymous = ready(strict, name), Caller(strict.app)
        anonymous.token = "oops"
        check_problem(send_write(anonymous, name, resource, headers), status=401, code="invalid-token")

    @pytest.mark.parametrize("name", EVERY_WRITE)
    def test_403(self, strict: Caller, name: str, headers: dict[str, str]) -> None:
        resource = ready(strict, name)
        viewer = strict.with_roles("partner-viewer")
        check_problem(send_write(viewer, name, resource, headers), status=403, code="insufficient-permission")

    @pytest.mark.parametrize("name", TO_AN_ID)
    def test_404(self, strict: Caller, name: str, headers: dict[str, str]) -> None:
        nothing = {"tenant": NOWHERE.rpartition("/")[2]}
        assert_problem(send_write(strict, name, nothing, headers), 404, "tenant-not-found", "Tenant not found.")

    @pytest.mark.parametrize("name", EVERY_WRITE)
    def test_400(self, strict: Caller, name: str, headers: dict[str, str]) -> None:
        resource = ready(strict, name)
        response = send_write(strict, name, resource, headers, query="force=true")
        check_problem(response, status=400, code="invalid-parameter")

    @pytest.mark.parametrize("name", ["patch", "replace", "upsert", "suspend"])
    def test_400_of_the_body(self, strict: Caller, name: str, headers: dict[str, str]) -> None:
        resource = ready(strict, name)
        response = send_write(strict, name, resource, headers, json={"status": "active"})
        check_problem(response, status=400, code="validation-error")

    @pytest.mark.parametrize(("name", "state"), [
        ("patch", "deleted"), ("replace", "deleted"), ("suspend", "deleted"), ("reactivate", "deleted"),
        ("restore", "active"), ("restore", "suspended"),
    ])  # fmt: skip
    def test_409_of_the_state(self, strict: Caller, name: str, state: str, headers: dict[str, str]) -> None:
        tenant = create_in_state(strict, state)
        check_problem(send_write(strict, name, tenant, headers), status=409, code="invalid-state", tenant_status=state)


def test_tags_of_several_headers_are_combined(partner: Caller) -> None:
    response = partner("PATCH", tenant_path(partner.create()), json={}, headers={"If-Match": '"7","8", "1"'})
    assert response.status_code == 200


def ready(caller: Caller, name: str) -> dict[str, Any]:
    """A tenant in the state that this write starts from."""
    return create_in_state(caller, EVERY_WRITE[name][3])


def create_in_state(caller: Caller, state: str) -> dict[str, Any]:
    tenant = caller.create(external_id="crm-1")
    tag = {"If-Match": "*"}
    if state == "suspended":
        caller("POST", f"{tenant_path(tenant)}/suspend", headers=tag)
    elif state == "deleted":
        caller("DELETE", tenant_path(tenant), headers=tag)
    document: dict[str, Any] = caller("GET", tenant_path(tenant)).get_json()
    assert document["status"] == state
    return document


def send_write(
    caller: Caller, name: str, tenant: dict[str, Any], headers: dict[str, str], query: str = "", **options: Any
) -> Any:
    """The answer to one of `EVERY_WRITE`."""
    method, path, write_options, _ = EVERY_WRITE[name]
    joined = path.format(tenant["tenant"]) + (f"{'&' if '?' in path else '?'}{query}" if query else "")
    return caller(method, joined, headers=headers, **{**write_options, **options})


def tenant_path(tenant: dict[str, Any]) -> str:
    return f"/tenants/{tenant['tenant']}"


def write(caller: Caller, method: str, path: str, headers: dict[str, str]) -> Any:
    return caller(method, path, headers=headers, **WRITES[method])
