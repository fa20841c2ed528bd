"""Settings as the host's own code reads them: typed, not to be changed, remembered for a moment."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields, post_load

from flask_tenant_provisioning import TenantProvisioning, TenantSettings
from flask_tenant_provisioning.errors import TenantNotFound
from flask_tenant_provisioning.settings.tenant_settings import SettingsCache
from tests.support import tenant_settings
from tests.support.callers import Caller
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.hosts import get_mount, make_config
from tests.support.stale_reads import InterleavedStorage
from tests.support.tenant_settings import MakeHost, patch_settings, settings_path

NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def make(database_url: str) -> Iterator[MakeHost]:
    """Makes hosts with settings on one database."""
    with tenant_settings.open_hosts(database_url) as make:
        yield make


def settings(app: Flask, tenant: dict[str, Any], **options: Any) -> Any:
    """Return the settings that the host reads."""
    with app.app_context():
        return tenant_settings.get_extension(app).settings_for(tenant["tenant"], **options)


def test_settings_for_returns_loaded_values(make: MakeHost) -> None:
    app = make()
    partner = Caller(app)
    tenant = partner.create(plan="pro")
    headers = {"x": "1", "y": "2"}
    patch_settings(
        partner, settings_path(tenant), {"mail": {"since": "2025-02-10", "password": "hunter22", "headers": headers}}
    )
    loaded = settings(app, tenant)
    assert isinstance(loaded, TenantSettings)
    assert list(loaded) == ["mail", "look", "free"]
    assert (
        loaded.mail
        == loaded["mail"]
        == {
            "sender": "noreply@example.com",
            "daily": 10_000,
            "since": datetime.date(2025, 2, 10),
            "password": "hunter22",
            "headers": headers,
        }
    )
    assert (loaded.mail.sender, loaded.look.colour, dict(loaded.free)) == ("noreply@example.com", "blue", {})
    assert settings(app, tenant, partner=partner.partner).mail.sender == loaded.mail.sender


def test_unset_value_is_absent(make: MakeHost) -> None:
    app = make()
    loaded = settings(app, Caller(app).create())
    assert ("region" in loaded.mail, loaded.mail.get("region")) == (False, None)
    for whose, name in ((loaded.mail, "region"), (loaded, "nothing"), (loaded.mail, "_values_of")):
        with pytest.raises(AttributeError, match=f"has no '{name}'"):
            getattr(whose, name)
    with pytest.raises(KeyError):
        loaded["nothing"]


def test_nothing_can_be_changed_and_no_secret_is_printed(make: MakeHost) -> None:
    app = make()
    partner = Caller(app)
    tenant = partner.create()
    patch_settings(
        partner,
        settings_path(tenant),
        {"mail": {"headers": {"x": "1"}, "password": "hunter22"}, "free": {"a": [1, {"b": [2]}]}},
    )
    loaded = settings(app, tenant)
    with pytest.raises(AttributeError, match="cannot be changed"):
        loaded.mail.daily = 5
    with pytest.raises(AttributeError, match="cannot be changed"):
        del loaded.mail
    with pytest.raises(TypeError):
        loaded.mail["daily"] = 5
    with pytest.raises(TypeError):
        loaded.mail.headers["x"] = "2"
    assert loaded.free.a == (1, {"b": (2,)})
    assert repr(loaded) == "<settings: mail, look, free>"
    assert repr(loaded.mail) == f"<settings mail: {', '.join(loaded.mail)}>"
    assert "hunter22" not in repr(loaded) + str(loaded.mail)


def test_settings_for_returns_post_load_objects(make: MakeHost) -> None:
    @dataclasses.dataclass(frozen=True)
    class Size:
        width: int
        height: int

    class SizeSettings(Schema):
        width = fields.Integer(load_default=1)
        height = fields.Integer(load_default=2)

        @post_load
        def make(self, data: dict[str, Any], **_options: Any) -> Size:
            return Size(**data)

    app = make({"size": SizeSettings})
    partner = Caller(app)
    tenant = partner.create()
    assert patch_settings(partner, settings_path(tenant), {"size": {"height": 5}})["effective"] == {
        "size": {"width": 1, "height": 5}
    }
    assert settings(app, tenant).size == Size(1, 5)


@pytest.mark.parametrize("id", [NOBODY, "", "x", "0' OR 1=1", NOBODY.replace("-", "")])
def test_unknown_tenant_has_no_settings(make: MakeHost, id: str) -> None:
    app = make()
    tenant = Caller(app).create()
    with pytest.raises(TenantNotFound):
        settings(app, {"tenant": id})
    with pytest.raises(TenantNotFound):
        settings(app, tenant, partner="somebody else")
    assert settings(app, tenant).look.colour == "blue"
    with pytest.raises(TenantNotFound):
        settings(app, tenant, partner="somebody else")


def test_an_id_may_be_in_any_form(make: MakeHost) -> None:
    app = make()
    tenant = Caller(app).create()
    for id in (tenant["tenant"].upper(), uuid.UUID(tenant["tenant"])):
        assert settings(app, {"tenant": id}).look.colour == "blue"


# Remembered.


def test_own_change_is_visible_immediately(make: MakeHost) -> None:
    clock = Clock()
    app = make(clock=clock, PROVISIONING_SETTINGS_CACHE_SECONDS=3600, **LONG_LIVED_TOKENS)
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    tenant = partner.create()
    assert settings(app, tenant).mail.daily == 100
    assert settings(app, tenant) is settings(app, tenant)
    patch_settings(admin, f"/partners/{partner.partner}/settings", {"mail": {"daily": 5}})
    assert settings(app, tenant).mail.daily == 5
    partner("PATCH", f"/tenants/{tenant['tenant']}", json={"plan": "pro"})
    assert settings(app, tenant).mail.daily == 10_000
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7}})
    assert settings(app, tenant).mail.daily == 7
    partner("PATCH", f"{settings_path(tenant)}?validate_only=true", json={"mail": {"daily": 8}})
    assert settings(app, tenant).mail.daily == 7
    admin("DELETE", f"/tenants/{tenant['tenant']}?purge=true")
    with pytest.raises(TenantNotFound):
        settings(app, tenant)


@pytest.mark.parametrize("seconds", [0, 1, 60])
def test_other_processes_know_within_the_time_that_is_configured(make: MakeHost, seconds: int) -> None:
    clock = Clock()
    here, there = (
        make(clock=clock, PROVISIONING_SETTINGS_CACHE_SECONDS=seconds, **LONG_LIVED_TOKENS) for _ in range(2)
    )
    partner = Caller(here)
    tenant = partner.create()
    assert settings(there, tenant).mail.daily == 100
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7}})
    if seconds:
        clock.now += seconds - 0.001
        assert settings(there, tenant).mail.daily == 100
        clock.now += 0.001
    assert settings(there, tenant).mail.daily == 7
    clock.now -= 10_000
    patch_settings(partner, settings_path(tenant), {"mail": {"daily": 8}})
    assert settings(there, tenant).mail.daily == 8


def test_read_before_a_change_is_not_cached(make: MakeHost) -> None:
    """Another writer commits between the read of the row and its caching."""
    app = make(PROVISIONING_SETTINGS_CACHE_SECONDS=3600)
    partner, mount = Caller(app), get_mount(app)
    tenant = partner.create()
    readings = mount.once(SettingsCache)
    readings._storage = InterleavedStorage(  # type: ignore[assignment]
        mount.storage, lambda: patch_settings(partner, settings_path(tenant), {"mail": {"daily": 7}})
    )
    assert readings.get(tenant["tenant"]).mail.daily == 100
    readings._storage = mount.storage
    assert readings.get(tenant["tenant"]).mail.daily == 7


# Where it is asked.


def test_hook_reads_uncommitted_settings_of_its_transaction(make: MakeHost) -> None:
    app = make(PROVISIONING_SETTINGS_CACHE_SECONDS=3600)
    provisioning, seen = tenant_settings.get_extension(app), []

    @provisioning.hook("tenant.create", "tenant.update")
    def look(tenant: dict[str, Any]) -> None:
        seen.append(provisioning.settings_for(tenant["tenant"]).mail.daily)

    partner = Caller(app)
    tenant = partner.create()
    assert settings(app, tenant).mail.daily == 100
    for path in (f"/tenants/{tenant['tenant']}?validate_only=true", f"/tenants/{tenant['tenant']}"):
        partner("PATCH", path, json={"plan": "pro"})
    assert seen == [100, 10_000, 10_000]
    assert settings(app, tenant).mail.daily == 10_000


def test_rolled_back_read_is_not_cached(make: MakeHost) -> None:
    app = make(PROVISIONING_SETTINGS_CACHE_SECONDS=3600)
    provisioning = tenant_settings.get_extension(app)

    @provisioning.hook("tenant.update")
    def look(tenant: dict[str, Any]) -> None:
        assert provisioning.settings_for(tenant["tenant"]).mail.daily == 10_000

    partner = Caller(app)
    tenant = partner.create()
    partner("PATCH", f"/tenants/{tenant['tenant']}?validate_only=true", json={"plan": "pro"})
    assert settings(app, tenant).mail.daily == 100


def test_a_view_of_the_host_s_own_reads_them(make: MakeHost) -> None:
    app = make()

    @app.get("/sender/<tenant>")
    def sender(tenant: str) -> str:
        return str(tenant_settings.get_extension(app).settings_for(tenant).mail.sender)

    tenant = Caller(app).create()
    assert app.test_client().get(f"/sender/{tenant['tenant']}").text == "noreply@example.com"


def test_settings_for_uses_the_mount_of_the_current_app(database_url: str) -> None:
    apps = {}
    provisioning = {
        name: TenantProvisioning(name=name, url_prefix=f"/{name}", table_prefix=f"{name}_") for name in "ab"
    }
    for name, extension in provisioning.items():
        extension.settings(
            "mail" if name == "a" else "look", tenant_settings.NAMESPACES["mail" if name == "a" else "look"]
        )
    for key in ("one", "two"):
        app = apps[key] = Flask(key)
        app.config.update(make_config())
        provisioning["a"].init_app(app, database_url)
        if key == "one":
            provisioning["b"].init_app(app, database_url)
    caller = Caller(apps["one"])
    headers = {"Authorization": f"Bearer {caller.token}"}
    body = {"client_name": "Example", "email": "a@example.com"}
    tenants = {name: caller.client.post(f"/{name}/tenants", json=body, headers=headers).get_json() for name in "ab"}
    for name, namespace in (("a", "mail"), ("b", "look")):
        with apps["one"].app_context():
            assert list(provisioning[name].settings_for(tenants[name]["tenant"])) == [namespace]
    with apps["one"].app_context(), pytest.raises(TenantNotFound):
        provisioning["b"].settings_for(tenants["a"]["tenant"])
    with apps["two"].app_context(), pytest.raises(RuntimeError, match="'two' has no mount 'b'"):
        provisioning["b"].settings_for(tenants["b"]["tenant"])
    with pytest.raises(RuntimeError, match="application context"):
        provisioning["a"].settings_for(tenants["a"]["tenant"])
    for app in apps.values():
        for mount in app.extensions["tenant_provisioning"].values():
            mount.storage.engine.dispose()
