"""``flask provisioning db``: the extension's own tables."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..tenants.own_indexes import own_indexes
from ..web.mount import Mount
from .mounts import chosen_mount, mount_option


@click.group("db", help="Create, upgrade and check the extension's tables.")
def database_commands() -> None:
    """The group."""


@database_commands.command("upgrade", help="Bring the tables to REVISION (default: the newest).")
@click.argument("revision", default="head")
@mount_option
@with_appcontext
def upgrade(revision: str, mount: str | None) -> None:
    from ..database import migration

    found = chosen_mount(mount)
    prefix = found.settings.table_prefix
    migration.upgrade(found.storage.engine, prefix, revision, own_indexes(prefix, found.hooks.fields))
    _say_current(found)


@database_commands.command("downgrade", help="Take the tables back to REVISION; `base` removes them and their rows.")
@click.argument("revision")
@mount_option
@with_appcontext
def downgrade(revision: str, mount: str | None) -> None:
    from ..database import migration

    found = chosen_mount(mount)
    migration.downgrade(found.storage.engine, found.settings.table_prefix, revision)
    _say_current(found)


@database_commands.command("current", help="Say which revision the tables have.")
@mount_option
@with_appcontext
def current(mount: str | None) -> None:
    _say_current(chosen_mount(mount))


@database_commands.command("check", help="Prove that the tables are what this release wants; exit 1 otherwise.")
@mount_option
@with_appcontext
def check(mount: str | None) -> None:
    from ..database import migration

    found = chosen_mount(mount)
    indexes = own_indexes(found.settings.table_prefix, found.hooks.fields)
    wrong = migration.differences(found.storage.engine, found.storage.metadata, indexes)
    for difference in wrong:
        click.echo(f"differs: {difference}", err=True)
    if wrong:
        raise click.ClickException("The tables differ from the models: run `flask provisioning db upgrade`.")
    click.echo("The tables are what this release wants.")


def _say_current(mount: Mount) -> None:
    from ..database import migration

    found = migration.current(mount.storage.engine, mount.settings.table_prefix)
    click.echo(f"{found or 'no tables'}{' (newest)' if found == migration.head() else ''}")
