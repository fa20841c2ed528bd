"""A host whose provisioning steps run in its own Celery app.

Every `FLASK_*` environment variable is configuration: `FLASK_BROKER_URL` (RabbitMQ or Redis),
`FLASK_PROVISIONING_DATABASE_URL`, `FLASK_JWT_SECRET_KEY`, `FLASK_PROVISIONING_LICENSE_FILE` … Without them it is
RabbitMQ on this machine, an SQLite file in the folder `instance`, and a demo licence.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from celery import Celery, Task
from flask import Flask

from flask_tenant_provisioning import StepContext, TenantProvisioning
from flask_tenant_provisioning.engine.celery import beat_schedule
from flask_tenant_provisioning.licensing import vendor

INSTANCE = Path(os.environ.get("INSTANCE_PATH") or Path(__file__).resolve().parent / "instance")
RABBITMQ = "amqp://guest:guest@127.0.0.1:5672//"

logger = logging.getLogger(__name__)
provisioning = TenantProvisioning()


def create_app() -> Flask:
    """Make the host: the partners' API, its steps, and the Celery app that runs them."""
    app = Flask(__name__, instance_path=str(INSTANCE))
    app.config.update(BROKER_URL=RABBITMQ, PROVISIONING_ENGINE="celery", PROVISIONING_AUTO_MIGRATE=True)
    app.config.from_prefixed_env()
    if not (app.config.get("PROVISIONING_LICENSE_FILE") or app.config.get("PROVISIONING_LICENSE")):
        app.config.update(demo_license())
    app.config["CELERY"] = {**celery_settings(app.config["BROKER_URL"]), **app.config.get("CELERY", {})}
    celery_init_app(app)
    provisioning.init_app(app)
    return app


def celery_init_app(app: Flask) -> Celery:
    """As in Flask's documentation: every task runs in the application context, and the app keeps its Celery."""

    class FlaskTask(Task):  # type: ignore[type-arg]
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app: Celery = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app


def celery_settings(broker_url: str) -> dict[str, Any]:
    """What Celery is configured with: on RabbitMQ a quorum queue, which outlives a broker's crash."""
    settings: dict[str, Any] = {
        "broker_url": broker_url,
        "broker_connection_retry_on_startup": True,
        "beat_schedule": beat_schedule(),
        "task_default_queue": "example",
        "task_ignore_result": True,
        "worker_prefetch_multiplier": 1,
    }
    if broker_url.startswith("amqp"):
        return {**settings, "task_default_queue_type": "quorum", "task_default_exchange_type": "topic"}
    return {**settings, "broker_transport_options": {"unacked_restore_interval": 2, "unacked_restore_throttle": 1}}


def demo_license() -> dict[str, object]:
    """Be one's own vendor: a licence signed with a key pair that lives as long as this process."""
    pair = vendor.keygen("celery-host")
    return {
        "PROVISIONING_LICENSE": vendor.issue(vendor.private_key(pair.private_pem), pair.kid, customer="Celery host"),
        "PROVISIONING_LICENSE_PUBLIC_KEYS": {pair.kid: pair.public},
    }


class Cloud:
    """Stands for the services that a host calls. Like a good one, it makes one thing for one idempotency key."""

    folder = INSTANCE / "cloud"

    def put(self, name: str, **what: Any) -> None:
        """Make a thing with this name; twice is once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(json.dumps(what))

    def create(self, kind: str, key: str, **what: Any) -> str:
        """Make a thing, or find the one that was made with this key; returns the name that it was given."""
        name = f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
        self.put(name, **what)
        return name

    def remove(self, name: str) -> None:
        """Remove a thing, if it is there."""
        (self.folder / name).unlink(missing_ok=True)


cloud = Cloud()


def remove_workspace(context: StepContext) -> None:
    """Take the workspace back."""
    cloud.remove(context.saved["workspace"])


@provisioning.step("workspace", undo=remove_workspace)
def make_workspace(tenant: dict[str, Any], context: StepContext) -> None:
    """The name is remembered before anything has it: whenever the worker dies, the undo knows what to look for."""
    name = f"workspace-{tenant['tenant']}"
    context.save({"workspace": name})
    cloud.put(name, owner=tenant["client_name"])


def remove_bucket(context: StepContext) -> None:
    """Take the bucket back, unless there never was one."""
    if "bucket" in context.saved:
        cloud.remove(context.saved["bucket"])


@provisioning.step("bucket", undo=remove_bucket, after=["workspace"], retries=8, timeout=30)
def make_bucket(context: StepContext) -> None:
    """The service chooses the name; the key is the same at every attempt, so that all of them get the same bucket."""
    workspace = context.saved_by("workspace")["workspace"]
    context.save({"bucket": cloud.create("bucket", context.idempotency_key, workspace=workspace)})


@provisioning.step("welcome", after=["bucket"])
def welcome(tenant: dict[str, Any], context: StepContext) -> None:
    """Last, once there is something to be welcome to."""
    bucket = context.saved_by("bucket")["bucket"]
    cloud.create("mail", context.idempotency_key, to=tenant["email"], bucket=bucket)
    logger.info("tenant %s is welcome", tenant["tenant"])
