"""`doctor` on telemetry: what is turned on, and whether something takes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flask_tenant_provisioning.config import ConfigurationError
from tests.support.doctor import run_doctor
from tests.support.hosts import PREFIX, make_host
from tests.support.telemetry import METRICS_TOKEN, TRACED, set_up_tracing

pytestmark = pytest.mark.one_database("says nothing of the database")


def check_telemetry(database_url: str, **config: Any) -> tuple[str, str, str]:
    finding: tuple[str, str, str] = run_doctor(make_host(database_url, **config))["telemetry"]
    return finding


def test_telemetry_that_is_off_is_well(database_url: str) -> None:
    assert check_telemetry(database_url) == ("ok", "off: PROVISIONING_TELEMETRY is empty", "")


def test_an_sdk_is_named_by_what_it_takes(database_url: str) -> None:
    set_up_tracing()
    status, detail, advice = check_telemetry(database_url, **TRACED)
    assert (status, advice) == ("ok", "")
    assert detail in ("opentelemetry: traces", "opentelemetry: traces and metrics")


def test_those_who_may_scrape_are_named(database_url: str) -> None:
    sinks = {"PROVISIONING_TELEMETRY": ["prometheus"]}
    scrapes = f"prometheus: GET {PREFIX}/metrics for"
    assert check_telemetry(database_url, **sinks) == ("ok", f"{scrapes} callers with metrics:read", "")
    named = check_telemetry(database_url, **sinks, PROVISIONING_METRICS_TOKEN=METRICS_TOKEN)
    assert named == ("ok", f"{scrapes} PROVISIONING_METRICS_TOKEN or callers with metrics:read", "")


#: A process in which modules of these names cannot be imported, as if their packages were not installed.
WITHOUT = """
import importlib.machinery, json, sys
find = importlib.machinery.PathFinder.find_spec.__func__
hidden = tuple(json.loads(sys.argv[1]))
def find_others(kind, name, path=None, target=None):
    return None if name.startswith(hidden) else find(kind, name, path, target)
importlib.machinery.PathFinder.find_spec = classmethod(find_others)
from flask import Flask
from tests.support.hosts import make_config
from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.config import ConfigurationError
from tests.support.commands import run_command
app = Flask("host")
app.config.update(make_config(PROVISIONING_TELEMETRY=json.loads(sys.argv[2])))
try:
    TenantProvisioning().init_app(app, sys.argv[3])
except ConfigurationError as error:
    print(error)
else:
    print(*[line for line in run_command(app, "doctor").out.splitlines() if " telemetry " in line])
"""


@pytest.mark.parametrize(
    ("hidden", "sinks", "says"),
    [
        (["opentelemetry"], ["opentelemetry"], "pip install 'flask-tenant-provisioning[otel]'"),
        (["prometheus_client"], ["prometheus"], "pip install 'flask-tenant-provisioning[prometheus]'"),
        (["opentelemetry", "prometheus_client"], [], "off: PROVISIONING_TELEMETRY is empty"),
        (
            ["opentelemetry.sdk"],
            ["opentelemetry"],
            "no SDK is installed, so nothing is recorded / pip install opentelemetry-sdk and an exporter",
        ),
    ],
    ids=["otel", "prometheus", "neither", "sdk"],
)
def test_what_is_not_installed_is_said(tmp_path: Path, hidden: list[str], sinks: list[str], says: str) -> None:
    arguments = [json.dumps(hidden), json.dumps(sinks), f"sqlite:///{tmp_path}/db.sqlite3"]
    ran = subprocess.run([sys.executable, "-c", WITHOUT, *arguments], capture_output=True, text=True, check=True)
    assert says in ran.stdout


def test_a_folder_of_several_processes_has_to_exist(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="PROMETHEUS_MULTIPROC_DIR must name a folder that exists"):
        make_host(database_url, PROVISIONING_TELEMETRY=["prometheus"])
