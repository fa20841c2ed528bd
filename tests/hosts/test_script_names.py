"""Hosts whose callers find them below a path: every address of the API leads there, and none to a hostile prefix.

`tests/support/contract.py`, which `tests/hosts/test_host_kinds.py` runs on both hosts, follows each `Location`, `Link`
and problem type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import Client

from flask_tenant_provisioning import TenantProvisioning
from tests.support.callers import EXAMPLE
from tests.support.commands import run_command
from tests.support.contract import ContractClient, read_next_link
from tests.support.host_kinds.kinds import Kind, load_kind
from tests.support.host_kinds.mounting import Mount
from tests.support.host_kinds.proxied import NO_PATHS, trust
from tests.support.hosts import PREFIX

pytestmark = pytest.mark.one_database("an address is made of the request alone")
BELOW = load_kind("below")
#: Believes an X-Forwarded-Prefix that any caller may send, since no proxy sets it.
TRUSTING = load_kind("proxied")._replace(wrap=trust, root="")
HEADER, SCRIPT_NAME = "HTTP_X_FORWARDED_PREFIX", "SCRIPT_NAME"
MET = [pytest.param(TRUSTING, HEADER, id="X-Forwarded-Prefix"), pytest.param(BELOW, SCRIPT_NAME, id="SCRIPT_NAME")]
#: A path all the same, of characters that mean something in a header or on a page; and how it has to be shown.
ODD, ESCAPED = "/a;Domain=evil.example'(<>)é", "/a;Domain=evil.example'(%3C%3E)%C3%A9"

Open = Callable[[Kind], Flask]


@pytest.fixture(params=["blueprint", "isolated"])
def opened(request: pytest.FixtureRequest, mounted: Mount, tmp_path: Path, database_url: str) -> Open:
    """Mounts the API in a host, whose documents are not public, and which shows its people the way to them."""

    def open_(kind: Kind) -> Flask:
        app = mounted(kind, request.param, tmp_path, database_url, PROVISIONING_PUBLIC_DOCS=False)
        app.add_url_rule("/way-to-the-docs", "way", lambda: TenantProvisioning().docs_link(60))
        return app

    return open_


@pytest.mark.parametrize("name", ["below", "proxied"])
def test_signed_link_opens_private_documents(opened: Open, name: str) -> None:
    kind = load_kind(name)
    browser = Client(opened(kind))
    link = browser.get(f"{kind.root}/way-to-the-docs").text
    assert link.startswith(f"{kind.root}{PREFIX}/docs?link=")
    followed = browser.get(link)
    assert (followed.status_code, followed.headers["Location"]) == (303, f"{kind.root}{PREFIX}/docs")
    for address in (followed.headers["Location"], f"{kind.root}{PREFIX}/openapi.json"):
        assert browser.get(address).status_code == 200


def send(app: Flask, name: str) -> Callable[[str], None]:
    """Let every request to `app` come with a value in its WSGI environment: return what chooses it."""
    inner, sent_name = app.wsgi_app, {name: ""}
    app.wsgi_app = lambda environ, start: inner({**environ, **sent_name}, start)  # type: ignore[method-assign, assignment]

    def choose(value: str) -> None:
        sent_name[name] = value.encode().decode("latin-1")

    return choose


def addresses(app: Flask, root: str) -> Iterator[str]:
    """Every kind of address that the API gives to a caller, who finds the app below the path `root`."""
    walker, browser = ContractClient(app, root), Client(app, use_cookies=False)
    for path, body, typed in (
        ("/tenants", EXAMPLE, "application/json"),
        ("/webhooks", {"url": "https://[3000::1]/", "events": ["tenant.*"]}, "application/json"),
        ("/bulk-jobs", json.dumps(EXAMPLE).encode(), "application/x-ndjson"),
    ):
        yield walker("POST", path, body, Content_Type=typed).headers["Location"]
    walker.new()
    yield from (read_next_link(walker("GET", path)) for path in ("/tenants?limit=1", "/events?limit=1"))
    refusal = walker("GET", "/tenants?x=1").get_json()
    yield from (refusal["type"], refusal["instance"])
    yield from (server["url"] for server in walker("GET", "/openapi.json").get_json()["servers"])
    yield walker("GET", "/problems/not-found", Accept="application/json").get_json()["type"]
    way = browser.get(f"{root}/way-to-the-docs").text
    yield way
    link = run_command(app, "docs-link").out.strip()
    followed = browser.get(f"{root}{link}")
    yield followed.headers["Location"]


def cookie_path(app: Flask, root: str) -> dict[str, Any]:
    """The attributes of the cookie that opens the documents."""
    followed = Client(app).get(root + run_command(app, "docs-link").out.strip())
    _, *attributes = followed.headers["Set-Cookie"].split("; ")
    return dict(attribute.partition("=")[::2] for attribute in attributes)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "variable"), MET)
def test_a_prefix_that_is_no_path_stands_in_no_address(opened: Open, kind: Kind, variable: str) -> None:
    app = opened(kind)
    choose = send(app, variable)
    for name, value in NO_PATHS.items():
        choose(value)
        urls = [*addresses(app, kind.root)]
        assert len(urls) == 11
        led_away = [address for address in urls if address != PREFIX and not address.startswith(f"{PREFIX}/")]
        assert (name, led_away, cookie_path(app, kind.root)["Path"]) == (name, [], PREFIX)


@pytest.mark.parametrize(("kind", "variable"), MET)
def test_a_prefix_that_is_an_odd_path_is_escaped_in_every_address(opened: Open, kind: Kind, variable: str) -> None:
    app = opened(kind)
    send(app, variable)(ODD)
    seen = f"{ESCAPED}{kind.root}{PREFIX}"
    assert [address for address in addresses(app, kind.root) if not address.startswith(seen)] == []
    attributes = cookie_path(app, kind.root)
    assert "Domain" not in attributes
    assert attributes["Path"].endswith(f"{kind.root}{PREFIX}")


@pytest.mark.parametrize(("kind", "variable"), MET)
def test_extra_slashes_before_the_prefix_return_404(opened: Open, kind: Kind, variable: str) -> None:
    app = opened(kind)
    send(app, variable)("/shop")
    for path in (f"//evil.example{PREFIX}/tenants", f"{kind.root}//evil.example{PREFIX}/tenants"):
        response = Client(app).get("/", environ_overrides={"PATH_INFO": path})
        assert (response.status_code, "Location" in response.headers) == (404, False)
