"""Request ids: header, problem, event and log line show the same id, the host's own if it has one."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, g

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.responses import REQUEST_ID_PATTERN
from tests.support.callers import EXAMPLE, Caller
from tests.support.hosts import is_isolated, make_config

REFUSALS = "flask_tenant_provisioning.access.refusals"
MOUNTS = pytest.mark.parametrize("mount", ["isolated"] if is_isolated() else ["blueprint", "isolated"])

Prepare = Callable[[Flask], None]


def host(database_url: str, mount: str, prepare: Prepare, **config: Any) -> Caller:
    """A caller of a host that is prepared before and after the API is mounted."""
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_MOUNT=mount, **config))
    TenantProvisioning().init_app(app, database_url)
    prepare(app)
    return Caller(app)


def use_g(value: Any, name: str = "request_id") -> Prepare:
    """A host that makes an id in a hook and sends it in another."""

    def prepare(app: Flask) -> None:
        app.before_request(lambda: setattr(g, name, value))

        @app.after_request
        def mark(response: Response) -> Response:
            response.headers["X-Request-ID"] = str(value)
            return response

    return prepare


def use_environ(value: Any, name: str = "request_id") -> Prepare:
    """A host with a middleware that makes an id."""

    def prepare(app: Flask) -> None:
        behind = app.wsgi_app

        def middleware(environ: Any, start_response: Any) -> Any:
            environ[name] = value
            return behind(environ, start_response)

        app.wsgi_app = middleware  # type: ignore[method-assign]

    return prepare


def use_header(value: Any) -> Prepare:
    """A host that only overwrites the header of each answer."""

    def prepare(app: Flask) -> None:
        @app.after_request
        def mark(response: Response) -> Response:
            response.headers["X-Request-ID"] = str(value)
            return response

    return prepare


def ids(caller: Caller, caplog: pytest.LogCaptureFixture, **headers: str) -> str:
    """The one id that the answer, the problem, the event and the log of a request show."""
    caplog.set_level(logging.INFO, REFUSALS)
    response = caller("POST", "/tenants", json=EXAMPLE, headers=headers)
    assert response.status_code == 201, response.text
    event = caller("GET", "/events").get_json()["items"][-1]
    assert event["request_id"] == response.headers["X-Request-ID"]
    caplog.clear()
    refused = [
        caller.with_roles("nobody")("GET", "/tenants", headers=headers),
        caller.client.get("/api/provisioning/tenants", headers=headers),
    ]
    logged_ids = [vars(record)["request_id"] for record in caplog.records if record.name == REFUSALS]
    assert [response.headers["X-Request-ID"] for response in refused] == logged_ids
    assert [response.get_json()["request_id"] for response in refused] == logged_ids
    absent = caller("GET", "/nothing", headers=headers)
    assert absent.get_json()["request_id"] == absent.headers["X-Request-ID"]
    return str(response.headers["X-Request-ID"])


OWN = uuid.UUID("0190aaaa-0000-7000-8000-000000000000")


@pytest.mark.parametrize("value", ["host-1", OWN], ids=["text", "uuid"])
def test_an_id_that_the_host_keeps_in_g_is_everywhere(
    database_url: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert ids(host(database_url, "blueprint", use_g(value)), caplog, **{"X-Request-ID": "callers"}) == str(value)


@MOUNTS
@pytest.mark.one_database
def test_an_id_that_a_middleware_keeps_in_the_environ_is_everywhere(
    database_url: str, mount: str, caplog: pytest.LogCaptureFixture
) -> None:
    named = {"PROVISIONING_REQUEST_ID_KEY": "FLASK_REQUEST_ID"}
    assert ids(host(database_url, mount, use_environ("host-1", "FLASK_REQUEST_ID"), **named), caplog) == "host-1"


@pytest.mark.one_database
def test_the_host_names_the_place(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    named = {"PROVISIONING_REQUEST_ID_KEY": "correlation_id"}
    assert ids(host(database_url, "blueprint", use_g("host-1", "correlation_id"), **named), caplog) == "host-1"


@MOUNTS
@pytest.mark.one_database
def test_a_header_that_a_hook_overwrites_keeps_the_id_of_the_event(
    database_url: str, mount: str, caplog: pytest.LogCaptureFixture
) -> None:
    caller = host(database_url, mount, use_header("host-1"))
    assert ids(caller, caplog, **{"X-Request-ID": "callers-1"}) == "callers-1"


HOSTILE = ["a\r\nSet-Cookie: a=b", "x" * 129, "", "a b", "日本", "a\x00", b"bytes", ["a"], {"a": 1}]


@MOUNTS
@pytest.mark.one_database
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:12])
def test_a_hostile_id_is_not_adopted(
    database_url: str, mount: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    request_ids = ids(host(database_url, mount, use_environ(value)), caplog)
    assert REQUEST_ID_PATTERN.fullmatch(request_ids)
    assert request_ids != str(value)


@MOUNTS
@pytest.mark.one_database
@pytest.mark.parametrize(("sent", "kept"), [("a.B_c-9", True), ("x" * 128, True), ("x" * 129, False), ("a,b", False)])
def test_well_formed_request_id_is_adopted(
    database_url: str, mount: str, sent: str, kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    request_id = ids(host(database_url, mount, lambda _app: None), caplog, **{"X-Request-ID": sent})
    assert (request_id == sent) is kept
