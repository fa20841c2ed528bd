"""Places of an isolated mount: beside other mounts, below prefixes and middlewares, around the host's routes."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import flask
import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter
from werkzeug.test import Client, TestResponse

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning
from tests.support.assertions import assert_problem, check_problem
from tests.support.callers import EXAMPLE, Caller
from tests.support.database.rows import fetch_rows
from tests.support.hosts import PREFIX, get_engine, get_mount, make_config
from tests.support.isolated_hosts import IsolatedHost, Make, call_url
from tests.support.servers import send_request, serve

pytestmark = pytest.mark.one_database("about paths, whatever the database")

FLASK = tuple(map(int, importlib.metadata.version("flask").split(".")[:2]))


# Other mounts


@pytest.mark.parametrize("inner", ["blueprint", "isolated"])
@pytest.mark.parametrize("outer", ["blueprint", "isolated"])
@pytest.mark.parametrize("order", [("outer", "inner"), ("inner", "outer")], ids=["outer first", "inner first"])
def test_longer_prefix_wins(make: Make, inner: str, outer: str, order: tuple[str, str]) -> None:
    host, mounts = make(), {"outer": ("/api", outer), "inner": ("/api/eu", inner)}
    for name in order:
        prefix, how = mounts[name]
        host.mount_another(name, url_prefix=prefix, mount=how)
    partner = Caller(host.app)
    created = call_url(partner, "POST", "/api/eu/tenants", json=EXAMPLE)
    assert created.headers["Location"] == f"/api/eu/tenants/{created.get_json()['tenant']}"
    assert call_url(partner, "GET", "/api/tenants").get_json() == {"items": [], "next": None}
    for path, prefix in (("/api/eu/x", "/api/eu"), ("/api/europe", "/api"), ("/api/us/x", "/api"), ("/api", "/api")):
        document = check_problem(call_url(partner, "GET", path), code="not-found")
        assert (document["type"], document["instance"]) == (f"{prefix}/problems/not-found", path)
    assert call_url(partner, "GET", "/apish").mimetype == "text/html"


def test_unlicensed_mount_leaves_its_paths_to_the_shorter_prefix(host: IsolatedHost) -> None:
    host.mount_another("outer", url_prefix="/api")
    host.mount_another("inner", url_prefix="/api/eu", license=None)
    document = check_problem(call_url(Caller(host.app), "GET", "/api/eu/tenants"), code="not-found")
    assert document["type"] == "/api/problems/not-found"


def test_a_blueprint_of_the_hosts_may_have_the_name_of_the_mount(host: IsolatedHost) -> None:
    theirs = flask.Blueprint("provisioning", __name__, url_prefix="/theirs")
    theirs.add_url_rule("/", "home", lambda: "the host's own")
    host.app.register_blueprint(theirs)
    partner = host.open()
    assert partner("GET", "/tenants").status_code == 200
    assert partner.client.get("/theirs/").text == "the host's own"


def test_two_apps_of_one_process_know_nothing_of_each_other(tmp_path: Path) -> None:
    provisioning, apps = TenantProvisioning(mount="isolated"), [Flask("one"), Flask("two")]
    for app in apps:
        app.config.update(make_config(JWT_SECRET_KEY=f"the secret of {app.name}, 32 bytes and more"))
        provisioning.init_app(app, f"sqlite:///{tmp_path}/{app.name}.sqlite3")
    here, there = (Caller(app, "acme") for app in apps)
    tenant = here.create()["tenant"]
    check_problem(there("GET", f"/tenants/{tenant}"), code="tenant-not-found")
    there.token = here.token
    check_problem(there("GET", "/tenants"), code="invalid-token")
    for app in apps:
        get_engine(app).dispose()


def test_a_mount_that_failed_can_be_tried_again(host: IsolatedHost) -> None:
    with pytest.raises(ConfigurationError):
        host.provisioning.init_app(host.app, "sqlite://")
    partner = host.open()
    assert partner("GET", "/tenants").status_code == 200


# Prefixes and middlewares


@pytest.mark.parametrize("how", ["blueprint", "isolated"])
def test_addresses_are_those_that_the_caller_sees(make: Make, how: str) -> None:
    host = make(PROVISIONING_MOUNT=how)
    token = host.open().token
    outside = Client(DispatcherMiddleware(Flask("other"), {"/shop": host.app}))
    headers = {"Authorization": f"Bearer {token}"}
    for number in range(2):
        created: TestResponse = outside.post(
            f"/shop{PREFIX}/tenants", json={**EXAMPLE, "email": f"{number}@example.com"}, headers=headers
        )
    assert created.headers["Location"] == f"/shop{PREFIX}/tenants/{created.get_json()['tenant']}"
    page = outside.get(f"/shop{PREFIX}/tenants?limit=1", headers=headers)
    assert page.headers["Link"].startswith(f"</shop{PREFIX}/tenants?")
    document = outside.get(f"/shop{PREFIX}/nowhere").get_json()
    assert (document["type"], document["instance"]) == (f"/shop{PREFIX}/problems/not-found", f"/shop{PREFIX}/nowhere")
    assert outside.get(f"/shop{PREFIX}/openapi.json").get_json()["servers"] == [{"url": f"/shop{PREFIX}"}]


def test_a_middleware_that_comes_later_stands_before_the_api(host: IsolatedHost) -> None:
    partner = host.open()
    host.app.wsgi_app = ProxyFix(host.app.wsgi_app, x_for=1, x_prefix=1)  # type: ignore[method-assign]
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Prefix": "/shop"}
    response = partner("POST", "/tenants", json=EXAMPLE, headers=forwarded)
    assert response.headers["Location"].startswith(f"/shop{PREFIX}/")
    assert [row["actor_address"] for row in fetch_rows(host.app, "events")] == ["192.0.2.7"]


def test_middleware_between_two_mounts_works(host: IsolatedHost) -> None:
    host.mount_another("outer", url_prefix="/api")
    host.app.wsgi_app = ProxyFix(host.app.wsgi_app)  # type: ignore[method-assign]
    host.mount_another("inner", url_prefix="/api/eu")
    partner = Caller(host.app)
    for path in ("/api/tenants", "/api/eu/tenants"):
        assert call_url(partner, "GET", path).status_code == 200


def test_the_request_is_there_in_a_with_block_of_the_test_client(host: IsolatedHost) -> None:
    partner = host.open()
    with partner.client as client:
        client.get(f"{PREFIX}/tenants", headers={"Authorization": f"Bearer {partner.token}"})
        assert flask.request.path == f"{PREFIX}/tenants"


def test_over_a_real_server_both_answer(host: IsolatedHost) -> None:
    host.app.add_url_rule("/", "home", lambda: "welcome")
    partner = host.open()
    with serve(host.app) as address:
        assert send_request(address, "POST", f"{PREFIX}/tenants", partner.token, EXAMPLE).status == 201
        assert send_request(address, "GET", "/", partner.token).body == b"welcome"
        assert (
            send_request(address, "GET", f"{PREFIX}/tenants", partner.token).json()["items"][0]["email"]
            == EXAMPLE["email"]
        )


# What the host says of every request


def test_smaller_host_body_limit_applies(host: IsolatedHost) -> None:
    partner = host.open()
    host.app.config["MAX_CONTENT_LENGTH"] = 2000
    response = partner("POST", "/tenants", data=b" " * 2001, content_type="application/json")
    assert_problem(response, 413, "body-too-large", "The body is larger than 2000 bytes.", limit=2000)


@pytest.mark.skipif(FLASK < (3, 1), reason="TRUSTED_HOSTS came with Flask 3.1")
def test_a_name_that_the_host_does_not_trust_is_refused_as_a_problem(make: Make) -> None:
    partner = make(TRUSTED_HOSTS=["example.com"]).open()
    assert partner("GET", "/tenants", base_url="http://example.com").status_code == 200
    check_problem(partner("GET", "/tenants", base_url="http://evil.example"), status=400, code="bad-request")


@pytest.mark.parametrize("name", ["localhost", "api.example.com", "elsewhere.example"])
def test_the_api_answers_by_every_name_of_the_host(make: Make, name: str) -> None:
    partner = make(SERVER_NAME="example.com").open()
    assert partner("GET", "/tenants", base_url=f"http://{name}").status_code == 200


# The host's own routes below the prefix


class UpperCaseConverter(BaseConverter):
    """A converter of the host's own."""

    regex = "[A-Z]+"


@pytest.fixture
def shared_prefix_host(host: IsolatedHost) -> Caller:
    """A host with routes of its own below the prefix, and a catch-all for everything."""
    app = host.app
    app.url_map.converters["shouting"] = UpperCaseConverter
    app.add_url_rule("/<path:path>", "page", lambda path: f"page {path}")
    app.add_url_rule(f"{PREFIX}/report/<int:number>", "report", lambda number: f"report {number}")
    app.add_url_rule(f"{PREFIX}/shout/<shouting:word>", "shout", lambda word: word)
    app.add_url_rule(f"{PREFIX}/folder/", "folder", lambda: "folder")
    app.add_url_rule(f"{PREFIX}/tenants/<tenant>/workspaces", "workspaces", lambda tenant: tenant)
    app.add_url_rule(f"{PREFIX}/tenants", "reset", lambda: "reset", methods=["PUT"])
    app.add_url_rule(f"{PREFIX}/health/live", "their_health", lambda: "theirs")
    return host.open()


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/report/7", 200, "report 7"),
        ("GET", "/shout/LOUD", 200, "LOUD"),
        ("GET", "/folder/", 200, "folder"),
        ("GET", "/tenants/a/workspaces", 200, "a"),
        ("PUT", "/tenants", 200, "reset"),
        ("GET", "/folder", 308, None),
        ("POST", "/report/7", 405, None),
    ],
)
def test_a_route_of_the_hosts_keeps_its_answer(
    shared_prefix_host: Caller, method: str, path: str, status: int, text: Any
) -> None:
    response = shared_prefix_host(method, path)
    assert (response.status_code, response.mimetype) == (status, "text/html")
    assert text is None or response.text == text


@pytest.mark.parametrize("path", ["/report/seven", "/shout/soft", "/nowhere", "", "/"])
def test_paths_without_a_host_route_go_to_the_api(shared_prefix_host: Caller, path: str) -> None:
    check_problem(shared_prefix_host("GET", path), status=404, code="not-found")


def test_a_path_of_both_is_the_apis(shared_prefix_host: Caller) -> None:
    assert shared_prefix_host("GET", "/health/live").mimetype == "application/json"
    assert shared_prefix_host("GET", "/tenants").get_json() == {"items": [], "next": None}
    check_problem(shared_prefix_host("DELETE", "/tenants"), status=405, code="method-not-allowed")
    assert shared_prefix_host("OPTIONS", "/tenants").status_code == 200


def test_other_paths_belong_to_the_host(shared_prefix_host: Caller) -> None:
    assert [shared_prefix_host.client.get(path).text for path in ("/api", f"{PREFIX}ish")] == [
        "page api",
        f"page {PREFIX[1:]}ish",
    ]


def test_a_host_that_matches_hosts_keeps_its_routes(database_url: str) -> None:
    app = Flask("host", host_matching=True, static_host="example.com")
    app.config.update(make_config(PROVISIONING_MOUNT="isolated"))
    app.add_url_rule(f"{PREFIX}/mine", "mine", lambda: "mine", host="example.com")
    TenantProvisioning().init_app(app, database_url)
    client = app.test_client()
    assert client.get(f"{PREFIX}/mine", base_url="http://example.com").text == "mine"
    check_problem(client.get(f"{PREFIX}/mine", base_url="http://other.example"), status=404)
    get_engine(app).dispose()


def test_a_host_with_subdomains_keeps_its_routes(database_url: str) -> None:
    app = Flask("host", subdomain_matching=True)
    app.config.update(make_config(PROVISIONING_MOUNT="isolated", SERVER_NAME="example.com"))
    app.add_url_rule(f"{PREFIX}/mine", "mine", lambda: "mine", subdomain="shop")
    TenantProvisioning().init_app(app, database_url)
    client = app.test_client()
    assert client.get(f"{PREFIX}/mine", base_url="http://shop.example.com").text == "mine"
    check_problem(client.get(f"{PREFIX}/mine", base_url="http://example.com"), status=404)
    get_engine(app).dispose()


def test_is_mounted_reports_a_served_mount(make: Make) -> None:
    served, unlicensed = make(), make(PROVISIONING_LICENSE=None)
    for host in (served, unlicensed):
        host.mount()
    assert [get_mount(host.app).is_mounted for host in (served, unlicensed)] == [True, False]
