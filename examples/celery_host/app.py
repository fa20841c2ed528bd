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
        app.config.update(make_demo_license())
    app.config["CELERY"] = {**make_celery_config(app.config["BROKER_URL"]), **app.config.get("CELERY", {})}
    celery_init_app(app)
    provisioning.init_app(app)
    return app


def celery_init_app(app: Flask) -> Celery:
    """Make the Celery app as in Flask's documentation: every task runs in the application context."""

    class FlaskTask(Task):  # type: ignore[type-arg]
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app: Celery = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app


def make_celery_config(broker_url: str) -> dict[str, Any]:
    """Return the configuration of Celery: on RabbitMQ with a quorum queue, which survives a crash of the broker."""
    config: dict[str, Any] = {
        "broker_url": broker_url,
        "broker_connection_retry_on_startup": True,
        "beat_schedule": beat_schedule(),
        "task_default_queue": "example",
        "task_ignore_result": True,
        "worker_prefetch_multiplier": 1,
    }
    if broker_url.startswith("amqp"):
        return {**config, "task_default_queue_type": "quorum", "task_default_exchange_type": "topic"}
    return {**config, "broker_transport_options": {"unacked_restore_interval": 2, "unacked_restore_throttle": 1}}


def make_demo_license() -> dict[str, object]:
    """Sign a licence with a key pair that exists as long as this process."""
    pair = vendor.keygen("celery-host")
    key = vendor.private_key(pair.private_pem)
    return {
        "PROVISIONING_LICENSE": vendor.issue(key, pair.kid, customer="Celery host"),
        "PROVISIONING_LICENSE_PUBLIC_KEYS": {pair.kid: pair.public},
    }


class Cloud:
    """A stand-in for the services that a host calls. It creates one object for one idempotency key."""

    folder = INSTANCE / "cloud"

    def put(self, name: str, **content: Any) -> None:
        """Create an object with this name; repeating it has no further effect."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(json.dumps(content))

    def create(self, kind: str, key: str, **content: Any) -> str:
        """Create an object, or find the one that was created with this key; return its name."""
        name = f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
        self.put(name, **content)
        return name

    def remove(self, name: str) -> None:
        """Remove an object, if it exists."""
        (self.folder / name).unlink(missing_ok=True)


cloud = Cloud()


def remove_workspace(context: StepContext) -> None:
    """Remove the workspace again."""
    cloud.remove(context.saved["workspace"])


@provisioning.step("workspace", undo=remove_workspace)
def make_workspace(tenant: dict[str, Any], context: StepContext) -> None:
    """Create a workspace. Its name is saved first, so that the undo finds it whenever the worker dies."""
    name = f"workspace-{tenant['tenant']}"
    context.save({"workspace": name})
    cloud.put(name, owner=tenant["client_name"])


def remove_bucket(context: StepContext) -> None:
    """Remove the bucket again, if one was created."""
    if "bucket" in context.saved:
        cloud.remove(context.saved["bucket"])


@provisioning.step("bucket", undo=remove_bucket, after=["workspace"], retries=8, timeout=30)
def make_bucket(context: StepContext) -> None:
    """Create a bucket, whose name the service chooses. All attempts use the same key and get the same bucket."""
    workspace = context.saved_by("workspace")["workspace"]
    context.save({"bucket": cloud.create("bucket", context.idempotency_key, workspace=workspace)})


@provisioning.step("welcome", after=["bucket"])
def welcome(tenant: dict[str, Any], context: StepContext) -> None:
    """Send the welcome mail, after the other steps."""
    bucket = context.saved_by("bucket")["bucket"]
    cloud.create("mail", context.idempotency_key, to=tenant["email"], bucket=bucket)
    logger.info("tenant %s is welcome", tenant["tenant"])
