"""Prefixes, hosts, slashes and common response headers, under HTTP, the server and the host's own app."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from urllib.parse import quote

import pytest
from flask import Flask
from flask_jwt_extended import JWTManager
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_tenant_provisioning import TenantProvisioning, requires
from flask_tenant_provisioning.routes import ROUTES
from flask_tenant_provisioning.web.headers import PATCH_TYPES
from tests.support.assertions import assert_problem, check_problem
from tests.support.callers import EXAMPLE, Caller
from tests.support.host_kinds.proxied import NO_PATHS
from tests.support.hosts import PREFIX, is_isolated, make_config


def make_proxied_caller(app: Flask, prefix: str) -> Caller:
    """A partner who calls through a proxy that says this prefix."""
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]
    partner = Caller(app)
    partner.client.environ_base["HTTP_X_FORWARDED_PREFIX"] = prefix
    return partner


def list_links(partner: Caller) -> list[str]:
    """Every address that the API answers: in headers, in problems and in its document."""
    response = partner("POST", "/tenants", json={**EXAMPLE, "email": "a@example.com"})
    partner.create()
    page, refusal = partner("GET", "/tenants?limit=1"), partner("GET", "/tenants?x=1").get_json()
    link = re.match("<(.*)>", page.headers["Link"])
    (server,) = partner("GET", "/openapi.json").get_json()["servers"]
    assert link
    return [response.headers["Location"], link[1], refusal["type"], refusal["instance"], server["url"]]


@pytest.mark.one_database("an address is made of the request alone")
@pytest.mark.parametrize("sent", NO_PATHS.values(), ids=NO_PATHS)
def test_a_forwarded_prefix_that_is_no_path_stands_in_no_link(make_app: Callable[..., Flask], sent: str) -> None:
    assert all(
        link.startswith(f"{PREFIX}/") or link == PREFIX for link in list_links(make_proxied_caller(make_app(), sent))
    )


@pytest.mark.one_database("an address is made of the request alone")
def test_a_forwarded_prefix_that_is_a_path_stands_in_every_link(make_app: Callable[..., Flask]) -> None:
    links = list_links(make_proxied_caller(make_app(), "/shop/\xc3\xbc"))
    assert all(link.startswith(f"/shop/%C3%BC{PREFIX}") for link in links)


def test_every_answer_forbids_to_guess_its_type(partner: Caller) -> None:
    tenant = partner.create()
    for response in (
        partner("GET", f"/tenants/{tenant['tenant']}"),
        partner("GET", f"/tenants/{tenant['tenant']}", headers={"If-None-Match": '"1"'}),
        partner("DELETE", f"/tenants/{tenant['tenant']}"),
        partner("OPTIONS", "/tenants"),
        partner("GET", "/nowhere"),
        partner("GET", "/docs"),
        partner("GET", "/docs/start.js"),
        partner("GET", "/usage", headers={"Accept": "text/csv"}),
        partner("POST", "/tenants", data=b"{"),
        partner.app.test_client().get(f"{PREFIX}/tenants"),
    ):
        assert response.headers.getlist("X-Content-Type-Options") == ["nosniff"], response.request.path


@pytest.mark.one_database("a view of the host's own")
def test_refusal_of_a_guarded_host_view_sends_nosniff(make_app: Callable[..., Flask]) -> None:
    app = make_app()

    @app.get("/own")
    @requires("tenant:read")
    def own() -> str:
        return "own"

    response = app.test_client().get("/own")
    assert (response.status_code, response.headers["X-Content-Type-Options"]) == (401, "nosniff")


@pytest.mark.one_database("a path is matched before any database is asked")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("path", ["//tenants", "///tenants", "/tenants//", "//health", "//nothing", "//"])
def test_slashes_in_a_row_are_a_problem(partner: Caller, method: str, path: str) -> None:
    response = partner(method, path, json={})
    detail = "There is nothing at this path: it contains two slashes in a row. Does your base URL end in one?"
    assert_problem(response, 404, "not-found", detail)
    assert "Allow" not in response.headers


@pytest.mark.one_database("a path is matched before any database is asked")
def test_a_slash_before_the_prefix_changes_nothing(partner: Caller) -> None:
    path = {"PATH_INFO": f"/{PREFIX}/tenants"}
    response = partner("GET", "/tenants", environ_overrides=path)
    assert (response.status_code, response.get_json()["items"]) == (200, [])


@pytest.mark.parametrize("external_id", ["/a", "//a", "/", "a//b", "a/", "/\n", ".", "..", "a/../b", "/tenants"])
def test_an_external_id_may_hold_slashes_anywhere(partner: Caller, external_id: str) -> None:
    path = {"PATH_INFO": f"{PREFIX}/tenants/by-external-id/{external_id}"}
    for status in (201, 200):
        response = partner("PUT", "/tenants/by-external-id/x", json=EXAMPLE, environ_overrides=path)
        assert (response.status_code, response.get_json()["external_id"]) == (status, external_id)
    response = partner("DELETE", "/tenants/by-external-id/x", environ_overrides=path)
    check_problem(response, status=405, code="method-not-allowed")
    assert response.headers["Allow"] == "OPTIONS, PUT"


@pytest.mark.parametrize("name", ["eu.example.com", "localhost:5000", "[::1]"])
def test_an_app_that_matches_hosts_serves_the_api_at_each(database_url: str, name: str) -> None:
    app = Flask("host", host_matching=True, static_host="static.example.com")
    app.config.update(make_config())
    app.add_url_rule("/own", view_func=lambda: "own", endpoint="own", host="own.example.com")
    if is_isolated():
        JWTManager(app)
    TenantProvisioning().init_app(app, database_url)
    partner, base = Caller(app), f"http://{name}"
    response = partner("POST", "/tenants", json=EXAMPLE, base_url=base)
    assert (response.status_code, response.headers["Location"]) == (
        201,
        f"{PREFIX}/tenants/{response.get_json()['tenant']}",
    )
    put = partner("PUT", f"/tenants/by-external-id/{quote('/a', safe='')}", json={}, base_url=base)
    check_problem(put, status=400, code="validation-error")
    check_problem(partner("GET", "/nowhere", base_url=base), status=404, code="not-found")
    check_problem(partner("DELETE", "/tenants", base_url=base), status=405, code="method-not-allowed")


@pytest.mark.one_database("a path is matched before any database is asked")
def test_options_name_the_formats_of_patches(partner: Caller, make_app: Callable[..., Flask]) -> None:
    patched = {route.rule for route in ROUTES if route.method == "PATCH"}
    assert {route.consumes for route in ROUTES if route.method == "PATCH"} == {PATCH_TYPES}
    for rule in {route.rule for route in ROUTES}:
        response = partner("OPTIONS", re.sub("<[^>]*>", "x", rule))
        named = response.headers.get("Accept-Patch")
        assert (response.status_code, named) == (200, ", ".join(PATCH_TYPES) if rule in patched else None), rule


HOOK = {"url": "https://example.com/hook", "events": ["*"]}
INVISIBLE = {
    "a zero-width space": "\u200b",
    "joiners": "\u200b\u200d\ufeff",
    "a word joiner": "\u2060",
    "a soft hyphen": "\u00ad",
    "turned around": "\u202e",
    "blank Braille": "\u2800",
    "Hangul fillers": "\u115f\u1160\u3164\uffa0",
    "a control": "\x01",
    "an escape": "\x1b",
    "a variation selector": "\ufe0f",
    "tags": "\U000e0041\U000e007f",
    "spaces around a joiner": " \u200d ",
}
VISIBLE = {
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "Devanagari": "नमस्\u200dते",
    "Persian": "می\u200cخواهم",
    "Hebrew": "שלום\u200f (IL)",
    "one letter": "x",
    "a sign": "—",
    "a mark": "\u0301",
}


@pytest.mark.parametrize("name", INVISIBLE.values(), ids=INVISIBLE)
def test_invisible_text_is_refused(partner: Caller, name: str) -> None:
    admin, own_tenant = Caller(partner.app, roles=["provisioning-admin"]), partner.create()
    tenant, id = f"/tenants/{own_tenant['tenant']}", partner.partner
    for caller, method, path, body, field in (
        (partner, "POST", "/tenants", {**EXAMPLE, "client_name": name}, "client_name"),
        (partner, "POST", "/tenants", {**EXAMPLE, "industry": name}, "industry"),
        (partner, "PATCH", tenant, {"client_name": name}, "client_name"),
        (partner, "POST", f"{tenant}/suspend", {"reason": name}, "reason"),
        (partner, "POST", "/webhooks", {**HOOK, "description": name}, "description"),
        (admin, "PUT", f"/partners/{id}", {"name": name}, "name"),
        (admin, "PUT", f"/partners/{id}", {"contact": name}, "contact"),
        (admin, "PUT", f"/partners/{id}", {"suspended_reason": name}, "suspended_reason"),
    ):
        errors = check_problem(caller(method, path, json=body), status=400, code="validation-error")["errors"]
        assert (f"#/{field}", "invalid-text") in [(error["pointer"], error["code"]) for error in errors]
    assert partner("GET", tenant).get_json() == own_tenant


@pytest.mark.parametrize("name", VISIBLE.values(), ids=VISIBLE)
def test_name_with_visible_text_is_kept_as_sent(partner: Caller, name: str) -> None:
    assert partner.create(client_name=name)["client_name"] == name


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("straße", "strasse", False),
        ("STRASSE", "strasse", True),
        ("STRAßE", "straße", True),
        ("ΣΑΣ", "σας", True),
        ("Jörg", "JÖRG", True),
        ("ﬁ", "fi", False),
    ],
)
def test_mailboxes_differ_by_letters_and_not_by_case(partner: Caller, first: str, second: str, same: bool) -> None:
    partner.create(email=f"{first}@example.com")
    response = partner("POST", "/tenants", json={**EXAMPLE, "email": f"{second}@example.com"})
    assert response.status_code == (409 if same else 201), response.text
    tenants = partner("GET", "/tenants", query_string={"email": f"{second}@example.com"}).get_json()["items"]
    assert len(tenants) == 1


@pytest.mark.one_database("a body is read before any database is asked")
@pytest.mark.parametrize(
    "local",
    ["a" * 64, "a.b" * 21 + "x", "ü" * 32, "a" * 65, "a.b" * 21 + "xy", "ü" * 33],
    ids=lambda text: str(len(text)),
)
def test_an_address_has_64_octets_before_its_at_sign_at_most(partner: Caller, local: str) -> None:
    assert unicodedata.is_normalized("NFC", local)
    response = partner("POST", "/tenants", json={**EXAMPLE, "email": f"{local}@example.com"})
    assert response.status_code == (201 if len(local.encode()) <= 64 else 400), response.text
