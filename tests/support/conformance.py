"""Hosts that run the conformance suite against themselves, as a shell would."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from flask_tenant_provisioning.testing import suite
from tests.support.hosts import make_config

#: The tests that show that the API is there and makes tenants.
ESSENTIALS = ("-k", "test_mounting or (test_creation and not wrong and not servers)")

#: A host whose parts a test replaces.
HOST = """\
from flask import Flask
from flask_tenant_provisioning import TenantProvisioning

provisioning = TenantProvisioning()
{registered}

def create_app():
    app = Flask(__name__)
    app.config.from_prefixed_env()
{before}
    provisioning.init_app(app)
{after}
    return app
"""
_COUNTS = re.compile(r"(\d+) tests hold, (\d+) failed, (\d+) left out")


@dataclasses.dataclass(frozen=True)
class SuiteRun:
    """A run of pytest: its exit status and its output."""

    status: int
    output: str

    def __repr__(self) -> str:
        return self.output

    @property
    def counts(self) -> tuple[int, int, int]:
        """The numbers of passed, failed and left-out tests of the suite."""
        held, failed, left_out = next(iter(_COUNTS.findall(self.output)), (0, 0, 0))
        return int(held), int(failed), int(left_out)

    @property
    def failed(self) -> set[str]:
        """The names of the tests that failed, without their parameters."""
        return set(re.findall(r"^(?:FAILED|ERROR) \S*::(\w+)", self.output, re.MULTILINE))

    @property
    def left_out(self) -> set[str]:
        """Why tests were left out."""
        return set(re.findall(r"^ *\d+ × (.*)$", self.output, re.MULTILINE))


def write_host(folder: Path, *, registered: str = "", before: str = "", after: str = "", name: str = "host.py") -> None:
    """Write a host app in which something was `registered`, and stands `before` or `after` the mounting."""
    indented = {"before": _indent(before), "after": _indent(after)}
    (folder / name).write_text(HOST.format(registered=registered, **indented), encoding="utf-8")


def run_suite(
    folder: Path, *arguments: str, app: str | None = "host:create_app", config: Mapping[str, Any] | None = None
) -> SuiteRun:
    """Run pytest in `folder`, with the suite for `app`; the host reads its configuration from the environment."""
    named = [f"--provisioning-app={app}"] if app else []
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "--tb=short", "-p", "no:cacheprovider", *named, *arguments]
    result = subprocess.run(
        command, cwd=folder, env=_environment(config or {}), capture_output=True, text=True, timeout=600
    )
    return SuiteRun(result.returncode, result.stdout + result.stderr)


def assert_suite_passes(run: SuiteRun, at_least: int) -> None:
    """Assert that so many tests hold, and none failed."""
    assert run.status == 0, run
    assert run.counts[0] >= at_least, run
    assert run.counts[1] == 0, run


def list_tests(module: str) -> list[str]:
    """The names of the tests in a module of the suite."""
    return [name for name in vars(import_module(f"{suite.__name__}.{module}")) if name.startswith("test_")]


def fetch_host_rows(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement in the database of the host in `folder`."""
    with contextlib.closing(sqlite3.connect(folder / "host.sqlite3")) as connection:
        return connection.execute(statement).fetchall()


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "PYTEST_"))}
    config_values = {"PROVISIONING_DATABASE_URL": "sqlite:///host.sqlite3", **make_config(), **config}
    set_to = {name: value if isinstance(value, str) else json.dumps(value) for name, value in config_values.items()}
    return {**kept, "COLUMNS": "200", **{f"FLASK_{name}": value for name, value in set_to.items()}}


def _indent(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())
