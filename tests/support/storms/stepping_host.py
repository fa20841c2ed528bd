"""A host with four steps whose effects are rows under the step's idempotency key; run by `flask provisioning worker`.

The environment says where: STORM_URL is the mount's database and the effects'.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

from flask import Flask
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine
from sqlalchemy.dialects import postgresql, sqlite

from flask_tenant_provisioning import StepContext, TenantProvisioning
from tests.support.hosts import make_config

STEPS = {"schema": (), "bucket": ("schema",), "users": ("schema",), "mail": ("bucket", "users")}

metadata = MetaData()
#: What the steps made: one row an effect, however often a step runs.
effects = Table("effects", metadata, Column("key", String(200), primary_key=True), Column("step", String(20)))
#: Every run of a step, and the process and its parent that began it.
runs = Table(
    "executions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(200)),
    Column("process", Integer),
    Column("parent", Integer),
)


def create_app(**config: Any) -> Flask:
    """The host, on the database that the environment names."""
    url = os.environ["STORM_URL"]
    app = Flask("stepping")
    more: dict[str, Any] = {"PROVISIONING_WORKER_LEASE_SECONDS": 2, "PROVISIONING_WORKER_POLL_SECONDS": 1}
    app.config.update(make_config(**more, **config))
    provisioning, engine = TenantProvisioning(), storm_engine(url)
    for name, after in STEPS.items():
        provisioning.step(name, after=after, timeout=20, backoff=0.2, retries=30)(_make_step(engine, name))
    provisioning.init_app(app, url)
    return app


def storm_engine(url: str) -> Engine:
    """An engine of the host's own."""
    waits = {"timeout": 30} if url.startswith("sqlite") else {}
    return create_engine(url, connect_args=waits, pool_size=2)


def _make_step(engine: Engine, name: str) -> Any:
    insert = (sqlite if engine.dialect.name == "sqlite" else postgresql).insert

    def step(context: StepContext) -> None:
        key = context.idempotency_key
        with engine.begin() as connection:
            connection.execute(runs.insert().values(key=key, process=os.getpid(), parent=os.getppid()))
        time.sleep(random.uniform(0, 0.02))
        with engine.begin() as connection:
            connection.execute(insert(effects).values(key=key, step=name).on_conflict_do_nothing())
        context.save({"made": key})

    return step


def prepare(url: str) -> None:
    """Make the tables of effects and executions."""
    engine = storm_engine(url)
    metadata.create_all(engine)
    engine.dispose()
