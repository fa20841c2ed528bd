"""The ids that partners may have: the same in a claim, a path and a body, and each of them can be reached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

import pytest
from flask import Flask

from flask_tenant_provisioning.access.principal import MAX_NAME_LENGTH, RESERVED_SUFFIXES, is_partner_id
from flask_tenant_provisioning.routes import ROUTES
from tests.support import tenant_settings
from tests.support.assertions import check_problem
from tests.support.callers import Caller
from tests.support.commands import run_command
from tests.support.database.rows import fetch_rows, open_host
from tests.support.hosts import PREFIX

ALLOWED = {
    "a slash": "a/b",
    "slashes in a row": "a//b",
    "a slash first": "/a",
    "slashes first": "//a",
    "a slash last": "a/",
    "a URL": "https://id.example.com/t/1?x=y#z",
    "reserved at its beginning": "settings/a",
    "a reserved word": "settings",
    "a word that ends like a reserved one": "my-settings",
    "a reserved tail and a slash": "a/settings/",
    "dots in a segment": "a/...b",
    "characters of a link": 'a>; rel="x", <https://evil.example',
    "letters of other scripts": "日本/Ω",
    "an escape itself": "a%2Fb",
    "spaces": "a b",
    "a quote and a comma": '",',
}
FORBIDDEN = {
    **{f"the tail {tail}": f"a{tail}" for tail in RESERVED_SUFFIXES},
    "a tail alone": "/settings",
    "a line feed": "a\nb",
    "a carriage return": "a\rb",
    "a tab": "a\tb",
    "an escape": "a\x1bb",
    "a NUL": "a\0b",
    "delete": "a\x7fb",
    "a line separator": "a\u2028b",
    "turned around": "a\u202eb",
    "isolated": "a\u2066b",
    "nothing to be seen": "a\u200bb",
    "a byte order mark": "\ufeffa",
    "spaces alone": "   ",
    "a dot": ".",
    "two dots": "..",
    "a way up": "a/../b",
    "a segment of a dot": "a/./b",
}


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """A host with settings, so that each partner has all of its own resources."""
    with open_host(request, database, make=tenant_settings.make_host) as new_app:
        yield new_app


@pytest.fixture
def admin(app: Flask) -> Caller:
    return Caller(app, roles=["provisioning-admin"])


def partner_path(id: str) -> str:
    return f"/partners/{quote(id, safe='')}"


@pytest.mark.parametrize("id", ALLOWED.values(), ids=ALLOWED)
def test_partner_id_that_can_call_can_be_read_and_suspended(app: Flask, admin: Caller, id: str) -> None:
    response = admin("PUT", partner_path(id), json={"name": "Acme"})
    assert (response.status_code, response.get_json()["partner"]) == (201, id)
    where = response.headers["Location"]
    assert where.isascii()
    assert (where.count("/"), unquote(where)) == (4, f"{PREFIX}/partners/{id}")
    assert admin("GET", where.removeprefix(PREFIX)).get_json()["partner"] == id
    partner = Caller(app, id)
    tenant = partner.create()
    for daily in (1, 2):
        assert admin("PATCH", f"{partner_path(id)}/settings", json={"mail": {"daily": daily}}).status_code == 200
    assert partner("GET", f"{partner_path(id)}/settings").get_json()["version"] == 2
    page = partner("GET", f"{partner_path(id)}/settings/history?limit=1")
    link = re.fullmatch(r'<([!-;=?-~]+)>; rel="next"', page.headers["Link"])
    assert link
    assert partner("GET", link[1].removeprefix(PREFIX)).get_json()["items"][0]["version"] == 1
    assert admin("GET", "/tenants", query_string={"partner": id}).get_json()["items"] == [tenant]
    assert admin("PATCH", partner_path(id), json={"status": "suspended"}).status_code == 200
    check_problem(partner("GET", "/tenants"), status=403, code="partner-suspended")


@pytest.mark.parametrize("id", FORBIDDEN.values(), ids=FORBIDDEN)
def test_invalid_partner_id_is_refused_everywhere_and_stores_nothing(app: Flask, admin: Caller, id: str) -> None:
    check_problem(Caller(app, id)("GET", "/tenants"), status=401, code="invalid-token")
    check_problem(Caller(app, sub=id, partner_id=None)("GET", "/tenants"), status=401, code="invalid-token")
    tenant = admin.create()
    for response in (
        admin("PUT", f"/partners/{quote(admin.partner, safe='')}", json={"parent": id}),
        admin("POST", f"/tenants/{tenant['tenant']}/move", json={"partner": id}),
        admin("POST", "/tenants", json={"client_name": "x", "email": "a@example.com"}, query_string={"partner": id}),
        admin("GET", "/tenants", query_string={"partner": id}),
        admin("POST", "/bulk-jobs", json=[], query_string={"partner": id}),
    ):
        assert (response.status_code, len(response.get_json().get("errors", ["malformed"]))) == (400, 1)
    assert not any(row["partner_id"] == id for name in ("partners", "tenants") for row in fetch_rows(app, name))


@pytest.mark.parametrize("id", [id for id in FORBIDDEN.values() if not id.endswith(RESERVED_SUFFIXES)])
def test_a_path_registers_no_such_id(app: Flask, admin: Caller, id: str) -> None:
    response = admin("PUT", partner_path(id), json={})
    check_problem(response, status=400, code="validation-error")
    assert [error["code"] for error in response.get_json()["errors"]] == ["invalid-partner-id"]
    assert admin("GET", partner_path(id)).status_code == 404


def test_bytes_that_are_no_text_name_no_partner(app: Flask, admin: Caller) -> None:
    assert admin("PUT", partner_path("\ufffd"), json={}).status_code == 201
    raw = {"PATH_INFO": f"{PREFIX}/partners/\xff"}
    response = admin("PUT", "/partners/x", json={"name": "Other"}, environ_overrides=raw)
    assert [error["code"] for error in check_problem(response, status=400)["errors"]] == ["invalid-text"]
    for method, rest in (("GET", ""), ("PATCH", ""), ("GET", "/settings"), ("PATCH", "/settings")):
        raw = {"PATH_INFO": f"{PREFIX}/partners/\xff{rest}"}
        response = admin(method, "/partners/x", json={}, environ_overrides=raw)
        check_problem(response, status=404, code="partner-not-found")


@pytest.mark.parametrize("length", [MAX_NAME_LENGTH, MAX_NAME_LENGTH + 1])
def test_an_id_has_255_characters_at_most(admin: Caller, length: int) -> None:
    id = "ü" * length
    assert is_partner_id(id) == (length == MAX_NAME_LENGTH)
    assert admin("PUT", partner_path(id), json={}).status_code == (201 if length == MAX_NAME_LENGTH else 400)


def test_the_command_line_takes_the_same_ids(app: Flask) -> None:
    for words in (("partners", "register", "a/settings"), ("tenants", "create", "--partner", "a/settings")):
        more = ("--client-name", "x", "--email", "a@example.com") if words[0] == "tenants" else ()
        result = run_command(app, *words, *more)
        assert result.status == 1
        assert "/settings/history" in result.err
    assert fetch_rows(app, "partners", partner_id="a/settings") == []


def test_the_reserved_tails_are_those_of_the_routes() -> None:
    tails = {route.rule.partition("<path:partner_id>")[2] for route in ROUTES if "<path:partner_id>" in route.rule}
    assert tails - {""} == {*RESERVED_SUFFIXES}
