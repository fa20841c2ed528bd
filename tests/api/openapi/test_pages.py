"""The pages that explain the API: Swagger UI from this server alone, and a page for each problem."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urljoin

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_tenant_provisioning.errors import ProvisioningError, iter_problem_classes
from flask_tenant_provisioning.openapi.pages import ASSETS
from tests.support import hosts
from tests.support.assertions import check_problem
from tests.support.callers import Caller
from tests.support.hosts import PREFIX

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
KINDS = sorted(iter_problem_classes(), key=lambda kind: kind.code)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    new_app = hosts.make_host(f"sqlite:///{tmp_path_factory.mktemp('documents')}/x.sqlite3")
    yield new_app
    hosts.get_engine(new_app).dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def references(page: str) -> list[str]:
    """Return the URLs that a page makes a browser fetch or offers to follow."""
    return re.findall(r'(?:src|href)="([^"]*)"', page)


@pytest.mark.parametrize("script_name", ["", "/erp"])
def test_the_docs_page_loads_everything_from_this_server(client: FlaskClient, script_name: str) -> None:
    page = client.get(f"{PREFIX}/docs", environ_overrides={"SCRIPT_NAME": script_name})
    assert (page.status_code, page.content_type) == (200, "text/html; charset=utf-8")
    urls = references(page.text)
    assert len(urls) == 5
    for reference in urls:
        url = urljoin(f"http://localhost{script_name}{PREFIX}/docs", reference)
        assert url.startswith(f"http://localhost{script_name}{PREFIX}/docs/")
        asset = client.get(url.removeprefix(f"http://localhost{script_name}"))
        assert asset.status_code == 200
        assert asset.data


def test_the_docs_page_names_no_other_server_and_runs_no_inline_script(client: FlaskClient) -> None:
    page = client.get(f"{PREFIX}/docs")
    assert "//" not in page.text
    assert re.findall(r"<script[^>]*>(.*?)</script>", page.text, re.DOTALL) == ["", ""]
    assert " style=" not in page.text
    assert "<style" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def test_swagger_ui_reads_our_document_and_uses_no_validator(client: FlaskClient) -> None:
    start = client.get(f"{PREFIX}/docs/start.js").text
    assert 'url: "openapi.json"' in start
    assert "validatorUrl: null" in start
    assert client.get(urljoin(f"{PREFIX}/docs", "openapi.json")).status_code == 200


@pytest.mark.parametrize("asset", ASSETS)
def test_every_asset_has_its_type_and_may_not_be_taken_for_another(client: FlaskClient, asset: str) -> None:
    response = client.get(f"{PREFIX}/docs/{asset}")
    assert (response.status_code, response.content_type) == (200, ASSETS[asset].media_type)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "asset",
    [
        "../__init__.py",
        "..%2f__init__.py",
        "%2e%2e%2f__init__.py",
        "....//__init__.py",
        "..%5c__init__.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "swagger-ui.css%00.png",
        "swagger-ui.css/",
        "oauth2-redirect.html",
        "SWAGGER-UI.CSS",
    ],
)
def test_nothing_else_on_the_disk_is_served(client: FlaskClient, asset: str) -> None:
    check_problem(client.get(f"{PREFIX}/docs/{asset}"), status=404, code="not-found")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
@pytest.mark.parametrize("accept", [{}, {"Accept": "*/*"}, {"Accept": "application/json"}], ids=str)
def test_every_code_is_explained_in_json(
    client: FlaskClient, kind: type[ProvisioningError], accept: dict[str, str]
) -> None:
    response = client.get(f"{PREFIX}/problems/{kind.code}", headers=accept)
    document = response.get_json()
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert (document["code"], document["status"], document["title"]) == (kind.code, kind.status, kind.title)
    assert document["remedy"] == kind.remedy
    assert document["mended_by"] == [*kind.mended_by] != []
    assert document["meaning"]
    assert document["type"] == f"{PREFIX}/problems/{kind.code}"
    example = document["example"]
    assert (example["type"], example["code"], example["status"]) == (document["type"], kind.code, kind.status)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_every_code_is_explained_to_a_browser(client: FlaskClient, kind: type[ProvisioningError]) -> None:
    response = client.get(f"{PREFIX}/problems/{kind.code}", headers=BROWSER)
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    assert f"<h1>{kind.title}</h1>" in response.text
    assert f"<code>{kind.code}</code>" in response.text
    assert "<dt>Who can mend it</dt><dd>The " in response.text
    assert unescape(re.sub(r"</?code>", "", response.text)).count(kind.remedy.replace("`", "")) == 1
    shown = json.loads(unescape(re.findall(r"<pre>(.*?)</pre>", response.text, re.DOTALL)[0]))
    assert shown == client.get(f"{PREFIX}/problems/{kind.code}").get_json()["example"]
    for reference in references(response.text):
        assert client.get(urljoin(f"{PREFIX}/problems/{kind.code}", reference)).status_code == 200


def test_problem_type_leads_to_its_explanation(app: Flask, client: FlaskClient) -> None:
    refused = check_problem(Caller(app)("POST", "/tenants", json={"client_name": ""}))
    explained = client.get(refused["type"]).get_json()
    assert (explained["code"], explained["title"]) == (refused["code"], refused["title"])
    assert explained["example"].keys() == refused.keys()


def test_a_page_that_is_behind_a_script_name_says_so(client: FlaskClient) -> None:
    document = client.get(f"{PREFIX}/problems/not-found", environ_overrides={"SCRIPT_NAME": "/erp"}).get_json()
    assert document["type"] == f"/erp{PREFIX}/problems/not-found"


def test_problem_pages_vary_by_accept(client: FlaskClient) -> None:
    for path in ("/problems", "/problems/not-found"):
        assert client.get(PREFIX + path, headers=BROWSER).headers["Vary"] == "Accept"
        assert client.get(PREFIX + path).headers["Vary"] == "Accept"


@pytest.mark.parametrize("path", ["/problems", "/problems/not-found", "/openapi.json"])
def test_a_format_that_there_is_not_answers_406(client: FlaskClient, path: str) -> None:
    check_problem(client.get(PREFIX + path, headers={"Accept": "text/csv"}), status=406, code="not-acceptable")


@pytest.mark.parametrize("code", ["no-such", "<script>alert(1)</script>", "Not-Found", "%00", "not-found/x"])
def test_an_unknown_code_answers_404(client: FlaskClient, code: str) -> None:
    check_problem(client.get(f"{PREFIX}/problems/{code}", headers=BROWSER), status=404, code="not-found")


def test_the_index_lists_every_code_and_leads_to_its_page(client: FlaskClient) -> None:
    items = client.get(f"{PREFIX}/problems").get_json()["items"]
    assert sorted(item["code"] for item in items) == [kind.code for kind in KINDS]
    page = client.get(f"{PREFIX}/problems", headers=BROWSER)
    for reference in references(page.text):
        assert client.get(urljoin(f"{PREFIX}/problems", reference)).status_code == 200
    assert all(f">{kind.code}<" in page.text for kind in KINDS)


def test_pages_escape_their_values(client: FlaskClient, tmp_path: Any) -> None:
    app = hosts.make_host(f"sqlite:///{tmp_path}/x.sqlite3", PROVISIONING_PROBLEM_BASE_URI="https://x.example/<b>&")
    page = app.test_client().get(f"{PREFIX}/problems/not-found", headers=BROWSER).text
    assert "<b>" not in page
    assert "https://x.example/&lt;b&gt;&amp;not-found" in page


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/start.js", "/problems", "/problems/not-found"])
def test_an_unknown_query_parameter_is_refused(client: FlaskClient, path: str) -> None:
    document = check_problem(client.get(f"{PREFIX}{path}?surprise=1"), status=400, code="invalid-parameter")
    assert [error["pointer"] for error in document["errors"]] == ["#/surprise"]


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/docs/start.js", "/problems", "/problems/not-found"])
def test_documents_that_are_not_public_ask_for_tenant_read(tmp_path: Any, path: str) -> None:
    app = hosts.make_host(f"sqlite:///{tmp_path}/x.sqlite3", PROVISIONING_PUBLIC_DOCS=False)
    check_problem(app.test_client().get(PREFIX + path), status=401, code="authentication-required")
    check_problem(Caller(app, roles=["stranger"])("GET", path), status=403, required=["tenant:read"])
    assert Caller(app, roles=["partner-viewer"])("GET", path).status_code == 200
