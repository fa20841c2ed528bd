"""A host with four slow steps and a Celery app, in processes that are killed: ``celery -A tests.storms.celery_host``.

Each step writes down that it runs, takes its time, and takes effect: a row whose key is its idempotency key.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

from celery import Celery
from flask import Flask
from sqlalchemy import Column, DateTime, Engine, Integer, MetaData, String, Table, create_engine, func
from sqlalchemy.dialects.postgresql import insert

from flask_tenant_provisioning import StepContext, TenantProvisioning
from tests.celery_hosts import celery_init_app

#: Each step, and those that it comes after.
STEPS = {"schema": [], "bucket": ["schema"], "users": ["schema"], "mail": ["bucket", "users"]}
#: How long a step takes, in seconds.
SECONDS = (0.01, 0.08)

metadata = MetaData()
effects = Table("effects", metadata, Column("key", String(200), primary_key=True))
executions = Table(
    "executions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("key", String(200), nullable=False),
    Column("process", Integer, nullable=False),
    Column("worker", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
)


def create_app(**config: Any) -> Flask:
    """A host that its environment configures, where `config` does not."""
    app = Flask("stormy")
    app.config.from_prefixed_env()
    app.config.update(config)
    engine = create_engine(app.config["PROVISIONING_DATABASE_URL"], pool_size=8)
    provisioning = TenantProvisioning()
    for name, after in STEPS.items():
        provisioning.step(name, after=after, backoff=0.5)(_step(engine))
    provisioning.init_app(app)
    celery_init_app(app)
    return app


def _step(engine: Engine) -> Any:
    def take_effect(context: StepContext) -> None:
        key = context.idempotency_key
        with engine.begin() as connection:
            connection.execute(executions.insert().values(key=key, process=os.getpid(), worker=os.getppid()))
        time.sleep(random.uniform(*SECONDS))
        context.save({"made": key})
        with engine.begin() as connection:
            connection.execute(insert(effects).values(key=key).on_conflict_do_nothing())

    return take_effect


def __getattr__(name: str) -> Celery:
    """The Celery app, made when ``celery -A`` asks for it."""
    if name != "celery":
        raise AttributeError(name)
    found: Celery = create_app().extensions["celery"]
    return found
