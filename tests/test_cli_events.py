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

from tests.commands import run
from tests.support.events import followed
from tests.witness import one, rows
from tests.world import Caller


def test_it_shows_what_has_happened(partner: Caller) -> None:
    tenant = partner.create()
    partner("DELETE", one(tenant))
    shown = run(partner.app, "events", "tail", "--all", "--no-follow", "--partner", partner.partner)
    created, deleted = followed(partner)
    assert shown.status == 0
    assert [line.split() for line in shown.out.splitlines()] == [
        ["timestamp", "type", "tenant", "partner", "by"],
        [created["timestamp"], "tenant.created", tenant["tenant"], partner.partner, "someone"],
        [deleted["timestamp"], "tenant.deleted", tenant["tenant"], partner.partner, "someone"],
    ]


def test_json_is_the_audited_event(partner: Caller) -> None:
    tenant = partner.create()
    shown = run(partner.app, "events", "tail", "--all", "--no-follow", "--tenant", tenant["tenant"], "--json")
    admin = Caller(partner.app, roles=("provisioning-admin",))
    assert [json.loads(line) for line in shown.out.splitlines()] == followed(admin, partner=partner.partner)


def test_types_are_chosen(partner: Caller) -> None:
    tenant = partner.create()
    partner("DELETE", one(tenant))
    shown = run(
        partner.app, "events", "tail", "--all", "--no-follow", "--json",
        "--partner", partner.partner, "--type", "tenant.deleted",
    )  # fmt: skip
    assert [json.loads(line)["type"] for line in shown.out.splitlines()] == ["tenant.deleted"]


def test_without_all_what_has_happened_is_passed_over(partner: Caller) -> None:
    partner.create()
    assert run(partner.app, "events", "tail", "--no-follow") == (0, "", "")


def test_what_cannot_be_asked_is_told(app: Flask) -> None:
    shown = run(app, "events", "tail", "--type", "tenant.made")
    assert (shown.status, shown.out) == (1, "")
    assert "\n  type: 'tenant.made' is not one of: tenant.created, " in shown.err


@pytest.mark.slow
def test_it_follows_until_ctrl_c(make_app: Callable[..., Flask], database_url: str, tmp_path: Path) -> None:
    app = make_app()
    partner = Caller(app)
    (tmp_path / "host.py").write_text(f"import tests.world\napp = tests.world.host({database_url!r})\n")
    command = [sys.executable, "-m", "flask", "--app", str(tmp_path / "host.py"), "provisioning", "events", "tail"]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONUNBUFFERED": "1"}
    tail = subprocess.Popen(
        [*command, "--all", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        # Whoever runs the tests in the background lets their processes ignore it.
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
    assert [row["position"] for row in rows(app, "events")] in ([1, 2], [2, 1])
