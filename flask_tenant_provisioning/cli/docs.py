"""`flask provisioning openapi` and `docs-link`: the OpenAPI document, and a link to the API's documentation."""

from __future__ import annotations

from typing import TextIO

import click
from flask.cli import with_appcontext

from ..web.docs_links import make_link
from .options import find_mount, mount_option, require_served


@click.command("openapi", help="Print the OpenAPI document.")
@click.option(
    "--output",
    type=click.File("w", encoding="utf-8", atomic=True),
    default="-",
    help="File to write to; stdout by default.",
)
@mount_option
@with_appcontext
def openapi(output: TextIO, mount_name: str | None) -> None:
    from ..openapi.document import render_document

    mount = find_mount(mount_name)
    click.echo(render_document(mount, mount.config.url_prefix).text, file=output)


@click.command(
    "docs-link",
    help="Print a link to the API's documentation. It works for a limited time, even if that is not public.",
)
@click.option(
    "--minutes", type=click.IntRange(1, 24 * 60), default=60, show_default=True, help="How long the link is valid."
)
@click.option("--base-url", default="", help="Public URL of the app, such as https://app.example.com.")
@mount_option
@with_appcontext
def docs_link(minutes: int, base_url: str, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    require_served(mount)
    click.echo(base_url.rstrip("/") + make_link(mount, minutes * 60))
