"""A host whose tenants have settings, for the tests about them."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask import Flask
from flask_jwt_extended import JWTManager
from marshmallow import Schema, ValidationError, fields, validates_schema
from marshmallow.validate import Length, OneOf, Range

from flask_tenant_provisioning import TenantProvisioning
from tests.support.callers import Caller
from tests.support.database.rows import get_storage
from tests.support.hosts import is_isolated, make_config

MakeHost = Callable[..., Flask]


class MailSettings(Schema):
    """Mail settings."""

    sender = fields.Email(data_key="from", load_default="noreply@example.com")
    daily = fields.Integer(strict=True, load_default=100, validate=Range(min=1))
    password = fields.String(validate=Length(min=4), metadata={"secret": True})
    region = fields.String(validate=OneOf(["eu", "us"]), metadata={"immutable": True})
    headers = fields.Dict(fields.String(), fields.String(allow_none=True))
    since = fields.Date()
    note = fields.String(allow_none=True)


class LookSettings(Schema):
    """Appearance settings."""

    colour = fields.String(load_default="blue")
    low = fields.Integer()
    high = fields.Integer()
    key = fields.Dict(metadata={"secret": True})

    @validates_schema
    def check_order(self, data: dict[str, Any], **_options: Any) -> None:
        if data.get("low", 0) > data.get("high", 10**9):
            raise ValidationError("Must not be above `high`.", "low")
        if "secret" in str(data.get("key", "")) and data["colour"] == "red":
            raise ValidationError(f"{data['key']} is not for red.")


class FreeSettings(Schema):
    """Anything at all."""

    a = fields.Raw(allow_none=True)
    b = fields.Raw(allow_none=True)
    c = fields.Raw(allow_none=True)
    e = fields.Raw(allow_none=True)
    big = fields.String()


NAMESPACES: Mapping[str, type[Schema]] = {"mail": MailSettings, "look": LookSettings, "free": FreeSettings}
DEFAULTS: dict[str, dict[str, Any]] = {
    "mail": {"from": "noreply@example.com", "daily": 100},
    "look": {"colour": "blue"},
}
#: The sources of the values that are not set.
SOURCES = {"mail.from": "default", "mail.daily": "default", "look.colour": "default"}
NOTHING_SET = {"version": 0, "effective": DEFAULTS, "explicit": {}, "sources": SOURCES}
MASK = "********"


def make_host(
    database_url: str,
    namespaces: Mapping[str, type[Schema]] = NAMESPACES,
    clock: Callable[[], float] = time.time,
    **config: Any,
) -> Flask:
    """A host app with these namespaces, whose plan `pro` sends more mail."""
    app = Flask("host")
    app.config.update(make_config(**config))
    if is_isolated():
        JWTManager(app)
    provisioning = TenantProvisioning(clock=clock)
    for name, schema in namespaces.items():
        provisioning.settings(name, schema)
    provisioning.plan("free")
    provisioning.plan("pro", settings={"mail": {"daily": 10_000}} if namespaces.get("mail") is MailSettings else {})
    provisioning.init_app(app, database_url)
    app.extensions["own settings"] = provisioning
    return app


@contextlib.contextmanager
def open_hosts(database_url: str) -> Iterator[MakeHost]:
    """Yield a function that makes hosts with settings on one database, in turn or together; `host` says how."""
    apps: list[Flask] = []

    def make(*args: Any, **config: Any) -> Flask:
        apps.append(make_host(database_url, *args, **config))
        return apps[-1]

    yield make
    for app in apps:
        get_storage(app).engine.dispose()


def get_extension(app: Flask) -> TenantProvisioning:
    """The extension of a host."""
    extension: TenantProvisioning = app.extensions["own settings"]
    return extension


def settings_path(tenant: Mapping[str, Any]) -> str:
    """The path of a tenant's settings."""
    return f"/tenants/{tenant['tenant']}/settings"


def read_settings(caller: Caller, tenant: Mapping[str, Any]) -> dict[str, Any]:
    """A tenant's settings."""
    response = caller("GET", settings_path(tenant))
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.get_json()
    assert response.headers["ETag"] == f'"{document["version"]}"'
    return document


def patch_settings(caller: Caller, path: str, body: Any, **options: Any) -> dict[str, Any]:
    """Settings after a merge patch."""
    response = caller("PATCH", path, json=body, **options)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.get_json()
    return document


def expect_values(document: Mapping[str, Any], source: str = "tenant", **values: dict[str, Any]) -> dict[str, Any]:
    """`found` one version later, with these values set by `source`; MASK where they are secret."""
    expected = copy.deepcopy(dict(document))
    expected["version"] += 1
    for name, pairs in values.items():
        for member in ("effective", "explicit"):
            expected[member].setdefault(name, {}).update(pairs)
        expected["sources"].update(dict.fromkeys((f"{name}.{key}" for key in pairs), source))
    return expected
