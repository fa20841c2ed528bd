"""`flask provisioning isolation`: create what keeps the tenants' data apart, and check it."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError

from ..encoding import format_error
from ..isolation.context import get_declarations
from ..isolation.strategy import Strategy
from .options import find_mount, json_option, mount_option
from .output import print_json, print_text


@click.group("isolation", help="The policies that keep the rows of tenants apart.")
def isolation_commands() -> None:
    """Group the commands of isolation."""


@isolation_commands.command("apply", help="Create the policies that are missing. Connect as the owner of the tables.")
@click.option("--sql", "only_prints", is_flag=True, help="Print the statements, for a migration of yours.")
@mount_option
@with_appcontext
def apply(only_prints: bool, mount_name: str | None) -> None:
    """Create what is missing; a second run finds nothing to do."""
    try:
        statements = _find_strategy(mount_name).apply(run=not only_prints)
    except DBAPIError as error:
        raise click.ClickException(f"The database refused it: {format_error(error.orig or error)}") from error
    for statement in statements:
        print_text(f"{statement};")
    if not only_prints:
        print_text(f"{len(statements)} statements." if statements else "Nothing to do.", err=True)


@isolation_commands.command("check", help="Check the policies, for CI. The exit status is 1 if one is missing.")
@click.option("--any-role", is_flag=True, help="Do not check the role: CI often connects as the tables' owner.")
@json_option
@mount_option
@click.pass_context
@with_appcontext
def check(context: click.Context, any_role: bool, as_json: bool, mount_name: str | None) -> None:
    """Print each fault, and each key that tells of other tenants' rows. Only faults change the exit status."""
    own_tables = {*find_mount(mount_name).storage.metadata.tables}
    try:
        faults = _find_strategy(mount_name).find_faults(of_role=not any_role, ignored=own_tables)
    except DBAPIError as error:
        raise click.ClickException(f"The database refused it: {format_error(error.orig or error)}") from error
    if as_json:
        print_json(
            [
                {"table": fault.table, "problem": fault.problem, "advice": fault.advice, "fault": not fault.is_advice}
                for fault in faults
            ]
        )
    else:
        for fault in faults:
            print_text(f"{'warn' if fault.is_advice else 'fail'}  {fault}")
        print_text("ok" if not faults else f"{len(faults)} findings.", err=True)
    context.exit(any(not fault.is_advice for fault in faults))


def _find_strategy(mount_name: str | None) -> Strategy:
    """Return the strategy of a mount. Raises `click.ClickException` if there is none."""
    declared = get_declarations(current_app._get_current_object()).get(find_mount(mount_name).name)  # type: ignore[attr-defined]
    if declared is None or declared.strategy is None:
        raise click.ClickException("The app names no strategy: provisioning.isolation.use(RowLevelSecurity(…)).")
    strategy: Strategy = declared.strategy
    return strategy
