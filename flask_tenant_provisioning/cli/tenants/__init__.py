"""``flask provisioning tenants``: what the API does, for an operator."""

from __future__ import annotations

import click

from .exporting import export_tenants
from .importing import import_tenants
from .provisioning import cancel, provisioning, retry
from .reading import list_tenants, show
from .states import delete, move, reactivate, restore, suspend
from .writing import create, update


@click.group("tenants", help="List, show, create and change tenants as the API does, as an operator.")
def tenant_commands() -> None:
    """The group."""


for command in (
    list_tenants, show, create, update, suspend, reactivate, delete, restore, move, provisioning, retry, cancel,
    import_tenants, export_tenants,
):  # fmt: skip
    tenant_commands.add_command(command)
