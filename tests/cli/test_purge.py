"""`purge`: what is past its time goes, and nothing else."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.support.callers import Caller
from tests.support.clock import Clock
from tests.support.commands import CommandResult, run_command

DAY = 86_400
NOTHING = CommandResult(0, "Removed 0 tenants and 0 idempotency records.\n")

Make = Callable[..., Flask]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(make_app: Make, clock: Clock) -> Flask:
    return make_app(mount={"clock": clock})


def delete(app: Flask, tenants: int) -> list[str]:
    """The ids of so many new tenants, deleted with a key each."""
    partner = Caller(app, "acme")
    created = [partner.create(client_name=f"Number {number}")["tenant"] for number in range(tenants)]
    for number, tenant in enumerate(created):
        keyed = {"Idempotency-Key": f"key-{number}"}
        assert partner("POST", f"/tenants/{tenant}/suspend", headers=keyed).status_code == 200
        assert partner("DELETE", f"/tenants/{tenant}").status_code == 200
    return created


def find_storage(app: Flask) -> Any:
    return app.extensions["tenant_provisioning"]["provisioning"].storage


def rows(app: Flask, table: str) -> int:
    storage = find_storage(app)
    with storage.engine.connect() as connection:
        return int(connection.scalar(select(func.count()).select_from(storage.table(table))))


def test_nothing_is_due_before_its_time(host: Flask, clock: Clock) -> None:
    delete(host, 2)
    clock.now += DAY - 60
    assert run_command(host, "purge") == NOTHING
    assert (rows(host, "tenants"), rows(host, "idempotency")) == (2, 2)


def test_expired_tenants_are_purged(host: Flask, clock: Clock) -> None:
    delete(host, 1)
    clock.now += 2 * DAY
    assert run_command(host, "purge") == CommandResult(0, "Removed 0 tenants and 1 idempotency record.\n")
    clock.now += 29 * DAY
    assert run_command(host, "purge") == CommandResult(0, "Removed 1 tenant and 0 idempotency records.\n")
    assert run_command(host, "purge") == NOTHING
    assert (rows(host, "tenants"), rows(host, "idempotency")) == (0, 0)


def test_living_tenants_stay(host: Flask, clock: Clock) -> None:
    Caller(host, "acme").create()
    clock.now += 1000 * DAY
    assert run_command(host, "purge") == NOTHING
    assert rows(host, "tenants") == 1


def test_dry_run_counts_and_changes_nothing(host: Flask, clock: Clock) -> None:
    delete(host, 3)
    clock.now += 31 * DAY
    assert run_command(host, "purge", "--dry-run") == CommandResult(
        0, "Would remove 3 tenants and 3 idempotency records.\n"
    )
    result = run_command(host, "purge", "--dry-run", "--json")
    assert (result.status, json.loads(result.out), result.err) == (
        0,
        {"tenants": 3, "idempotency_records": 3, "erased_tenants": 0, "dry_run": True},
        "",
    )
    assert (rows(host, "tenants"), rows(host, "idempotency")) == (3, 3)


def test_json_says_how_many_of_each(host: Flask, clock: Clock) -> None:
    delete(host, 2)
    clock.now += 31 * DAY
    assert run_command(host, "purge", "--json") == CommandResult(
        0, '{"tenants":2,"idempotency_records":2,"erased_tenants":0,"dry_run":false}\n'
    )


def test_events_name_the_operator(host: Flask, clock: Clock) -> None:
    tenant = delete(host, 1)[0]
    clock.now += 31 * DAY
    run_command(host, "purge")
    storage = find_storage(host)
    t = storage.table("events").c
    wanted = select(t.tenant_id, t.partner_id, t.actor_subject, t.actor_partner, t.request_id)
    with storage.engine.connect() as connection:
        rows = connection.execute(wanted.where(t.type == "tenant.purged")).all()
    assert [tuple(map(str, row)) for row in rows] == [(tenant, "acme", getpass.getuser(), "*", "None")]


@pytest.mark.slow
def test_several_may_purge_at_once(host: Flask, clock: Clock, database_url: str, tmp_path: Path) -> None:
    delete(host, 40)
    app = (
        "from tests.support.hosts import make_host\n"
        f"app = make_host({database_url!r}, {{'clock': lambda: {clock.now + 31 * DAY}}})\n"
    )
    (tmp_path / "app.py").write_text(app)
    command = [sys.executable, "-m", "flask", "provisioning", "purge", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    running = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    counts = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert sum(count["tenants"] for count in counts) == 40
    assert sum(count["idempotency_records"] for count in counts) == 40
    assert (rows(host, "tenants"), rows(host, "idempotency")) == (0, 0)


def test_no_licence_is_needed(make_app: Make, host: Flask, clock: Clock) -> None:
    delete(host, 1)
    clock.now += 31 * DAY
    unlicensed = make_app(mount={"clock": clock}, PROVISIONING_LICENSE=None)
    assert run_command(unlicensed, "purge") == CommandResult(0, "Removed 1 tenant and 1 idempotency record.\n")


@pytest.mark.without_tables
def test_missing_tables_fail(make_app: Make) -> None:
    app = make_app(PROVISIONING_AUTO_MIGRATE=False)
    for arguments in (["purge"], ["purge", "--dry-run"]):
        result = run_command(app, *arguments)
        assert (result.status, result.out) == (1, "")
        assert "Error: Storage unavailable: The database is not ready.\n" in result.err
