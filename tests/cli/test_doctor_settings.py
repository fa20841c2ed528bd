"""`doctor` on settings: whether their secrets can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from tests.support import tenant_settings
from tests.support.callers import Caller
from tests.support.doctor import run_doctor
from tests.support.tenant_settings import MakeHost, patch_settings, settings_path

OLD, NEW = "an old key, long enough", "a new key, long enough"
KEYS = "PROVISIONING_ENCRYPTION_KEYS"


@pytest.fixture
def host(database_url: str) -> Iterator[MakeHost]:
    """Makes hosts with settings on one database."""
    with tenant_settings.open_hosts(database_url) as make:
        yield make


def set_for_tenant(app: Flask, body: Any) -> None:
    partner = Caller(app)
    patch_settings(partner, settings_path(partner.create()), body)


def keys(app: Flask) -> tuple[str, str, str]:
    return run_doctor(app)["settings-keys"]


def test_no_key_is_required_without_secrets(host: MakeHost) -> None:
    app = host()
    set_for_tenant(app, {"mail": {"daily": 5}})
    assert keys(app) == ("ok", "no settings contain a secret", "")


def test_without_keys_of_their_own_secrets_depend_on_the_apps(host: MakeHost) -> None:
    app = host()
    set_for_tenant(app, {"mail": {"password": "hunter22"}})
    detail = "the secrets in 1 settings are encrypted with the app's secret key, and lost when it changes"
    assert keys(app) == ("warn", detail, f"set {KEYS} to a new key followed by that secret, then run `rekey`")


def test_a_changed_secret_key_of_the_app_is_named(host: MakeHost) -> None:
    set_for_tenant(host(), {"mail": {"password": "hunter22"}})
    former = "a new key followed by the app's former secret key"
    assert keys(host(SECRET_KEY="another secret key of thirty-two bytes")) == (
        "fail",
        "the app's secret key cannot decrypt the secrets in 1 of 1 settings",
        f"set {KEYS} to the keys that encrypted them, or to {former}, or set these settings again",
    )


def test_keys_that_open_every_secret_are_well_and_others_are_not(host: MakeHost) -> None:
    body = {"mail": {"password": "hunter22"}, "look": {"key": {"a": "b"}}}
    set_for_tenant(host(**{KEYS: [OLD]}), body)
    new = host(**{KEYS: [NEW]})
    advice = f"put the key that encrypted them back, after the others in {KEYS}, or set these settings again"
    assert keys(new) == ("fail", f"{KEYS} cannot decrypt the secrets in 1 of 1 settings", advice)
    set_for_tenant(new, body)
    assert keys(new) == ("warn", f"{KEYS} cannot decrypt the secrets in 1 of 2 settings", advice)
    assert keys(host(**{KEYS: [NEW, OLD]})) == ("ok", f"{KEYS} decrypt the secrets in 2 settings", "")
