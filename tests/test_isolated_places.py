"""Where an isolated mount is: beside other mounts, below prefixes and middlewares, around the host's own routes."""

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
from tests.house import House, Make, at
from tests.refusals import refused
from tests.servers import ask, served
from tests.witness import rows
from tests.world import EXAMPLE, PREFIX, Caller, configuration, engine_of, mount_of, problem

pytestmark = pytest.mark.one_database("about paths, whatever the database")

FLASK = tuple(map(int, importlib.metadata.version("flask").split(".")[:2]))


# Other mounts


@pytest.mark.parametrize("inner", ["blueprint", "isolated"])
@pytest.mark.parametrize("outer", ["blueprint", "isolated"])
@pytest.mark.parametrize("order", [("outer", "inner"), ("inner", "outer")], ids=["outer first", "inner first"])
def test_of_two_prefixes_the_longer_wins(make: Make, inner: str, outer: str, order: tuple[str, str]) -> None:
    house, mounts = make(), {"outer": ("/api", outer), "inner": ("/api/eu", inner)}
    for name in order:
        prefix, how = mounts[name]
        house.also(name, url_prefix=prefix, mount=how)
    partner = Caller(house.app)
    made = at(partner, "POST", "/api/eu/tenants", json=EXAMPLE)
    assert made.headers["Location"] == f"/api/eu/tenants/{made.get_json()['tenant']}"
    assert at(partner, "GET", "/api/tenants").get_json() == {"items": [], "next": None}
    for path, prefix in (("/api/eu/x", "/api/eu"), ("/api/europe", "/api"), ("/api/us/x", "/api"), ("/api", "/api")):
        found = problem(at(partner, "GET", path), code="not-found")
        assert (found["type"], found["instance"]) == (f"{prefix}/problems/not-found", path)
    assert at(partner, "GET", "/apish").mimetype == "text/html"


def test_a_mount_without_a_licence_leaves_its_place_to_the_shorter_prefix(house: House) -> None:
    house.also("outer", url_prefix="/api")
    house.also("inner", url_prefix="/api/eu", license=None)
    found = problem(at(Caller(house.app), "GET", "/api/eu/tenants"), code="not-found")
    assert found["type"] == "/api/problems/not-found"


def test_a_blueprint_of_the_hosts_may_have_the_name_of_the_mount(house: House) -> None:
    theirs = flask.Blueprint("provisioning", __name__, url_prefix="/theirs")
    theirs.add_url_rule("/", "home", lambda: "the host's own")
    house.app.register_blueprint(theirs)
    partner = house.open()
    assert partner("GET", "/tenants").status_code == 200
    assert partner.client.get("/theirs/").text == "the host's own"


def test_two_apps_of_one_process_know_nothing_of_each_other(tmp_path: Path) -> None:
    provisioning, apps = TenantProvisioning(mount="isolated"), [Flask("one"), Flask("two")]
    for app in apps:
        app.config.update(configuration(JWT_SECRET_KEY=f"the secret of {app.name}, 32 bytes and more"))
        provisioning.init_app(app, f"sqlite:///{tmp_path}/{app.name}.sqlite3")
    here, there = (Caller(app, "acme") for app in apps)
    tenant = here.create()["tenant"]
    problem(there("GET", f"/tenants/{tenant}"), code="tenant-not-found")
    there.token = here.token
    problem(there("GET", "/tenants"), code="invalid-token")
    for app in apps:
        engine_of(app).dispose()


def test_a_mount_that_failed_can_be_tried_again(house: House) -> None:
    with pytest.raises(ConfigurationError):
        house.provisioning.init_app(house.app, "sqlite://")
    partner = house.open()
    assert partner("GET", "/tenants").status_code == 200


# Prefixes and middlewares


@pytest.mark.parametrize("how", ["blueprint", "isolated"])
def test_addresses_are_those_that_the_caller_sees(make: Make, how: str) -> None:
    house = make(PROVISIONING_MOUNT=how)
    token = house.open().token
    outside = Client(DispatcherMiddleware(Flask("other"), {"/shop": house.app}))
    headers = {"Authorization": f"Bearer {token}"}
    for number in range(2):
        made: TestResponse = outside.post(
            f"/shop{PREFIX}/tenants", json={**EXAMPLE, "email": f"{number}@example.com"}, headers=headers
        )
    assert made.headers["Location"] == f"/shop{PREFIX}/tenants/{made.get_json()['tenant']}"
    page = outside.get(f"/shop{PREFIX}/tenants?limit=1", headers=headers)
    assert page.headers["Link"].startswith(f"</shop{PREFIX}/tenants?")
    found = outside.get(f"/shop{PREFIX}/nowhere").get_json()
    assert (found["type"], found["instance"]) == (f"/shop{PREFIX}/problems/not-found", f"/shop{PREFIX}/nowhere")
    assert outside.get(f"/shop{PREFIX}/openapi.json").get_json()["servers"] == [{"url": f"/shop{PREFIX}"}]


def test_a_middleware_that_comes_later_stands_before_the_api(house: House) -> None:
    partner = house.open()
    house.app.wsgi_app = ProxyFix(house.app.wsgi_app, x_for=1, x_prefix=1)  # type: ignore[method-assign]
    forwarded = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Prefix": "/shop"}
    answer = partner("POST", "/tenants", json=EXAMPLE, headers=forwarded)
    assert answer.headers["Location"].startswith(f"/shop{PREFIX}/")
    assert [row["actor_address"] for row in rows(house.app, "events")] == ["192.0.2.7"]


def test_a_middleware_between_two_mounts_comes_in_nobodys_way(house: House) -> None:
    house.also("outer", url_prefix="/api")
    house.app.wsgi_app = ProxyFix(house.app.wsgi_app)  # type: ignore[method-assign]
    house.also("inner", url_prefix="/api/eu")
    partner = Caller(house.app)
    for path in ("/api/tenants", "/api/eu/tenants"):
        assert at(partner, "GET", path).status_code == 200


def test_the_request_is_there_in_a_with_block_of_the_test_client(house: House) -> None:
    partner = house.open()
    with partner.client as client:
        client.get(f"{PREFIX}/tenants", headers={"Authorization": f"Bearer {partner.token}"})
        assert flask.request.path == f"{PREFIX}/tenants"


def test_over_a_real_server_both_answer(house: House) -> None:
    house.app.add_url_rule("/", "home", lambda: "welcome")
    partner = house.open()
    with served(house.app) as address:
        assert ask(address, "POST", f"{PREFIX}/tenants", partner.token, EXAMPLE).status == 201
        assert ask(address, "GET", "/", partner.token).body == b"welcome"
        assert ask(address, "GET", f"{PREFIX}/tenants", partner.token).json()["items"][0]["email"] == EXAMPLE["email"]


# What the host says of every request


def test_the_hosts_limit_for_bodies_holds_where_it_is_smaller(house: House) -> None:
    partner = house.open()
    house.app.config["MAX_CONTENT_LENGTH"] = 2000
    answer = partner("POST", "/tenants", data=b" " * 2001, content_type="application/json")
    refused(answer, 413, "body-too-large", "The body is larger than 2000 bytes.", limit=2000)


@pytest.mark.skipif(FLASK < (3, 1), reason="TRUSTED_HOSTS came with Flask 3.1")
def test_a_name_that_the_host_does_not_trust_is_refused_as_a_problem(make: Make) -> None:
    partner = make(TRUSTED_HOSTS=["example.com"]).open()
    assert partner("GET", "/tenants", base_url="http://example.com").status_code == 200
    problem(partner("GET", "/tenants", base_url="http://evil.example"), status=400, code="bad-request")


@pytest.mark.parametrize("name", ["localhost", "api.example.com", "elsewhere.example"])
def test_the_api_answers_by_every_name_of_the_host(make: Make, name: str) -> None:
    partner = make(SERVER_NAME="example.com").open()
    assert partner("GET", "/tenants", base_url=f"http://{name}").status_code == 200


# The host's own routes below the prefix


class Shouting(BaseConverter):
    """A converter of the host's own."""

    regex = "[A-Z]+"


@pytest.fixture
def shared(house: House) -> Caller:
    """A host with routes of its own below the prefix, and a catch-all for everything."""
    app = house.app
    app.url_map.converters["shouting"] = Shouting
    app.add_url_rule("/<path:path>", "page", lambda path: f"page {path}")
    app.add_url_rule(f"{PREFIX}/report/<int:number>", "report", lambda number: f"report {number}")
    app.add_url_rule(f"{PREFIX}/shout/<shouting:word>", "shout", lambda word: word)
    app.add_url_rule(f"{PREFIX}/folder/", "folder", lambda: "folder")
    app.add_url_rule(f"{PREFIX}/tenants/<tenant>/workspaces", "workspaces", lambda tenant: tenant)
    app.add_url_rule(f"{PREFIX}/tenants", "reset", lambda: "reset", methods=["PUT"])
    app.add_url_rule(f"{PREFIX}/health", "their_health", lambda: "theirs")
    return house.open()


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
def test_a_route_of_the_hosts_keeps_its_answer(shared: Caller, method: str, path: str, status: int, text: Any) -> None:
    answer = shared(method, path)
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert text is None or answer.text == text


@pytest.mark.parametrize("path", ["/report/seven", "/shout/soft", "/nowhere", "", "/"])
def test_what_no_route_of_the_hosts_matches_is_the_apis(shared: Caller, path: str) -> None:
    problem(shared("GET", path), status=404, code="not-found")


def test_a_path_of_both_is_the_apis(shared: Caller) -> None:
    assert shared("GET", "/health").mimetype == "application/json"
    assert shared("GET", "/tenants").get_json() == {"items": [], "next": None}
    problem(shared("DELETE", "/tenants"), status=405, code="method-not-allowed")
    assert shared("OPTIONS", "/tenants").status_code == 200


def test_everything_else_is_the_hosts(shared: Caller) -> None:
    assert [shared.client.get(path).text for path in ("/api", f"{PREFIX}ish")] == ["page api", f"page {PREFIX[1:]}ish"]


def test_a_host_that_matches_hosts_keeps_its_routes(database_url: str) -> None:
    app = Flask("host", host_matching=True, static_host="example.com")
    app.config.update(configuration(PROVISIONING_MOUNT="isolated"))
    app.add_url_rule(f"{PREFIX}/mine", "mine", lambda: "mine", host="example.com")
    TenantProvisioning().init_app(app, database_url)
    client = app.test_client()
    assert client.get(f"{PREFIX}/mine", base_url="http://example.com").text == "mine"
    problem(client.get(f"{PREFIX}/mine", base_url="http://other.example"), status=404)
    engine_of(app).dispose()


def test_a_host_with_subdomains_keeps_its_routes(database_url: str) -> None:
    app = Flask("host", subdomain_matching=True)
    app.config.update(configuration(PROVISIONING_MOUNT="isolated", SERVER_NAME="example.com"))
    app.add_url_rule(f"{PREFIX}/mine", "mine", lambda: "mine", subdomain="shop")
    TenantProvisioning().init_app(app, database_url)
    client = app.test_client()
    assert client.get(f"{PREFIX}/mine", base_url="http://shop.example.com").text == "mine"
    problem(client.get(f"{PREFIX}/mine", base_url="http://example.com"), status=404)
    engine_of(app).dispose()


def test_the_mount_knows_whether_it_is_served(make: Make) -> None:
    served, unlicensed = make(), make(PROVISIONING_LICENSE=None)
    for house in (served, unlicensed):
        house.mount()
    assert [mount_of(house.app).is_mounted for house in (served, unlicensed)] == [True, False]
