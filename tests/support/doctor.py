"""Run `flask provisioning doctor` and read what each check reports."""

from __future__ import annotations

import json
from collections.abc import Callable

from flask import Flask

from tests.support.commands import run_command


def run_doctor(app: Flask | Callable[[], Flask], *arguments: str) -> dict[str, tuple[str, str, str]]:
    """Return status, detail and advice of each check."""
    if isinstance(app, Flask):
        forget_connections(app)
    result = run_command(app, "doctor", "--json", *arguments)
    document = json.loads(result.out)
    statuses = {check["status"] for check in document["checks"]}
    assert document["status"] == next(status for status in ("fail", "warn", "ok") if status in statuses)
    assert result.status == (document["status"] == "fail")
    return {check["check"]: (check["status"], check["detail"], check["advice"]) for check in document["checks"]}


def forget_connections(app: Flask) -> None:
    """Close what tests have opened: a shell's command finds a new app."""
    for mount in app.extensions["tenant_provisioning"].values():
        if "storage" in vars(mount):
            mount.storage.engine.dispose()
