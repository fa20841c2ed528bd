"""The packaged Alembic migrations, with their own folder and version table, independent of the host's migrations."""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Callable
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.exc import DBAPIError

from ..config import ConfigurationError
from .engine import disable_prepared_statements
from .errors import FailureKind, UnsuitableDatabase, classify_failure
from .indexes import IndexSet, diff_indexes, sync_indexes
from .requirements import connect, get_isolation_level, require_suitable_connection
from .revisions import name_version_table
from .sqlite import begin_immediate

_FOLDER = pathlib.Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 7_236_041_905_271


def upgrade(engine: Engine, prefix: str, revision: str = "head", indexes: IndexSet | None = None) -> None:
    """Upgrade the tables to `revision`; at ``head``, create and drop `indexes` as declared.

    Safe to call in several processes at once: they take turns, and the later ones have nothing left to do. Raises
    `ConfigurationError` if the database, the role or a pooler does not allow it.
    """

    def work(config: Config) -> None:
        command.upgrade(config, revision)
        if indexes is not None and revision == "head":
            sync_indexes(config.attributes["connection"], indexes)

    _run_in_transaction(engine, prefix, work)


def downgrade(engine: Engine, prefix: str, revision: str) -> None:
    """Downgrade the tables to `revision`; ``base`` drops them. Raises `ConfigurationError` as `upgrade` does."""
    _run_in_transaction(engine, prefix, lambda config: command.downgrade(config, revision))


def get_current_revision(engine: Engine, prefix: str) -> str | None:
    """Return the revision of the tables; None if there are no tables."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": name_version_table(prefix)})
        return context.get_current_revision()


def get_head_revision() -> str | None:
    """Return the newest revision in this package."""
    return ScriptDirectory(str(_FOLDER)).get_current_head()


def diff_tables(engine: Engine, metadata: MetaData, indexes: IndexSet | None = None) -> list[Any]:
    """Return the differences between the tables and the models and `indexes`; empty if there are none."""
    prefix = metadata.info["prefix"]
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*reflection of expression-based index")
        options = {
            "include_name": _make_comparison_filter(metadata, indexes),
            "version_table": name_version_table(prefix),
            "compare_type": True,
        }
        context = MigrationContext.configure(connection, opts=options)
        differences = list(compare_metadata(context, metadata))
        return differences + (diff_indexes(connection, indexes) if indexes else [])


def _make_comparison_filter(metadata: MetaData, indexes: IndexSet | None) -> Callable[[str | None, str, Any], bool]:
    """Return an Alembic ``include_name`` for our tables without the indexes on custom fields."""

    def include(name: str | None, kind: str, _parents: Any) -> bool:
        is_custom = indexes is not None and kind == "index" and (name or "").startswith(indexes.beginning)
        return (kind != "table" or name in metadata.tables) and not is_custom

    return include


def include_only_ours(prefix: str) -> Callable[[str | None, str, Any], bool]:
    """Return an Alembic ``include_name`` that includes only our tables."""

    def include(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or (name or "").startswith(prefix)

    return include


def exclude_ours(prefix: str = "provisioning_") -> Callable[[str | None, str, Any], bool]:
    """Return an Alembic ``include_name`` for the host's ``env.py`` that leaves out our tables.

    Without it, the host's autogenerate proposes to drop them.
    """
    ours = include_only_ours(prefix)
    return lambda name, kind, parents: kind != "table" or not ours(name, kind, parents)


def _run_in_transaction(engine: Engine, prefix: str, work: Callable[[Config], None]) -> None:
    """Run `work` in one transaction, on a connection that is closed afterwards and not returned to the pool.

    So a process that is forked later does not inherit it. Raises `ConfigurationError` if the database, the role or a
    pooler does not allow the migration.
    """
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes.update(prefix=prefix, version_table=name_version_table(prefix))
    try:
        with connect(engine) as connection:
            require_suitable_connection(connection)
            if engine.dialect.name != "sqlite":
                connection.execution_options(isolation_level="READ COMMITTED")
            elif get_isolation_level(engine) == "AUTOCOMMIT":
                connection.execution_options(isolation_level="SERIALIZABLE")
            connection.detach()
            disable_prepared_statements(connection.connection.dbapi_connection)
            with connection.begin():
                _lock_migrations(connection)
                config.attributes["connection"] = connection
                work(config)
    except UnsuitableDatabase as error:
        raise ConfigurationError(str(error)) from error
    except DBAPIError as error:
        if advice := _ADVICE.get(classify_failure(error)):
            raise ConfigurationError(f"The tables cannot be upgraded: {error.orig}\n{advice}") from error
        raise


_ADVICE = {
    FailureKind.FORBIDDEN: "GRANT USAGE, CREATE ON the schema to the role; or run `flask provisioning db upgrade` as "
    "the role that owns the tables.",
    FailureKind.READ_ONLY: "The server takes no writes: name the primary, not a replica, and a role whose "
    "default_transaction_read_only is off.",
    FailureKind.STARTUP_REFUSED: "A pooler refuses what the connection asks for: set PROVISIONING_DATABASE_POOLER to "
    "'transaction' (or PROVISIONING_STATEMENT_TIMEOUT_SECONDS to 0), take `options` out of the URL, and let "
    "ALTER ROLE set search_path.",
}


def _lock_migrations(connection: Connection) -> None:
    """Lock migrations for other processes until this transaction ends."""
    if connection.dialect.name == "sqlite":
        begin_immediate(connection)
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
