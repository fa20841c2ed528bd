"""Checks of the database: connection, pool, privileges, migrations and tables, ours and the host's."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, MetaData, Select, Table, func, inspect, select
from sqlalchemy.engine.interfaces import ReflectedForeignKeyConstraint

from ...database import migration
from ...database.engine import DEFAULT_FILE, is_host_database_unused
from ...database.errors import UnsuitableDatabase
from ...database.requirements import find_connection_fault, is_behind_pooler
from ...database.revisions import name_version_table
from ...mount import Mount
from ...registry import DEPROVISIONING
from ...steps.export import EXPORT_STEP
from ...tenants.models import make_custom_field_indexes
from .context import FAIL, OK, WARN, DoctorContext, Finding

#: Names that hosts give to the column with a row's tenant.
TENANT_COLUMNS = frozenset({"tenant", "tenant_id", "tenantid", "tenant_uuid"})
PURGE_HOOK = 'provisioning.hook("tenant.purge")'
RENAME_ADVICE = "set PROVISIONING_TABLE_PREFIX to another prefix before our tables are created"
POOLER_ADVICE = "set it to 'transaction', or to 'session' if a client keeps its connection"
WRITABLE_ADVICE = "connect to the primary, not to a replica, with a role or a file that is not read-only"
UPGRADE_ADVICE = "run `flask provisioning db upgrade`"
_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")
_BLOCKING_JOURNALS = {"delete", "truncate", "persist"}
_LATENCY_PROBES = 5
_SLOW_MS = 20
_LONG_WAIT_SECONDS = 10


def check_connection(context: DoctorContext) -> Finding:
    """Check that the database can be reached without delay and takes writes."""
    url = context.mount.storage.engine.url
    if "@" in (url.host or ""):
        return Finding(FAIL, "the password in the URL contains an @", "write it as %40 in the URL")
    if _is_missing_file(url):
        return Finding(FAIL, f"there is no file {url.database}", UPGRADE_ADVICE)
    if isinstance(context.connection_error, UnsuitableDatabase):
        return Finding(FAIL, str(context.connection_error))
    if context.connection_error is not None:
        return Finding(
            FAIL,
            context.describe_error(context.connection_error),
            "check that it runs, its address and the credentials",
        )
    with context.connect() as connection:
        fault = find_connection_fault(connection)
        if fault:
            return Finding(FAIL, *fault)
        latency = _measure_latency(connection)
        detail = f"{_describe_server(connection)} at {_describe_location(url)}, {latency:.1f} ms"
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar() if _is_sqlite(url) else None
    if not context.mount.storage.takes_writes():
        return Finding(FAIL, f"{detail}: it is read-only", WRITABLE_ADVICE)
    storage = context.mount.storage
    is_embedded = storage.owns_engine and str(url.database).endswith(DEFAULT_FILE)
    if is_embedded and is_host_database_unused(context.app, None, context.mount.config):
        return Finding(
            WARN,
            f"{detail}: a file of the API's own, not the database of the app's Flask-SQLAlchemy",
            "call provisioning.init_app(app, db), or set PROVISIONING_DATABASE_URL",
        )
    if storage.owns_engine and _is_sqlite(url) and not os.path.isabs(str(url.database)):
        return Finding(
            WARN,
            f"{detail}: a path relative to the folder in which a process starts",
            "use an absolute path (sqlite:////…)",
        )
    if journal in _BLOCKING_JOURNALS:
        return Finding(
            WARN, f"{detail}, journal mode {journal}", "set `PRAGMA journal_mode=WAL`: readers wait for writers"
        )
    if latency > _SLOW_MS:
        return Finding(
            WARN, detail, "every request waits for several round trips: move app and database closer together"
        )
    return Finding(OK, detail)


def check_pool(context: DoctorContext) -> Finding:
    """Check that a full pool fails soon, and that no connection is open before the server forks."""
    pool = context.mount.storage.engine.pool
    kind, size, wait = type(pool).__name__, getattr(pool, "size", None), getattr(pool, "_timeout", None)
    if size is None or wait is None:
        return Finding(OK, f"{kind}, without a limit")
    overflow = getattr(pool, "_max_overflow", 0)
    detail = f"{kind}, {size()} connections and {overflow} overflow, waits {wait:g} s for a free one"
    if context.open_connections:
        return Finding(
            WARN,
            f"{detail}; {context.open_connections} open after the app was created: a server that forks then (gunicorn "
            "--preload, uWSGI) shares them with every worker",
            "the API drops them in each worker; for your own code, call db.engine.dispose() at the end of create_app",
        )
    if wait > _LONG_WAIT_SECONDS:
        return Finding(
            WARN, detail, "give the engine a pool_timeout of a few seconds, so that a full pool returns 503 soon"
        )
    return Finding(OK, detail)


def check_pooler(context: DoctorContext) -> Finding:
    """Check that a pooler in front of PostgreSQL is configured, and that statements time out behind it."""
    storage, pooler = context.mount.storage, context.mount.config.database_pooler
    if storage.engine.dialect.name != "postgresql":
        return Finding(OK, "none")
    with context.connect() as connection:
        is_pooled = is_behind_pooler(connection)
        timeout = connection.exec_driver_sql("SHOW statement_timeout").scalar()
    if is_pooled and pooler is None:
        return Finding(WARN, "a pooler is used, and PROVISIONING_DATABASE_POOLER is not set", POOLER_ADVICE)
    if is_pooled and storage.owns_engine and timeout == "0":
        return Finding(WARN, f"{pooler}: statements have no timeout", "ALTER ROLE … SET statement_timeout = '10s'")
    return Finding(OK, f"{pooler}" if pooler else "none")


def check_privileges(context: DoctorContext) -> Finding:
    """Check that the database role may read and write each of our tables."""
    storage = context.mount.storage
    if storage.engine.dialect.name != "postgresql":
        return Finding(OK, "SQLite has no roles")
    with context.connect() as connection:
        role = connection.exec_driver_sql("SELECT current_user").scalar()
        tables = sorted({*inspect(connection).get_table_names()} & {*storage.metadata.tables})
        missing: dict[str, list[str]] = {}
        for table in tables:
            for privilege in _PRIVILEGES:
                if not connection.scalar(_select_privilege(table, privilege)):
                    missing.setdefault(table, []).append(privilege)
    if not missing:
        return Finding(OK, f"{role} may read and write each of {len(tables)} tables")
    names = [name for name in _PRIVILEGES if any(name in privileges for privileges in missing.values())]
    privileges = ", ".join(names)
    advice = f"GRANT {privileges} ON {', '.join(missing)} TO {role}"
    return Finding(FAIL, f"{role} may not {privileges} on every table", advice)


def _select_privilege(table: str, privilege: str) -> Select[tuple[bool]]:
    return select(func.has_table_privilege(func.quote_ident(table), privilege))


def check_migrations(context: DoctorContext) -> Finding:
    """Check that the tables are those of this release."""
    storage, prefix = context.mount.storage, context.mount.config.table_prefix
    if _is_missing_file(storage.engine.url):
        return Finding(FAIL, "there are no tables", UPGRADE_ADVICE)
    context.connect().close()
    current, head = migration.get_current_revision(storage.engine, prefix), migration.get_head_revision()
    if current is None:
        return Finding(FAIL, "there are no tables", UPGRADE_ADVICE)
    if current != head:
        return Finding(FAIL, f"the tables are at {current}, this release needs {head}", UPGRADE_ADVICE)
    indexes = make_custom_field_indexes(prefix, context.mount.registry.fields)
    differences = migration.diff_tables(storage.engine, storage.metadata, indexes)
    if differences:
        return Finding(
            FAIL, f"at {current}, with {len(differences)} differences", "`flask provisioning db check` lists them"
        )
    return Finding(OK, f"{current} (newest)")


def check_tables(context: DoctorContext) -> Finding:
    """Check that no other table has a name with our prefix."""
    prefix = context.mount.config.table_prefix
    if _is_missing_file(context.mount.storage.engine.url):
        return Finding(OK, "there are none yet")
    with context.connect() as connection:
        existing = {name for name in inspect(connection).get_table_names() if name.startswith(prefix)}
    own_tables = _list_tables(context.mount)
    own_existing = sorted(existing & own_tables)
    if own_existing and name_version_table(prefix) not in existing:
        return Finding(FAIL, f"{', '.join(own_existing)}: exist already, and are not ours", RENAME_ADVICE)
    all_own_tables = {name for mount in context.mounts for name in _list_tables(mount)}
    foreign = sorted(existing - all_own_tables)
    if foreign:
        return Finding(WARN, f"{', '.join(foreign)}: named like our tables, but not ours", RENAME_ADVICE)
    return Finding(OK, f"{len(own_existing)} of ours, named {prefix}…")


def check_tenant_rows(context: DoctorContext) -> Finding:
    """Check that the host's rows of a tenant are removed with it and exported.

    The check sees if a hook, step or export is registered, not what it does. A foreign key to the table of tenants
    with ON DELETE CASCADE removes rows too.
    """
    if _is_missing_file(context.mount.storage.engine.url):
        return Finding(OK, "there are no tables yet")
    own_tables = {name for mount in context.mounts for name in _list_tables(mount)}
    with context.connect() as connection:
        inspector = inspect(connection)
        tenant_tables = {
            name
            for (_, name), columns in inspector.get_multi_columns().items()
            if name not in own_tables and any(column["name"].lower() in TENANT_COLUMNS for column in columns)
        }
        cascading = {name for name in tenant_tables if _has_cascade(inspector.get_foreign_keys(name), own_tables)}
    if not tenant_tables:
        return Finding(OK, "no table of the host has a column that names a tenant")
    registry = context.mount.registry
    removers = registry.hooks_for("tenant.purge") or [
        step for step in registry.list_steps(DEPROVISIONING) if step.name != EXPORT_STEP
    ]
    remaining = set() if removers else tenant_tables - cascading
    faults = []
    if remaining:
        names = ", ".join(sorted(remaining))
        faults.append(f"{names}: no purge hook or deprovisioning step removes a purged tenant's rows")
    if not registry.exports:
        faults.append(f"{', '.join(sorted(tenant_tables))}: no export includes a tenant's rows")
    if not faults:
        return Finding(OK, f"{', '.join(sorted(tenant_tables))}: tenants' rows are removed and exported")
    registrations = [PURGE_HOOK] if remaining else []
    if not registry.exports:
        registrations.append("provisioning.export(…)")
    return Finding(
        WARN, "; ".join(faults), f"register {' and '.join(registrations)}, if they are rows of the API's tenants"
    )


def _has_cascade(keys: Sequence[ReflectedForeignKeyConstraint], own_tables: set[str]) -> bool:
    """Return True if deleting a row of ours deletes the rows that refer to it."""
    return any(
        key["referred_table"] in own_tables and key.get("options", {}).get("ondelete", "").upper() == "CASCADE"
        for key in keys
    )


def _list_tables(mount: Mount) -> set[str]:
    return {*mount.storage.metadata.tables, name_version_table(mount.config.table_prefix)}


def _describe_server(connection: Connection) -> str:
    dialect = connection.dialect
    version = ".".join(map(str, dialect.server_version_info or ("of unknown version",)))
    return f"{dialect.name} {version} ({dialect.driver})"


def _describe_location(url: URL) -> str:
    """Return host, port and database of `url`, without user, password and query."""
    host = f"{url.host or ''}{f':{url.port}' if url.port else ''}"
    return f"{host}/{url.database}" if host else str(url.database)


def _measure_latency(connection: Connection) -> float:
    """Return the median of a few round trips, in milliseconds."""
    times = []
    for _ in range(_LATENCY_PROBES):
        started = time.perf_counter()
        connection.exec_driver_sql("SELECT 1").scalar()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _is_missing_file(url: URL) -> bool:
    """Return True if `url` names an SQLite file that does not exist, and that connecting would create."""
    path = url.database if _is_sqlite(url) else None
    return bool(path) and not str(path).startswith((":", "file:")) and not os.path.exists(str(path))


def check_autogenerate(context: DoctorContext) -> Finding:
    """Check that the host's Flask-Migrate does not generate migrations that drop our tables."""
    migrate: Any = context.app.extensions.get("migrate")
    if migrate is None:
        return Finding(OK, "no Flask-Migrate")
    if not _is_same_database(context, migrate):
        return Finding(OK, "Flask-Migrate uses another database")
    own_tables = {name for mount in context.mounts for name in mount.storage.metadata.tables}
    if not any(_is_compared(migrate.configure_args, name) for name in own_tables) or _has_own_filter(migrate.directory):
        return Finding(OK, "Flask-Migrate ignores the API's tables")
    prefix = context.mount.config.table_prefix
    argument = "" if prefix == "provisioning_" else repr(prefix)
    advice = (
        f"Migrate(app, db, include_name=exclude_ours({argument})), from flask_tenant_provisioning.database.migration"
    )
    return Finding(FAIL, "`flask db migrate` would generate a migration that drops the API's tables", advice)


def _is_same_database(context: DoctorContext, migrate: Any) -> bool:
    """Return True if the host migrates the mount's database, as its main one or as a bind."""
    engines = getattr(migrate.db, "engines", None) or {None: migrate.db.engine}
    return any(engine.url == context.mount.storage.engine.url for engine in engines.values())


def _is_compared(options: Mapping[str, Any], name: str) -> bool:
    """Return True if Alembic compares the table of this name, under the host's options."""
    include_name, include_object = options.get("include_name"), options.get("include_object")
    if include_name is not None and not include_name(name, "table", {"schema_name": None}):
        return False
    return include_object is None or bool(include_object(Table(name, MetaData()), name, "table", True, None))


def _has_own_filter(directory: str) -> bool:
    """Return True if the host's own ``env.py`` uses our filter."""
    try:
        return "exclude_ours" in (Path(directory) / "env.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
