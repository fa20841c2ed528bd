"""`flask provisioning license`: keys and licences for the vendor, a look at its own licence for the host.

Only `show` and `verify` ever load the app, and only for what is not named on the command line.
"""

from __future__ import annotations

import click

from .host import show, verify
from .vendor import issue, keygen


@click.group("license")
def license_commands() -> None:
    """Make, show and verify licences."""


for command in (keygen, issue, show, verify):
    license_commands.add_command(command)
