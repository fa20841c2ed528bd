"""`flask provisioning run`: a command of the host's own, for one tenant."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from flask_tenant_provisioning import current_tenant
from tests.support.callers import tenant_path
from tests.support.commands import run_command
from tests.support.isolation import ABSENT_ID, TenantHost


@pytest.fixture
def host(database_url: str) -> Iterator[TenantHost]:
    """A host with a command of its own."""
    new_host = TenantHost(database_url)

    @new_host.app.cli.command("bill")
    @click.argument("month")
    @click.option("--dry", is_flag=True)
    @click.pass_context
    def bill(context: click.Context, month: str, dry: bool) -> None:
        click.echo(f"{month} {dry} {current_tenant.id if current_tenant else 'nobody'}")
        context.exit(3 if month == "never" else 0)

    yield new_host
    new_host.close()


def test_a_command_runs_for_a_tenant(host: TenantHost) -> None:
    tenant = host.open().create()["tenant"]
    result = run_command(host.app, "run", "--tenant", tenant, "--", "bill", "--dry", "2026-01")
    assert (result.status, result.out) == (0, f"2026-01 True {tenant}\n")
    assert not current_tenant


def test_the_exit_status_is_the_commands(host: TenantHost) -> None:
    tenant = host.open().create()["tenant"]
    assert run_command(host.app, "run", "--tenant", tenant, "--", "bill", "never").status == 3
    wrong = run_command(host.app, "run", "--tenant", tenant, "--", "bill", "--wet", "x")
    assert (wrong.status, "No such option" in wrong.err) == (2, True)
    missing = run_command(host.app, "run", "--tenant", tenant, "--", "build")
    assert (missing.status, "The app has no command 'build'." in missing.err) == (2, True)
    assert run_command(host.app, "run", "--tenant", tenant).status == 2
    assert run_command(host.app, "run", "--", "bill", "x").status == 2


def test_a_tenant_that_is_not_active_must_be_meant(host: TenantHost) -> None:
    partner = host.open()
    tenant = partner.create()
    partner("POST", f"{tenant_path(tenant)}/suspend", json={})
    refused = run_command(host.app, "run", "--tenant", tenant["tenant"], "--", "bill", "x")
    expected = "Error: This tenant is not available. It is suspended: --any-status runs the command anyway.\n"
    assert (refused.status, refused.out, refused.err) == (1, "", expected)
    meant = run_command(host.app, "run", "--any-status", "--tenant", tenant["tenant"], "--", "bill", "x")
    assert (meant.status, meant.out) == (0, f"x False {tenant['tenant']}\n")
    for absent in (ABSENT_ID, "x"):
        refused = run_command(host.app, "run", "--any-status", "--tenant", absent, "--", "bill", "x")
        assert (refused.status, refused.err) == (1, "Error: There is no such tenant.\n")
