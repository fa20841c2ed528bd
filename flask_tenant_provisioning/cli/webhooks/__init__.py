"""``flask provisioning webhooks``: what the API does about endpoints and deliveries, for an operator."""

from __future__ import annotations

import click

from .deliveries import deliveries, recover, redeliver, test
from .endpoints import create, delete, disable, enable, list_webhooks, rotate_secret, show
from .sealing import reseal


@click.group("webhooks", help="List, show, create and change webhooks as the API does, and send once more.")
def webhook_commands() -> None:
    """The group."""


for command in (
    list_webhooks, show, create, enable, disable, delete, rotate_secret, test, deliveries, redeliver, recover,
    reseal,
):  # fmt: skip
    webhook_commands.add_command(command)
