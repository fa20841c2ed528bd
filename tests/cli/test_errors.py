"""Errors of commands: a line for people, a document for programs, and never a traceback."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import JWTManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning
from flask_tenant_provisioning.cli import provisioning as commands
from flask_tenant_provisioning.cli.errors import ADVICE
from flask_tenant_provisioning.cli.output import add_colour
from flask_tenant_provisioning.database.migration import exclude_ours
from flask_tenant_provisioning.errors import PreconditionRequired, RateLimited, iter_problem_classes
from tests.support.callers import Caller
from tests.support.clock import Clock
from tests.support.commands import CommandResult, run_command
from tests.support.hosts import PREFIX, get_engine, is_isolated, make_config, make_host
from tests.support.workers.step_hosts import StepHost

MakeApp = Callable[..., Flask]
ID = "0193b5a0-c2d4-7a6e-8f00-112233445566"

# Every command needs an app, and an app can be misconfigured.

ONE_OF_EACH = [
    ("tenants", "list"), ("tenants", "show", ID), ("partners", "list"), ("webhooks", "list"), ("clients", "list"),
    ("events", "tail", "--all", "--no-follow"),
    ("db", "current"), ("db", "check"), ("jobs", "list"), ("settings", "show", "--tenant", ID), ("purge",),
    ("openapi",), ("token",), ("docs-link",), ("worker", "--drain"), ("rekey",), ("license", "verify"),
]  # fmt: skip


def make_misconfigured_app() -> Flask:
    raise ConfigurationError("PROVISIONING_MAX_BODY_BYTES must be a whole number.")


@pytest.mark.parametrize("arguments", ONE_OF_EACH, ids=" ".join)
def test_a_wrong_configuration_is_a_line(arguments: tuple[str, ...]) -> None:
    result = run_command(make_misconfigured_app, *arguments)
    assert (result.status, result.out, result.err) == (
        1,
        "",
        "Error: PROVISIONING_MAX_BODY_BYTES must be a whole number.\n",
    )


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (
            ("tenants", "show", ID, "--json"),
            1,
            {"code": "tenant-not-found", "title": "Tenant not found", "detail": "Tenant not found."},
        ),
        (("jobs", "show", "--json", ID), 1, {"code": "bulk-job-not-found", "detail": "Bulk job not found."}),
        (
            ("tenants", "create", "--json", "--partner", "acme", "--email", "no"),
            1,
            {
                "code": "validation-error",
                "errors": [
                    {"field": "client_name", "detail": "This field is required."},
                    {"field": "email", "detail": "Invalid email address."},
                ],
            },
        ),
        (("tenants", "list", "--json", "--mount", "eu"), 1, {"code": "error"}),
        (("tenants", "list", "--json", "--limit", "x"), 2, {"code": "usage"}),
        (("settings", "show", "--json"), 2, {"code": "usage"}),
    ],
)
def test_errors_are_documents_for_programs(
    app: Flask, arguments: tuple[str, ...], status: int, error: dict[str, Any]
) -> None:
    result = run_command(app, *arguments)
    assert (result.status, result.out, result.err.count("\n")) == (status, "", 1)
    document = json.loads(result.err)["error"]
    assert {name: document[name] for name in error} == error


def test_no_advice_is_about_http() -> None:
    assert ADVICE.keys() <= {kind.code for kind in iter_problem_classes()}
    for text in ADVICE.values():
        assert not {"header", "request", "send", "If-Match", "Retry-After", "PATCH", "GET"} & set(text.split())
    assert {PreconditionRequired.code, RateLimited.code}.isdisjoint(ADVICE)


# Tables.


@pytest.mark.without_tables
def test_check_says_in_a_line_that_there_are_no_tables(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_AUTO_MIGRATE=False)
    line = "Error: There are no tables yet: run `flask provisioning db upgrade`.\n"
    for arguments in (("check",), ("downgrade", "base", "--yes")):
        assert run_command(app, "db", *arguments) == (1, "", line)


@pytest.mark.one_database
@pytest.mark.parametrize("command", ["check", "current", "upgrade"])
def test_an_absent_database_is_a_line(tmp_path: Any, command: str) -> None:
    app = make_host(f"sqlite:///{tmp_path}/nowhere/x.sqlite3", PROVISIONING_AUTO_MIGRATE=False)
    result = run_command(app, "db", command)
    assert (result.status, result.out, result.err) == (
        1,
        "",
        "Error: The database cannot be used (OperationalError: unable to open database file).\n",
    )


def test_downgrade_asks_for_confirmation(make_app: MakeApp) -> None:
    app = make_app()
    Caller(app).create()
    refusal = run_command(app, "db", "downgrade", "base", input="n\n")
    assert (refusal.status, "All tables and their rows are removed." in refusal.err, refusal.out) == (1, True, "")
    assert "provisioning_tenants" in inspect(get_engine(app)).get_table_names()
    assert run_command(app, "db", "downgrade", "base", input="y\n").status == 0
    assert "provisioning_tenants" not in inspect(get_engine(app)).get_table_names()


# Doctor.


@pytest.mark.one_database
def test_quiet_doctor_omits_ok_lines(database_url: str) -> None:
    host = StepHost(database_url)
    host.open().create()
    host.clock.now += 90  # and stands still, so that late work is equally late in every run
    whole, quiet = run_command(host.app, "doctor"), run_command(host.app, "doctor", "--quiet")
    assert "the first for 90 s" in quiet.out
    assert _drop_latency(quiet) == [line for line in _drop_latency(whole) if not line.startswith("ok")]
    assert quiet.status == whole.status
    checks = json.loads(run_command(host.app, "doctor", "--quiet", "--json").out)["checks"]
    assert checks
    assert all(check["status"] != "ok" for check in checks)


def _drop_latency(result: CommandResult) -> list[str]:
    """The lines of doctor but that of the database, whose latency is measured in each run."""
    return [line for line in result.out.splitlines() if line.split()[1] != "database"]


class Terminal:
    """A stream that people look at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_shown_in_terminals_only(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], is_coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert add_colour("fail", "red") == "fail"
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert ("\x1b[" in add_colour("fail", "red")) is is_coloured


# Steps.


def test_operators_read_why_a_step_failed(database_url: str) -> None:
    house = StepHost(database_url)
    house.step("bucket", retries=0)
    house.broken["bucket"] = RuntimeError("quota of region eu-1 is used up")
    partner = house.open()
    tenant = partner.create()["tenant"]
    house.work()
    line = "bucket: RuntimeError: quota of region eu-1 is used up"
    assert line in run_command(house.app, "tenants", "provisioning", tenant).out.splitlines()
    assert run_command(house.app, "tenants", "show", tenant).err == f"failed: {line}\n"
    document = json.loads(run_command(house.app, "tenants", "provisioning", tenant, "--json").out)
    assert document["steps"][0]["error"]["reason"] == "quota of region eu-1 is used up"
    seen = partner("GET", f"/tenants/{tenant}/provisioning")
    assert "quota" not in seen.text
    assert seen.get_json()["steps"][0]["error"]["message"] == "The step failed; the operator's log says why."


# Documents that are not public.


@pytest.mark.one_database
def test_a_link_opens_the_documents_for_a_while(database_url: str) -> None:
    clock = Clock()
    app = make_host(database_url, {"clock": clock}, PROVISIONING_PUBLIC_DOCS=False)
    link = run_command(app, "docs-link", "--minutes", "10", "--base-url", "https://app.example.com/").out.strip()
    assert link.startswith(f"https://app.example.com{PREFIX}/docs?link=")
    path = link.removeprefix("https://app.example.com")
    browser, stranger = app.test_client(), app.test_client()
    response = browser.get(path)
    assert (response.status_code, response.headers["Location"]) == (303, f"{PREFIX}/docs")
    cookie = response.headers["Set-Cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", f"Path={PREFIX}", "Max-Age=600"))
    documents = [f"{PREFIX}{name}" for name in ("/docs", "/openapi.json", "/problems", "/problems/tenant-exists")]
    assert [browser.get(path).status_code for path in documents] == [200] * 4
    assert [stranger.get(path).status_code for path in documents] == [401] * 4
    assert browser.get(f"{PREFIX}/tenants").status_code == 401
    changed = path[:-1] + ("A" if path[-1] != "A" else "B")
    assert app.test_client().get(changed).status_code == 401
    clock.now += 601
    assert [browser.get(path).status_code for path in documents] == [401] * 4
    assert app.test_client().get(path).status_code == 401


@pytest.mark.one_database
def test_public_documents_need_no_link(app: Flask) -> None:
    assert run_command(app, "docs-link").out == f"{PREFIX}/docs\n"


@pytest.mark.one_database
def test_token_and_docs_link_say_that_nothing_is_mounted(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_EDITION="community")
    unsigned = "Error: This app signs no tokens: the API is not mounted. `flask provisioning doctor` shows why.\n"
    assert is_isolated() or run_command(app, "token") == (1, "", unsigned)
    if not is_isolated():
        JWTManager(app)
    token = run_command(app, "token")
    message = "The token cannot be used yet: the API is not mounted. `flask provisioning doctor` shows why.\n"
    assert (token.status, token.out.count("."), token.err) == (0, 2, message)
    link = run_command(app, "docs-link")
    assert (link.status, "PROVISIONING_EDITION is 'community'" in link.err) == (1, True)


def test_every_group_is_there() -> None:
    assert {"jobs", "settings", "docs-link"} <= set(commands.commands)


# Hosts that would drop our tables.

FILTERS: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({}, "fail"),
    "ours": ({"include_name": exclude_ours()}, "ok"),
    "of its own, that leaves us out": (
        {"include_object": lambda _o, name, kind, *_: not name.startswith("provisioning")},
        "ok",
    ),
    "of its own, that does not": ({"include_object": lambda _o, name, *_: name != "spatial_ref_sys"}, "fail"),
}


@pytest.mark.one_database
@pytest.mark.parametrize(("options", "status"), FILTERS.values(), ids=FILTERS)
def test_doctor_sees_a_host_that_would_drop_our_tables(tmp_path: Path, options: dict[str, Any], status: str) -> None:
    app = Flask("host")
    app.config.update(make_config(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/host.sqlite3"))
    if is_isolated():
        JWTManager(app)
    database = SQLAlchemy(app)
    Migrate(app, database, directory=str(tmp_path / "migrations"), **options)
    TenantProvisioning().init_app(app, database)
    checks = {check["check"]: check for check in json.loads(run_command(app, "doctor", "--json").out)["checks"]}
    assert checks["autogenerate"]["status"] == status
    if status == "fail":
        assert "include_name=exclude_ours()" in checks["autogenerate"]["advice"]
        (tmp_path / "migrations").mkdir()
        (tmp_path / "migrations" / "env.py").write_text("context.configure(include_name=exclude_ours())")
        checks = {check["check"]: check for check in json.loads(run_command(app, "doctor", "--json").out)["checks"]}
        assert checks["autogenerate"]["status"] == "ok"


@pytest.mark.one_database
def test_doctor_leaves_a_host_alone_that_migrates_another_database(tmp_path: Path) -> None:
    app = Flask("host")
    app.config.update(make_config(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/host.sqlite3"))
    Migrate(app, SQLAlchemy(app))
    TenantProvisioning().init_app(app, f"sqlite:///{tmp_path}/ours.sqlite3")
    checks = {check["check"]: check for check in json.loads(run_command(app, "doctor", "--json").out)["checks"]}
    assert checks["autogenerate"]["status"] == "ok"
