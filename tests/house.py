"""A host with an isolated mount to come, whose maker decides what it has before the API is mounted, and what after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_tenant_provisioning import TenantProvisioning
from tests.world import Caller, configuration, engine_of

Make = Callable[..., "House"]


class House:
    """The host."""

    def __init__(self, url: str, **config: Any) -> None:
        self.app = Flask("host")
        self.app.config.update(configuration(**{"PROVISIONING_MOUNT": "isolated", **config}))
        self.provisioning = TenantProvisioning()
        self._url = url

    def mount(self) -> None:
        """Mount the API."""
        self.provisioning.init_app(self.app, self._url)

    def open(self, **claims: Any) -> Caller:
        """Mount the API and return a partner."""
        self.mount()
        return Caller(self.app, **claims)

    def also(self, name: str, **settings: Any) -> None:
        """Mount another API, in tables of its own."""
        TenantProvisioning(name=name, table_prefix=f"{name}_", **settings).init_app(self.app, self._url)


@pytest.fixture
def make(database_url: str) -> Iterator[Make]:
    """Makes hosts on one database."""
    made: list[House] = []

    def build(**config: Any) -> House:
        made.append(House(database_url, **config))
        return made[-1]

    yield build
    for house in made:
        for name, mount in house.app.extensions.get("tenant_provisioning", {}).items():
            if "storage" in vars(mount):
                engine_of(house.app, name).dispose()


@pytest.fixture
def house(make: Make) -> House:
    """One such host."""
    return make()


def at(caller: Caller, method: str, url: str, **options: Any) -> TestResponse:
    """What `caller` hears at a URL that is not under the usual prefix."""
    headers = {"Authorization": f"Bearer {caller.token}", **options.pop("headers", {})}
    return caller.client.open(url, method=method, headers=headers, **options)
