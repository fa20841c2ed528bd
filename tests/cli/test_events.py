"""``flask provisioning events tail``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from tests.support.callers import Caller, tenant_path
from tests.support.commands import run_command
from tests.support.database.rows import fetch_rows
from tests.support.events import read_feed


def test_tail_shows_past_events(partner: Caller) -> None:
    tenant = partner.create()
    partner("DELETE", tenant_path(tenant))
    shown = run_command(partner.app, "events", "tail", "--all", "--no-follow", "--partner", partner.partner)
    created, deleted = read_feed(partner)
    assert shown.status == 0
    assert [line.split() for line in shown.out.splitlines()] == [
        ["timestamp", "type", "tenant", "partner", "by"],
        [created["timestamp"], "tenant.created", tenant["tenant"], partner.partner, "someone"],
        [deleted["timestamp"], "tenant.deleted", tenant["tenant"], partner.partner, "someone"],
    ]


def test_json_is_the_audited_event(partner: Caller) -> None:
    tenant = partner.create()
    shown = run_command(partner.app, "events", "tail", "--all", "--no-follow", "--tenant", tenant["tenant"], "--json")
    admin = Caller(partner.app, roles=("provisioning-admin",))
    assert [json.loads(line) for line in shown.out.splitlines()] == read_feed(admin, partner=partner.partner)


def test_types_are_chosen(partner: Caller) -> None:
    tenant = partner.create()
    partner("DELETE", tenant_path(tenant))
    shown = run_command(
        partner.app, "events", "tail", "--all", "--no-follow", "--json",
        "--partner", partner.partner, "--type", "tenant.deleted",
    )  # fmt: skip
    assert [json.loads(line)["type"] for line in shown.out.splitlines()] == ["tenant.deleted"]


def test_tail_without_all_skips_past_events(partner: Caller) -> None:
    partner.create()
    assert run_command(partner.app, "events", "tail", "--no-follow") == (0, "", "")


def test_invalid_options_are_reported(app: Flask) -> None:
    shown = run_command(app, "events", "tail", "--type", "tenant.made")
    assert (shown.status, shown.out) == (1, "")
    assert "\n  type: 'tenant.made' is not one of: tenant.created, " in shown.err


@pytest.mark.slow
def test_tail_follows_until_ctrl_c(make_app: Callable[..., Flask], database_url: str, tmp_path: Path) -> None:
    app = make_app()
    partner = Caller(app)
    (tmp_path / "host.py").write_text(
        f"import tests.support.hosts\napp = tests.support.hosts.make_host({database_url!r})\n"
    )
    command = [sys.executable, "-m", "flask", "--app", str(tmp_path / "host.py"), "provisioning", "events", "tail"]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"}
    tail = subprocess.Popen(
        [*command, "--all", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        # Processes of tests that run in the background ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert tail.stdout is not None
        for _ in range(2):
            tenant = partner.create()
            assert json.loads(tail.stdout.readline())["tenant"] == tenant["tenant"]
        tail.send_signal(signal.SIGINT)
        assert tail.communicate(timeout=10) == (b"", b"")
        assert tail.returncode == 0
    finally:
        tail.kill()
    assert [row["position"] for row in fetch_rows(app, "events")] in ([1, 2], [2, 1])
