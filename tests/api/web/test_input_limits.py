"""Exactly at each limit of what comes in, and one beyond: the app and its document draw the same line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.errors import InvalidInput
from flask_tenant_provisioning.partners.schemas import MAX_QUOTA
from flask_tenant_provisioning.validation import load_parameters
from flask_tenant_provisioning.web.pagination import MAX_PAGE_SIZE, PageSizeField
from flask_tenant_provisioning.web.parameters import QuerySchema
from tests.support import hosts
from tests.support.bulk import Bulk
from tests.support.callers import EXAMPLE, Caller
from tests.support.database.rows import open_host
from tests.support.openapi import DocumentedHost

ANY = pytest.mark.one_database("an input is read before any database is asked")
HOST, X_ID = "@example.com", "X-Request-ID"
DOMAIN = f"{'b' * 60}.{'c' * 63}.{'d' * 63}"
#: A field of a body, the last value that is allowed, and the first that is not.
TENANT: dict[str, tuple[str, Any, Any]] = {
    "shortest name": ("client_name", "x", ""),
    "longest name": ("client_name", "ü" * 255, "ü" * 256),
    "longest name after trimming": ("client_name", f" {'x' * 255} ", f" {'x' * 256} "),
    "longest local part": ("email", "a" * 64 + HOST, "a" * 65 + HOST),
    "longest address": ("email", f"a@{DOMAIN}.{'e' * 59}.com", f"a@{DOMAIN}.{'e' * 60}.com"),
    "shortest number": ("phone_number", "123", "12"),
    "longest number": ("phone_number", "1" * 32, "1" * 33),
    "shortest external id": ("external_id", "x", ""),
    "longest external id": ("external_id", "😀" * 128, "😀" * 129),
    "longest industry": ("industry", "x" * 100, "x" * 101),
    "longest plan": ("plan", "x" * 100, "x" * 101),
    "most keys": ("metadata", {str(n): "" for n in range(50)}, {str(n): "" for n in range(51)}),
    "shortest key": ("metadata", {"k": ""}, {"": ""}),
    "longest key": ("metadata", {"k" * 40: ""}, {"k" * 41: ""}),
    "longest value": ("metadata", {"k": "x" * 500}, {"k": "x" * 501}),
}
PARTNER: dict[str, tuple[str, Any, Any]] = {
    "longest name": ("name", "x" * 255, "x" * 256),
    "longest contact": ("contact", "x" * 255, "x" * 256),
    "longest reason": ("suspended_reason", "x" * 500, "x" * 501),
    "fewest tenants": ("max_tenants", 0, -1),
    "most tenants": ("max_tenants", MAX_QUOTA, MAX_QUOTA + 1),
    "most plans": ("allowed_plans", [str(n) for n in range(100)], [str(n) for n in range(101)]),
    "shortest plan": ("allowed_plans", ["x"], [""]),
    "longest plan": ("allowed_plans", ["x" * 100], ["x" * 101]),
}


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """One host for all tests of this module; partners keep them apart."""
    with open_host(request, database, make=hosts.make_host) as new_app:
        yield new_app


@pytest.fixture(scope="module")
def documented(app: Flask) -> DocumentedHost:
    return DocumentedHost(app)


@ANY
@pytest.mark.parametrize(("field", "last", "beyond"), TENANT.values(), ids=TENANT)
def test_tenant_field_limits_match_the_schema(
    documented: DocumentedHost, partner: Caller, field: str, last: Any, beyond: Any
) -> None:
    for value, status in ((last, 201), (beyond, 400)):
        body = {**EXAMPLE, field: value}
        assert partner("POST", "/tenants", json=body).status_code == status
        fits = documented.errors(documented.component("schemas", "TenantInput"), body) == []
        assert fits or status == 400
        assert not fits or status == 201 or field == "email"


@ANY
@pytest.mark.parametrize(("field", "last", "beyond"), PARTNER.values(), ids=PARTNER)
def test_partner_field_limits_match_the_schema(
    documented: DocumentedHost, app: Flask, field: str, last: Any, beyond: Any
) -> None:
    admin = Caller(app, roles=["provisioning-admin"])
    for value, status in ((last, 201), (beyond, 400)):
        assert admin("PUT", f"/partners/{admin.partner}", json={field: value}).status_code == status
        fits = documented.errors(documented.component("schemas", "PartnerInput"), {field: value}) == []
        assert fits == (status == 201)


@ANY
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("1", 1), ("01", 1), ("50", 50), ("999", 999), ("1000", MAX_PAGE_SIZE), ("1001", MAX_PAGE_SIZE),
        ("9999", MAX_PAGE_SIZE), ("10000", MAX_PAGE_SIZE), ("9" * 5000, MAX_PAGE_SIZE), ("000999", 999),
        ("0", None), ("000", None), ("-1", None), ("", None), ("1.0", None), ("1e3", None), (" 1", None), ("+1", None),
        ("١", None), ("²", None), ("0x10", None), ("1_0", None),
    ],
)  # fmt: skip
def test_a_page_has_from_one_to_a_thousand_items(sent: str, expected: int | None) -> None:
    class Query(QuerySchema):
        limit = PageSizeField()

    if expected is None:
        with pytest.raises(InvalidInput) as caught:
            load_parameters(Query(), {"limit": [sent]})
        assert [error["code"] for error in caught.value.errors] == ["invalid-limit"]
    else:
        assert load_parameters(Query(), {"limit": [sent]}) == {"limit": expected}


@ANY
def test_page_sizes_are_exact(app: Flask, partner: Caller) -> None:
    rows = [{"client_name": "x", "email": f"a{n}{HOST}"} for n in range(MAX_PAGE_SIZE + 1)]
    bulk = Bulk(app, partner)
    job = bulk.upload("create", rows)
    bulk.work()
    for path in ("/tenants", "/events?type=tenant.created", f"/bulk-jobs/{job.id}/items"):
        sign = "&" if "?" in path else "?"
        for limit in (MAX_PAGE_SIZE - 1, MAX_PAGE_SIZE, MAX_PAGE_SIZE + 1):
            page = partner("GET", f"{path}{sign}limit={limit}").get_json()
            assert (len(page["items"]), page["next"] is None) == (min(limit, MAX_PAGE_SIZE), False), path
        last = partner("GET", f"{path}{sign}limit=1000").get_json()["next"]
        rest = partner("GET", f"{path}{sign}limit=1000&{'after' if 'events' in path else 'cursor'}={last}").get_json()
        assert len(rest["items"]) == 1


@ANY
@pytest.mark.parametrize(
    ("name", "length", "status"),
    [
        ("Idempotency-Key", 255, 201),
        ("Idempotency-Key", 256, 400),
        ("X-Request-ID", 128, 201),
        ("X-Request-ID", 129, 201),
    ],
)
def test_header_length_limits_match_the_documentation(partner: Caller, name: str, length: int, status: int) -> None:
    response = partner("POST", "/tenants", json=EXAMPLE, headers={name: "x" * length})
    assert response.status_code == status
    assert (response.headers["X-Request-ID"] == "x" * length) == (name == X_ID and length == 128)


@ANY
@pytest.mark.parametrize("claim", ["sub", "partner_id"])
@pytest.mark.parametrize(("length", "status"), [(1, 200), (255, 200), (256, 401)])
def test_a_claim_has_255_characters_at_most(app: Flask, claim: str, length: int, status: int) -> None:
    assert Caller(app, **{claim: "ü" * length})("GET", "/tenants").status_code == status


@ANY
@pytest.mark.parametrize(("length", "code"), [(4096, "invalid-cursor"), (4097, "invalid-parameter")])
def test_a_cursor_has_4096_characters_at_most(partner: Caller, length: int, code: str) -> None:
    assert partner("GET", f"/tenants?cursor={'A' * length}").get_json()["code"] == code


#: What no header of ours may turn into a failure of the server.
HOSTILE = {
    "empty": "",
    "blank": " \t ",
    "huge": "x" * 100_000,
    "huge list": "a, " * 50_000,
    "not ASCII": "\xff\xfe\xe9",
    "UTF-8 read as Latin-1": "ü日".encode().decode("latin-1"),
    "controls": "a\x00\x01\x1b\x7fb",
    "folded": "a\r\n b",
    "quotes": '"' * 5000,
    "backslashes": '"\\' * 5000,
    "parameters": ";=" * 5000,
    "a comma": ",",
    "a number": "9" * 5000,
    "a negative number": "-1",
    "twice": "1, 1",
}
HEADERS = (
    "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-ID", "Accept", "Accept-Encoding", "Content-Encoding",
    "Content-Type", "User-Agent", "X-Forwarded-For", "X-Forwarded-Prefix", "Last-Event-ID", "Range", "Cookie", "Origin",
    "Prefer", "Authorization", "Transfer-Encoding", "Host", "If-Modified-Since", "Expect",
)  # fmt: skip


@pytest.mark.parametrize("header", HEADERS)
def test_no_header_makes_the_server_fail(partner: Caller, header: str) -> None:
    tenant = partner.create()
    for value in HOSTILE.values():
        require_answers(partner, tenant, {_environ(header): value})


def require_answers(partner: Caller, document: dict[str, Any], raw: dict[str, str]) -> None:
    """Assert that calls with these variables of the environment are answered, shortly and with sound headers."""
    for method, path, body in (
        ("GET", "/tenants?limit=1", None),
        ("GET", f"/tenants/{document['tenant']}", None),
        ("PATCH", f"/tenants/{document['tenant']}", b'{"industry":"x"}'),
        ("GET", "/problems", None),
    ):
        response = partner(method, path, data=body, content_type=body and "application/json", environ_overrides=raw)
        assert response.status_code < 500, (method, path, response.text)
        assert len(response.data) < 200_000
        for name, sent in response.headers.items():
            assert (sent.isascii(), "\n" in sent, len(sent) < 9000) == (True, False, True), name


def _environ(header: str) -> str:
    name = header.upper().replace("-", "_")
    return name if name == "CONTENT_TYPE" else f"HTTP_{name}"
