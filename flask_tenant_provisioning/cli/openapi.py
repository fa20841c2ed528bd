"""``flask provisioning openapi``: the document that ``GET /openapi.json`` answers."""

from __future__ import annotations

from typing import TextIO

import click
from flask.cli import with_appcontext

from .mounts import chosen_mount, mount_option


@click.command("openapi", help="Print the OpenAPI document.")
@click.option("--output", type=click.File("w", encoding="utf-8", atomic=True), default="-", help="Write to this file.")
@mount_option
@with_appcontext
def openapi(output: TextIO, mount: str | None) -> None:
    from ..openapi.document import document

    found = chosen_mount(mount)
    click.echo(document(found, found.settings.url_prefix), file=output)
