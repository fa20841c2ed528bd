"""``flask provisioning …``"""

from __future__ import annotations

import click

from .db import database_commands
from .license import license_commands
from .openapi import openapi
from .token import token


@click.group("provisioning", help="Tenant provisioning: licence, database, tokens, documents.")
def provisioning() -> None:
    """The group that Flask finds by its entry point."""


provisioning.add_command(database_commands)
provisioning.add_command(license_commands)
provisioning.add_command(openapi)
provisioning.add_command(token)
