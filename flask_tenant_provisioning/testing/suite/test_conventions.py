"""Rules for every request: unknown paths, methods and parameters, request ids, and caching."""

from __future__ import annotations

from typing import Any

import pytest

from flask_tenant_provisioning.testing.api import MountedApi
from flask_tenant_provisioning.testing.callers import TENANTS, Caller, get_tenant_path
from flask_tenant_provisioning.testing.responses import COOKIES, ApiResponse

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
USABLE_IDS = ("1", "a.b-c_D", "x" * 128)
USELESS_IDS = ("", "with space", "x" * 129, "a;b", "é")


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_path_is_a_problem(provisioning_api: MountedApi, method: str) -> None:
    provisioning_api(method, "/no-such-thing").problem(404, "not-found")


@pytest.mark.parametrize("path", ["/", "/tenants/", "/tenants/1/2/3", "/%3Cscript%3E", "/.."])
def test_unknown_path_below_the_prefix_gets_a_problem(provisioning_partner: Caller, path: str) -> None:
    provisioning_partner("GET", path).problem(404, "not-found")


def test_head_of_an_unknown_path_answers_without_a_body(provisioning_api: MountedApi) -> None:
    response = provisioning_api("HEAD", "/no-such-thing").expect(404)
    response.require(not response.body, "answer without a body")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/tenants", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PATCH", "/tenants", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", "/tenants/1", {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"}),
        ("GET", "/tenants/1/suspend", {"OPTIONS", "POST"}),
        ("POST", "/openapi.json", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_a_problem_that_names_the_right_ones(
    provisioning_api: MountedApi, method: str, path: str, allowed: set[str]
) -> None:
    response = provisioning_api(method, path)
    response.problem(405, "method-not-allowed")
    named = {name.strip() for name in response.header("Allow").split(",")}
    response.require(allowed <= named and method not in named, f"allow {', '.join(sorted(allowed))}")


@pytest.mark.parametrize("sent", USABLE_IDS)
def test_a_request_id_is_echoed(provisioning_partner: Caller, sent: str) -> None:
    for path, status in ((TENANTS, 200), ("/no-such-thing", 404)):
        responses = [provisioning_partner("GET", path, headers={"X-Request-ID": sent}) for _ in range(2)]
        first, second = (response.expect(status).header("X-Request-ID") for response in responses)
        if sent not in (first, second) and first != second:
            pytest.skip("the host gives each request an id of its own")
        responses[1].require(first == second == sent, "echo the request's X-Request-ID")
        if status == 404:
            responses[1].problem(404, "not-found")


@pytest.mark.parametrize("sent", USELESS_IDS)
def test_missing_or_invalid_request_id_is_replaced(provisioning_partner: Caller, sent: str) -> None:
    responses = [provisioning_partner("GET", TENANTS, headers={"X-Request-ID": sent}).expect(200) for _ in range(2)]
    first, second = (response.header("X-Request-ID") for response in responses)
    responses[1].require(first != second and sent not in (first, second), "make an X-Request-ID of its own")


def test_responses_forbid_caching(provisioning_partner: Caller, provisioning_api: MountedApi) -> None:
    tenant = provisioning_partner.create()
    provisioning_partner("GET", get_tenant_path(tenant)).expect(200)
    provisioning_partner("GET", TENANTS).expect(200)
    provisioning_api("GET", TENANTS).problem(401, "authentication-required")
    provisioning_api("GET", "/no-such-thing").problem(404, "not-found")


@pytest.mark.parametrize(
    ("method", "action", "body"),
    [("GET", "", False), ("PATCH", "", True), ("PUT", "", True), ("DELETE", "", False), ("POST", "/suspend", False)],
)
def test_an_unknown_parameter_is_named_and_does_nothing(
    provisioning_partner: Caller, method: str, action: str, body: bool
) -> None:
    tenant = provisioning_partner.create()
    content: dict[str, Any] = {"json": provisioning_partner.body()} if body else {}
    response = provisioning_partner.write(method, tenant, f"{action}?colour=red&colour=blue&force=true", **content)
    faults = response.faults("invalid-parameter")
    response.require({*faults} == {"#/colour", "#/force"}, "name both unknown parameters")
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_parameter_of_the_collection_is_named(provisioning_partner: Caller, method: str) -> None:
    content: dict[str, Any] = {"json": provisioning_partner.body()} if method == "POST" else {}
    response = provisioning_partner(method, f"{TENANTS}?colour=red", **content)
    response.require(
        response.faults("invalid-parameter") == {"#/colour": "unknown-field"}, "name the unknown parameter"
    )


def test_a_parameter_that_is_sent_twice_is_refused(provisioning_partner: Caller) -> None:
    response = provisioning_partner("GET", f"{TENANTS}?limit=1&limit=2")
    response.require(
        response.faults("invalid-parameter") == {"#/limit": "duplicate"}, "name the parameter that came twice"
    )


def test_response_sets_no_cookie_and_ignores_cookies(provisioning_partner: Caller) -> None:
    response = provisioning_partner(
        "POST", TENANTS, json=provisioning_partner.body(), headers={"Cookie": "session=nonsense"}
    )
    require_no_cookie(response.expect(201))


def test_refusal_sets_no_cookie_and_ignores_cookies(provisioning_api: MountedApi) -> None:
    for path, status, code in (("/no-such-thing", 404, "not-found"), (TENANTS, 401, "authentication-required")):
        response = provisioning_api("GET", path, headers={"Cookie": "session=nonsense"})
        response.problem(status, code)
        require_no_cookie(response)


def require_no_cookie(response: ApiResponse) -> None:
    """Demand that the answer neither sets a cookie nor differs for callers who send one."""
    __tracebackhide__ = True
    cookies = "Set-Cookie" in response.headers or "cookie" in response.headers.get("Vary", "").lower()
    response.require(not cookies, "set no cookie and depend on none: callers keep none", COOKIES)
