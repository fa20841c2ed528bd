"""`?validate_only=true`: the answer that the write would give, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.assertions import assert_invalid_parameters, check_problem
from tests.support.callers import Caller, tenant_path
from tests.support.clock import DAY, LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_all_rows, open_host
from tests.support.hosts import PREFIX, issue_license
from tests.support.servers import Reply, run_concurrently, send_request, serve

NOWHERE = "0193d5f0-0000-7000-8000-000000000000"
#: What differs between two writes that do the same.
OWN = ("tenant", "created_at", "updated_at", "deleted_at", "purge_at")
BODY = {"client_name": "Other Corp", "email": "other@example.com", "metadata": {"ä": "ö"}}
HELD = {"client_name": "Other Corp", "email": "holder@example.com"}
STALE = {"If-Match": '"99"'}


class Write(NamedTuple):
    """A write and the state that the tenant in its path is in before; ``{}`` stands for the tenant's id."""

    method: str
    path: str
    options: dict[str, Any] = {}  # noqa: RUF012
    state: str = "active"


SUSPEND, REACTIVATE, RESTORE = "/tenants/{}/suspend", "/tenants/{}/reactivate", "/tenants/{}/restore"
BY_ID, BY_EXTERNAL_ID = "/tenants/{}", "/tenants/by-external-id/crm-1"
SUCCESSES = {
    "create": Write("POST", "/tenants", {"json": BODY}),
    "patch": Write("PATCH", BY_ID, {"json": {"industry": "Energy"}}),
    "patch, unchanged": Write("PATCH", BY_ID, {"json": {}}),
    "patch, matching": Write("PATCH", BY_ID, {"json": {"industry": "Energy"}, "headers": {"If-Match": '"1"'}}),
    "replace": Write("PUT", BY_ID, {"json": BODY}),
    "upsert, new": Write("PUT", "/tenants/by-external-id/crm-2", {"json": BODY}),
    "upsert, there": Write("PUT", BY_EXTERNAL_ID, {"json": BODY}),
    "suspend": Write("POST", SUSPEND, {"json": {"reason": "unpaid"}}),
    "suspend, no body": Write("POST", SUSPEND),
    "suspend, already": Write("POST", SUSPEND, state="suspended"),
    "reactivate": Write("POST", REACTIVATE, state="suspended"),
    "reactivate, already": Write("POST", REACTIVATE),
    "delete": Write("DELETE", BY_ID),
    "delete, already": Write("DELETE", BY_ID, state="deleted"),
    "restore": Write("POST", RESTORE, state="deleted"),
    "purge": Write("DELETE", f"{BY_ID}?purge=true"),
    "purge, deleted": Write("DELETE", f"{BY_ID}?purge=true", state="deleted"),
}
REFUSED: dict[str, tuple[int, str, Write]] = {
    "create, address": (409, "tenant-exists", Write("POST", "/tenants", {"json": HELD})),
    "create, id": (409, "tenant-exists", Write("POST", "/tenants", {"json": {**BODY, "external_id": "crm-1"}})),
    "patch, none": (404, "tenant-not-found", Write("PATCH", f"/tenants/{NOWHERE}", {"json": {}})),
    "patch, address": (409, "tenant-exists", Write("PATCH", BY_ID, {"json": {"email": "holder@example.com"}})),
    "patch, deleted": (409, "invalid-state", Write("PATCH", BY_ID, {"json": {}}, "deleted")),
    "patch, stale": (412, "precondition-failed", Write("PATCH", BY_ID, {"json": {}, "headers": STALE})),
    "replace, none": (404, "tenant-not-found", Write("PUT", f"/tenants/{NOWHERE}", {"json": BODY})),
    "replace, address": (409, "tenant-exists", Write("PUT", BY_ID, {"json": HELD})),
    "replace, deleted": (409, "invalid-state", Write("PUT", BY_ID, {"json": BODY}, "deleted")),
    "replace, stale": (412, "precondition-failed", Write("PUT", BY_ID, {"json": BODY, "headers": STALE})),
    "upsert, address": (409, "tenant-exists", Write("PUT", BY_EXTERNAL_ID, {"json": HELD})),
    "upsert, stale": (412, "precondition-failed", Write("PUT", BY_EXTERNAL_ID, {"json": BODY, "headers": STALE})),
    "suspend, none": (404, "tenant-not-found", Write("POST", f"/tenants/{NOWHERE}/suspend")),
    "suspend, deleted": (409, "invalid-state", Write("POST", SUSPEND, state="deleted")),
    "suspend, stale": (412, "precondition-failed", Write("POST", SUSPEND, {"headers": STALE})),
    "reactivate, none": (404, "tenant-not-found", Write("POST", f"/tenants/{NOWHERE}/reactivate")),
    "reactivate, deleted": (409, "invalid-state", Write("POST", REACTIVATE, state="deleted")),
    "reactivate, stale": (412, "precondition-failed", Write("POST", REACTIVATE, {"headers": STALE})),
    "restore, none": (404, "tenant-not-found", Write("POST", f"/tenants/{NOWHERE}/restore")),
    "restore, active": (409, "invalid-state", Write("POST", RESTORE)),
    "restore, stale": (412, "precondition-failed", Write("POST", RESTORE, {"headers": STALE}, "deleted")),
    "delete, none": (404, "tenant-not-found", Write("DELETE", f"/tenants/{NOWHERE}")),
    "delete, stale": (412, "precondition-failed", Write("DELETE", BY_ID, {"headers": STALE})),
    "purge, none": (404, "tenant-not-found", Write("DELETE", f"/tenants/{NOWHERE}?purge=true")),
    "purge, stale": (412, "precondition-failed", Write("DELETE", f"{BY_ID}?purge=true", {"headers": STALE})),
}
MALFORMED = {"data": b"{", "content_type": "application/json"}
PLAIN = {"data": b"{}", "content_type": "text/plain"}
WRONG: dict[str, tuple[int, str, Write]] = {
    f"{name}, {what}": (status, code, Write(method, path, options))
    for name, method, path in (
        ("create", "POST", "/tenants"), ("patch", "PATCH", BY_ID), ("replace", "PUT", BY_ID),
        ("upsert", "PUT", BY_EXTERNAL_ID), ("suspend", "POST", SUSPEND),
    )
    for what, status, code, options in (
        ("invalid", 400, "validation-error", {"json": {"status": "active", "email": 1, "reason": 1}}),
        ("malformed", 400, "malformed-json", MALFORMED),
        ("of another type", 415, "unsupported-media-type", PLAIN),
        ("not acceptable", 406, "not-acceptable", {"json": BODY, "headers": {"Accept": "text/html"}}),
    )
}  # fmt: skip
EVERY_WRITE = {name: write for name, write in SUCCESSES.items() if "," not in name or name.startswith("upsert")}


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """An app that counts its tenants."""
    with open_host(request, database, PROVISIONING_LICENSE=issue_license(max_tenants=100_000)) as app:
        yield app


@pytest.fixture
def partner(app: Flask) -> Caller:
    """A partner's administrator who may do everything."""
    caller = Caller(app, roles=["provisioning-admin"])
    caller.create(email="holder@example.com")
    return caller


@pytest.mark.parametrize("write", SUCCESSES.values(), ids=SUCCESSES)
def test_dry_run_returns_the_response_of_the_write_and_leaves_nothing(partner: Caller, write: Write) -> None:
    tenant = create_tenant_in(partner, write.state)
    before = fetch_all_rows(partner.app)
    rehearsed = send(partner, write, tenant, rehearse=True)
    assert fetch_all_rows(partner.app) == before
    done = send(partner, write, tenant)
    assert done.status_code in (200, 201, 204), done.text
    assert rehearsed.status_code == done.status_code
    assert essence(rehearsed) == essence(done)
    assert rehearsed.headers["X-Validate-Only"] == "true"
    assert "X-Validate-Only" not in done.headers
    assert headers(rehearsed) == headers(done)


@pytest.mark.parametrize(("status", "code", "write"), REFUSED.values(), ids=REFUSED)
def test_dry_run_returns_the_errors_of_the_write(partner: Caller, status: int, code: str, write: Write) -> None:
    rehearsed = assert_refused_alike(partner, write, status, code)
    assert rehearsed.headers["X-Validate-Only"] == "true"


@pytest.mark.parametrize(("status", "code", "write"), WRONG.values(), ids=WRONG)
def test_wrong_input_is_refused_as_by_the_write(partner: Caller, status: int, code: str, write: Write) -> None:
    assert_refused_alike(partner, write, status, code)


@pytest.mark.parametrize("write", EVERY_WRITE.values(), ids=EVERY_WRITE)
def test_dry_run_needs_the_permission_to_write(partner: Caller, write: Write) -> None:
    assert_refused_alike(
        partner.with_roles("partner-viewer"),
        write,
        403,
        "insufficient-permission",
        create_tenant_in(partner, write.state),
    )


@pytest.mark.parametrize("write", EVERY_WRITE.values(), ids=EVERY_WRITE)
def test_dry_run_without_a_token_returns_401(partner: Caller, write: Write) -> None:
    anonymous = Caller(partner.app, partner.partner)
    anonymous.token = "oops"
    assert_refused_alike(anonymous, write, 401, "invalid-token", create_tenant_in(partner, write.state))


@pytest.mark.one_database("a flag is read before any database is asked")
@pytest.mark.parametrize("value", ["yes", "1", "", "TRUE", "true "])
@pytest.mark.parametrize("write", EVERY_WRITE.values(), ids=EVERY_WRITE)
def test_value_must_be_true_or_false(partner: Caller, write: Write, value: str) -> None:
    tenant = create_tenant_in(partner, write.state)
    before = fetch_all_rows(partner.app)
    response = send(partner, write, tenant, f"validate_only={value}")
    assert_invalid_parameters(response, ("#/validate_only", "invalid-flag", "Must be true or false."))
    assert fetch_all_rows(partner.app) == before


@pytest.mark.parametrize("write", EVERY_WRITE.values(), ids=EVERY_WRITE)
def test_validate_only_false_writes(partner: Caller, write: Write) -> None:
    tenant = create_tenant_in(partner, write.state)
    before = fetch_all_rows(partner.app)
    response = send(partner, write, tenant, "validate_only=false")
    assert response.status_code in (200, 201, 204), response.text
    assert "X-Validate-Only" not in response.headers
    assert fetch_all_rows(partner.app) != before


def test_repeated_parameter_is_refused(partner: Caller) -> None:
    response = partner("POST", "/tenants?validate_only=true&validate_only=true", json=BODY)
    assert_invalid_parameters(response, ("#/validate_only", "duplicate", "Send this parameter once."))


@pytest.mark.parametrize("path", ["/tenants", BY_ID], ids=["of a list", "of one"])
def test_get_refuses_validate_only(partner: Caller, path: str) -> None:
    response = partner("GET", f"{path.format(partner.create()['tenant'])}?validate_only=true")
    assert_invalid_parameters(response, ("#/validate_only", "unknown-field", "There is no such field."))


@pytest.mark.parametrize("name", [name for name, write in SUCCESSES.items() if write.method in ("POST", "PATCH")])
def test_dry_run_leaves_the_idempotency_key_unused(partner: Caller, name: str) -> None:
    write = SUCCESSES[name]
    keyed = Write(write.method, write.path, add_headers(write.options, {"Idempotency-Key": "key-1"}), write.state)
    tenant = create_tenant_in(partner, write.state)
    before = fetch_all_rows(partner.app)
    assert send(partner, keyed, tenant, rehearse=True).headers["X-Validate-Only"] == "true"
    assert fetch_all_rows(partner.app) == before
    done = send(partner, keyed, tenant)
    assert done.status_code in (200, 201), done.text
    assert "Idempotency-Replayed" not in done.headers


def test_dry_run_respects_the_limit_and_does_not_count(make_app: Callable[..., Flask]) -> None:
    caller = Caller(make_app(PROVISIONING_LICENSE=issue_license(max_tenants=2)))
    gone = caller.create()
    caller("DELETE", tenant_path(gone))
    caller.create()
    writes = [Write("POST", "/tenants", {"json": BODY}), SUCCESSES["upsert, new"], SUCCESSES["restore"]]
    for _ in range(3):
        for write in writes:
            assert send(caller, write, gone, rehearse=True).status_code in (200, 201)
    caller.create()
    for write in writes:
        assert_refused_alike(caller, write, 403, "quota-exceeded", gone)


def test_dry_run_needs_a_licence_like_the_write(make_app: Callable[..., Flask]) -> None:
    clock = Clock()
    license = issue_license(expires=int(clock.now) + DAY)
    caller = Caller(make_app(mount={"clock": clock}, PROVISIONING_LICENSE=license, **LONG_LIVED_TOKENS))
    gone = caller.create()
    caller("DELETE", tenant_path(gone))
    clock.now += 20 * DAY
    for write in (Write("POST", "/tenants", {"json": BODY}), SUCCESSES["upsert, new"], SUCCESSES["restore"]):
        assert_refused_alike(caller, write, 403, "license-expired", gone)


def test_concurrent_dry_runs_leave_nothing(app: Flask, partner: Caller) -> None:
    before = fetch_all_rows(app)
    with serve(app) as address:
        replies: list[Reply] = run_concurrently(
            50, lambda _: send_request(address, "POST", f"{PREFIX}/tenants?validate_only=true", partner.token, BODY)
        )
    assert {(reply.status, reply.headers["X-Validate-Only"]) for reply in replies} == {(201, "true")}
    assert fetch_all_rows(app) == before


def create_tenant_in(partner: Caller, state: str) -> dict[str, Any]:
    """A tenant with the external id ``crm-1`` in this state."""
    tenant = partner.create(external_id="crm-1")
    if state == "deleted":
        partner("DELETE", tenant_path(tenant))
    elif state == "suspended":
        partner("POST", f"{tenant_path(tenant)}/suspend", json={"reason": "unpaid"})
    return tenant


def send(
    caller: Caller, write: Write, tenant: dict[str, Any], query: str = "", *, rehearse: bool = False
) -> TestResponse:
    """The answer to the write, or to its rehearsal."""
    query = "validate_only=true" if rehearse else query
    path = write.path.format(tenant["tenant"])
    joined = f"{path}{'&' if '?' in path else '?'}{query}" if query else path
    return caller(write.method, joined, **write.options)


def assert_refused_alike(
    caller: Caller, write: Write, status: int, code: str, tenant: dict[str, Any] | None = None
) -> TestResponse:
    """Assert that write and rehearsal are refused with one document, and change nothing; return the rehearsal's."""
    tenant = tenant or create_tenant_in(caller, write.state)
    before = fetch_all_rows(caller.app)
    rehearsed, done = send(caller, write, tenant, rehearse=True), send(caller, write, tenant)
    check_problem(rehearsed, status=status, code=code)
    assert rehearsed.get_json() == {**done.get_json(), "request_id": rehearsed.headers["X-Request-ID"]}
    assert headers(rehearsed) == headers(done)
    assert fetch_all_rows(caller.app) == before
    return rehearsed


def essence(response: TestResponse) -> Any:
    """The document without what differs between two writes that do the same."""
    if not response.data:
        return None
    return {name: bool(value) if name in OWN else value for name, value in response.get_json().items()}


def headers(response: TestResponse) -> dict[str, str]:
    """The headers without what is the rehearsal's, or this request's own."""
    own = ("X-Validate-Only", "X-Request-ID", "Content-Length")
    shown = {name: value for name, value in response.headers.items() if name not in own}
    if "Location" in shown:
        assert shown["Location"] == f"{PREFIX}{tenant_path(response.get_json())}"
        del shown["Location"]
    return shown


def add_headers(options: dict[str, Any], more: dict[str, str]) -> dict[str, Any]:
    return {**options, "headers": {**options.get("headers", {}), **more}}
