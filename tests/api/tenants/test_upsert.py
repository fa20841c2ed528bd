"""`PUT /tenants/by-external-id/{external_id}`: say what shall be, and it is so, once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_tenant_provisioning.database.ids import make_uuid7
from tests.support.assertions import (
    NO_TAG,
    STALE,
    WEAK_TAG,
    assert_invalid_fields,
    assert_invalid_parameters,
    assert_problem,
    check_problem,
)
from tests.support.callers import EXAMPLE, Caller, tenant_path
from tests.support.clock import DAY, LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import count_tenants, fetch_all_rows, fetch_rows
from tests.support.events import fetch_event_types, fetch_tenant_events, list_changes
from tests.support.hosts import PREFIX, issue_license
from tests.support.servers import Reply, run_concurrently, send_request, serve

FULL = {**EXAMPLE, "plan": "pro", "metadata": {"a": "1"}}
LENGTH = ("#/external_id", "invalid-length", "Must have 1 to 128 characters.")
MISMATCH = ("#/external_id", "mismatch", "Must equal the external id in the path, or be absent.")
UNSTORABLE = ("#/external_id", "invalid-text", "Must hold no NUL character.")


def test_absent_tenant_is_created(partner: Caller) -> None:
    response = upsert(partner, FULL)
    document = response.get_json()
    assert response.status_code == 201, response.text
    assert document == {
        **FULL,
        "tenant": document["tenant"],
        "partner": partner.partner,
        "external_id": "crm-1",
        "status": "active",
        "suspended_reason": None,
        "version": 1,
        "created_at": document["created_at"],
        "updated_at": document["created_at"],
        "deleted_at": None,
        "purge_at": None,
    }
    assert (response.headers["Location"], response.headers["ETag"]) == (f"{PREFIX}{tenant_path(document)}", '"1"')
    assert partner("GET", tenant_path(document)).get_json() == document
    assert fetch_tenant_events(partner, document) == [("tenant.created", document, None)]


def test_existing_tenant_is_replaced(partner: Caller) -> None:
    document = upsert(partner, FULL).get_json()
    response = upsert(partner, {"client_name": "Other", "email": "other@example.com"})
    replaced = response.get_json()
    gone: dict[str, Any] = {"phone_number": None, "industry": None, "plan": None, "metadata": {}}
    named = {"client_name": "Other", "email": "other@example.com"}
    assert (response.status_code, response.headers["ETag"]) == (200, '"2"')
    assert "Location" not in response.headers
    assert replaced == {**document, **gone, **named, "version": 2, "updated_at": replaced["updated_at"]}
    assert partner("GET", tenant_path(document)).get_json() == replaced
    assert fetch_tenant_events(partner, document)[1:] == [
        ("tenant.updated", replaced, list_changes(document, replaced))
    ]


@pytest.mark.parametrize("body", [
    FULL, {**FULL, "external_id": "crm-1"}, {**FULL, "client_name": " Example Corp "}, {**FULL, "metadata": {"a": "1"}},
], ids=["the same", "with its id", "trimmed", "metadata again"])  # fmt: skip
def test_unchanged_upsert_leaves_no_trace(partner: Caller, body: dict[str, Any]) -> None:
    document = upsert(partner, FULL).get_json()
    response = upsert(partner, body)
    assert (response.status_code, response.headers["ETag"], response.get_json()) == (200, '"1"', document)
    assert fetch_event_types(partner, document) == ["tenant.created"]


def test_a_tenant_that_was_created_otherwise_is_found(partner: Caller) -> None:
    tenant = partner.create(external_id="crm-1")
    document = upsert(partner, EXAMPLE).get_json()
    assert (document["tenant"], document["version"]) == (tenant["tenant"], 2)


def test_a_suspended_tenant_stays_suspended(partner: Caller) -> None:
    document = upsert(partner, FULL).get_json()
    partner("POST", f"{tenant_path(document)}/suspend", json={"reason": "unpaid"})
    replaced = upsert(partner, EXAMPLE).get_json()
    assert (replaced["status"], replaced["suspended_reason"], replaced["version"]) == ("suspended", "unpaid", 3)


def test_a_deleted_tenant_is_not_revived(partner: Caller) -> None:
    first = upsert(partner, FULL).get_json()
    deleted = partner("DELETE", tenant_path(first)).get_json()
    response = upsert(partner, FULL)
    assert (response.status_code, response.get_json()["version"]) == (201, 1)
    assert response.get_json()["tenant"] != first["tenant"]
    assert partner("GET", tenant_path(first)).get_json() == deleted


IDS = {
    "one letter": "x",
    "the longest": "x" * 128,
    "the longest, of four bytes": "😀" * 128,
    "unicode": "Jörg-Ω-日本",
    "percent": "100%",
    "an escape itself": "a%2Fb",
    "a question mark": "a?b=c",
    "a hash": "a#b",
    "a plus": "a+b",
    "space": "a b",
    "a line break": "a\nb",
    "quotes": "'\"",
    "like a UUID": "0193d5f0-0000-7000-8000-000000000000",
    "like a pattern": "%_%",
}


@pytest.mark.parametrize("external_id", IDS.values(), ids=IDS)
def test_an_external_id_is_taken_to_the_letter(partner: Caller, external_id: str) -> None:
    body = {**EXAMPLE, "external_id": external_id}
    created = upsert(partner, body, external_id)
    assert (created.status_code, created.get_json()["external_id"]) == (201, external_id)
    again = upsert(partner, EXAMPLE, external_id)
    assert (again.status_code, again.get_json()) == (200, created.get_json())
    listed = partner("GET", f"/tenants?{urlencode({'external_id': external_id})}").get_json()["items"]
    assert listed == [created.get_json()]


def test_external_ids_differ_by_every_letter(partner: Caller) -> None:
    for number, external_id in enumerate(["crm-1", "CRM-1", "crm-1 ", "crm-10", "crm-\u0661"]):
        body = {"client_name": "Example Corp", "email": f"u{number}@example.com"}
        assert upsert(partner, body, external_id).status_code == 201


@pytest.mark.parametrize(("path", "error"), [
    ("x" * 129, LENGTH), ("%F0%9F%98%80" * 129, LENGTH), ("a%00b", UNSTORABLE), ("%00", UNSTORABLE),
], ids=["too long", "too long, of four bytes", "a NUL inside", "a NUL"])  # fmt: skip
def test_invalid_external_id_names_its_error(partner: Caller, path: str, error: tuple[str, str, str]) -> None:
    response = partner("PUT", f"/tenants/by-external-id/{path}", json=EXAMPLE)
    pointer, code, detail = error
    errors = [{"pointer": pointer, "code": code, "detail": detail}]
    check_problem(response, status=400, code="validation-error", detail="1 field is invalid.", errors=errors)
    assert fetch_rows(partner.app, "tenants", partner_id=partner.partner) == []


def test_empty_external_id_returns_404(partner: Caller) -> None:
    response = partner("PUT", "/tenants/by-external-id/", json=EXAMPLE)
    check_problem(response, status=404, code="not-found")


@pytest.mark.parametrize("other", ["crm-2", "CRM-1", "", None, 1, ["crm-1"]], ids=repr)
def test_the_body_may_not_name_another_external_id(partner: Caller, other: Any) -> None:
    assert_invalid_fields(upsert(partner, {**EXAMPLE, "external_id": other}), MISMATCH)
    assert fetch_rows(partner.app, "tenants", partner_id=partner.partner) == []


def test_all_errors_are_named_at_once(partner: Caller) -> None:
    assert_invalid_fields(
        upsert(partner, {"email": "nobody", "external_id": "crm-2", "status": "active", "x": 1}),
        ("#/client_name", "required", "This field is required."),
        ("#/email", "invalid-email", "Invalid email address."),
        MISMATCH,
        ("#/status", "read-only", "This field is set by the server."),
        ("#/x", "unknown-field", "There is no such field."),
    )


@pytest.mark.parametrize("body", [[], "x", 1, None], ids=repr)
def test_a_body_that_is_no_object_is_named(partner: Caller, body: Any) -> None:
    response = partner("PUT", "/tenants/by-external-id/crm-1", data=quote_body(body), content_type="application/json")
    assert_invalid_fields(response, ("#", "invalid-type", "Must be an object."))


@pytest.mark.parametrize(
    "options", [{}, {"data": b"{}", "content_type": "text/plain"}], ids=["none", "of another type"]
)
def test_a_body_is_needed(partner: Caller, options: dict[str, Any]) -> None:
    response = partner("PUT", "/tenants/by-external-id/crm-1", **options)
    assert (response.status_code, response.get_json()["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize(("granted", "missing"), [
    ("tenant:create", "tenant:update"), ("tenant:update", "tenant:create"),
    ("tenant:read", "tenant:create and tenant:update"),
])  # fmt: skip
@pytest.mark.parametrize("exists", [True, False], ids=["where it is there", "where it is not"])
def test_upsert_needs_both_permissions(app: Flask, partner: Caller, granted: str, missing: str, exists: bool) -> None:
    if exists:
        upsert(partner, FULL)
    narrowed = Caller(app, partner.partner, permissions=granted)
    detail = f"This needs the permission {missing}."
    both = ["tenant:create", "tenant:update"]
    response = upsert(narrowed, EXAMPLE)
    assert_problem(response, 403, "insufficient-permission", detail, required=both)
    assert 'scope="tenant:create tenant:update"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("exists", [True, False], ids=["where it is there", "where it is not"])
def test_taken_email_returns_409(partner: Caller, exists: bool) -> None:
    holder = partner.create(email="Admin@Example.com")
    own_tenant = upsert(partner, {**EXAMPLE, "email": "own@example.com"}).get_json() if exists else None
    response = upsert(partner, EXAMPLE)
    detail = "Another tenant has this email."
    assert_problem(response, 409, "tenant-exists", detail, field="email", conflicting_tenant=holder["tenant"])
    if own_tenant:
        assert partner("GET", tenant_path(own_tenant)).get_json() == own_tenant


def test_two_partners_may_use_one_external_id(app: Flask, partner: Caller) -> None:
    other = Caller(app)
    mine, theirs = upsert(partner, FULL), upsert(other, FULL)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert theirs.get_json()["partner"] == other.partner


def test_administrator_upserts_for_the_partner_parameter(app: Flask, partner: Caller) -> None:
    document = upsert(partner, FULL).get_json()
    administrator = Caller(app, roles=["provisioning-admin"], sub="root")
    named = f"?partner={partner.partner}"
    replaced = upsert(administrator, EXAMPLE, query=named).get_json()
    assert (replaced["tenant"], replaced["partner"], replaced["version"]) == (document["tenant"], partner.partner, 2)
    own = upsert(administrator, EXAMPLE)
    assert (own.status_code, own.get_json()["partner"]) == (201, administrator.partner)
    assert fetch_rows(app, "events", tenant_id=document["tenant"])[-1]["actor_partner"] == administrator.partner


def test_only_an_administrator_may_name_a_partner(app: Flask, partner: Caller) -> None:
    response = upsert(partner, EXAMPLE, query=f"?partner={Caller(app).partner}")
    assert_problem(response, 403, "insufficient-permission", "Only an administrator may name a partner.")


def test_an_unknown_parameter_is_named(partner: Caller) -> None:
    response = upsert(partner, EXAMPLE, query="?force=true")
    assert_invalid_parameters(response, ("#/force", "unknown-field", "There is no such field."))


EXCLUDED = "The resource has the version that If-None-Match excludes."


@pytest.mark.parametrize("header", ["*", '"1"', '"0", "1"'])
def test_if_match_on_a_missing_tenant_returns_412(partner: Caller, header: str) -> None:
    absent = "If-Match asks for a resource that does not exist yet."
    assert_problem(upsert(partner, FULL, **{"If-Match": header}), 412, "precondition-failed", absent)
    assert fetch_rows(partner.app, "tenants", partner_id=partner.partner) == []
    upsert(partner, FULL)
    assert upsert(partner, EXAMPLE, **{"If-Match": header}).status_code == 200


@pytest.mark.parametrize(("header", "detail"), [('"2"', STALE), ('W/"1"', WEAK_TAG), ("oops", NO_TAG)])
def test_if_match_demands_its_version(partner: Caller, header: str, detail: str) -> None:
    document = upsert(partner, FULL).get_json()
    assert_problem(upsert(partner, EXAMPLE, **{"If-Match": header}), 412, "precondition-failed", detail)
    assert partner("GET", tenant_path(document)).get_json() == document


@pytest.mark.parametrize("header", ["*", '"1"', 'W/"1"'])
def test_if_none_match_on_an_existing_tenant_returns_412(partner: Caller, header: str) -> None:
    assert upsert(partner, FULL, **{"If-None-Match": header}).status_code == 201
    assert_problem(upsert(partner, EXAMPLE, **{"If-None-Match": header}), 412, "precondition-failed", EXCLUDED)


def test_limit_applies_to_creation_only(make_app: Callable[..., Flask]) -> None:
    partner = Caller(make_app(PROVISIONING_LICENSE=issue_license(max_tenants=1)))
    document = upsert(partner, FULL).get_json()
    refusal = upsert(partner, {**EXAMPLE, "email": "b@example.com"}, "crm-2")
    assert_problem(refusal, 403, "quota-exceeded", "The limit of 1 tenants is reached.", limit=1)
    assert upsert(partner, EXAMPLE).get_json()["tenant"] == document["tenant"]
    assert count_tenants(partner.app) == (1, 1)


def test_a_conflict_does_not_use_up_the_limit(make_app: Callable[..., Flask]) -> None:
    partner = Caller(make_app(PROVISIONING_LICENSE=issue_license(max_tenants=2)))
    partner.create(email=EXAMPLE["email"])
    for _ in range(3):
        assert upsert(partner, EXAMPLE).status_code == 409
    assert count_tenants(partner.app) == (1, 1)


def test_expired_licence_allows_replacement_and_refuses_creation(make_app: Callable[..., Flask]) -> None:
    clock = Clock()
    license = issue_license(expires=int(clock.now) + DAY)
    partner = Caller(make_app(mount={"clock": clock}, PROVISIONING_LICENSE=license, **LONG_LIVED_TOKENS))
    upsert(partner, FULL)
    clock.now += 20 * DAY
    assert upsert(partner, EXAMPLE).status_code == 200
    response = upsert(partner, {**EXAMPLE, "email": "b@example.com"}, "crm-2")
    assert (response.status_code, response.get_json()["code"]) == (403, "license-expired")


def test_dry_run_returns_the_result(partner: Caller) -> None:
    absent = upsert(partner, FULL, query="?validate_only=true")
    assert (absent.status_code, absent.headers["X-Validate-Only"]) == (201, "true")
    document = upsert(partner, FULL).get_json()
    before = fetch_all_rows(partner.app)
    there = upsert(partner, EXAMPLE, query="?validate_only=true")
    assert (there.status_code, there.headers["ETag"], there.get_json()["tenant"]) == (200, '"2"', document["tenant"])
    assert fetch_all_rows(partner.app) == before


@pytest.mark.parametrize("email", ["admin@example.com", "u{}@example.com"], ids=["one address", "their own addresses"])
def test_concurrent_upserts_create_one_tenant(app: Flask, partner: Caller, email: str) -> None:
    def say(number: int) -> Reply:
        body = {"client_name": "Example Corp", "email": email.format(number)}
        return send_request(address, "PUT", f"{PREFIX}/tenants/by-external-id/crm-1", partner.token, body)

    with serve(app) as address:
        replies = run_concurrently(30, say)
    assert Counter(reply.status for reply in replies) == {201: 1, 200: 29}
    (row,) = fetch_rows(app, "tenants", partner_id=partner.partner)
    events = Counter(event["type"] for event in fetch_rows(app, "events", partner_id=partner.partner))
    assert events["tenant.created"] == 1
    assert row["version"] == sum(events.values()) == (1 if "{" not in email else 30)


@pytest.mark.parametrize("email", [EXAMPLE["email"], "own@example.com"], ids=["of one address", "of another"])
def test_lost_race_replaces_the_created_tenant(make_app: Callable[..., Flask], database: str, email: str) -> None:
    """Another writer commits between the lookup and the insert, where a tenant gets its id."""
    if database != "postgresql":
        pytest.skip("SQLite has one writer")
    overtaking: list[Callable[[], None]] = []

    def new_id() -> str:
        if overtaking:
            thread = threading.Thread(target=overtaking.pop())
            thread.start()
            thread.join()
        return make_uuid7()

    partner = Caller(make_app(mount={"new_id": new_id}))
    first: list[TestResponse] = []
    overtaking.append(lambda: first.append(upsert(partner, {**EXAMPLE, "email": email, "plan": "pro"})))
    second = upsert(partner, EXAMPLE)
    document = first[0].get_json()
    assert (first[0].status_code, second.status_code) == (201, 200)
    assert (second.get_json()["tenant"], second.get_json()["version"]) == (document["tenant"], 2)
    assert fetch_event_types(partner, document) == ["tenant.created", "tenant.updated"]


def test_concurrent_deletion_leaves_at_most_one_living_tenant(make_app: Callable[..., Flask]) -> None:
    partner = Caller(make_app(PROVISIONING_LICENSE=issue_license(max_tenants=5)))
    document = upsert(partner, FULL).get_json()

    def step(number: int) -> Reply:
        if number % 2:
            return send_request(address, "DELETE", PREFIX + tenant_path(document), partner.token)
        return send_request(address, "PUT", f"{PREFIX}/tenants/by-external-id/crm-1", partner.token, EXAMPLE)

    with serve(partner.app) as address:
        replies = run_concurrently(20, step)
    assert {reply.status for reply in replies} <= {200, 201}
    assert len(partner("GET", "/tenants?external_id=crm-1").get_json()["items"]) <= 1
    assert len(set(count_tenants(partner.app))) == 1


def upsert(
    caller: Caller, body: dict[str, Any], external_id: str = "crm-1", query: str = "", **headers: str
) -> TestResponse:
    path = f"/tenants/by-external-id/{quote(external_id, safe='')}{query}"
    return caller("PUT", path, json=body, headers=headers)


def quote_body(body: Any) -> bytes:
    return {"[]": b"[]", "'x'": b'"x"', "1": b"1", "None": b"null"}[repr(body)]
