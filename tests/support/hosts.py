"""The world around the API: a vendor who signs licences, host apps, and partners who call."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from flask import Flask
from flask_jwt_extended import JWTManager
from sqlalchemy import make_url as make_url

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.licensing import vendor
from flask_tenant_provisioning.mount import Mount

#: How hosts mount the API where they do not say so: `pytest --mount isolated` runs all tests the other way.
MOUNT_VARIABLE = "PROVISIONING_TEST_MOUNT"
KEYS = vendor.keygen("test")
PREFIX = "/api/provisioning"


def is_isolated() -> bool:
    """Return whether this run tests the isolated mount."""
    return os.environ.get(MOUNT_VARIABLE) == "isolated"


def issue_license(**claims: Any) -> str:
    """A licence of the test vendor, good for a year from now on unless `claims` say otherwise."""
    return vendor.issue(vendor.private_key(KEYS.private_pem), KEYS.kid, customer="Test Host", **claims)


def make_config(**more: Any) -> dict[str, Any]:
    """Return the configuration of a licensed host."""
    return {
        "SECRET_KEY": "a secret of the host, long enough",
        "JWT_SECRET_KEY": "another secret of the host, 32 bytes and more",
        "PROVISIONING_LICENSE": issue_license(not_before=int(time.time()) - 86_400),
        "PROVISIONING_LICENSE_PUBLIC_KEYS": {KEYS.kid: KEYS.public},
        "PROVISIONING_AUTO_MIGRATE": True,
        "PROVISIONING_SQLITE_SYNCHRONOUS": "NORMAL",  # no test cuts the power
        "PROVISIONING_ENGINE": "external",
        "PROVISIONING_RATE_LIMITS": {},
        **({"PROVISIONING_MOUNT": "isolated"} if is_isolated() else {}),
        **more,
    }


def make_host(database_url: str, mount: dict[str, Any] | None = None, **config: Any) -> Flask:
    """A host app with the API mounted. An isolated mount makes no JWT manager in it, so it has one of its own."""
    app = Flask("host")
    app.config.update(make_config(**config))
    if is_isolated():
        JWTManager(app)
    TenantProvisioning(**(mount or {})).init_app(app, database_url)
    return app


def signing_context(app: Flask) -> contextlib.AbstractContextManager[Any]:
    """The context in which Flask-JWT-Extended signs what the first mount of `app` accepts."""
    return get_mount(app, next(iter(app.extensions["tenant_provisioning"]))).authority.signing_context()


def get_mount(app: Flask, name: str = "provisioning") -> Mount:
    """One of the app's mounts."""
    mount: Mount = app.extensions["tenant_provisioning"][name]
    return mount


def get_engine(app: Flask, name: str = "provisioning") -> Any:
    """The engine below a mount."""
    return get_mount(app, name).storage.engine
