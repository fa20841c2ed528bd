"""The host's own words about its API in the document, and the document's entity tag."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from flask_tenant_provisioning import __version__
from flask_tenant_provisioning.config import ConfigurationError
from tests.support import hosts
from tests.support.hosts import PREFIX
from tests.support.openapi import DocumentedHost

DOCUMENT = f"{PREFIX}/openapi.json"


def make_host(tmp_path: Path, **config: Any) -> Any:
    return hosts.make_host(f"sqlite:///{tmp_path}/x.sqlite3", **config)


def test_the_host_says_what_its_api_is(tmp_path: Path) -> None:
    app = make_host(
        tmp_path,
        PROVISIONING_OPENAPI_TITLE="Acme for partners",
        PROVISIONING_OPENAPI_VERSION="2025-02",
        PROVISIONING_OPENAPI_DESCRIPTION="All about **Acme**.",
        PROVISIONING_OPENAPI_CONTACT={"name": "API team", "email": "api@acme.example"},
        PROVISIONING_OPENAPI_SERVERS=["https://api.acme.example/v1", "https://sandbox.acme.example/v1"],
        PROVISIONING_OPENAPI_LOGO="https://acme.example/logo.svg",
    )
    document = DocumentedHost(app).document
    info = document["info"]
    assert (info["title"], info["version"]) == ("Acme for partners", "2025-02")
    assert info["description"].startswith("All about **Acme**.\n\nPartners provision tenants")
    assert info["contact"] == {"name": "API team", "email": "api@acme.example"}
    assert info["x-logo"] == {"url": "https://acme.example/logo.svg", "altText": "Acme for partners"}
    assert [server["url"] for server in document["servers"]] == [
        "https://api.acme.example/v1", "https://sandbox.acme.example/v1",
    ]  # fmt: skip
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert "<title>Acme for partners</title>" in app.test_client().get(f"{PREFIX}/docs").text


def test_without_configuration_the_document_says_what_the_package_is(tmp_path: Path) -> None:
    document = DocumentedHost(make_host(tmp_path)).document
    assert (document["info"]["title"], document["info"]["version"]) == ("Tenant provisioning", __version__)
    assert not {"contact", "x-logo"} & document["info"].keys()
    assert document["servers"] == [{"url": PREFIX}]


def test_a_wrong_logo_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"PROVISIONING_OPENAPI_LOGO must be a URL that begins with https://"):
        make_host(tmp_path, PROVISIONING_OPENAPI_LOGO="logo.svg")


def test_a_title_is_escaped_on_the_page(tmp_path: Path) -> None:
    app = make_host(tmp_path, PROVISIONING_OPENAPI_TITLE="<script>alert(1)</script>")
    assert "<script>alert" not in app.test_client().get(f"{PREFIX}/docs").text


def test_an_unchanged_document_is_not_sent_again(tmp_path: Path) -> None:
    app = make_host(tmp_path)
    client, documented = app.test_client(), DocumentedHost(app)
    first = client.get(DOCUMENT)
    tag = first.headers["ETag"]
    assert re.fullmatch('"[0-9]+"', tag)
    for header in (tag, f"W/{tag}", f'"1", {tag}', "*", f'{tag[:-1]}-gzip"'):
        response = client.get(DOCUMENT, headers={"If-None-Match": header})
        assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", tag), header
        documented.require(response, "GET", "/openapi.json")
    other = client.get(DOCUMENT, headers={"If-None-Match": '"1"'})
    assert (other.status_code, other.data) == (200, first.data)
    documented.require(other, "GET", "/openapi.json")


def test_another_document_has_another_tag(tmp_path: Path) -> None:
    tags = {
        make_host(tmp_path, PROVISIONING_OPENAPI_TITLE=title).test_client().get(DOCUMENT).headers["ETag"]
        for title in ("A", "B", "A")
    }
    assert len(tags) == 2
