"""A host with an isolated mount to come, whose maker decides what it has before the API is mounted, and what after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_tenant_provisioning import TenantProvisioning
from tests.support.callers import Caller
from tests.support.hosts import get_engine, make_config

Make = Callable[..., "IsolatedHost"]


class IsolatedHost:
    """The host."""

    def __init__(self, url: str, **config: Any) -> None:
        self.app = Flask("host")
        self.app.config.update(make_config(**{"PROVISIONING_MOUNT": "isolated", **config}))
        self.provisioning = TenantProvisioning()
        self._url = url

    def mount(self) -> None:
        """Mount the API."""
        self.provisioning.init_app(self.app, self._url)

    def open(self, **claims: Any) -> Caller:
        """Mount the API and return a partner."""
        self.mount()
        return Caller(self.app, **claims)

    def mount_another(self, name: str, **settings: Any) -> None:
        """Mount another API, in tables of its own."""
        TenantProvisioning(name=name, table_prefix=f"{name}_", **settings).init_app(self.app, self._url)


@pytest.fixture
def make(database_url: str) -> Iterator[Make]:
    """Makes hosts on one database."""
    hosts: list[IsolatedHost] = []

    def build(**config: Any) -> IsolatedHost:
        hosts.append(IsolatedHost(database_url, **config))
        return hosts[-1]

    yield build
    for host in hosts:
        for name, mount in host.app.extensions.get("tenant_provisioning", {}).items():
            if "storage" in vars(mount):
                get_engine(host.app, name).dispose()


@pytest.fixture
def host(make: Make) -> IsolatedHost:
    """One such host."""
    return make()


def call_url(caller: Caller, method: str, url: str, **options: Any) -> TestResponse:
    """Return the response to `caller` at a URL that is not under the usual prefix."""
    headers = {"Authorization": f"Bearer {caller.token}", **options.pop("headers", {})}
    return caller.client.open(url, method=method, headers=headers, **options)
