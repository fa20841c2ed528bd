"""This extension as a target of the bench: the whole contract switched on, in a bare host app."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Flask
from flask_jwt_extended import create_access_token
from sqlalchemy import Connection, create_engine, make_url, text

from flask_tenant_provisioning.database.types import make_metadata
from flask_tenant_provisioning.tables import build_metadata
from flask_tenant_provisioning.tenants.listing import make_cursor_scope
from flask_tenant_provisioning.tenants.models import tenants_table
from tests.support.hosts import make_host

BASE = "/api/provisioning/tenants"
PARTNER = "p1"
_START = datetime(2026, 1, 1, tzinfo=UTC)
_STEP = timedelta(milliseconds=137)
_TABLES = (*build_metadata().tables, "provisioning_alembic_version")

app: Flask
#: Configuration besides that of the bench itself.
config: dict[str, Any] = {}
_count = 0


def prepare(db: str, rows: int) -> None:
    """Make an empty database with `rows` tenants of one partner, and the app on it."""
    global app, _count
    _empty(db)
    app, _count = make_host(db, SECRET_KEY=None, PROVISIONING_SQLITE_SYNCHRONOUS="NORMAL", **config), rows
    storage = app.extensions["tenant_provisioning"]["provisioning"].storage
    with storage.engine.execution_options(isolation_level="SERIALIZABLE").begin() as connection:
        _fill(connection, rows)
    if storage.engine.dialect.name == "postgresql":
        with storage.engine.connect() as connection:
            connection.execute(text("VACUUM ANALYZE provisioning_tenants"))


def _empty(db: str) -> None:
    url = make_url(db)
    if url.get_backend_name() == "postgresql":
        engine = create_engine(url.set(drivername="postgresql+psycopg"))
        with engine.begin() as connection:
            for table in _TABLES:
                connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
        engine.dispose()


def _fill(connection: Connection, rows: int) -> None:
    insert = tenants_table(make_metadata("provisioning_")).insert()
    for first in range(0, rows, 5000):
        connection.execute(insert, [_row(n) for n in range(first, min(first + 5000, rows))])


def _format_time(n: int) -> str:
    return (_START + n * _STEP).isoformat(timespec="microseconds")[:-6] + "Z"


def _row(n: int) -> dict[str, Any]:
    name, email = f"Client {n}", f"u{n}@example.com"
    return {
        "partner_id": PARTNER, "id": str(uuid.UUID(int=n + 1)), "external_id": None,
        "client_name": name, "name_key": name.casefold(), "email": email, "email_key": email,
        "phone_number": "+351 912 345 678", "industry": "retail", "plan": None, "metadata": "{}",
        "status": "active", "status_before": None, "suspended_reason": None, "version": 1, "live": 1,
        "created_at": _format_time(n), "updated_at": _format_time(n), "deleted_at": None, "purge_at": None,
    }  # fmt: skip


def token() -> str:
    """A bearer token."""
    with app.app_context():
        return str(create_access_token("user-1", additional_claims={"roles": ["partner-admin"], "partner_id": PARTNER}))


def post_body(n: int) -> bytes:
    """The n-th create of this run; emails never repeat."""
    return json.dumps({"client_name": f"Client {n}", "email": f"i{time.time_ns():x}.{n}@example.com",
                       "phone_number": "+351 912 345 678", "industry": "retail"}).encode()  # fmt: skip


def get_path(n: int) -> str:
    """A tenant's path, spread over all of them."""
    return f"{BASE}/{uuid.UUID(int=(n * 7919) % _count + 1)}"


def list_query(n: int) -> str:
    """A page's query, spread over all of them."""
    k = (n * 7919) % max(1, _count - 100)
    query = {"sort": "created_at", "include_deleted": False}
    cursors = app.extensions["tenant_provisioning"]["provisioning"].cursors
    return urlencode(
        {"cursor": cursors.seal(f"{_format_time(k)}\n{uuid.UUID(int=k + 1)}", make_cursor_scope(PARTNER, query))}
    )


def counts() -> tuple[int, int]:
    """Return the numbers of (tenants, events)."""
    with app.extensions["tenant_provisioning"]["provisioning"].storage.engine.connect() as connection:
        return tuple(
            connection.execute(text(f"SELECT count(*) FROM provisioning_{name}")).scalar_one()
            for name in ("tenants", "events")
        )
