"""The isolated mount: nothing of the host's comes before the API, and its hooks run in its own context all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
import pytest
from flask import Flask, abort, current_app, g, redirect, request, url_for
from flask_wtf import CSRFProtect

from flask_tenant_provisioning.workers.worker import make_worker
from tests.support.assertions import assert_problem, check_problem
from tests.support.callers import EXAMPLE
from tests.support.commands import run_command
from tests.support.database.rows import fetch_all_rows
from tests.support.hosts import PREFIX, get_mount
from tests.support.isolated_hosts import IsolatedHost, Make

pytestmark = pytest.mark.one_database("about the mount, whatever the database")

MODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "debug": {"DEBUG": True},
    "testing": {"TESTING": True},
    "propagating": {"PROPAGATE_EXCEPTIONS": True},
    "trapping": {"TRAP_HTTP_EXCEPTIONS": True, "TRAP_BAD_REQUEST_ERRORS": True},
}
SECRET = "hunter2"


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A host's mode: errors handled, shown, propagated or trapped."""
    return MODES[request.param]


# What of the host's runs


def wild(app: Flask, calls: list[str]) -> None:
    """Give a host one of each thing that comes before or after a request, and that answers it."""

    def make_speaker(what: str, response: Any = None) -> Callable[..., Any]:
        def say(*arguments: Any) -> Any:
            calls.append(what)
            return arguments[0] if what == "after_request" else response

        return say

    app.before_request(make_speaker("before_request"))
    app.before_request(lambda: redirect("/elsewhere"))
    app.after_request(make_speaker("after_request"))
    app.teardown_request(make_speaker("teardown_request"))
    app.teardown_appcontext(make_speaker("teardown_appcontext"))
    app.url_value_preprocessor(make_speaker("url_value_preprocessor"))
    app.url_defaults(make_speaker("url_defaults"))
    app.context_processor(make_speaker("context_processor", {}))
    for status in (400, 401, 404, 405, 415, 500):
        app.register_error_handler(status, make_speaker("errorhandler", "<h1>ours</h1>"))
    app.register_error_handler(Exception, make_speaker("errorhandler", "<h1>ours</h1>"))
    CSRFProtect(app)


def test_host_hooks_do_not_run_for_the_api(host: IsolatedHost) -> None:
    calls: list[str] = []
    wild(host.app, calls)
    partner = host.open()
    calls.clear()
    tenant = partner.create()["tenant"]
    assert partner("GET", f"/tenants/{tenant}").status_code == 200
    check_problem(partner("GET", "/nowhere"), status=404)
    check_problem(partner("DELETE", "/tenants"), status=405)
    check_problem(partner("POST", "/tenants", data=b"{", content_type="application/json"), status=400)
    assert calls == []


def test_host_hooks_run_for_host_requests(host: IsolatedHost) -> None:
    calls: list[str] = []
    wild(host.app, calls)
    host.open()
    calls.clear()
    response = host.app.test_client().get("/anything")
    assert response.headers["Location"] == "/elsewhere"
    around = ["before_request", "after_request", "teardown_request", "teardown_appcontext"]
    assert calls == ["url_value_preprocessor", *around]


def test_later_request_hooks_do_not_block_partners(host: IsolatedHost) -> None:
    partner = host.open()
    CSRFProtect(host.app)
    host.app.before_request(lambda: abort(403))
    assert partner("POST", "/tenants", json=EXAMPLE).status_code == 201


def test_no_cookie_is_read_or_written(host: IsolatedHost) -> None:
    @host.app.get("/visit")
    def visit() -> str:
        flask.session["visits"] = 1
        return "welcome"

    partner = host.open()
    partner.client.get("/visit")
    response = partner("GET", "/tenants")
    assert (response.status_code, "Set-Cookie" in response.headers, "Vary" in response.headers) == (200, False, False)


def test_the_host_gains_nothing_but_the_entrance(host: IsolatedHost) -> None:
    before = (dict(host.app.blueprints), list(host.app.url_map.iter_rules()), dict(host.app.view_functions))
    config, extensions = dict(host.app.config), set(host.app.extensions)
    host.open()
    assert (dict(host.app.blueprints), list(host.app.url_map.iter_rules()), dict(host.app.view_functions)) == before
    assert (dict(host.app.config), set(host.app.extensions)) == (config, {*extensions, "tenant_provisioning"})
    assert host.app.wsgi_app is get_mount(host.app).entrance


def test_a_crash_is_a_problem_in_every_mode(make: Make, mode: dict[str, Any]) -> None:
    host = make(**mode)

    @host.provisioning.hook("tenant.create")
    def crash() -> None:
        raise RuntimeError(f"the password is {SECRET}")

    partner = host.open()
    response = partner("POST", "/tenants", json=EXAMPLE)
    assert_problem(
        response, 500, "internal-error", "The request failed; the operator's log says why, under this request id."
    )
    assert SECRET not in response.text


def test_an_error_is_a_problem_in_every_mode(make: Make, mode: dict[str, Any]) -> None:
    partner = make(**mode).open()
    assert_problem(partner("GET", "/nowhere"), 404, "not-found", "Not found.")
    check_problem(partner("PUT", "/tenants"), status=405, code="method-not-allowed")
    check_problem(partner("POST", "/tenants", json={}), status=400, code="validation-error")
    assert partner("GET", "/tenants//").status_code == 404


def test_debug_mode_in_the_environment_changes_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    host = make()

    @host.provisioning.hook("tenant.create")
    def crash() -> None:
        raise RuntimeError(SECRET)

    assert host.app.debug
    check_problem(host.open()("POST", "/tenants", json=EXAMPLE), status=500, code="internal-error")


def test_a_path_with_a_line_break_is_a_problem(host: IsolatedHost) -> None:
    check_problem(host.open()("GET", "/a%0Ab"), status=404, code="not-found")


# The host's hooks


@pytest.mark.parametrize("how", ["blueprint", "isolated"])
def test_a_hook_runs_in_the_hosts_context(make: Make, mode: dict[str, Any], how: str) -> None:
    host = make(PROVISIONING_MOUNT=how, HOSTS_OWN="setting", **mode)
    seen: list[Any] = []
    host.app.add_url_rule("/workspaces/<slug>", "workspace", lambda slug: slug)

    @host.provisioning.hook("tenant.create")
    def watch() -> None:
        app: Any = current_app
        seen.append((app._get_current_object(), app.config["HOSTS_OWN"], url_for("workspace", slug="a"), request.path))
        g.mine = "of this request"

    partner = host.open()
    partner.create()
    partner("POST", "/tenants", json=EXAMPLE, environ_overrides={"SCRIPT_NAME": "/shop"})
    path = f"{PREFIX}/tenants"
    assert seen == [
        (host.app, "setting", "/workspaces/a", path),
        (host.app, "setting", "/shop/workspaces/a", path),
    ]


def test_a_url_of_the_hosts_is_built_with_its_defaults_and_its_scheme(host: IsolatedHost) -> None:
    seen: list[str] = []
    host.app.add_url_rule("/<lang>/workspaces", "workspace", lambda lang: lang)
    host.app.url_defaults(lambda _endpoint, values: values.setdefault("lang", "en"))
    host.provisioning.hook("tenant.create")(lambda: seen.append(url_for("workspace", _external=True, q="ä")))
    host.open().create()
    assert seen == ["http://localhost/en/workspaces?q=%C3%A4"]


def test_host_teardown_closes_a_hooks_connection(host: IsolatedHost) -> None:
    calls: list[Any] = []
    host.app.teardown_appcontext(lambda _error: calls.append(("closed", g.pop("connection", None))))
    host.provisioning.hook("tenant.create")(lambda: setattr(g, "connection", "the host's"))
    partner = host.open()
    calls.clear()
    partner.create()
    partner("GET", "/tenants")
    assert calls == [("closed", "the host's")]


@pytest.mark.parametrize("how", ["blueprint", "isolated"])
def test_steps_and_commands_run_in_the_hosts_context(make: Make, how: str) -> None:
    host = make(PROVISIONING_MOUNT=how, HOSTS_OWN="setting")
    seen: list[tuple[str, Any]] = []

    @host.provisioning.step("bucket")
    def make_bucket() -> None:
        seen.append(("step", current_app.config["HOSTS_OWN"]))

    @host.provisioning.hook("tenant.create")
    def watch() -> None:
        seen.append(("hook", current_app.config["HOSTS_OWN"]))

    partner = host.open()
    partner.create()
    make_worker(get_mount(host.app)).drain()
    new = ("tenants", "create", "--partner", "acme", "--email", "a@example.com", "--client-name", "A")
    assert run_command(host.app, *new).status == 0
    assert seen == [("hook", "setting"), ("step", "setting"), ("hook", "setting")]


def test_a_hook_that_refuses_leaves_nothing(host: IsolatedHost) -> None:
    class BillingError(Exception):
        """An error of the host's own."""

    @host.provisioning.hook("tenant.create")
    def refuse() -> None:
        raise BillingError("no credit")

    host.provisioning.map_error(BillingError, status=409, code="billing-refused")
    partner = host.open()
    before = fetch_all_rows(host.app)
    check_problem(partner("POST", "/tenants", json=EXAMPLE), status=409, code="billing-refused", detail="no credit")
    assert fetch_all_rows(host.app) == before
