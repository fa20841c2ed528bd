"""What a test sees behind the API: its clock, its rows, and the events that it left."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from flask_tenant_provisioning.database.session import Storage
from tests import postgresql, world
from tests.world import Caller

DAY = 86_400
#: Tokens that outlive whatever a `Clock` is moved by.
LASTING: dict[str, Any] = {"JWT_ACCESS_TOKEN_EXPIRES": timedelta(days=3000)}


TABLES = (
    "tenants", "erasures", "events", "idempotency", "usage", "runs", "steps", "feeds", "webhooks", "deliveries",
    "attempts", "bulk_jobs", "bulk_chunks", "bulk_keys", "settings", "settings_history",
)  # fmt: skip


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self, now: float | None = None) -> None:
        self.now = time.time() if now is None else now

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def hosted(
    request: pytest.FixtureRequest, database: str, make: Callable[..., Flask] = world.host, **config: Any
) -> Iterator[Flask]:
    """A host app with a database of its own, for the tests of a module."""
    if database == "sqlite":
        folder: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        url = f"sqlite:///{folder.mktemp('module')}/provisioning.sqlite3"
    else:
        server: str = request.getfixturevalue("postgresql_url")
        url = postgresql.create_schema(world.make_url(server)).render_as_string(hide_password=False)
    app = make(url, **config)
    yield app
    storage_of(app).engine.dispose()


def storage_of(app: Flask) -> Storage:
    """What a mount keeps its tables in."""
    found: Storage = app.extensions["tenant_provisioning"]["provisioning"].storage
    return found


def rows(app: Flask, table: str, **equal: Any) -> list[dict[str, Any]]:
    """The rows of a table, in the order of its key."""
    storage = storage_of(app)
    found = storage.table(table)
    wanted = select(found).where(*(found.c[name] == value for name, value in equal.items()))
    with storage.engine.connect() as connection:
        return [dict(row) for row in connection.execute(wanted.order_by(*found.primary_key)).mappings()]


def everything(app: Flask) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    return {name: rows(app, name) for name in TABLES}


def put(app: Flask, tenant: dict[str, Any], **columns: Any) -> None:
    """Give a tenant's row what no request can."""
    storage = storage_of(app)
    table = storage.table("tenants")
    with storage.engine.begin() as connection:
        connection.execute(table.update().where(table.c.id == tenant["tenant"]).values(columns))


def counted(app: Flask) -> tuple[int, int]:
    """How many tenants the counter says there are, and how many there are."""
    storage = storage_of(app)
    tenants = storage.table("tenants")
    with storage.engine.connect() as connection:
        living = connection.execute(select(func.count()).where(tenants.c.live == 1)).scalar_one()
    return rows(app, "usage")[0]["tenants"], living


def happened(partner: Caller, tenant: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """The type, data and changes of each of a tenant's events."""
    return [
        (row["type"], json.loads(row["data"]), row["changes"] and json.loads(row["changes"]))
        for row in rows(partner.app, "events", tenant_id=tenant["tenant"])
    ]


def kinds(partner: Caller, tenant: dict[str, Any]) -> list[str]:
    """The type of each of a tenant's events."""
    return [kind for kind, _, _ in happened(partner, tenant)]


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What an event says of a change from one document to another."""
    shown = [name for name in after if before[name] != after[name] and name not in ("version", "updated_at")]
    return {name: {"previous": before[name], "new": after[name]} for name in shown}


def one(tenant: dict[str, Any]) -> str:
    """The tenant's path."""
    return f"/tenants/{tenant['tenant']}"
