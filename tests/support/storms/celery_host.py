"""The host of `stepping_host` with a Celery app, run by ``celery -A tests.support.storms.celery_host``.

The environment says where: STORM_URL is its database, STORM_CELERY what its Celery app is configured with, as JSON.
"""

from __future__ import annotations

import json
import os

from celery import Celery
from flask import Flask

from tests.support.storms import stepping_host
from tests.support.workers.celery_hosts import celery_init_app


def create_app() -> Flask:
    """The host, on the database and the broker that the environment names."""
    app = stepping_host.create_app(PROVISIONING_ENGINE="celery", CELERY=json.loads(os.environ["STORM_CELERY"]))
    celery_init_app(app)
    return app


def __getattr__(name: str) -> Celery:
    """The Celery app, made when ``celery -A`` asks for it."""
    if name != "celery":
        raise AttributeError(name)
    celery: Celery = create_app().extensions["celery"]
    return celery
