"""The database and its tables."""

from __future__ import annotations

import os
import statistics
import time

from sqlalchemy import URL, Connection, inspect

from ...database import migration
from ...tenants.own_indexes import own_indexes
from ...web.mount import Mount
from .findings import FAIL, OK, WARN, Finding, Patient

RENAME = "set PROVISIONING_TABLE_PREFIX before there are tables of ours, so that nobody mistakes them"
UPGRADE = "run `flask provisioning db upgrade`"
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
    if patient.outage is not None:
        return Finding(FAIL, patient.reason(patient.outage), "check that it runs, its address, and the credentials")
    with patient.connected() as connection:
        latency = _latency(connection)
        detail = f"{_server(connection)} at {_place(url)}, {latency:.1f} ms"
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar() if _is_sqlite(url) else None
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
    if wait > _LONG_WAIT:
        return Finding(
            WARN, detail, "give the engine a pool_timeout of a few seconds, so that a full pool answers 503 soon"
        )
    return Finding(OK, detail)


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
