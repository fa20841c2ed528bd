"""Swagger UI's Authorize: in Chromium, an API client gets a token on the page and creates a tenant with it."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable

import pytest
from flask import Flask

from tests.support.browser import find_chromium, start_browser
from tests.support.callers import Caller
from tests.support.clients import create_client
from tests.support.hosts import PREFIX
from tests.support.servers import serve

TIMEOUT_MILLISECONDS = 60_000


@pytest.fixture(autouse=True)
def needs_a_browser() -> None:
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("the extra 'dev' is not installed")
    if find_chromium() is None:
        pytest.skip("Chromium is not installed")


@pytest.mark.slow
@pytest.mark.one_database
def test_swagger_ui_gets_a_token_and_creates_a_tenant(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    partner = Caller(app)
    client = create_client(partner)
    with serve(app) as (host, port), start_browser() as browser:
        page = browser.new_page()
        page.set_default_timeout(TIMEOUT_MILLISECONDS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://{host}:{port}{PREFIX}/docs")
        page.locator(".auth-wrapper .authorize").click()
        form = page.locator(".auth-container", has_text="clientCredentials")
        form.locator("#client_id_clientCredentials").fill(client["client"])
        form.locator("#client_secret_clientCredentials").fill(client["secret"])
        for scope in client["permissions"]:
            form.locator(f"label[for='{scope}-clientCredentials-checkbox-oauth2']").click()
        with page.expect_response(f"**{PREFIX}/oauth/token") as waiting:
            form.locator("button", has_text="Authorize").click()
        response = waiting.value
        assert response.status == 200, response.text()
        assert response.json()["scope"] == "tenant:create tenant:read"
        page.locator(".modal-ux .close-modal").click()
        operation = page.locator("#operations-tenants-create_tenant")
        operation.locator(".opblock-summary-control").click()
        operation.locator("button", has_text="Try it out").click()
        operation.locator("textarea").fill('{"client_name": "Example Corp", "email": "admin@example.com"}')
        with page.expect_response(re.compile(r"/tenants\?")) as waiting:
            operation.locator("button", has_text="Execute").click()
        response = waiting.value
        assert response.status == 201, response.text()
        assert response.request.headers["authorization"].startswith("Bearer ")
        assert errors == []
    assert partner("GET", "/tenants").get_json()["items"][0]["email"] == "admin@example.com"
