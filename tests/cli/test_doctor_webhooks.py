"""`doctor` on webhooks: whether their secrets can be read, and how far they reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.doctor import run_doctor
from tests.support.hosts import get_engine, make_config

OLD, NEW, OTHER = "an old key, long enough", "a new key, long enough", "another key, long enough"
KEYS = "PROVISIONING_ENCRYPTION_KEYS"
REACHES = "open to all who may manage webhooks"
Host = Callable[..., Flask]


@pytest.fixture
def host(database_url: str) -> Host:
    """Makes hosts on the same tables."""

    def make(**config: Any) -> Flask:
        app = Flask("host")
        app.config.update(make_config(**config))
        TenantProvisioning().init_app(app, database_url)
        return app

    return make


def subscribe(app: Flask, count: int = 1) -> None:
    for _ in range(count):
        created = Caller(app)("POST", "/webhooks", json={"url": "https://93.184.215.14/hook"})
        assert created.status_code == 201, created.text


def keys(app: Flask) -> tuple[str, str, str]:
    check = run_doctor(app)["webhook-keys"]
    get_engine(app).dispose()
    return check


def test_without_keys_of_their_own_secrets_depend_on_the_apps(host: Host) -> None:
    app = host()
    advice = f"set {KEYS} before the first, or the app's secret key encrypts it"
    assert keys(app) == ("ok", "there are none yet", advice)
    subscribe(app, 2)

    assert keys(app) == (
        "warn",
        "the secrets of 2 webhooks are encrypted with the app's secret key, and lost when it changes",
        f"set {KEYS} to a new key followed by that secret, then run `webhooks reseal`",
    )


def test_no_advice_if_webhooks_are_disabled(host: Host) -> None:
    assert keys(host(PROVISIONING_WEBHOOK_LIMIT=0)) == ("ok", "PROVISIONING_WEBHOOK_LIMIT is 0: there are none", "")


def test_keys_that_open_every_secret_are_ok(host: Host) -> None:
    subscribe(host(**{KEYS: [OLD]}))
    subscribe(host(**{KEYS: [NEW, OLD]}))

    assert keys(host(**{KEYS: [NEW, OLD]})) == ("ok", f"{KEYS} decrypt the secrets of 2 webhooks", "")


def test_keys_that_open_some_secrets_are_reported(host: Host) -> None:
    subscribe(host(**{KEYS: [OLD]}))
    subscribe(host(**{KEYS: [NEW]}), 2)

    assert keys(host(**{KEYS: [NEW]})) == (
        "warn",
        f"{KEYS} cannot decrypt the secrets of 1 of 3 webhooks",
        f"put the key that encrypted them back, after the others in {KEYS}, or ask the partners to rotate them",
    )


def test_keys_that_open_no_secret_fail(host: Host) -> None:
    subscribe(host(), 2)

    assert keys(host(**{KEYS: [OTHER]})) == (
        "fail",
        f"{KEYS} cannot decrypt the secrets of any of 2 webhooks",
        f"put the key that encrypted them back, after the others in {KEYS}",
    )


def test_a_changed_secret_key_of_the_app_is_named(host: Host) -> None:
    subscribe(host(), 2)

    assert keys(host(SECRET_KEY="another secret key of thirty-two bytes")) == (
        "fail",
        "the app's secret key cannot decrypt the secrets of any of 2 webhooks",
        f"set {KEYS} to the keys that encrypted them, or to a new key followed by the app's former secret key",
    )


def test_doctor_examines_only_the_first_secrets(host: Host) -> None:
    app = host(**{KEYS: [OLD]})
    subscribe(app)
    storage = get_storage(app)
    (row,), table = fetch_rows(app, "webhooks"), storage.table("webhooks")
    with storage.engine.begin() as connection:
        connection.execute(table.insert(), [{**row, "id": storage.new_id()} for _ in range(1000)])

    assert keys(app)[1] == f"{KEYS} cannot decrypt the secrets of 999 of the first 1000 webhooks"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"SCHEMES": ["https", "http"], "PORTS": []},
            ("ok", "https and http, any port, and no internal network", ""),
        ),
        (
            {"ALLOWED_NETWORKS": ["10.1.0.0/16", "fd00::/8"]},
            (
                "ok",
                f"https, port 443, 8443, and internal networks 10.1.0.0/16, fd00::/8, {REACHES}",
                "",
            ),
        ),
        (
            {"PORTS": [443], "ALLOWED_NETWORKS": ["10.0.0.0/8", "0.0.0.0/0"]},
            (
                "warn",
                f"https, port 443, and internal networks 10.0.0.0/8, 0.0.0.0/0, {REACHES}; this machine is among them",
                "narrow PROVISIONING_WEBHOOK_ALLOWED_NETWORKS, except for development",
            ),
        ),
    ],
)
def test_reachable_networks_are_reported(host: Host, config: dict[str, Any], expected: tuple[str, str, str]) -> None:
    app = host(**{f"PROVISIONING_WEBHOOK_{name}": value for name, value in config.items()})

    assert run_doctor(app)["webhook-reach"] == expected
