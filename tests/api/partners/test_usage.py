"""The report of what partners use."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from tests.support.assertions import assert_invalid_parameters, assert_problem
from tests.support.callers import Caller
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.commands import run_command
from tests.support.database.rows import get_storage, update_tenant_row
from tests.support.openapi import DocumentedHost

MakeApp = Callable[..., Flask]
NONE = dict.fromkeys(("active", "suspended", "provisioning", "failed", "deleted", "total"), 0)
CSV = {"Accept": "text/csv"}


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


@pytest.fixture
def admin(app: Flask) -> Caller:
    return Caller(app, "us", roles=["provisioning-admin"])


def read_report(caller: Caller, path: str = "/usage") -> dict[str, dict[str, Any]]:
    """The rows of one page, by partner."""
    response = caller("GET", path)
    assert response.status_code == 200, response.text
    return {row["partner"]: row for row in response.get_json()["items"]}


def table(caller: Caller, path: str = "/usage") -> list[dict[str, str]]:
    """The report as a spreadsheet reads it."""
    response = caller("GET", path, headers=CSV)
    assert (response.status_code, response.mimetype) == (200, "text/csv"), response.text
    return list(csv.DictReader(io.StringIO(response.text)))


def create_tenants(app: Flask, admin: Caller) -> Caller:
    """The partner acme, with tenants in every state and room for 5 more."""
    partner = Caller(app, "acme")
    tenants = [partner.create() for _ in range(8)]
    partner("POST", f"/tenants/{tenants[0]['tenant']}/suspend")
    for tenant in tenants[1:3]:
        partner("DELETE", f"/tenants/{tenant['tenant']}")
    update_tenant_row(app, tenants[3], status="provisioning")
    update_tenant_row(app, tenants[4], status="failed")
    update_tenant_row(app, tenants[5], status="purging", live=None)
    admin("PATCH", "/partners/acme", json={"max_tenants": 10, "name": "Acme"})
    return partner


ACME = {
    "partner": "acme",
    "name": "Acme",
    "status": "active",
    "tenants": {"active": 2, "suspended": 1, "provisioning": 1, "failed": 1, "deleted": 2, "total": 7},
    "max_tenants": 10,
    "remaining": 5,
}


def test_tenants_are_counted_by_status(app: Flask, admin: Caller) -> None:
    create_tenants(app, admin)
    Caller(app, "globex")("GET", "/tenants")
    nothing = {"name": None, "status": "active", "tenants": NONE, "max_tenants": None, "remaining": None}
    assert read_report(admin) == {"acme": ACME, "globex": {"partner": "globex", **nothing}}
    assert read_report(admin, "/usage?partner=acme") == {"acme": ACME}
    assert_problem(admin("GET", "/usage?partner=nobody"), 404, "partner-not-found", "Partner not found.")


def test_remaining_is_never_negative(app: Flask, admin: Caller) -> None:
    create_tenants(app, admin)
    for most, remaining in ((5, 0), (3, 0), (0, 0), (6, 1)):
        admin("PATCH", "/partners/acme", json={"max_tenants": most})
        assert read_report(admin)["acme"]["remaining"] == remaining


def test_tenants_past_retention_are_not_counted(make_app: MakeApp) -> None:
    clock = Clock()
    app = make_app(mount={"clock": clock}, PROVISIONING_RETENTION_DAYS=1, **LONG_LIVED_TOKENS)
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    partner("DELETE", f"/tenants/{partner.create()['tenant']}")
    partner.create()
    assert read_report(admin)[partner.partner]["tenants"] == {**NONE, "active": 1, "deleted": 1, "total": 2}
    clock.now += 86_400
    assert read_report(admin)[partner.partner]["tenants"] == {**NONE, "active": 1, "total": 1}


def test_the_report_comes_in_pages(app: Flask, admin: Caller) -> None:
    for name in ("c", "a", "b"):
        Caller(app, name).create()
    rows, path = [], "/usage?limit=2"
    while path:
        page = admin("GET", path).get_json()
        rows.append([row["partner"] for row in page["items"]])
        path = f"/usage?limit=2&cursor={page['next']}" if page["next"] else ""
    assert rows == [["a", "b"], ["c"]]
    cursor = admin("GET", "/usage?limit=1").get_json()["next"]
    assert admin("GET", f"/partners?cursor={cursor}").get_json()["code"] == "invalid-cursor"
    assert admin("GET", f"/usage?partner=a&cursor={cursor}").get_json()["code"] == "invalid-cursor"


@pytest.mark.one_database
def test_a_page_counts_all_its_partners_by_one_statement(app: Flask, admin: Caller) -> None:
    for name in ("c", "a", "b"):
        Caller(app, name).create()
    statements: list[str] = []
    event.listen(get_storage(app).engine, "checkout", lambda driver, *_: driver.set_trace_callback(statements.append))
    read_report(admin)
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 2


def test_csv_lists_every_partner_in_one_response(app: Flask, admin: Caller) -> None:
    create_tenants(app, admin)
    formula = "=cmd|' /C calc'!A0"
    admin("PUT", "/partners/-1+1", json={"name": formula})
    admin("PUT", "/partners/x", json={"name": 'Comma, "quote"\nline'})
    minus, acme, other = table(admin)
    assert acme == {
        "partner": "acme", "name": "Acme", "status": "active", "active": "2", "suspended": "1", "provisioning": "1",
        "failed": "1", "deleted": "2", "total": "7", "max_tenants": "10", "remaining": "5",
    }  # fmt: skip
    assert (minus["partner"], minus["name"], minus["max_tenants"]) == ("'-1+1", f"'{formula}", "")
    assert other["name"] == 'Comma, "quote"\nline'
    response = admin("GET", "/usage", headers=CSV)
    assert response.headers["Content-Disposition"] == 'attachment; filename="usage.csv"'
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["Vary"] == "Accept"
    assert table(admin, "/usage?partner=acme") == [acme]
    fault = ("not-for-streams", "Only pages of JSON have it: this is all in one.")
    response = admin("GET", "/usage?limit=1&cursor=x", headers=CSV)
    assert_problem(
        response, 400, "invalid-parameter", "A stream has no pages.",
        errors=[{"pointer": f"#/{name}", "code": fault[0], "detail": fault[1]} for name in ("cursor", "limit")],
    )  # fmt: skip


def test_a_partner_sees_its_own_row(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_ROLES={"reader": ["partner:read", "tenant:create"], "provisioning-admin": []})
    partner = Caller(app, roles=["reader"])
    partner.create()
    Caller(app, roles=["reader"]).create()
    (row,) = read_report(partner).values()
    assert (row["partner"], row["tenants"]) == (partner.partner, {**NONE, "active": 1, "total": 1})
    assert [row["partner"] for row in table(partner)] == [partner.partner]
    for named in (partner.partner, "another"):
        assert_problem(
            partner("GET", f"/usage?partner={named}"), 403, "insufficient-permission",
            "Only an administrator may name a partner.",
        )  # fmt: skip


@pytest.mark.parametrize("role", ["partner-admin", "partner-viewer"])
def test_the_report_is_the_administrator_s_business(app: Flask, role: str) -> None:
    response = Caller(app, roles=[role])("GET", "/usage")
    assert (response.status_code, response.get_json()["code"]) == (403, "insufficient-permission")


def test_invalid_parameters_are_reported(admin: Caller) -> None:
    assert_invalid_parameters(
        admin("GET", "/usage?limit=0&status=active"),
        ("#/limit", "invalid-limit", "Must be a whole number from 1 on."),
        ("#/status", "unknown-field", "There is no such field."),
    )
    assert admin("GET", "/usage", headers={"Accept": "text/html"}).status_code == 406


def test_answers_are_as_documented(app: Flask, admin: Caller) -> None:
    create_tenants(app, admin)
    documented = DocumentedHost(app)
    documented.require(admin("GET", "/usage?limit=1"), "GET", "/usage")
    documented.require(admin("GET", "/usage", headers=CSV), "GET", "/usage")


def test_partners_with_tenants_are_in_the_report(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_PARTNER_REGISTRATION="admin")
    admin = Caller(app, roles=["provisioning-admin"])
    body = {"client_name": "Example Corp", "email": "a@example.com"}
    assert admin("POST", "/tenants?partner=acme", json=body).status_code == 201
    assert read_report(admin)["acme"]["tenants"]["total"] == 1


# At the command line.


def test_an_operator_reads_the_same(app: Flask, admin: Caller) -> None:
    create_tenants(app, admin)
    Caller(app, "b").create()
    result = run_command(app, "partners", "usage", "--json")
    assert {row["partner"]: row for row in map(json.loads, result.out.splitlines())} == read_report(admin)
    assert run_command(app, "partners", "usage", "--csv").out.encode() == admin(
        "GET", "/usage", headers=CSV
    ).data.replace(b"\r\n", b"\n")
    heading, first, second = (line.split() for line in run_command(app, "partners", "usage").out.splitlines())
    names = ["partner", "status", "active", "suspended", "provisioning", "failed", "deleted", "total"]
    assert heading == [*names, "max_tenants", "remaining"]
    assert first == ["acme", "active", "2", "1", "1", "1", "2", "7", "10", "5"]
    assert (second[0], second[-2:]) == ("b", ["-", "-"])
    assert run_command(app, "partners", "usage", "--partner", "b").out.splitlines()[1].split() == second
    assert run_command(app, "partners", "usage", "--partner", "nobody").status == 1
    assert run_command(app, "partners", "usage", "--csv", "--json").status == 2
