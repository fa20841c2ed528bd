"""``flask provisioning db``: the extension's own tables."""

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


@click.group("db", help="Create, upgrade and check the extension's tables.")
def database_commands() -> None:
    """The group."""


@database_commands.command("upgrade", help="Bring the tables to REVISION (default: the newest).")
@click.argument("revision", default="head")
@mount_option
@with_appcontext
def upgrade(revision: str, mount_name: str | None) -> None:
    from ..database import migration

    mount = find_mount(mount_name)
    prefix = mount.settings.table_prefix
    with _report_database_errors():
        migration.upgrade(mount.storage.engine, prefix, revision, make_custom_field_indexes(prefix, mount.hooks.fields))
        _print_revision(mount)


@database_commands.command("downgrade", help="Take the tables back to REVISION; `base` removes them and their rows.")
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Downgrade without asking.")
@mount_option
@with_appcontext
def downgrade(revision: str, yes: bool, mount_name: str | None) -> None:
    from ..database import migration

    mount = find_mount(mount_name)
    engine, prefix = mount.storage.engine, mount.settings.table_prefix
    with _report_database_errors():
        now = migration.get_current_revision(engine, prefix)
        if now is None:
            raise click.ClickException(_NO_TABLES)
        if not yes:
            lost = "All tables and their rows are removed." if revision == "base" else "What newer tables hold is lost."
            where = engine.url.render_as_string(hide_password=True)
            question = f"Take the tables {prefix}* in {where} from {now} back to {revision}? {lost}"
            click.confirm(question, abort=True, err=True)
        migration.downgrade(engine, prefix, revision)
        _print_revision(mount)


@database_commands.command("current", help="Say which revision the tables have.")
@mount_option
@with_appcontext
def current(mount_name: str | None) -> None:
    with _report_database_errors():
        _print_revision(find_mount(mount_name))


@database_commands.command("check", help="Prove that the tables are what this release wants; exit 1 otherwise.")
@mount_option
@with_appcontext
def check(mount_name: str | None) -> None:
    from ..database import migration

    mount = find_mount(mount_name)
    engine, prefix = mount.storage.engine, mount.settings.table_prefix
    with _report_database_errors():
        if migration.get_current_revision(engine, prefix) is None:
            raise click.ClickException(_NO_TABLES)
        wrong = migration.diff_tables(
            engine, mount.storage.metadata, make_custom_field_indexes(prefix, mount.hooks.fields)
        )
    for difference in wrong:
        click.echo(f"differs: {difference}", err=True)
    if wrong:
        raise click.ClickException("The tables differ from the models: run `flask provisioning db upgrade`.")
    click.echo("The tables are what this release wants.")


@contextlib.contextmanager
def _report_database_errors() -> Iterator[None]:
    """Say in a line that the database does not answer, or does not exist; its words may hold no address or password."""
    try:
        yield
    except DBAPIError as error:
        words = " ".join(str(error.orig).split())
        reason = f": {words}" if "@" not in words else ""
        raise click.ClickException(f"The database cannot be used ({type(error.orig).__name__}{reason}).") from error


def _print_revision(mount: Mount) -> None:
    from ..database import migration

    found = migration.get_current_revision(mount.storage.engine, mount.settings.table_prefix)
    click.echo(f"{found or 'no tables'}{' (newest)' if found == migration.get_head_revision() else ''}")
