"""Tenants by the ten thousand, written past the API."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, make_url

from flask_tenant_provisioning.database.types import make_metadata
from flask_tenant_provisioning.tenants.models import tenants_table

TABLE = tenants_table(make_metadata("provisioning_"))
COLUMNS = tuple(column.name for column in TABLE.columns)
START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(milliseconds=137)


def creation_time(n: float) -> str:
    """Return the time of creation of the `n`-th tenant."""
    return (START + n * STEP).isoformat(timespec="microseconds")[:-6] + "Z"


def tenant_id(n: int) -> str:
    """The `n`-th tenant's id."""
    return str(uuid.UUID(int=n + 1))


def make_row(n: int, **fields: Any) -> dict[str, Any]:
    """The `n`-th tenant as the table holds it."""
    name, email = fields.pop("client_name", f"Client {n}"), f"u{n}@example.com"
    return {
        "partner_id": "p1", "id": tenant_id(n), "external_id": None,
        "client_name": name, "name_key": name.casefold(), "email": email, "email_key": email,
        "phone_number": "+351 912 345 678", "industry": "retail", "plan": None, "metadata": "{}",
        "status": "active", "status_before": None, "suspended_reason": None, "version": 1, "live": 1,
        "created_at": creation_time(n), "updated_at": creation_time(n), "deleted_at": None, "purge_at": None,
        "fields": None,
    } | fields  # fmt: skip


def insert_rows(engine: Engine, rows: Iterable[dict[str, Any]]) -> None:
    """Write `rows`, and let the database learn what they are like."""
    values = ([row[name] for name in COLUMNS] for row in rows)
    (_copy if engine.dialect.name == "postgresql" else _insert)(engine, values)


def _copy(engine: Engine, rows: Iterable[list[Any]]) -> None:
    import psycopg

    url = make_url(engine.url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        with connection.cursor().copy(f"COPY {TABLE.name} ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        connection.execute(f"VACUUM ANALYZE {TABLE.name}")


def _insert(engine: Engine, rows: Iterable[list[Any]]) -> None:
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.execute("BEGIN")
        driver.executemany(f"INSERT INTO {TABLE.name} VALUES ({', '.join('?' * len(COLUMNS))})", rows)
        driver.execute("COMMIT")
