"""The state behind the API: its clock, its rows and its events."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy
from flask import Flask
from sqlalchemy import func, select

from flask_tenant_provisioning.database.session import Storage
from tests.support import hosts
from tests.support.database import postgresql

TABLES = (
    "tenants", "erasures", "events", "idempotency", "usage", "runs", "steps", "feeds", "webhooks", "deliveries",
    "attempts", "bulk_jobs", "bulk_chunks", "bulk_keys", "settings", "settings_history",
    "clients", "assertions", "invitations",
)  # fmt: skip


@contextlib.contextmanager
def open_host(
    request: pytest.FixtureRequest, database: str, make: Callable[..., Flask] = hosts.make_host, **config: Any
) -> Iterator[Flask]:
    """A host app with a database of its own, for the tests of a module."""
    if database == "sqlite":
        folder: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        url = f"sqlite:///{folder.mktemp('module')}/provisioning.sqlite3"
    else:
        server: str = request.getfixturevalue("postgresql_url")
        url = postgresql.create_schema(sqlalchemy.make_url(server)).render_as_string(hide_password=False)
    app = make(url, **config)
    yield app
    get_storage(app).engine.dispose()


def get_storage(app: Flask) -> Storage:
    """Return the storage of a mount's tables."""
    storage: Storage = app.extensions["tenant_provisioning"]["provisioning"].storage
    return storage


def fetch_rows(app: Flask, table: str, **equal: Any) -> list[dict[str, Any]]:
    """The rows of a table, in the order of its key."""
    storage = get_storage(app)
    source = storage.table(table)
    wanted = select(source).where(*(source.c[name] == value for name, value in equal.items()))
    with storage.engine.connect() as connection:
        return [dict(row) for row in connection.execute(wanted.order_by(*source.primary_key)).mappings()]


def fetch_all_rows(app: Flask) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    return {name: fetch_rows(app, name) for name in TABLES}


def update_tenant_row(app: Flask, tenant: dict[str, Any], **columns: Any) -> None:
    """Give a tenant's row what no request can."""
    storage = get_storage(app)
    table = storage.table("tenants")
    with storage.engine.begin() as connection:
        connection.execute(table.update().where(table.c.id == tenant["tenant"]).values(columns))


def count_tenants(app: Flask) -> tuple[int, int]:
    """Return the number of tenants by the counter, and the number of rows."""
    storage = get_storage(app)
    tenants = storage.table("tenants")
    with storage.engine.connect() as connection:
        living = connection.execute(select(func.count()).where(tenants.c.live == 1)).scalar_one()
    return fetch_rows(app, "usage")[0]["tenants"], living
