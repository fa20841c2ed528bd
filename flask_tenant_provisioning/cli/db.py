"""`flask provisioning db`: migrations of the extension's own tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError

from ..mount import Mount
from ..tenants.models import make_custom_field_indexes
from .options import find_mount, mount_option

_NO_TABLES = "There are no tables yet: run `flask provisioning db upgrade`."


@click.group("db", help="Manage the extension's database tables.")
def database_commands() -> None:
    """Group of the commands."""


@database_commands.command("upgrade", help="Create or upgrade the tables. REVISION is the newest by default.")
@click.argument("revision", default="head")
@mount_option
@with_appcontext
def upgrade(revision: str, mount_name: str | None) -> None:
    from ..database import migration

    mount = find_mount(mount_name)
    prefix = mount.config.table_prefix
    with _report_database_errors():
        indexes = make_custom_field_indexes(prefix, mount.registry.fields)
        migration.upgrade(mount.storage.engine, prefix, revision, indexes)
        _print_revision(mount)


@database_commands.command(
    "downgrade", help="Downgrade the tables to REVISION. `base` removes the tables and their rows."
)
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Downgrade without asking.")
@mount_option
@with_appcontext
def downgrade(revision: str, yes: bool, mount_name: str | None) -> None:
    from ..database import migration

    mount = find_mount(mount_name)
    engine, prefix = mount.storage.engine, mount.config.table_prefix
    with _report_database_errors():
        current_revision = migration.get_current_revision(engine, prefix)
        if current_revision is None:
            raise click.ClickException(_NO_TABLES)
        if not yes:
            consequence = "Data in newer tables and columns is lost."
            if revision == "base":
                consequence = "All tables and their rows are removed."
            url = engine.url.render_as_string(hide_password=True)
            question = f"Downgrade the tables {prefix}* in {url} from {current_revision} to {revision}? {consequence}"
            click.confirm(question, abort=True, err=True)
        migration.downgrade(engine, prefix, revision)
        _print_revision(mount)


@database_commands.command("current", help="Show the current revision of the tables.")
@mount_option
@with_appcontext
def current(mount_name: str | None) -> None:
    with _report_database_errors():
        _print_revision(find_mount(mount_name))


@database_commands.command("check", help="Compare the tables with this release. Exit status 1 if they differ.")
@mount_option
@with_appcontext
def check(mount_name: str | None) -> None:
    from ..database import migration

    mount = find_mount(mount_name)
    engine, prefix = mount.storage.engine, mount.config.table_prefix
    with _report_database_errors():
        if migration.get_current_revision(engine, prefix) is None:
            raise click.ClickException(_NO_TABLES)
        indexes = make_custom_field_indexes(prefix, mount.registry.fields)
        differences = migration.diff_tables(engine, mount.storage.metadata, indexes)
    for difference in differences:
        click.echo(f"differs: {difference}", err=True)
    if differences:
        raise click.ClickException("The tables differ from the models: run `flask provisioning db upgrade`.")
    click.echo("The tables match this release.")


@contextlib.contextmanager
def _report_database_errors() -> Iterator[None]:
    """Report a database error in one line. A message with an "@" may hold a URL with a password and is left out."""
    try:
        yield
    except DBAPIError as error:
        message = " ".join(str(error.orig).split())
        reason = f": {message}" if "@" not in message else ""
        raise click.ClickException(f"The database cannot be used ({type(error.orig).__name__}{reason}).") from error


def _print_revision(mount: Mount) -> None:
    from ..database import migration

    revision = migration.get_current_revision(mount.storage.engine, mount.config.table_prefix)
    click.echo(f"{revision or 'no tables'}{' (newest)' if revision == migration.get_head_revision() else ''}")
