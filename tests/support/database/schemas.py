"""PostgreSQL schemas with the newest tables, lent to one test after another.

Emptying tables costs the server a tenth of making them, and what was never made need not be dropped at the end.
A schema that comes back gets another name: whatever still works with its URL finds nothing, as if it were dropped.
A schema with changes beyond its rows is not lent again, nor one with a lock that is still held.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from tests.support.database import postgresql
from tests.support.database.templates import Tables

VERSIONS = "provisioning_alembic_version"
#: Every change of a table, its columns, indexes, defaults, constraints or triggers rewrites one of these rows.
_MADE = f"""
    SELECT md5(string_agg(concat_ws(' ', what, oid, version), ',' ORDER BY oid, what)) FROM (
        SELECT oid, relname what, xmin version FROM pg_class WHERE relnamespace = CAST(:schema AS regnamespace)
        UNION ALL
        SELECT attrelid, attname, a.xmin FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
            WHERE relnamespace = CAST(:schema AS regnamespace)
        UNION ALL SELECT 0, version_num, xmin FROM {{schema}}.{VERSIONS}
    ) made
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = :schema ORDER BY 1"


@dataclass
class Schema:
    """A schema: its URL, and its fingerprint when it was created."""

    url: URL
    made: str


class Schemas:
    """The schemas of the database at `url`, in which `tables` makes the tables."""

    def __init__(self, url: URL, tables: Tables) -> None:
        self._url, self._tables = url, tables
        self._free: list[Schema] = []
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        self._connection = self._engine.connect()
        self._connection.execute(text("SET lock_timeout = '500ms'"))

    @contextlib.contextmanager
    def lend(self) -> Iterator[URL]:
        """The URL of a schema in whose tables there is nothing."""
        schema = self._free.pop() if self._free else self._new()
        yield schema.url
        with contextlib.suppress(SQLAlchemyError):
            if self._find_fingerprint(schema.url) == schema.made:
                self._free.append(Schema(self._empty(schema.url), schema.made))

    def close(self) -> None:
        """End its connection."""
        self._connection.close()

    def _new(self) -> Schema:
        url = postgresql.create_schema(self._url)
        self._tables(url)
        return Schema(url, self._find_fingerprint(url))

    def _find_fingerprint(self, url: URL) -> str:
        name = postgresql.get_schema(url)
        return str(self._connection.scalar(text(_MADE.format(schema=name)), {"schema": name}))

    def _empty(self, url: URL) -> URL:
        """Empty the tables in one transaction with the new name, and return that name's URL."""
        old, new = postgresql.get_schema(url), f"test_{uuid.uuid4().hex[:12]}"
        names = self._connection.scalars(text(_TABLES), {"schema": old})
        tables = [f"{old}.{table}" for table in names if table != VERSIONS]
        locking, emptying = f"LOCK TABLE {', '.join(tables)}", [f"DELETE FROM {table}" for table in tables]
        self._connection.exec_driver_sql(";".join([locking, *emptying, f"ALTER SCHEMA {old} RENAME TO {new}"]))
        return postgresql.add_schema(self._url, new)
