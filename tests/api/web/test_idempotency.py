"""Idempotency-Key: however often a request is repeated, it takes effect once, and every answer is the first's."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from flask import Flask
from sqlalchemy import Connection, text
from werkzeug.test import TestResponse

from flask_tenant_provisioning.access.principal import Principal
from flask_tenant_provisioning.database.session import Session
from flask_tenant_provisioning.errors import IdempotencyInProgress
from flask_tenant_provisioning.web.idempotency import (
    IdempotencyKey,
    StoredResponse,
    claim_key,
    delete_expired,
    read_key,
    save_response,
)
from tests.support.assertions import assert_problem, check_problem
from tests.support.callers import EXAMPLE, Caller, tenant_path
from tests.support.clock import DAY, LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_all_rows, fetch_rows, get_storage, open_host
from tests.support.events import fetch_event_types
from tests.support.hosts import PREFIX, issue_license
from tests.support.servers import Address, Reply, run_concurrently, send_request, serve

NOWHERE = "/tenants/0193d5f0-0000-7000-8000-000000000000"
REUSED = "Another request was sent with this key before."
IN_PROGRESS = "Request in progress."
HOUR = 3600


class Operation(NamedTuple):
    """A repeatable operation: its request, and its preparation."""

    method: str
    suffix: str
    body: Any = None
    before: tuple[tuple[str, str], ...] = ()


SUSPEND, DELETE = ("POST", "/suspend"), ("DELETE", "")
OPERATIONS = {
    "create": Operation("POST", "", EXAMPLE),
    "patch": Operation("PATCH", "", {"industry": "Energy", "metadata": {"ä": "\u20ac"}}),
    "suspend": Operation("POST", "/suspend", {"reason": "unpaid"}),
    "suspend, no body": Operation("POST", "/suspend"),
    "suspend, already": Operation("POST", "/suspend", before=(SUSPEND,)),
    "reactivate": Operation("POST", "/reactivate", before=(SUSPEND,)),
    "restore": Operation("POST", "/restore", before=(DELETE,)),
}
FAILURES = {
    "create, 409": Operation("POST", "", {**EXAMPLE, "email": "holder@example.com"}),
    "patch, 404": Operation("PATCH", NOWHERE, {"industry": "Energy"}),
    "patch, 409 of the state": Operation("PATCH", "", {"industry": "Energy"}, (DELETE,)),
    "patch, 409 of the address": Operation("PATCH", "", {"email": "holder@example.com"}),
    "suspend, 404": Operation("POST", f"{NOWHERE}/suspend"),
    "suspend, 409": Operation("POST", "/suspend", before=(DELETE,)),
    "reactivate, 409": Operation("POST", "/reactivate", before=(DELETE,)),
    "restore, 404": Operation("POST", f"{NOWHERE}/restore"),
    "restore, 409": Operation("POST", "/restore"),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_repeated_request_gets_the_first_answer_and_does_nothing(partner: Caller, operation: Operation) -> None:
    path = prepare(partner, operation)
    first = send_with_key(partner, operation.method, path, operation.body)
    assert first.status_code in (200, 201), first.text
    assert "Idempotency-Replayed" not in first.headers
    after = traces(partner)
    for _ in range(2):
        assert_replay(send_with_key(partner, operation.method, path, operation.body), first)
    assert traces(partner) == after


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_response_with_a_key_equals_one_without(app: Flask, operation: Operation) -> None:
    responses = []
    for headers in ({}, {"Idempotency-Key": "k"}):
        partner = Caller(app)
        path = prepare(partner, operation)
        responses.append(partner(operation.method, path, json=operation.body, headers=headers))
    without, with_key = responses
    assert without.status_code == with_key.status_code
    assert list(without.get_json()) == list(with_key.get_json())
    assert dict.fromkeys(without.headers.keys()) == dict.fromkeys(with_key.headers.keys())
    assert without.content_type == with_key.content_type


@pytest.mark.parametrize("operation", FAILURES.values(), ids=FAILURES)
def test_a_final_failure_is_repeated_to_the_letter(partner: Caller, operation: Operation) -> None:
    holder = partner.create(email="holder@example.com")
    path = prepare(partner, operation)
    first = send_with_key(partner, operation.method, path, operation.body)
    check_problem(first)
    assert first.status_code in (404, 409), first.text
    partner("DELETE", tenant_path(holder))
    assert_replay(send_with_key(partner, operation.method, path, operation.body), first)


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_a_failed_precondition_is_repeated(partner: Caller, method: str) -> None:
    tenant = partner.create()
    path = tenant_path(tenant) if method == "PATCH" else f"{tenant_path(tenant)}/suspend"
    first = send_with_key(partner, method, path, {}, **{"If-Match": '"2"'})
    assert_problem(first, 412, "precondition-failed", "The resource has another version than If-Match names.")
    partner("PATCH", tenant_path(tenant), json={"industry": "Energy"})
    assert_replay(send_with_key(partner, method, path, {}, **{"If-Match": '"2"'}), first)


def test_a_patch_that_was_done_is_repeated_although_its_etag_is_stale_now(partner: Caller) -> None:
    tenant = partner.create()
    responses = [
        send_with_key(partner, "PATCH", tenant_path(tenant), {"industry": "Energy"}, **{"If-Match": '"1"'})
        for _ in range(2)
    ]
    assert_replay(responses[1], responses[0])
    assert responses[0].headers["ETag"] == '"2"'


def test_replay_returns_the_original_response(partner: Caller) -> None:
    tenant = partner.create()
    first = send_with_key(partner, "POST", f"{tenant_path(tenant)}/suspend")
    partner("POST", f"{tenant_path(tenant)}/reactivate")
    assert_replay(send_with_key(partner, "POST", f"{tenant_path(tenant)}/suspend"), first)
    assert partner("GET", tenant_path(tenant)).get_json()["status"] == "active"


def test_a_failure_that_is_remembered_leaves_nothing_else(partner: Caller) -> None:
    partner.create(email="holder@example.com")
    before = traces(partner)
    send_with_key(partner, "POST", "/tenants", FAILURES["create, 409"].body)
    assert traces(partner) == before
    assert [row["status"] for row in fetch_rows(partner.app, "idempotency", partner_id=partner.partner)] == [409]


UNSTORED: dict[str, tuple[int, str, dict[str, Any]]] = {
    "invalid input": (400, "validation-error", {"json": {**EXAMPLE, "email": "nobody"}}),
    "malformed": (400, "malformed-json", {"data": b"{", "content_type": "application/json"}),
    "another type": (415, "unsupported-media-type", {"data": b"{}", "content_type": "text/plain"}),
    "unknown parameter": (400, "invalid-parameter", {"json": EXAMPLE, "query_string": "force=true"}),
    "nobody": (401, "invalid-token", {"json": EXAMPLE, "headers": {"Authorization": "Bearer oops"}}),
    "not acceptable": (406, "not-acceptable", {"json": EXAMPLE, "headers": {"Accept": "text/html"}}),
    "too large": (413, "body-too-large", {"data": b" " * (1 << 20) + b"{}", "content_type": "application/json"}),
}


@pytest.mark.parametrize(("status", "code", "options"), UNSTORED.values(), ids=UNSTORED)
def test_request_refused_before_execution_stores_no_key(
    partner: Caller, status: int, code: str, options: dict[str, Any]
) -> None:
    headers = {**options.get("headers", {}), "Idempotency-Key": "k"}
    check_problem(partner("POST", "/tenants", **{**options, "headers": headers}), status=status, code=code)
    assert fetch_rows(partner.app, "idempotency", partner_id=partner.partner) == []
    fresh(send_with_key(partner, "POST", "/tenants", EXAMPLE), 201)


def test_a_missing_permission_is_not_remembered(partner: Caller) -> None:
    refusal = send_with_key(partner.with_roles("partner-viewer"), "POST", "/tenants", EXAMPLE)
    check_problem(refusal, status=403, code="insufficient-permission")
    fresh(send_with_key(partner, "POST", "/tenants", EXAMPLE), 201)


def test_a_reached_limit_is_not_remembered(make_app: Callable[..., Flask]) -> None:
    caller = Caller(make_app(PROVISIONING_LICENSE=issue_license(max_tenants=1)))
    tenant = caller.create()
    check_problem(send_with_key(caller, "POST", "/tenants", EXAMPLE), status=403, code="quota-exceeded")
    assert fetch_rows(caller.app, "idempotency") == []
    caller("DELETE", tenant_path(tenant))
    fresh(send_with_key(caller, "POST", "/tenants", EXAMPLE), 201)


def test_at_the_limit_the_last_tenants_creation_can_be_repeated(make_app: Callable[..., Flask]) -> None:
    caller = Caller(make_app(PROVISIONING_LICENSE=issue_license(max_tenants=1)))
    first = send_with_key(caller, "POST", "/tenants", EXAMPLE)
    assert_replay(send_with_key(caller, "POST", "/tenants", EXAMPLE), first)
    assert fetch_rows(caller.app, "usage")[0]["tenants"] == 1


class Ids:
    """Ids in a row, until one is to fail."""

    def __init__(self) -> None:
        self.made = 0
        self.fails_at: int | None = None

    def __call__(self) -> str:
        self.made += 1
        if self.made == self.fails_at:
            raise OSError("no randomness left")
        return f"01890000-0000-7000-8000-{self.made:012x}"


@pytest.mark.parametrize(("method", "suffix", "body", "ids"), [
    ("POST", "", EXAMPLE, 1), ("POST", "", EXAMPLE, 2), ("POST", "/suspend", {}, 1), ("PATCH", "", {"plan": "x"}, 1),
], ids=["before anything", "before its event", "a move, half done", "a change, half done"])  # fmt: skip
def test_interrupted_request_leaves_nothing_and_can_be_repeated(
    make_app: Callable[..., Flask], method: str, suffix: str, body: Any, ids: int
) -> None:
    new_id = Ids()
    caller = Caller(make_app(mount={"new_id": new_id}))
    tenant = caller.create()
    path = "/tenants" if body is EXAMPLE else tenant_path(tenant) + suffix
    before = fetch_all_rows(caller.app)
    new_id.fails_at = new_id.made + ids
    check_problem(send_with_key(caller, method, path, body), status=500, code="internal-error")
    assert fetch_all_rows(caller.app) == before
    first = send_with_key(caller, method, path, body)
    fresh(first, 201 if body is EXAMPLE else 200)
    assert_replay(send_with_key(caller, method, path, body), first)


def test_a_database_that_fails_is_not_remembered(make_app: Callable[..., Flask]) -> None:
    caller = Caller(make_app())
    rename(caller, "provisioning_events", "elsewhere")
    check_problem(send_with_key(caller, "POST", "/tenants", EXAMPLE), status=503, code="storage-unavailable")
    rename(caller, "elsewhere", "provisioning_events")
    assert fetch_rows(caller.app, "idempotency") == fetch_rows(caller.app, "tenants") == []
    fresh(send_with_key(caller, "POST", "/tenants", EXAMPLE), 201)


OTHERS: dict[str, tuple[str, str, Any]] = {
    "another body": ("PATCH", "", {"industry": "Farming"}),
    "a body with more": ("PATCH", "", {"industry": "Energy", "plan": None}),
    "another method": ("POST", "/suspend", {"reason": "Energy"}),
    "another query": ("PATCH", "?validate_only=false", {"industry": "Energy"}),
    "creation": ("POST", "COLLECTION", EXAMPLE),
}


@pytest.mark.parametrize(("method", "suffix", "body"), OTHERS.values(), ids=OTHERS)
def test_the_same_key_with_another_request_answers_422(
    partner: Caller, method: str, suffix: str, body: dict[str, Any]
) -> None:
    tenant = partner.create()
    first = send_with_key(partner, "PATCH", tenant_path(tenant), {"industry": "Energy"})
    before = traces(partner)
    path = "/tenants" if suffix == "COLLECTION" else tenant_path(tenant) + suffix
    assert_problem(send_with_key(partner, method, path, body), 422, "idempotency-key-reused", REUSED)
    assert traces(partner) == before
    assert_replay(send_with_key(partner, "PATCH", tenant_path(tenant), {"industry": "Energy"}), first)


def test_the_same_key_for_another_tenant_answers_422(partner: Caller) -> None:
    first, second = partner.create(), partner.create()
    send_with_key(partner, "POST", f"{tenant_path(first)}/suspend")
    assert_problem(
        send_with_key(partner, "POST", f"{tenant_path(second)}/suspend"), 422, "idempotency-key-reused", REUSED
    )
    assert_problem(
        send_with_key(partner, "POST", f"{tenant_path(first)}/reactivate"), 422, "idempotency-key-reused", REUSED
    )


def test_key_of_a_failed_request_is_bound_to_it(partner: Caller) -> None:
    send_with_key(partner, "PATCH", NOWHERE, {"industry": "Energy"})
    response = send_with_key(partner, "PATCH", NOWHERE, {"industry": "Farming"})
    assert_problem(response, 422, "idempotency-key-reused", REUSED)


BODY = {"client_name": "Example", "email": "admin@example.com", "metadata": {"a": "\u00e4", "b": "/"}}
SPELLINGS = {
    "the order of keys": b'{"metadata":{"b":"/","a":"\xc3\xa4"},"email":"admin@example.com","client_name":"Example"}',
    "white space": json.dumps(BODY, indent=4, ensure_ascii=False).encode() + b"\n\t",
    "escapes": rb'{"client_name":"\u0045xample","email":"admin@example.com","metadata":{"a":"\u00E4","b":"\/"}}',
    "escaped keys": rb'{"\u0063lient_name":"Example","email":"admin@example.com","metadata":{"a":"\u00e4","b":"/"}}',
}


@pytest.mark.parametrize("data", SPELLINGS.values(), ids=SPELLINGS)
def test_another_spelling_of_the_same_json_is_the_same_request(partner: Caller, data: bytes) -> None:
    first = send_with_key(partner, "POST", "/tenants", BODY)
    headers = {"Idempotency-Key": "key-1"}
    assert_replay(partner("POST", "/tenants", data=data, content_type="application/json", headers=headers), first)


def test_a_patch_may_be_repeated_under_its_other_media_type(partner: Caller) -> None:
    tenant = partner.create()
    first = send_with_key(partner, "PATCH", tenant_path(tenant), {"industry": "Energy"})
    again = partner("PATCH", tenant_path(tenant), data=b'{"industry":"Energy"}',
                    content_type="application/merge-patch+json", headers={"Idempotency-Key": "key-1"})  # fmt: skip
    assert_replay(again, first)


def test_no_body_and_an_empty_one_are_the_same_suspension(partner: Caller) -> None:
    tenant = partner.create()
    first = send_with_key(partner, "POST", f"{tenant_path(tenant)}/suspend")
    assert_replay(send_with_key(partner, "POST", f"{tenant_path(tenant)}/suspend", {}), first)


@pytest.mark.parametrize("spellings", [
    ["1", "1.0", "1e0", "10e-1", "1E+0"], ["0", "-0", "0.0", "-0.0", "0e9"], ["1.5", "1.50", "15e-1"],
    ["10000000000000000", "1e16", "1E16"], ["[1,{\"a\":2}]", "[1.0,{\"a\":2e0}]"],
], ids=lambda spellings: spellings[0])  # fmt: skip
def test_equal_numbers_have_one_fingerprint(app: Flask, spellings: list[str]) -> None:
    assert len({fingerprint(app, spelling) for spelling in spellings}) == 1


def test_different_json_is_another_request(app: Flask) -> None:
    different = ["1", '"1"', "true", "1.5", "null", "{}", "[]", '""', "[1]", '{"1":1}', '{"a":[]}', '{"a":{}}', "[[]]"]
    assert len({fingerprint(app, spelling) for spelling in different}) == len(different)


GOOD: dict[str, tuple[str, str]] = {
    "bare": ("k", "k"),
    "a UUID": ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
    "quoted": ('"k"', "k"),
    "padded": (" \tk\t ", "k"),
    "quoted, padded": (' "k" ', "k"),
    "the longest": ("x" * 255, "x" * 255),
    "the longest, quoted": (f'"{"x" * 255}"', "x" * 255),
    "the longest, escaped": ('"' + '\\"' * 255 + '"', '"' * 255),
    "inner space": ("a b", "a b"),
    "a quoted space": ('" "', " "),
    "a quoted comma": ('"a, b"', "a, b"),
    "escaped": (r'"a\"b\\c"', r'a"b\c'),
    "a bare backslash": ("a\\b", "a\\b"),
    "every bare sign": (r"!#$%&'()*+-./:;<=>?@[\]^_`{|}~", r"!#$%&'()*+-./:;<=>?@[\]^_`{|}~"),
    "like SQL": ("'; DROP TABLE provisioning_tenants; --", "'; DROP TABLE provisioning_tenants; --"),
}
BAD = {
    "empty": "",
    "blank": "  ",
    "quoted, empty": '""',
    "too long": "x" * 256,
    "too long, quoted": f'"{"x" * 256}"',
    "not ASCII": "cl\xe9",
    "not ASCII, quoted": '"cl\xe9"',
    "a no-break space": "\xa0k",
    "a next line": "k\x85",
    "a control character": "a\x01b",
    "a separator": "\x1ck",
    "a tab": "a\tb",
    "DEL": "a\x7f",
    "no end": '"k',
    "no beginning": 'k"',
    "a quote inside": 'a"b',
    "a quote inside quotes": '"a"b"',
    "an escaped end": r'"a\"',
    "another escape": r'"a\b"',
    "two": "a, b",
    "two, quoted": '"a", "b"',
    "nothing and one": ",k",
    "parameters": '"k";p=1',
}


@pytest.mark.parametrize(("header", "key"), GOOD.values(), ids=GOOD)
def test_a_key_is_kept_without_its_quotes(partner: Caller, header: str, key: str) -> None:
    tenant = partner.create()
    first = partner("PATCH", tenant_path(tenant), json={"plan": "x"}, headers={"Idempotency-Key": header})
    fresh(first, 200)
    assert [row["key"] for row in fetch_rows(partner.app, "idempotency", partner_id=partner.partner)] == [key]
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert_replay(partner("PATCH", tenant_path(tenant), json={"plan": "x"}, headers={"Idempotency-Key": quoted}), first)


@pytest.mark.parametrize("validate_only", ["false", "true"])
@pytest.mark.parametrize("header", BAD.values(), ids=BAD)
def test_a_malformed_key_is_refused(partner: Caller, header: str, validate_only: str) -> None:
    path = f"/tenants?validate_only={validate_only}"
    response = partner("POST", path, json=EXAMPLE, headers={"Idempotency-Key": header})
    detail = "The key must have 1 to 255 printable ASCII characters."
    assert_problem(response, 400, "invalid-idempotency-key", detail)
    assert traces(partner) == ([], [])


def test_keys_differ_by_every_letter(partner: Caller) -> None:
    tenant = partner.create()
    for number, key in enumerate(["k", "K", "k ", "k k", "kk", '" k"'], 1):
        response = partner("PATCH", tenant_path(tenant), json={"plan": "x"}, headers={"Idempotency-Key": key})
        assert ("Idempotency-Replayed" in response.headers) == (key == "k "), number


def test_two_headers_are_refused(app: Flask, partner: Caller) -> None:
    body = json.dumps(EXAMPLE)
    with serve(app) as address:
        connection = http.client.HTTPConnection(*address, timeout=60)
        connection.putrequest("POST", f"{PREFIX}/tenants")
        for name, value in (
            ("Authorization", f"Bearer {partner.token}"), ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))), ("Idempotency-Key", "one"), ("Idempotency-Key", "two"),
        ):  # fmt: skip
            connection.putheader(name, value)
        connection.endheaders(body.encode())
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["code"]) == (400, "invalid-idempotency-key")
        connection.close()
    assert traces(partner) == ([], [])


def test_a_partners_keys_are_its_own(app: Flask, partner: Caller) -> None:
    other = Caller(app)
    mine, theirs = (
        send_with_key(partner, "POST", "/tenants", EXAMPLE),
        send_with_key(other, "POST", "/tenants", EXAMPLE),
    )
    fresh(mine, 201)
    fresh(theirs, 201)
    assert mine.get_json()["partner"] == partner.partner
    assert theirs.get_json()["partner"] == other.partner


def test_two_users_of_one_partner_share_its_keys(partner: Caller) -> None:
    first = send_with_key(partner, "POST", "/tenants", EXAMPLE)
    colleague = Caller(partner.app, partner.partner, sub="a colleague")
    assert_replay(send_with_key(colleague, "POST", "/tenants", EXAMPLE), first)


def test_an_administrators_key_is_not_the_partners(app: Flask, partner: Caller) -> None:
    administrator = Caller(app, roles=["provisioning-admin"])
    path = f"/tenants?partner={partner.partner}"
    first = send_with_key(administrator, "POST", path, EXAMPLE)
    fresh(first, 201)
    assert first.get_json()["partner"] == partner.partner
    assert_replay(send_with_key(administrator, "POST", path, EXAMPLE), first)
    own = send_with_key(partner, "POST", "/tenants", {**EXAMPLE, "email": "own@example.com"})
    fresh(own, 201)
    other = send_with_key(administrator, "POST", f"/tenants?partner={Caller(app).partner}", EXAMPLE)
    assert_problem(other, 422, "idempotency-key-reused", REUSED)


def test_administrators_response_is_not_replayed_to_others(app: Flask, partner: Caller) -> None:
    tenant = partner.create()
    administrator = Caller(app, roles=["provisioning-admin"])
    fresh(send_with_key(administrator, "PATCH", tenant_path(tenant), {"industry": "Energy"}), 200)
    colleague = administrator.with_roles("partner-admin")
    response = send_with_key(colleague, "PATCH", tenant_path(tenant), {"industry": "Energy"})
    assert_problem(response, 422, "idempotency-key-reused", REUSED)


def test_replay_needs_the_permission(partner: Caller) -> None:
    send_with_key(partner, "POST", "/tenants", EXAMPLE)
    response = send_with_key(partner.with_roles("partner-viewer"), "POST", "/tenants", EXAMPLE)
    detail = "This needs the permission tenant:create."
    assert_problem(response, 403, "insufficient-permission", detail, required=["tenant:create"])


def test_replay_needs_a_token(partner: Caller) -> None:
    send_with_key(partner, "POST", "/tenants", EXAMPLE)
    response = partner.client.post(f"{PREFIX}/tenants", json=EXAMPLE, headers={"Idempotency-Key": "key-1"})
    assert_problem(response, 401, "authentication-required", "Authentication required.")


@pytest.fixture(scope="module")
def shared_clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def timed_app(request: pytest.FixtureRequest, database: str, shared_clock: Clock) -> Iterator[Flask]:
    options = {"PROVISIONING_IDEMPOTENCY_HOURS": 2, **LONG_LIVED_TOKENS}
    with open_host(request, database, mount={"clock": shared_clock}, **options) as app:
        yield app


@pytest.fixture
def timed_caller(timed_app: Flask) -> Caller:
    """A caller in an app that uses `shared_clock`, which only goes forward, and keeps keys for two hours."""
    return Caller(timed_app)


def test_an_expired_token_gets_no_replay(timed_caller: Caller, shared_clock: Clock) -> None:
    brief = Caller(timed_caller.app, timed_caller.partner, exp=int(shared_clock.now) + HOUR)
    fresh(send_with_key(brief, "POST", "/tenants", EXAMPLE), 201)
    shared_clock.now += HOUR
    assert_problem(send_with_key(brief, "POST", "/tenants", EXAMPLE), 401, "token-expired", "Token expired.")
    assert "Idempotency-Replayed" in send_with_key(timed_caller, "POST", "/tenants", EXAMPLE).headers


def test_a_revoked_token_gets_no_replay(make_app: Callable[..., Flask]) -> None:
    app, revoked = make_app(), set[str]()
    app.extensions["flask-jwt-extended"].token_in_blocklist_loader(lambda header, claims: claims["jti"] in revoked)
    caller = Caller(app, jti="one")
    fresh(send_with_key(caller, "POST", "/tenants", EXAMPLE), 201)
    revoked.add("one")
    check_problem(send_with_key(caller, "POST", "/tenants", EXAMPLE), status=401, code="invalid-token")


def test_a_key_is_kept_for_its_hours_and_new_afterwards(timed_caller: Caller, shared_clock: Clock) -> None:
    tenant = timed_caller.create()
    first = send_with_key(timed_caller, "POST", f"{tenant_path(tenant)}/suspend", {"reason": "unpaid"})
    timed_caller("POST", f"{tenant_path(tenant)}/reactivate")
    shared_clock.now += 2 * HOUR - 1
    assert_replay(send_with_key(timed_caller, "POST", f"{tenant_path(tenant)}/suspend", {"reason": "unpaid"}), first)
    shared_clock.now += 1
    second = send_with_key(timed_caller, "POST", f"{tenant_path(tenant)}/suspend", {"reason": "abuse"})
    fresh(second, 200)
    shared_clock.now += 2 * HOUR - 1
    assert_replay(send_with_key(timed_caller, "POST", f"{tenant_path(tenant)}/suspend", {"reason": "abuse"}), second)
    assert fetch_event_types(timed_caller, tenant)[1:] == ["tenant.suspended", "tenant.reactivated", "tenant.suspended"]
    assert len(fetch_rows(timed_caller.app, "idempotency", partner_id=timed_caller.partner)) == 1


def test_a_replay_does_not_prolong_the_key(timed_caller: Caller, shared_clock: Clock) -> None:
    tenant = timed_caller.create()
    for _ in range(2):
        send_with_key(timed_caller, "PATCH", tenant_path(tenant), {"plan": "x"})
        shared_clock.now += HOUR
    fresh(send_with_key(timed_caller, "PATCH", tenant_path(tenant), {"plan": "y"}), 200)


def test_expired_key_is_usable_after_a_failed_request(timed_caller: Caller, shared_clock: Clock) -> None:
    tenant = timed_caller.create()
    send_with_key(timed_caller, "PATCH", tenant_path(tenant), {"plan": "x"})
    shared_clock.now += 2 * HOUR
    overflow = {"metadata": {f"k{number}": "" for number in range(51)}}
    assert send_with_key(timed_caller, "PATCH", tenant_path(tenant), overflow).status_code == 400
    fresh(send_with_key(timed_caller, "PATCH", tenant_path(tenant), {"plan": "y"}), 200)


def test_only_expired_keys_are_removed(make_app: Callable[..., Flask]) -> None:
    clock = Clock()
    caller = Caller(make_app(mount={"clock": clock}, **LONG_LIVED_TOKENS))
    tenant, storage = caller.create(), get_storage(caller.app)
    for number in range(3):
        send_with_key(caller, "PATCH", tenant_path(tenant), {"plan": "x"}, **{"Idempotency-Key": f"key-{number}"})
        clock.now += 8 * HOUR
    assert storage.transaction(delete_expired) == 1
    assert [row["key"] for row in fetch_rows(caller.app, "idempotency")] == ["key-1", "key-2"]
    clock.now += DAY
    assert storage.transaction(delete_expired) == 2
    assert fetch_rows(caller.app, "idempotency") == []


@pytest.mark.parametrize("key", ["key-1", "", '"'], ids=["a key", "an empty one", "a malformed one"])
@pytest.mark.parametrize(("method", "suffix", "options"), [
    ("PUT", "", {"json": EXAMPLE}), ("GET", "", {}), ("DELETE", "", {}),
])  # fmt: skip
def test_other_methods_need_no_key_and_read_none(
    partner: Caller, method: str, suffix: str, options: dict[str, Any], key: str
) -> None:
    tenant = partner.create()
    for _ in range(2):
        fresh(partner(method, tenant_path(tenant) + suffix, headers={"Idempotency-Key": key}, **options), 200)
    assert fetch_rows(partner.app, "idempotency", partner_id=partner.partner) == []


def test_dry_run_uses_no_key_and_returns_the_response_of_the_write(partner: Caller) -> None:
    rehearsed = send_with_key(partner, "POST", "/tenants?validate_only=true", EXAMPLE)
    assert (rehearsed.status_code, rehearsed.headers["X-Validate-Only"]) == (201, "true")
    assert fetch_rows(partner.app, "idempotency", partner_id=partner.partner) == []
    first = send_with_key(partner, "POST", "/tenants", EXAMPLE)
    fresh(first, 201)
    again = send_with_key(partner, "POST", "/tenants?validate_only=true", EXAMPLE)
    assert (again.status_code, again.data) == (201, first.data)
    assert (again.headers["X-Validate-Only"], again.headers["Idempotency-Replayed"]) == ("true", "true")
    other = send_with_key(partner, "POST", "/tenants?validate_only=true", {**EXAMPLE, "industry": "Energy"})
    check_problem(other, status=422, code="idempotency-key-reused")
    assert_replay(send_with_key(partner, "POST", "/tenants", EXAMPLE), first)


def test_concurrent_requests_with_one_key_take_effect_once(app: Flask, partner: Caller) -> None:
    with serve(app) as address:
        replies = run_concurrently(50, lambda _: post(address, partner, "key-1", EXAMPLE))
        late = post(address, partner, "key-1", EXAMPLE)
    fresh_ones = [reply for reply in replies if reply.status == 201 and "Idempotency-Replayed" not in reply.headers]
    assert len(fresh_ones) == 1
    for reply in replies:
        if reply.status == 201:
            assert reply.body == fresh_ones[0].body
        else:
            assert (reply.status, reply.json()["code"]) == (409, "idempotency-in-progress")
            assert reply.headers["Retry-After"] == "1"
    assert (late.status, late.body, late.headers["Idempotency-Replayed"]) == (201, fresh_ones[0].body, "true")
    tenants = fetch_rows(app, "tenants", partner_id=partner.partner)
    assert len(tenants) == len(fetch_rows(app, "events", partner_id=partner.partner)) == 1


def test_concurrent_requests_with_an_expired_key_take_effect_once(timed_caller: Caller, shared_clock: Clock) -> None:
    tenant = timed_caller.create()
    path = PREFIX + tenant_path(tenant)
    send_with_key(timed_caller, "PATCH", tenant_path(tenant), {"plan": "x"})
    shared_clock.now += 2 * HOUR
    with serve(timed_caller.app) as address:
        replies = run_concurrently(
            20,
            lambda _: send_request(
                address, "PATCH", path, timed_caller.token, {"plan": "y"}, **{"Idempotency-Key": "key-1"}
            ),
        )
    assert Counter(reply.status for reply in replies) == {200: 20}
    assert len([reply for reply in replies if "Idempotency-Replayed" not in reply.headers]) == 1
    assert {reply.json()["version"] for reply in replies} == {3}


def test_failures_that_race_are_remembered_too(app: Flask, partner: Caller) -> None:
    """A request that violates the unique constraint has a broken transaction, and still stores its response."""
    tenants = [partner.create() for _ in range(10)]

    def change(number: int) -> Reply:
        headers = {"Idempotency-Key": f"key-{number}"}
        body = {"email": "wanted@example.com"}
        return send_request(address, "PATCH", PREFIX + tenant_path(tenants[number]), partner.token, body, **headers)

    with serve(app) as address:
        replies = run_concurrently(10, change)
        again = run_concurrently(10, change)
    assert Counter(reply.status for reply in replies) == {200: 1, 409: 9}
    assert [reply.body for reply in again] == [reply.body for reply in replies]
    assert {reply.headers["Idempotency-Replayed"] for reply in again} == {"true"}


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeated requests that wait for the first for one second."""
    monkeypatch.setattr("flask_tenant_provisioning.web.idempotency.WAIT_SECONDS", 1)


@pytest.fixture
def server_app(make_app: Callable[..., Flask], database: str) -> Flask:
    if database != "postgresql":
        pytest.skip("SQLite has one writer: whoever waits, waits for everybody")
    return make_app()


@pytest.mark.usefixtures("short_wait")
@pytest.mark.parametrize("commits", [True, False], ids=["and is done", "and dies"])
def test_concurrent_request_with_the_key_returns_409(server_app: Flask, commits: bool) -> None:
    caller = Caller(server_app)
    with first_request(caller) as connection:
        response = send_with_key(caller, "POST", "/tenants", EXAMPLE)
        assert_problem(response, 409, "idempotency-in-progress", IN_PROGRESS)
        assert response.headers["Retry-After"] == "1"
        if commits:
            connection.commit()
        else:
            connection.rollback()
    later = send_with_key(caller, "POST", "/tenants", EXAMPLE)
    if commits:
        assert (later.status_code, later.data, later.headers["Idempotency-Replayed"]) == (
            201,
            b'{"the":"first"}',
            "true",
        )
    else:
        fresh(later, 201)


@pytest.mark.usefixtures("short_wait")
def test_concurrent_reuse_of_an_expired_key_returns_409(server_app: Flask) -> None:
    caller = Caller(server_app)
    with first_request(caller) as connection:
        connection.commit()
    table = get_storage(server_app).table("idempotency")
    with get_storage(server_app).engine.begin() as connection:
        connection.execute(table.update().values(expires_at="2020-01-01T00:00:00.000000Z"))
    with first_request(caller):
        response = send_with_key(caller, "POST", "/tenants", EXAMPLE)
        assert_problem(response, 409, "idempotency-in-progress", IN_PROGRESS)


@pytest.mark.usefixtures("short_wait")
def test_claim_that_waits_too_long_raises_in_progress(server_app: Flask) -> None:
    caller = Caller(server_app)
    with first_request(caller), pytest.raises(IdempotencyInProgress):
        get_storage(server_app).transaction(lambda session: claim_key(session, make_key(caller), 1))


def test_log_contains_no_request_content(partner: Caller, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = {"client_name": "Geheim AG", "email": "geheim@example.com"}
    for body in (secret, secret, {**secret, "plan": "other"}, {**secret, "email": "nobody"}):
        send_with_key(partner, "POST", "/tenants", body, **{"Idempotency-Key": "a-secret-key"})
    send_with_key(partner, "POST", "/tenants", secret, **{"Idempotency-Key": '"a-secret-key'})
    for word in ("a-secret-key", "eheim", partner.token):
        assert word not in caplog.text


def prepare(partner: Caller, operation: Operation) -> str:
    """The path to which the operation is sent, after what has to be done before."""
    if operation.suffix.startswith("/tenants"):
        return operation.suffix
    if (operation.method, operation.suffix) == ("POST", ""):
        return "/tenants"
    path = tenant_path(partner.create())
    for method, suffix in operation.before:
        assert partner(method, path + suffix).status_code == 200
    return path + operation.suffix


def send_with_key(caller: Caller, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
    """The answer to a request with a key."""
    options = {} if body is None else {"json": body}
    return caller(method, path, headers={"Idempotency-Key": "key-1", **headers}, **options)


def post(address: Address, caller: Caller, key: str, body: Any) -> Reply:
    return send_request(address, "POST", f"{PREFIX}/tenants", caller.token, body, **{"Idempotency-Key": key})


def fresh(response: TestResponse, status: int) -> None:
    """Assert that this is no replay."""
    assert response.status_code == status, response.text
    assert "Idempotency-Replayed" not in response.headers


def assert_replay(response: TestResponse, first: TestResponse) -> None:
    """Assert that `response` repeats `first` to the letter, and says so."""
    assert (response.status_code, response.data) == (first.status_code, first.data)
    expected = {**first.headers, "Idempotency-Replayed": "true", "X-Request-ID": response.headers["X-Request-ID"]}
    assert dict(response.headers) == expected
    assert response.headers["X-Request-ID"] != first.headers["X-Request-ID"]


def traces(partner: Caller) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The partner's tenants and events."""
    equal = {"partner_id": partner.partner}
    return fetch_rows(partner.app, "tenants", **equal), fetch_rows(partner.app, "events", **equal)


def fingerprint(app: Flask, spelling: str) -> str:
    """Return the fingerprint of a request with this body."""
    with app.test_request_context(method="POST", headers={"Idempotency-Key": "k"}):
        identity = read_key(Principal("tester", "acme"), json.loads(spelling))
    assert identity is not None
    return identity.fingerprint


def make_key(caller: Caller) -> IdempotencyKey:
    """The identity of the creation of `EXAMPLE` with the key ``key-1``."""
    headers = {"Idempotency-Key": "key-1"}
    with caller.app.test_request_context(f"{PREFIX}/tenants", method="POST", headers=headers):
        key = read_key(Principal("someone", caller.partner), EXAMPLE)
    assert key is not None
    return key


@contextlib.contextmanager
def first_request(caller: Caller) -> Iterator[Connection]:
    """A transaction that has claimed the key of `EXAMPLE`'s creation and answered, and has not ended yet."""
    storage, identity = get_storage(caller.app), make_key(caller)
    with storage.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        connection.begin()
        session = Session(storage, connection)
        assert claim_key(session, identity, 1) is None
        save_response(session, identity, StoredResponse(201, {"Content-Type": "application/json"}, '{"the":"first"}'))
        yield connection


def rename(caller: Caller, table: str, name: str) -> None:
    with get_storage(caller.app).engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))
