"""Documents about the API: the OpenAPI document, its page, and the meaning of every problem code."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from flask_tenant_provisioning.testing.callers import Caller
from flask_tenant_provisioning.testing.responses import PROBLEM_TITLES

DOCUMENTS = ("/openapi.json", "/docs", "/problems", "/problems/validation-error")
EXPLAINED = {"type", "code", "title", "status", "meaning", "remedy", "mended_by", "example"}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_document_is_public_if_configured(provisioning_partner: Caller, path: str) -> None:
    provisioning_partner("GET", path).expect(200)
    response = provisioning_partner.api("GET", path)
    if provisioning_partner.api.config.public_docs:
        response.expect(200)
    else:
        response.problem(401, "authentication-required")


def test_the_openapi_document_is_valid(provisioning_partner: Caller) -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="the extra 'testing' is not installed")
    response = provisioning_partner("GET", "/openapi.json")
    document = response.document()
    errors = [error.message for error in validator.OpenAPIV31SpecValidator(document).iter_errors()]
    response.require(not errors, f"be valid OpenAPI 3.1; {'; '.join(errors)}")


def test_openapi_document_describes_every_operation(provisioning_partner: Caller) -> None:
    api = provisioning_partner.api
    response = provisioning_partner("GET", "/openapi.json")
    paths = response.document()["paths"]
    for route in api.mount.routes:
        operation = paths.get(route.path_template, {}).get(route.method.lower())
        response.require(operation is not None, f"describe {route.method} {route.path_template}")
        needed = [*api.get_required_permissions(route)]
        response.require(operation["x-permissions"] == needed, f"say what {route.method} {route.path_template} needs")


def test_openapi_document_names_the_server_url(provisioning_partner: Caller) -> None:
    response = provisioning_partner("GET", "/openapi.json")
    expected = response.sent.path.removesuffix("/openapi.json")
    urls = [server["url"] for server in response.document()["servers"]]
    response.require(any(urlsplit(url).path == expected for url in urls), f"name a server with the path {expected}")


def test_the_page_of_the_api_is_served_whole(provisioning_partner: Caller) -> None:
    response = provisioning_partner("GET", "/docs").expect(200)
    response.require(response.media_type == "text/html", "be a page")
    response.require("Content-Security-Policy" in response.headers, "come with a Content-Security-Policy")


@pytest.mark.parametrize("code", PROBLEM_TITLES)
def test_every_problem_code_is_explained(provisioning_partner: Caller, code: str) -> None:
    response = provisioning_partner("GET", f"/problems/{code}", headers={"Accept": "application/json"})
    problem = response.document()
    response.require({*problem} >= EXPLAINED and all(problem[name] for name in EXPLAINED), "explain the code whole")
    same = all(problem["example"][name] == problem[name] for name in ("type", "code", "title", "status"))
    response.require(problem["code"] == code and same, "give an example of this code")


def test_the_index_of_problems_has_every_code(provisioning_partner: Caller) -> None:
    response = provisioning_partner("GET", "/problems", headers={"Accept": "application/json"})
    codes = {problem["code"] for problem in response.document()["items"]}
    response.require(codes >= {*PROBLEM_TITLES}, f"list {', '.join(sorted({*PROBLEM_TITLES} - codes))} too")


def test_an_explanation_is_a_page_for_people(provisioning_partner: Caller) -> None:
    response = provisioning_partner("GET", "/problems/tenant-exists", headers={"Accept": "text/html"}).expect(200)
    response.require(
        response.media_type == "text/html" and "tenant-exists" in response.text, "be a page about the code"
    )


def test_the_type_of_a_problem_leads_to_its_explanation(provisioning_partner: Caller) -> None:
    api = provisioning_partner.api
    if api.config.problem_base_uri:
        pytest.skip("PROVISIONING_PROBLEM_BASE_URI leads elsewhere")
    problem = api("GET", "/no-such-thing").problem(404, "not-found")
    response = provisioning_partner("GET", api.get_path(problem["type"]), headers={"Accept": "application/json"})
    response.require(response.document()["type"] == problem["type"], "explain the problem that led here")


def test_an_unknown_problem_code_is_not_found(provisioning_partner: Caller) -> None:
    provisioning_partner("GET", "/problems/no-such-code").problem(404, "not-found")
