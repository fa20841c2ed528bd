"""``flask provisioning docs-link``: a link that opens the API's documents in a browser."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..web.docs_links import make_link
from .mounts import chosen_mount, mount_option, require_served


@click.command("docs-link", help="Print a link that opens the API's documents, where they are not public.")
@click.option("--minutes", type=click.IntRange(1, 24 * 60), default=60, show_default=True, help="How long it is good.")
@click.option("--base-url", default="", help="Where people reach the app, such as https://app.example.com.")
@mount_option
@with_appcontext
def docs_link(minutes: int, base_url: str, mount: str | None) -> None:
    found = chosen_mount(mount)
    require_served(found)
    click.echo(base_url.rstrip("/") + make_link(found, minutes * 60))
