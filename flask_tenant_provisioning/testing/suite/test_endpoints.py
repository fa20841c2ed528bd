"""`/webhooks`: endpoints come, change and go as tenants do; their secrets are shown once."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flask_tenant_provisioning.routes import ROUTES
from flask_tenant_provisioning.testing.callers import WEBHOOKS, Caller
from flask_tenant_provisioning.testing.events import (
    change_endpoint,
    create_endpoint,
    get_endpoint_path,
    make_endpoint_body,
    remove_secret,
    require_endpoint,
)
from flask_tenant_provisioning.testing.responses import ApiResponse
from flask_tenant_provisioning.web.routing import Route

NOBODYS = "01890000-0000-7000-8000-000000000000"
OF_AN_ENDPOINT = [route for route in ROUTES if "<webhook_id>" in route.rule]
HANGS_ON_A_VERSION = ("PATCH", "DELETE", "POST /rotate-secret")
WRONG_GLOBS: dict[str, tuple[Any, dict[str, str]]] = {
    "none": ([], {"#/events": "invalid-type"}),
    "a text": ("*", {"#/events": "invalid-type"}),
    "null": (None, {"#/events": "null"}),
    "too many": (["*"] * 51, {"#/events": "invalid-type"}),
    "a number": (["*", 7], {"#/events/1": "invalid-type"}),
    "capitals": (["Tenant.*"], {"#/events/0": "invalid-glob"}),
    "a dot too many": (["tenant..created"], {"#/events/0": "invalid-glob"}),
    "no such type": (["tenant.*", "invoice.*"], {"#/events/1": "invalid-choice"}),
    "half a type": (["tenant"], {"#/events/0": "invalid-choice"}),
}
SERVERS_OWN = {
    "webhook": NOBODYS,
    "partner": "somebody-else",
    "disabled_reason": None,
    "failing_since": None,
    "public_key": None,
    "version": 1,
    "created_at": "2025-02-10T16:30:00.000Z",
    "updated_at": "2025-02-10T16:30:00.000Z",
}

hangs_on_a_version = pytest.mark.parametrize("write", HANGS_ON_A_VERSION)


def write_endpoint(caller: Caller, webhook: dict[str, Any], write: str, header: str | None) -> ApiResponse:
    """The answer to a write under this ``If-Match``, or none."""
    method, _, action = write.partition(" ")
    content: dict[str, Any] = {"json": {"description": "changed"}} if method == "PATCH" else {}
    return caller(method, get_endpoint_path(webhook, action), headers={"If-Match": header} if header else {}, **content)


def request_endpoint_route(caller: Caller, route: Route, webhook: str) -> ApiResponse:
    """The answer of `route` for this id, to a request that is valid otherwise."""
    body = {"description": "theirs"} if route.method == "PATCH" else {"since": "2100-01-01T00:00:00Z"}
    content: dict[str, Any] = {"json": body} if route.body and route.body_required else {}
    path = route.rule.replace("<webhook_id>", webhook)
    return caller(route.method, path, headers={"If-Match": "*"}, **content)


def read_endpoint(response: ApiResponse) -> dict[str, Any]:
    """Return the problem without the members that differ between two requests."""
    problem = response.problem(404, "webhook-not-found")
    return {name: value for name, value in problem.items() if name not in ("request_id", "instance")}


def is_unchanged(caller: Caller, webhook: dict[str, Any]) -> bool:
    """Return whether the endpoint is as it was."""
    return require_endpoint(caller("GET", get_endpoint_path(webhook))) == remove_secret(webhook)


def test_an_endpoint_is_created(provisioning_partner: Caller) -> None:
    body = make_endpoint_body(
        provisioning_partner, description="株式会社", events=["tenant.*", "*.deleted", "tenant.*"]
    )
    create_endpoint(provisioning_partner)
    response = provisioning_partner("POST", WEBHOOKS, json=body)
    created = require_endpoint(response, 201)
    shown = {**body, "events": ["tenant.*", "*.deleted"], "partner": provisioning_partner.partner, "signing": "v1"}
    response.require(created | shown == created, "show the endpoint as it was sent, each glob once")
    unset = {"disabled_reason": None, "failing_since": None, "public_key": None, "version": 1}
    response.require(created | unset == created, "create it in version 1, and well")
    endpoint = provisioning_partner("GET", provisioning_partner.api.get_path(response.header("Location")))
    endpoint.require(require_endpoint(endpoint) == remove_secret(created), "be where the Location of its creation says")


def test_endpoint_without_event_types_receives_everything(provisioning_partner: Caller) -> None:
    create_endpoint(provisioning_partner)
    response = provisioning_partner("POST", WEBHOOKS, json={"url": make_endpoint_body(provisioning_partner)["url"]})
    endpoint = require_endpoint(response, 201)
    usual = {"description": None, "events": ["*"], "signing": "v1", "enabled": True}
    response.require(endpoint | usual == endpoint, "be enabled, hear every event, and sign v1")


def test_a_secret_is_shown_once(provisioning_partner: Caller) -> None:
    change_endpoint(provisioning_partner, "DELETE", create_endpoint(provisioning_partner)).expect(204)
    created = provisioning_partner("POST", WEBHOOKS, json=make_endpoint_body(provisioning_partner))
    endpoint = require_endpoint(created, 201)
    secret = re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", str(endpoint.get("secret")))
    created.require(secret is not None, "show a secret of 256 bits")
    for response in (
        provisioning_partner("GET", get_endpoint_path(endpoint)),
        provisioning_partner("GET", WEBHOOKS),
        change_endpoint(provisioning_partner, "PATCH", endpoint, json={"description": "changed"}),
    ):
        response.expect(200)
        hidden = '"secret"' not in response.text and endpoint["secret"] not in response.text
        response.require(hidden, "not show the secret again")


def test_an_endpoint_that_signs_asymmetrically_shows_its_public_key(provisioning_partner: Caller) -> None:
    endpoint = create_endpoint(provisioning_partner, signing="v1a")
    response = provisioning_partner("GET", get_endpoint_path(endpoint))
    key = require_endpoint(response)["public_key"]
    response.require(endpoint["secret"] is None, "have no secret to show")
    response.require(
        key == endpoint["public_key"] and key.startswith("whpk_"), "show the key that verifies, at any time"
    )


def test_an_endpoint_that_is_known_is_not_shown_again(provisioning_partner: Caller) -> None:
    endpoint = create_endpoint(provisioning_partner)
    response = provisioning_partner("GET", get_endpoint_path(endpoint), headers={"If-None-Match": '"1"'}).expect(304)
    response.require(not response.body and response.header("ETag") == '"1"', "answer with the ETag alone")


def test_endpoints_are_listed_page_by_page(provisioning_partner: Caller, provisioning_stranger: Caller) -> None:
    endpoints = [remove_secret(create_endpoint(provisioning_partner)) for _ in range(3)]
    create_endpoint(provisioning_stranger)
    first = provisioning_partner("GET", f"{WEBHOOKS}?limit=2")
    page = first.document()
    rest = provisioning_partner("GET", f"{WEBHOOKS}?limit=2&cursor={page['next']}").document()
    first.require(page["items"] + rest["items"] == endpoints, "list the caller's own endpoints, the oldest first")
    first.require(rest["next"] is None and page["next"] in first.header("Link"), "lead to the next page")
    stranger = provisioning_stranger("GET", f"{WEBHOOKS}?cursor={page['next']}")
    stranger.problem(400, "invalid-cursor")


@pytest.mark.parametrize("case", WRONG_GLOBS)
def test_a_glob_that_means_nothing_is_named(provisioning_partner: Caller, case: str) -> None:
    globs, faults = WRONG_GLOBS[case]
    response = provisioning_partner("POST", WEBHOOKS, json=make_endpoint_body(provisioning_partner, events=globs))
    response.require(response.faults() == faults, f"say {faults}")


def test_all_errors_of_an_endpoint_are_returned_at_once(provisioning_partner: Caller) -> None:
    body = {"url": "", "description": 5, "events": ["Tenant"], "signing": "v2", "enabled": 1, "secret": "whsec_x"}
    response = provisioning_partner("POST", WEBHOOKS, json=body)
    named = {"#/url", "#/description", "#/events/0", "#/signing", "#/enabled", "#/secret"}
    response.require({*response.faults()} == named, f"name {', '.join(sorted(named))}")


@pytest.mark.parametrize("name", SERVERS_OWN)
def test_a_field_of_an_endpoint_that_the_server_sets_is_refused(provisioning_partner: Caller, name: str) -> None:
    body = make_endpoint_body(provisioning_partner, **{name: SERVERS_OWN[name]})
    response = provisioning_partner("POST", WEBHOOKS, json=body)
    response.require(response.faults() == {f"#/{name}": "read-only"}, f"refuse {name} alone, as read-only")


def test_patch_changes_named_endpoint_fields_only(provisioning_partner: Caller) -> None:
    created = create_endpoint(provisioning_partner, description="old")
    patch = {"description": None, "events": ["tenant.created"]}
    response = change_endpoint(provisioning_partner, "PATCH", created, json=patch)
    endpoint = require_endpoint(response)
    moved = {"version": 2, "updated_at": endpoint["updated_at"]}
    response.require(
        endpoint == {**remove_secret(created), **patch, **moved}, "change what was named, and nothing else"
    )
    same = change_endpoint(provisioning_partner, "PATCH", endpoint, json=patch)
    same.require(require_endpoint(same) == endpoint, "change nothing where it is so already")
    signing = change_endpoint(provisioning_partner, "PATCH", endpoint, json={"signing": "v1a"})
    signing.require(signing.faults() == {"#/signing": "read-only"}, "leave the way of signing as it is")


def test_a_deleted_endpoint_is_gone(provisioning_partner: Caller) -> None:
    endpoint, other = create_endpoint(provisioning_partner), create_endpoint(provisioning_partner)
    response = change_endpoint(provisioning_partner, "DELETE", endpoint).expect(204)
    response.require(not response.body, "answer without a body")
    provisioning_partner("GET", get_endpoint_path(endpoint)).problem(404, "webhook-not-found")
    change_endpoint(provisioning_partner, "DELETE", endpoint).problem(404, "webhook-not-found")
    response.require(is_unchanged(provisioning_partner, other), "leave the other endpoint")


@hangs_on_a_version
def test_a_write_to_another_version_of_an_endpoint_fails(provisioning_partner: Caller, write: str) -> None:
    endpoint = create_endpoint(provisioning_partner)
    response = write_endpoint(provisioning_partner, endpoint, write, '"0"')
    response.problem(412, "precondition-failed")
    response.require(is_unchanged(provisioning_partner, endpoint), "leave the endpoint as it was")


@hangs_on_a_version
def test_a_write_to_this_version_of_an_endpoint_succeeds(provisioning_partner: Caller, write: str) -> None:
    endpoint = create_endpoint(provisioning_partner)
    response = write_endpoint(provisioning_partner, endpoint, write, '"1"').expect(200, 204)
    if response.status == 200:
        response.require(require_endpoint(response)["version"] == 2, "count one version more")


@hangs_on_a_version
def test_a_write_to_any_version_of_an_endpoint_is_taken_or_refused_as_the_host_says(
    provisioning_partner: Caller, write: str
) -> None:
    endpoint = create_endpoint(provisioning_partner)
    response = write_endpoint(provisioning_partner, endpoint, write, None)
    if not provisioning_partner.api.config.require_if_match:
        response.expect(200, 204)
        return
    response.problem(428, "precondition-required")
    response.require(is_unchanged(provisioning_partner, endpoint), "leave the endpoint as it was")


def test_first_writer_to_an_endpoint_with_one_etag_wins(provisioning_partner: Caller) -> None:
    endpoint = create_endpoint(provisioning_partner)
    first = require_endpoint(write_endpoint(provisioning_partner, endpoint, "PATCH", '"1"'))
    second = write_endpoint(provisioning_partner, endpoint, "PATCH", '"1"')
    second.problem(412, "precondition-failed")
    second.require(is_unchanged(provisioning_partner, first), "leave what the first wrote")


def test_an_endpoint_that_is_created_again_with_one_key_is_the_same(provisioning_partner: Caller) -> None:
    body, headers = make_endpoint_body(provisioning_partner), {"Idempotency-Key": "once"}
    change_endpoint(provisioning_partner, "DELETE", create_endpoint(provisioning_partner)).expect(204)
    first = provisioning_partner("POST", WEBHOOKS, json=body, headers=headers)
    endpoint = require_endpoint(first, 201)
    again = provisioning_partner("POST", WEBHOOKS, json=body, headers=headers)
    again.require(require_endpoint(again, 201) == endpoint, "repeat the answer, its secret included")
    again.require(again.header("Idempotency-Replayed") == "true", "say that it does")
    listed = provisioning_partner("GET", WEBHOOKS)
    listed.require(listed.document()["items"] == [remove_secret(endpoint)], "list one endpoint")
    other = make_endpoint_body(provisioning_partner, description="another")
    response = provisioning_partner("POST", WEBHOOKS, json=other, headers=headers)
    response.problem(422, "idempotency-key-reused")


def test_dry_run_leaves_no_endpoint(provisioning_partner: Caller) -> None:
    endpoint = create_endpoint(provisioning_partner)
    rehearsed = f"{WEBHOOKS}?validate_only=true"
    response = provisioning_partner("POST", rehearsed, json=make_endpoint_body(provisioning_partner))
    response.require(response.status in (201, 403), "answer as the creation would")
    for method, action in (("DELETE", ""), ("POST", "/rotate-secret")):
        response = change_endpoint(provisioning_partner, method, endpoint, f"{action}?validate_only=true").expect(
            200, 204
        )
        response.require(response.header("X-Validate-Only") == "true", "say that nothing was written")
    listed = provisioning_partner("GET", WEBHOOKS)
    listed.require(listed.document()["items"] == [remove_secret(endpoint)], "list what was there before, as it was")


def test_a_partner_has_as_many_endpoints_as_the_host_allows(
    provisioning_partner: Caller, provisioning_stranger: Caller
) -> None:
    limit = provisioning_partner.api.config.webhook_limit
    if limit > 25:
        pytest.skip(f"PROVISIONING_WEBHOOK_LIMIT is {limit}")
    body = make_endpoint_body(provisioning_partner)
    endpoints = [require_endpoint(provisioning_partner("POST", WEBHOOKS, json=body), 201) for _ in range(limit)]
    refused = provisioning_partner("POST", WEBHOOKS, json=body)
    refused.problem(403, "quota-exceeded", limit=limit)
    if endpoints:
        require_endpoint(provisioning_stranger("POST", WEBHOOKS, json=body), 201)
        change_endpoint(provisioning_partner, "DELETE", endpoints[0]).expect(204)
        require_endpoint(provisioning_partner("POST", WEBHOOKS, json=body), 201)


def test_a_rotation_shows_another_secret(provisioning_partner: Caller) -> None:
    created = create_endpoint(provisioning_partner)
    response = change_endpoint(provisioning_partner, "POST", created, "/rotate-secret", json={"overlap_hours": 0})
    endpoint = require_endpoint(response)
    response.require(
        endpoint["secret"].startswith("whsec_") and endpoint["secret"] != created["secret"], "show another secret"
    )
    moved = {"version": 2, "updated_at": endpoint["updated_at"]}
    response.require(remove_secret(endpoint) == {**remove_secret(created), **moved}, "change nothing else")


@pytest.mark.parametrize("hours", [-1, 169, 1.5, "24", None, True])
def test_an_overlap_is_a_number_of_hours(provisioning_partner: Caller, hours: Any) -> None:
    endpoint = create_endpoint(provisioning_partner)
    response = change_endpoint(provisioning_partner, "POST", endpoint, "/rotate-secret", json={"overlap_hours": hours})
    response.require({*response.faults()} == {"#/overlap_hours"}, "name the overlap")
    response.require(is_unchanged(provisioning_partner, endpoint), "leave the secret as it was")


@pytest.mark.parametrize("route", OF_AN_ENDPOINT, ids=lambda route: f"{route.method} {route.rule}")
def test_endpoint_of_another_partner_returns_404(
    provisioning_partner: Caller, provisioning_stranger: Caller, route: Route
) -> None:
    endpoint = create_endpoint(provisioning_partner)
    theirs, absent = (request_endpoint_route(provisioning_stranger, route, id) for id in (endpoint["webhook"], NOBODYS))
    theirs.require(read_endpoint(theirs) == read_endpoint(absent), "answer as for an id that never was")
    theirs.require(is_unchanged(provisioning_partner, endpoint), "leave the other partner's endpoint as it was")


def test_partner_cannot_use_the_partner_parameter_for_endpoints(provisioning_partner: Caller) -> None:
    named, body = f"{WEBHOOKS}?partner={provisioning_partner.partner}", make_endpoint_body(provisioning_partner)
    for response in (provisioning_partner("GET", named), provisioning_partner("POST", named, json=body)):
        response.problem(403, "insufficient-permission")


def test_administrator_reaches_endpoints_of_any_partner(
    provisioning_partner: Caller, provisioning_stranger: Caller
) -> None:
    endpoint, administrator = create_endpoint(provisioning_partner), provisioning_stranger.administrator()
    changed = require_endpoint(change_endpoint(administrator, "PATCH", endpoint, json={"description": "seen"}))
    query = f"{WEBHOOKS}?partner={provisioning_partner.partner}"
    made_for = administrator("POST", query, json=make_endpoint_body(provisioning_partner))
    other = require_endpoint(made_for, 201)
    made_for.require(other["partner"] == provisioning_partner.partner, "create it for the partner that was named")
    response = administrator("GET", query)
    response.require(response.document()["items"] == [changed, remove_secret(other)], "list this partner's endpoints")
