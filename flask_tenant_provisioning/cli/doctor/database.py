"""The database and its tables."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence

from sqlalchemy import URL, Connection, Select, func, inspect, select
from sqlalchemy.engine.interfaces import ReflectedForeignKeyConstraint

from ...database import migration
from ...database.demands import find_fault, is_pooled
from ...database.engine import EMBEDDED_FILE, is_overlooked
from ...database.errors import Unsuitable
from ...hooks import DEPROVISIONING
from ...steps.exporting import EXPORT
from ...tenants.own_indexes import own_indexes
from ...web.mount import Mount
from .findings import FAIL, OK, WARN, Finding, Patient

#: How hosts name the column that says to which tenant a row belongs.
OWNERS = frozenset({"tenant", "tenant_id", "tenantid", "tenant_uuid"})
PURGE = 'provisioning.hook("tenant.purge")'
RENAME = "set PROVISIONING_TABLE_PREFIX before there are tables of ours, so that nobody mistakes them"
POOLER = "set it to 'transaction', or to 'session' where a client keeps its connection"
WRITABLE = "name the primary; not a replica, nor a role or a file that is read-only"
UPGRADE = "run `flask provisioning db upgrade`"
_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")
_BLOCKING = {"delete", "truncate", "persist"}
_PROBES = 5
_SLOW_MS = 20
_LONG_WAIT = 10


def answers(patient: Patient) -> Finding:
    """The database can be reached, without delay."""
    url = patient.mount.storage.engine.url
    if "@" in (url.host or ""):
        return Finding(FAIL, "the URL's password holds an @", "write it as %40 in the URL")
    if _is_missing_file(url):
        return Finding(FAIL, f"there is no file {url.database}", UPGRADE)
    if isinstance(patient.outage, Unsuitable):
        return Finding(FAIL, str(patient.outage))
    if patient.outage is not None:
        return Finding(FAIL, patient.reason(patient.outage), "check that it runs, its address, and the credentials")
    with patient.connected() as connection:
        if fault := find_fault(connection):
            return Finding(FAIL, *fault)
        latency = _latency(connection)
        detail = f"{_server(connection)} at {_place(url)}, {latency:.1f} ms"
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar() if _is_sqlite(url) else None
    if not patient.mount.storage.takes_writes():
        return Finding(FAIL, f"{detail}: it takes no writes", WRITABLE)
    storage = patient.mount.storage
    embedded = storage.owns_engine and str(url.database).endswith(EMBEDDED_FILE)
    if embedded and is_overlooked(patient.app, None, patient.mount.settings):
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
    if journal in _BLOCKING:
        return Finding(
            WARN, f"{detail}, journal mode {journal}", "set `PRAGMA journal_mode=WAL`: readers wait for writers"
        )
    if latency > _SLOW_MS:
        return Finding(WARN, detail, "every request waits for that several times: bring app and database together")
    return Finding(OK, detail)


def pool_is_bounded(patient: Patient) -> Finding:
    """Whoever finds no free connection is told so soon."""
    pool = patient.mount.storage.engine.pool
    kind, size, wait = type(pool).__name__, getattr(pool, "size", None), getattr(pool, "_timeout", None)
    if size is None or wait is None:
        return Finding(OK, f"{kind}, without a limit of its own")
    detail = (
        f"{kind}, {size()} connections and {getattr(pool, '_max_overflow', 0)} more at need, waits {wait:g} s for one"
    )
    if patient.open_connections:
        return Finding(
            WARN,
            f"{detail}; {patient.open_connections} open once the app is made: a server that forks then (gunicorn "
            "--preload, uWSGI) hands them to every worker",
            "the API lets go of them in each; for your own code, call db.engine.dispose() at the end of create_app",
        )
    if wait > _LONG_WAIT:
        return Finding(
            WARN, detail, "give the engine a pool_timeout of a few seconds, so that a full pool answers 503 soon"
        )
    return Finding(OK, detail)


def pooler_is_named(patient: Patient) -> Finding:
    """A pooler between the API and PostgreSQL is known to the configuration, and ends long statements."""
    storage, pooler = patient.mount.storage, patient.mount.settings.database_pooler
    if storage.engine.dialect.name != "postgresql":
        return Finding(OK, "none")
    with patient.connected() as connection:
        pooled = is_pooled(connection)
        timeout = connection.exec_driver_sql("SHOW statement_timeout").scalar()
    if pooled and pooler is None:
        return Finding(WARN, "one stands between, and PROVISIONING_DATABASE_POOLER is not set", POOLER)
    if pooled and storage.owns_engine and timeout == "0":
        return Finding(WARN, f"{pooler}: no statement ends by itself", "ALTER ROLE … SET statement_timeout = '10s'")
    return Finding(OK, f"{pooler}" if pooler else "none")


def role_may_write(patient: Patient) -> Finding:
    """The database role may read and write each table of ours."""
    storage = patient.mount.storage
    if storage.engine.dialect.name != "postgresql":
        return Finding(OK, "SQLite has no roles")
    with patient.connected() as connection:
        role = connection.exec_driver_sql("SELECT current_user").scalar()
        there = set(inspect(connection).get_table_names())
        lacking = {
            table: missing
            for table in sorted(there & {*storage.metadata.tables})
            if (missing := [each for each in _PRIVILEGES if not connection.scalar(_may(table, each))])
        }
    if not lacking:
        return Finding(OK, f"{role} may read and write each of {len(there & {*storage.metadata.tables})} tables")
    needed = ", ".join(sorted({each for found in lacking.values() for each in found}, key=_PRIVILEGES.index))
    return Finding(FAIL, f"{role} may not {needed} everywhere", f"GRANT {needed} ON {', '.join(lacking)} TO {role}")


def _may(table: str, privilege: str) -> Select[tuple[bool]]:
    return select(func.has_table_privilege(func.quote_ident(table), privilege))


def migrated(patient: Patient) -> Finding:
    """The tables are those that this release wants."""
    storage, prefix = patient.mount.storage, patient.mount.settings.table_prefix
    if _is_missing_file(storage.engine.url):
        return Finding(FAIL, "there are no tables", UPGRADE)
    patient.connected().close()
    current, head = migration.current(storage.engine, prefix), migration.head()
    if current is None:
        return Finding(FAIL, "there are no tables", UPGRADE)
    if current != head:
        return Finding(FAIL, f"the tables are at {current}, this release wants {head}", UPGRADE)
    indexes = own_indexes(prefix, patient.mount.hooks.fields)
    if wrong := migration.differences(storage.engine, storage.metadata, indexes):
        return Finding(FAIL, f"at {current}, but {len(wrong)} differ", "`flask provisioning db check` names them")
    return Finding(OK, f"{current} (newest)")


def only_ours(patient: Patient) -> Finding:
    """No table of somebody else's has a name of ours."""
    prefix = patient.mount.settings.table_prefix
    if _is_missing_file(patient.mount.storage.engine.url):
        return Finding(OK, "there are none yet")
    with patient.connected() as connection:
        there = {name for name in inspect(connection).get_table_names() if name.startswith(prefix)}
    ours = _tables(patient.mount)
    version = migration.version_table(prefix)
    if version not in there and (taken := sorted(there & ours)):
        return Finding(FAIL, f"{', '.join(taken)}: there already, and not ours", RENAME)
    others = {name for mount in patient.mounts for name in _tables(mount)}
    if strangers := sorted(there - ours - others):
        return Finding(WARN, f"{', '.join(strangers)}: named like ours, and not ours", RENAME)
    return Finding(OK, f"{len(there & ours)} of ours, named {prefix}…")


def rows_of_tenants_are_removed(patient: Patient) -> Finding:
    """The host's rows that belong to a tenant are removed with it, and shown in its export.

    Only that something is registered can be seen, not what it does. A foreign key that cascades from the table of
    tenants removes rows too.
    """
    if _is_missing_file(patient.mount.storage.engine.url):
        return Finding(OK, "there are no tables yet")
    ours = {name for mount in patient.mounts for name in _tables(mount)}
    with patient.connected() as connection:
        inspector = inspect(connection)
        owned = {
            name
            for (_, name), columns in inspector.get_multi_columns().items()
            if name not in ours and any(column["name"].lower() in OWNERS for column in columns)
        }
        cascading = {name for name in owned if _cascades(inspector.get_foreign_keys(name), ours)}
    if not owned:
        return Finding(OK, "no table of the host's has a column that names a tenant")
    hooks = patient.mount.hooks
    removes = hooks.of("tenant.purge") or [step for step in hooks.steps(DEPROVISIONING) if step.name != EXPORT]
    kept = set() if removes else owned - cascading
    faults = []
    if kept:
        faults.append(f"{', '.join(sorted(kept))}: no purge hook or deprovisioning step removes a purged tenant's rows")
    if not hooks.exports:
        faults.append(f"{', '.join(sorted(owned))}: no export shows a tenant's rows")
    if not faults:
        return Finding(OK, f"{', '.join(sorted(owned))}: something removes and exports tenants' rows")
    advice = [*([PURGE] if kept else []), *([] if hooks.exports else ["provisioning.export(…)"])]
    return Finding(WARN, "; ".join(faults), f"register {' and '.join(advice)}, if these are rows of our tenants")


def _cascades(keys: Sequence[ReflectedForeignKeyConstraint], ours: set[str]) -> bool:
    """Return whether a row goes with the row of ours to which it refers."""
    return any(
        key["referred_table"] in ours and key.get("options", {}).get("ondelete", "").upper() == "CASCADE"
        for key in keys
    )


def _tables(mount: Mount) -> set[str]:
    return {*mount.storage.metadata.tables, migration.version_table(mount.settings.table_prefix)}


def _server(connection: Connection) -> str:
    dialect = connection.dialect
    version = ".".join(map(str, dialect.server_version_info or ("of unknown version",)))
    return f"{dialect.name} {version} ({dialect.driver})"


def _place(url: URL) -> str:
    """Where it is, without user, password and query."""
    host = f"{url.host or ''}{f':{url.port}' if url.port else ''}"
    return f"{host}/{url.database}" if host else str(url.database)


def _latency(connection: Connection) -> float:
    """The median of a few round trips, in milliseconds."""
    found = []
    for _ in range(_PROBES):
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
