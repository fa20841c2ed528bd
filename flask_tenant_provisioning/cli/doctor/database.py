"""Checks of the database: connection, pool, privileges, migrations, and tables, ours and the host's."""

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
from ...mount import Mount
from ...registry import DEPROVISIONING
from ...steps.export import EXPORT_STEP
from ...tenants.models import make_custom_field_indexes
from .context import FAIL, OK, WARN, DoctorContext, Finding

#: How hosts name the column that says to which tenant a row belongs.
TENANT_COLUMNS = frozenset({"tenant", "tenant_id", "tenantid", "tenant_uuid"})
PURGE_HOOK = 'provisioning.hook("tenant.purge")'
RENAME_ADVICE = "set PROVISIONING_TABLE_PREFIX before there are tables of ours, so that nobody mistakes them"
POOLER_ADVICE = "set it to 'transaction', or to 'session' where a client keeps its connection"
WRITABLE_ADVICE = "name the primary; not a replica, nor a role or a file that is read-only"
UPGRADE_ADVICE = "run `flask provisioning db upgrade`"
_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")
_BLOCKING_JOURNALS = {"delete", "truncate", "persist"}
_LATENCY_PROBES = 5
_SLOW_MS = 20
_LONG_WAIT_SECONDS = 10


def check_connection(context: DoctorContext) -> Finding:
    """The database can be reached, without delay."""
    url = context.mount.storage.engine.url
    if "@" in (url.host or ""):
        return Finding(FAIL, "the URL's password holds an @", "write it as %40 in the URL")
    if _is_missing_file(url):
        return Finding(FAIL, f"there is no file {url.database}", UPGRADE_ADVICE)
    if isinstance(context.connection_error, UnsuitableDatabase):
        return Finding(FAIL, str(context.connection_error))
    if context.connection_error is not None:
        return Finding(
            FAIL, context.reason(context.connection_error), "check that it runs, its address, and the credentials"
        )
    with context.connect() as connection:
        if fault := find_connection_fault(connection):
            return Finding(FAIL, *fault)
        latency = _measure_latency(connection)
        detail = f"{_describe_server(connection)} at {_describe_location(url)}, {latency:.1f} ms"
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar() if _is_sqlite(url) else None
    if not context.mount.storage.takes_writes():
        return Finding(FAIL, f"{detail}: it takes no writes", WRITABLE_ADVICE)
    storage = context.mount.storage
    embedded = storage.owns_engine and str(url.database).endswith(DEFAULT_FILE)
    if embedded and is_host_database_unused(context.app, None, context.mount.config):
        return Finding(
            WARN,
            f"{detail}: a file of the API's own, and not the database of the app's Flask-SQLAlchemy",
            "call provisioning.init_app(app, db), or set PROVISIONING_DATABASE_URL",
        )
    if storage.owns_engine and _is_sqlite(url) and not os.path.isabs(str(url.database)):
        return Finding(
            WARN,
            f"{detail}: a path below whatever folder a process is started in",
            "name the file with its whole path (sqlite:////…)",
        )
    if journal in _BLOCKING_JOURNALS:
        return Finding(
            WARN, f"{detail}, journal mode {journal}", "set `PRAGMA journal_mode=WAL`: readers wait for writers"
        )
    if latency > _SLOW_MS:
        return Finding(WARN, detail, "every request waits for that several times: bring app and database together")
    return Finding(OK, detail)


def check_pool(context: DoctorContext) -> Finding:
    """Whoever finds no free connection is told so soon."""
    pool = context.mount.storage.engine.pool
    kind, size, wait = type(pool).__name__, getattr(pool, "size", None), getattr(pool, "_timeout", None)
    if size is None or wait is None:
        return Finding(OK, f"{kind}, without a limit of its own")
    detail = (
        f"{kind}, {size()} connections and {getattr(pool, '_max_overflow', 0)} more at need, waits {wait:g} s for one"
    )
    if context.open_connections:
        return Finding(
            WARN,
            f"{detail}; {context.open_connections} open once the app is made: a server that forks then (gunicorn "
            "--preload, uWSGI) hands them to every worker",
            "the API lets go of them in each; for your own code, call db.engine.dispose() at the end of create_app",
        )
    if wait > _LONG_WAIT_SECONDS:
        return Finding(
            WARN, detail, "give the engine a pool_timeout of a few seconds, so that a full pool answers 503 soon"
        )
    return Finding(OK, detail)


def check_pooler(context: DoctorContext) -> Finding:
    """A pooler between the API and PostgreSQL is known to the configuration, and ends long statements."""
    storage, pooler = context.mount.storage, context.mount.config.database_pooler
    if storage.engine.dialect.name != "postgresql":
        return Finding(OK, "none")
    with context.connect() as connection:
        pooled = is_behind_pooler(connection)
        timeout = connection.exec_driver_sql("SHOW statement_timeout").scalar()
    if pooled and pooler is None:
        return Finding(WARN, "one stands between, and PROVISIONING_DATABASE_POOLER is not set", POOLER_ADVICE)
    if pooled and storage.owns_engine and timeout == "0":
        return Finding(WARN, f"{pooler}: no statement ends by itself", "ALTER ROLE … SET statement_timeout = '10s'")
    return Finding(OK, f"{pooler}" if pooler else "none")


def check_privileges(context: DoctorContext) -> Finding:
    """The database role may read and write each table of ours."""
    storage = context.mount.storage
    if storage.engine.dialect.name != "postgresql":
        return Finding(OK, "SQLite has no roles")
    with context.connect() as connection:
        role = connection.exec_driver_sql("SELECT current_user").scalar()
        there = set(inspect(connection).get_table_names())
        lacking = {
            table: missing
            for table in sorted(there & {*storage.metadata.tables})
            if (missing := [each for each in _PRIVILEGES if not connection.scalar(_select_privilege(table, each))])
        }
    if not lacking:
        return Finding(OK, f"{role} may read and write each of {len(there & {*storage.metadata.tables})} tables")
    needed = ", ".join(sorted({each for found in lacking.values() for each in found}, key=_PRIVILEGES.index))
    return Finding(FAIL, f"{role} may not {needed} everywhere", f"GRANT {needed} ON {', '.join(lacking)} TO {role}")


def _select_privilege(table: str, privilege: str) -> Select[tuple[bool]]:
    return select(func.has_table_privilege(func.quote_ident(table), privilege))


def check_migrations(context: DoctorContext) -> Finding:
    """The tables are those that this release wants."""
    storage, prefix = context.mount.storage, context.mount.config.table_prefix
    if _is_missing_file(storage.engine.url):
        return Finding(FAIL, "there are no tables", UPGRADE_ADVICE)
    context.connect().close()
    current, head = migration.get_current_revision(storage.engine, prefix), migration.get_head_revision()
    if current is None:
        return Finding(FAIL, "there are no tables", UPGRADE_ADVICE)
    if current != head:
        return Finding(FAIL, f"the tables are at {current}, this release wants {head}", UPGRADE_ADVICE)
    indexes = make_custom_field_indexes(prefix, context.mount.hooks.fields)
    if wrong := migration.diff_tables(storage.engine, storage.metadata, indexes):
        return Finding(FAIL, f"at {current}, but {len(wrong)} differ", "`flask provisioning db check` names them")
    return Finding(OK, f"{current} (newest)")


def check_tables(context: DoctorContext) -> Finding:
    """No table of somebody else's has a name of ours."""
    prefix = context.mount.config.table_prefix
    if _is_missing_file(context.mount.storage.engine.url):
        return Finding(OK, "there are none yet")
    with context.connect() as connection:
        there = {name for name in inspect(connection).get_table_names() if name.startswith(prefix)}
    ours = _list_tables(context.mount)
    version = migration.name_version_table(prefix)
    if version not in there and (taken := sorted(there & ours)):
        return Finding(FAIL, f"{', '.join(taken)}: there already, and not ours", RENAME_ADVICE)
    others = {name for mount in context.mounts for name in _list_tables(mount)}
    if strangers := sorted(there - ours - others):
        return Finding(WARN, f"{', '.join(strangers)}: named like ours, and not ours", RENAME_ADVICE)
    return Finding(OK, f"{len(there & ours)} of ours, named {prefix}…")


def check_tenant_rows(context: DoctorContext) -> Finding:
    """The host's rows that belong to a tenant are removed with it, and shown in its export.

    Only that something is registered can be seen, not what it does. A foreign key that cascades from the table of
    tenants removes rows too.
    """
    if _is_missing_file(context.mount.storage.engine.url):
        return Finding(OK, "there are no tables yet")
    ours = {name for mount in context.mounts for name in _list_tables(mount)}
    with context.connect() as connection:
        inspector = inspect(connection)
        owned = {
            name
            for (_, name), columns in inspector.get_multi_columns().items()
            if name not in ours and any(column["name"].lower() in TENANT_COLUMNS for column in columns)
        }
        cascading = {name for name in owned if _has_cascade(inspector.get_foreign_keys(name), ours)}
    if not owned:
        return Finding(OK, "no table of the host's has a column that names a tenant")
    hooks = context.mount.hooks
    removes = hooks.hooks_for("tenant.purge") or [
        step for step in hooks.list_steps(DEPROVISIONING) if step.name != EXPORT_STEP
    ]
    kept = set() if removes else owned - cascading
    faults = []
    if kept:
        faults.append(f"{', '.join(sorted(kept))}: no purge hook or deprovisioning step removes a purged tenant's rows")
    if not hooks.exports:
        faults.append(f"{', '.join(sorted(owned))}: no export shows a tenant's rows")
    if not faults:
        return Finding(OK, f"{', '.join(sorted(owned))}: something removes and exports tenants' rows")
    advice = [*([PURGE_HOOK] if kept else []), *([] if hooks.exports else ["provisioning.export(…)"])]
    return Finding(WARN, "; ".join(faults), f"register {' and '.join(advice)}, if these are rows of our tenants")


def _has_cascade(keys: Sequence[ReflectedForeignKeyConstraint], ours: set[str]) -> bool:
    """Return whether a row goes with the row of ours to which it refers."""
    return any(
        key["referred_table"] in ours and key.get("options", {}).get("ondelete", "").upper() == "CASCADE"
        for key in keys
    )


def _list_tables(mount: Mount) -> set[str]:
    return {*mount.storage.metadata.tables, migration.name_version_table(mount.config.table_prefix)}


def _describe_server(connection: Connection) -> str:
    dialect = connection.dialect
    version = ".".join(map(str, dialect.server_version_info or ("of unknown version",)))
    return f"{dialect.name} {version} ({dialect.driver})"


def _describe_location(url: URL) -> str:
    """Where it is, without user, password and query."""
    host = f"{url.host or ''}{f':{url.port}' if url.port else ''}"
    return f"{host}/{url.database}" if host else str(url.database)


def _measure_latency(connection: Connection) -> float:
    """The median of a few round trips, in milliseconds."""
    found = []
    for _ in range(_LATENCY_PROBES):
        begin = time.perf_counter()
        connection.exec_driver_sql("SELECT 1").scalar()
        found.append((time.perf_counter() - begin) * 1000)
    return statistics.median(found)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _is_missing_file(url: URL) -> bool:
    """Whether to connect would make an empty SQLite file."""
    path = url.database if _is_sqlite(url) else None
    return bool(path) and not str(path).startswith((":", "file:")) and not os.path.exists(str(path))


def check_autogenerate(context: DoctorContext) -> Finding:
    """The host's Flask-Migrate does not write migrations that drop our tables."""
    migrate: Any = context.app.extensions.get("migrate")
    if migrate is None:
        return Finding(OK, "no Flask-Migrate")
    if not _is_same_database(context, migrate):
        return Finding(OK, "Flask-Migrate works on another database")
    mine = {name for mount in context.mounts for name in mount.storage.metadata.tables}
    if not any(_is_compared(migrate.configure_args, name) for name in mine) or _has_own_filter(migrate.directory):
        return Finding(OK, "Flask-Migrate leaves the API's tables alone")
    prefix = context.mount.config.table_prefix
    given = "" if prefix == "provisioning_" else repr(prefix)
    advice = f"Migrate(app, db, include_name=exclude_ours({given})), from flask_tenant_provisioning.database.migration"
    return Finding(FAIL, "`flask db migrate` would write a migration that drops the API's tables", advice)


def _is_same_database(context: DoctorContext, migrate: Any) -> bool:
    """Return whether the host migrates the database that the mount is in; its binds too."""
    engines = getattr(migrate.db, "engines", None) or {None: migrate.db.engine}
    return any(engine.url == context.mount.storage.engine.url for engine in engines.values())


def _is_compared(options: Mapping[str, Any], name: str) -> bool:
    """Return whether Alembic, given these options of the host's, looks at the table of this name."""
    include_name, include_object = options.get("include_name"), options.get("include_object")
    if include_name is not None and not include_name(name, "table", {"schema_name": None}):
        return False
    return include_object is None or bool(include_object(Table(name, MetaData()), name, "table", True, None))


def _has_own_filter(directory: str) -> bool:
    """Return whether the host's own ``env.py`` names our filter."""
    try:
        return "exclude_ours" in (Path(directory) / "env.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
