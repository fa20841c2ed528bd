"""Which tenant a request of the host's own is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Request, session
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, jwt_required
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning
from flask_tenant_provisioning.isolation import Claim, Domain, Header, PathPrefix, SessionKey, Subdomain
from tests.support.callers import Caller
from tests.support.isolation import ABSENT_ID, TenantHost

UNKNOWN, NOBODY = "There is no such tenant.", (200, "nobody")


@pytest.fixture
def make(database_url: str) -> Iterator[Callable[..., TenantHost]]:
    """Makes hosts with resolvers."""
    hosts: list[TenantHost] = []

    def build(*resolvers: Any, **config: Any) -> TenantHost:
        hosts.append(TenantHost(database_url, **config))
        hosts[-1].provisioning.isolation.resolve_by(*resolvers)
        return hosts[-1]

    yield build
    for host in hosts:
        host.close()


Make = Callable[..., TenantHost]


@pytest.mark.parametrize(
    ("host_header", "label"),
    [
        ("{}.example.com", True),
        ("{}.example.com:8443", True),
        ("{}.EXAMPLE.com.", True),
        ("{}.example.com.:80", True),
        ("example.com", None),
        ("www.example.com", None),
        ("{}.example.com.evil.test", None),
        ("{}-example.com", None),
        ("{}.example.org", None),
        ("127.0.0.1:5000", None),
        ("[::1]:5000", None),
        ("a.{}.example.com", False),
        ("{}..example.com", False),
        (".example.com", False),
        (f"{ABSENT_ID}.example.com", False),
    ],
)
def test_a_subdomain_names_a_tenant(make: Make, host_header: str, label: bool | None) -> None:
    host = make(Subdomain("example.com"))
    tenant = host.open().create()["tenant"]
    found = host.get("/", headers={"Host": host_header.format(tenant)})
    if label:
        assert found == (200, tenant)
    elif label is None:
        assert found == NOBODY
    else:
        assert found[0] == 404
        assert UNKNOWN in found[1]


def test_what_no_host_can_be_opens_no_tenant(make: Make) -> None:
    host = make(Subdomain("example.com"))
    host.open()
    for value in ("x_y.example.com", "a b.example.com", "é.example.com", "/.example.com", "x" * 10_000, "@example.com"):
        assert host.get(headers={"Host": value})[0] in (400, 404), value


def test_upper_case_in_a_subdomain_is_the_same_name(make: Make) -> None:
    host = make(Subdomain("example.com"))
    tenant = host.open().create()["tenant"]
    assert host.get(headers={"Host": f"{tenant.upper()}.example.com"}) == (200, tenant)


def test_an_internationalized_domain_is_compared_by_its_a_labels(make: Make) -> None:
    host = make(Subdomain("Bücher.example"))
    tenant = host.open().create()["tenant"]
    assert host.get(headers={"Host": f"{tenant}.xn--bcher-kva.example"}) == (200, tenant)


@pytest.mark.parametrize("domain", ["example.com:80", "https://example.com", "", "exa mple.com", "a..b", "-.com", "*"])
def test_a_subdomain_of_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(ConfigurationError, match="Subdomain needs a domain such as"):
        Subdomain(domain)


def test_an_external_id_names_a_tenant_of_one_partner(make: Make) -> None:
    host = make(Subdomain("example.com", partner="acme"), Header("X-Tenant"))
    host.open()
    mine = Caller(host.app, "acme").create(external_id="north")
    Caller(host.app, "other").create(external_id="south")
    assert host.get(headers={"Host": "north.example.com"}) == (200, mine["tenant"])
    for label in ("south", "North%00", "n" * 200):
        assert host.get(headers={"Host": f"{label}.example.com"})[0] in (400, 404)


def test_a_function_maps_names_to_tenants_and_is_asked_once(make: Make) -> None:
    asked: list[str] = []
    domains: dict[str, str] = {}

    def find(name: str) -> str | None:
        asked.append(name)
        return domains.get(name)

    host = make(Domain(find=find))
    partner = host.open()
    domains["shop.acme.test"] = partner.create()["tenant"]
    for _ in range(3):
        assert host.get(headers={"Host": "Shop.Acme.test:443"}) == (200, domains["shop.acme.test"])
        assert host.get("/", headers={"Host": "elsewhere.test"}) == NOBODY
    assert asked == ["shop.acme.test", "elsewhere.test"]
    domains["elsewhere.test"] = partner.create()["tenant"]
    with host.app.app_context():
        host.provisioning.isolation.forget()
    assert host.get(headers={"Host": "elsewhere.test"}) == (200, domains["elsewhere.test"])


def test_a_path_names_a_tenant(make: Make) -> None:
    host = make(PathPrefix("/t"))
    tenant = host.open().create()["tenant"]
    assert host.get(f"/t/{tenant}/projects") == (200, f"{tenant} {tenant}/projects")
    assert host.get("/") == NOBODY
    for segment in (ABSENT_ID, "..%2f", "%00", "%ff", "x" * 5000):
        status, text = host.get(f"/t/{segment}/projects")
        assert status == 404
        assert UNKNOWN in text


def test_a_header_names_a_tenant(make: Make) -> None:
    host = make(Header("X-Tenant-ID"))
    tenant = host.open().create()["tenant"]
    assert host.get(headers={"X-Tenant-ID": f" {tenant} "}) == (200, tenant)
    assert host.get("/") == NOBODY
    assert host.get()[0] == 404
    for value in ("", "acme", f"{tenant},{tenant}", "é" * 40, "x" * 10_000):
        assert host.get("/", headers={"X-Tenant-ID": value})[0] == 404, value
    twice = [("X-Tenant-ID", tenant), ("X-Tenant-ID", tenant)]
    assert host.get("/", headers=twice)[0] == 404


def test_forwarded_hosts_count_only_where_the_host_trusts_its_proxy(make: Make) -> None:
    host = make(Subdomain("example.com"))
    tenant = host.open().create()["tenant"]
    forwarded = {"Host": "10.0.0.7", "X-Forwarded-Host": f"{tenant}.example.com"}
    assert host.get("/", headers=forwarded) == NOBODY
    host.app.wsgi_app = ProxyFix(host.app.wsgi_app, x_host=1)  # type: ignore[method-assign]
    assert host.get("/", headers=forwarded) == (200, tenant)


def test_a_claim_names_a_tenant(make: Make) -> None:
    host = make(Claim("org.tenant"))
    JWTManager(host.app)
    tenant = host.open().create()["tenant"]

    def get(claims: dict[str, Any]) -> tuple[int, str]:
        with host.app.app_context():
            token = create_access_token("someone", additional_claims=claims)
        return host.get("/", headers={"Authorization": f"Bearer {token}"})

    assert get({"org": {"tenant": tenant}}) == (200, tenant)
    assert get({"org": {}}) == get({}) == get({"org": {"tenant": None}}) == host.get("/") == NOBODY
    for value in (ABSENT_ID, 7, [tenant], {"a": 1}, "", "\0"):
        assert get({"org": {"tenant": value}})[0] == 404, value
    assert host.get("/", headers={"Authorization": "Bearer x.y.z"})[0] in (401, 422)
    assert host.app.test_client().options("/").status_code == 200


def test_a_refresh_token_reaches_the_hosts_view_and_names_no_tenant(make: Make) -> None:
    host = make(Claim("tenant"))
    JWTManager(host.app)
    host.app.add_url_rule("/refresh", view_func=jwt_required(refresh=True)(lambda: "new"), methods=["POST"])
    tenant = host.open().create()["tenant"]
    with host.app.app_context():
        token = create_refresh_token("someone", additional_claims={"tenant": tenant})
    bearer = {"Authorization": f"Bearer {token}"}
    assert host.app.test_client().post("/refresh", headers=bearer).text == "new"
    assert host.get("/projects", headers=bearer)[0] == 404


@pytest.mark.blueprint("an isolated mount makes no manager for the host")
def test_a_bad_token_is_refused_where_the_host_has_no_manager_of_its_own(make: Make) -> None:
    host = make(Claim("tenant"))
    host.open()
    response = host.app.test_client().get("/", headers={"Authorization": "Bearer x.y.z"})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer error=invalid_token"


def test_the_session_names_a_tenant_that_the_caller_cannot_change(make: Make) -> None:
    host = make(SessionKey("tenant"))

    @host.app.post("/login/<tenant>")
    def log_in(tenant: str) -> str:
        session["tenant"] = tenant
        return ""

    tenant = host.open().create()["tenant"]
    client = host.app.test_client()
    assert client.get("/").text == "nobody"
    client.post(f"/login/{tenant}")
    assert client.get("/").text == tenant
    client.set_cookie("session", "eyJ0ZW5hbnQiOiJ4In0.forged")
    assert client.get("/").text == "nobody"


def test_the_first_resolver_that_finds_a_name_decides(make: Make) -> None:
    def third(request: Request) -> str | None:
        return request.args.get("tenant")

    host = make(Header("X-Tenant-ID"), PathPrefix("/t"), third)
    partner = host.open()
    first, second = partner.create()["tenant"], partner.create()["tenant"]
    assert host.get(f"/t/{second}/x?tenant={second}", headers={"X-Tenant-ID": first})[1].startswith(first)
    assert host.get(f"/t/{second}/x?tenant={first}")[1].startswith(second)
    assert host.get(f"/projects?tenant={first}") == (200, first)
    # What names an unknown tenant decides too: the next resolver is not asked.
    assert host.get(f"/projects?tenant={first}", headers={"X-Tenant-ID": ABSENT_ID})[0] == 404


def test_a_session_of_one_tenant_does_not_open_another(make: Make) -> None:
    host = make(Subdomain("example.com"), SessionKey("tenant"))
    partner = host.open()
    mine, other = partner.create()["tenant"], partner.create()["tenant"]
    client = host.app.test_client()
    with client.session_transaction(base_url=f"http://{mine}.example.com") as opened:
        opened["tenant"] = mine
    cookie = {"Cookie": f"session={client.get_cookie('session', f'{mine}.example.com').value}"}  # type: ignore[union-attr]
    assert host.get(headers={"Host": f"{mine}.example.com", **cookie}) == (200, mine)
    assert host.get(headers={"Host": "www.example.com", **cookie}) == (200, mine)
    status, text = host.get("/", headers={"Host": f"{other}.example.com", **cookie})
    assert status == 403
    assert "This request belongs to another tenant." in text
    assert mine not in text


@pytest.mark.one_database("refused before a database is opened")
@pytest.mark.parametrize("given", [(), (Header,), ("example.com",), (None,)], ids=repr)
def test_what_is_no_resolver_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError):
        TenantProvisioning().isolation.resolve_by(*given)


def test_resolvers_are_named_once_and_before_the_mount(make: Make) -> None:
    host = make(Header("X-Tenant-ID"))
    host.open()
    with pytest.raises(ConfigurationError, match="Call resolve_by once"):
        host.provisioning.isolation.resolve_by(Header("X-Other"))
    late = TenantProvisioning()
    late.init_app(Flask("late"))
    with pytest.raises(ConfigurationError, match="Call resolve_by before init_app"):
        late.isolation.resolve_by(Header("X-Tenant-ID"))


def test_a_resolver_that_fails_is_the_hosts_error_and_is_asked_again(make: Make) -> None:
    calls = []

    def fail(request: Request) -> str | None:
        calls.append(request.path)
        raise LookupError("the host's own")

    host = make(fail)
    host.open()
    assert host.get("/")[0] == 500
    assert calls == ["/"]
