"""`flask provisioning tenants`: the API's operations on tenants, for operators."""

from __future__ import annotations

import click

from .bulk_import import import_tenants
from .commands import create, list_tenants, show, update
from .export import export_tenants
from .lifecycle import cancel, delete, move, provisioning, reactivate, restore, retry, suspend


@click.group("tenants", help="List, show, create and change tenants.")
def tenant_commands() -> None:
    """Group of the commands."""


for command in (
    list_tenants, show, create, update, suspend, reactivate, delete, restore, move, provisioning, retry, cancel,
    import_tenants, export_tenants,
):  # fmt: skip
    tenant_commands.add_command(command)
