"""The log: each line has fields and stands in the documentation, and every refusal is told once, without the token."""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from flask import Flask

import flask_tenant_provisioning
from flask_tenant_provisioning import Principal, requires
from flask_tenant_provisioning.access.refusals import CALLER_KEY, NOT_FOUND_SECONDS, RefusalLog
from flask_tenant_provisioning.errors import TenantNotFound
from tests.support.callers import EXAMPLE, Caller, make_caller_without_partner
from tests.support.clock import Clock
from tests.support.hosts import PREFIX, get_mount
from tests.support.workers.step_hosts import StepHost

MakeApp = Callable[..., Flask]

PACKAGE = Path(flask_tenant_provisioning.__file__).parent
PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
REFUSALS = "flask_tenant_provisioning.access.refusals"
LEVELS = {"exception": "error"}


class Line(NamedTuple):
    """A call of a logger."""

    where: str
    level: str
    message: str | None
    has_fields: bool


def lines() -> Iterator[Line]:
    """Every call of a logger in the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if (
                isinstance(node.func.value, ast.Name)
                and node.func.value.id == "logger"
                and node.func.attr != "isEnabledFor"
            ):
                first = node.args[0]
                message = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
                fields = any(keyword.arg == "extra" for keyword in node.keywords)
                yield Line(f"{path.relative_to(PACKAGE)}:{node.lineno}", node.func.attr, message, fields)


def inventory() -> set[tuple[str, str]]:
    """Each message that the documentation lists, and its level."""
    table = PAGE.partition("### Every line")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return {(row[0].strip().removeprefix("`").removesuffix("`").strip("`"), row[1].strip()) for row in rows}


def test_each_line_of_the_log_has_fields_and_stands_in_the_documentation() -> None:
    listed, records = inventory(), list(lines())
    assert len(records) > 40
    assert [line.where for line in records if not line.has_fields] == []
    assert [line.where for line in records if line.message is None] == []
    written = {(str(line.message), LEVELS.get(line.level, line.level).upper()) for line in records}
    assert listed == written


def test_no_module_logs_by_another_way() -> None:
    sources = {path.relative_to(PACKAGE): path.read_text() for path in PACKAGE.rglob("*.py")}
    for path, source in sources.items():
        assert "app.logger" not in source, path
        assert source.count("getLogger(") == source.count("logger = logging.getLogger(__name__)"), path


def list_records(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == REFUSALS and record.levelno == level]


CALLERS: dict[str, Callable[[Flask], Caller]] = {
    "insufficient-permission": lambda app: Caller(app, roles=["partner-viewer"]),
    "partner-missing": lambda app: make_caller_without_partner(app, "partner-admin", "someone"),
}


@pytest.mark.parametrize("reason", CALLERS)
def test_a_403_is_logged_with_caller_and_reason(app: Flask, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    caller = CALLERS[reason](app)
    caplog.set_level(logging.DEBUG, REFUSALS)
    response = caller("POST", "/tenants", json=EXAMPLE, headers={"X-Request-ID": "complaint-7"})
    assert response.status_code == 403
    (record,) = list_records(caplog)
    partner = "" if reason == "partner-missing" else caller.partner
    expected = {
        "status": 403,
        "reason": reason,
        "cause": None,
        "subject": "someone",
        "partner": partner,
        "request_id": "complaint-7",
        "method": "POST",
        "route": f"{PREFIX}/tenants",
        "address": "127.0.0.1",
    }
    assert {name: getattr(record, name) for name in expected} == expected
    assert f"403 {reason}, subject 'someone', partner {partner!r}, request complaint-7" in record.getMessage()
    (detail,) = list_records(caplog, logging.DEBUG)
    wanted = ("partner_id", None) if reason == "partner-missing" else (None, ["tenant:create"])
    assert (vars(detail)["claim"], vars(detail)["required"]) == wanted
    assert "partner-admin" in vars(detail)["known_roles"]
    assert vars(detail)["roles"] == (["partner-admin"] if reason == "partner-missing" else ["partner-viewer"])
    assert caller.token not in caplog.text


BAD_TOKENS: dict[str, tuple[str | None, str, str | None]] = {
    "none": (None, "authentication-required", None),
    "not a token": ("Bearer abc", "invalid-token", None),
    "another signature": ("another", "invalid-token", "InvalidSignatureError"),
}


@pytest.mark.parametrize(("sent", "reason", "cause"), BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_a_401_is_logged_without_the_token(
    app: Flask, caplog: pytest.LogCaptureFixture, sent: str | None, reason: str, cause: str | None
) -> None:
    head, _, signature = Caller(app).token.rpartition(".")
    forged = f"{head}.{signature[::-1].replace('=', 'A')[:-1]}A"
    value = f"Bearer {forged}" if sent == "another" else sent
    caplog.set_level(logging.DEBUG)
    app.test_client().get(f"{PREFIX}/tenants", headers={} if value is None else {"Authorization": value})
    (record,) = list_records(caplog)
    assert (vars(record)["status"], vars(record)["reason"], vars(record)["cause"]) == (401, reason, cause)
    assert vars(record)["subject"] is None
    assert forged not in caplog.text
    assert signature not in caplog.text


def test_the_refusal_of_a_hosts_own_view_is_logged(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()

    @app.get("/mine/<name>")
    @requires("tenant:create")
    def mine(name: str) -> str:
        return name

    caplog.set_level(logging.INFO, REFUSALS)
    caller = Caller(app, roles=["partner-viewer"])
    caller.client.get("/mine/a", headers={"Authorization": f"Bearer {caller.token}"})
    (record,) = list_records(caplog)
    assert (vars(record)["route"], vars(record)["partner"]) == ("/mine/<name>", caller.partner)


@pytest.mark.parametrize("subject", ["x', partner 'root", "日本", "a b"])
def test_hostile_text_forges_no_line(app: Flask, caplog: pytest.LogCaptureFixture, subject: str) -> None:
    caller = Caller(app, roles=["nobody", "a\nCRITICAL forged"], sub=subject)
    caplog.set_level(logging.DEBUG, REFUSALS)
    caller("GET", "/tenants/%0aCRITICAL%20forged", headers={"User-Agent": "CRITICAL forged"})
    caller.client.open(f"{PREFIX}/tenants", method="A\nCRITICAL")
    for record in caplog.records:
        assert record.getMessage().isprintable(), record.getMessage()
    assert f"subject {subject!r}, partner {caller.partner!r}, request" in list_records(caplog)[0].getMessage()


def test_requests_for_absent_tenants_are_logged_as_a_count(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, REFUSALS)
    clock, mount = Clock(), get_mount(app)
    refusals = RefusalLog(mount.config, clock)
    with app.test_request_context(environ_overrides={CALLER_KEY: None}) as context:
        for partner, times in (("one", 3), ("two", 1)):
            context.request.environ[CALLER_KEY] = Principal("someone", partner)
            for _ in range(times):
                refusals.log(TenantNotFound())
        assert list_records(caplog) == []
        clock.now += NOT_FOUND_SECONDS
        refusals.log(TenantNotFound())
        context.request.environ[CALLER_KEY] = None
        refusals.log(TenantNotFound())
    assert [(vars(line)["partner"], vars(line)["count"]) for line in list_records(caplog)] == [("one", 3), ("two", 2)]
    assert list_records(caplog)[0].getMessage() == "3 requests of partner 'one' returned 404 in 60 seconds"


def test_404_of_another_partners_tenant_has_no_line_of_its_own(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    tenant = Caller(app).create()
    caplog.set_level(logging.INFO, REFUSALS)
    assert Caller(app)("GET", f"/tenants/{tenant['tenant']}").status_code == 404
    assert not [line for line in list_records(caplog) if vars(line).get("status") == 404]


def test_a_tenant_that_fails_is_logged_once_with_fields(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    host = StepHost(database_url)
    host.step("bucket", retries=0)
    host.broken["bucket"] = RuntimeError("no room")
    caller = host.open()
    tenant = caller.create()
    host.work()
    (line,) = [record for record in caplog.records if record.name == "flask_tenant_provisioning.signals"]
    assert (line.levelno, vars(line)["tenant"], vars(line)["partner"]) == (
        logging.ERROR,
        tenant["tenant"],
        caller.partner,
    )
    assert line.getMessage() == f"provisioning of tenant {tenant['tenant']} of partner {caller.partner!r} failed"
