"""Mounts the API in small hosts, and closes what that opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import get_engine


class Mount(Protocol):
    """Mounts the API in a host one way or the other, in the database at a URL or the host's own."""

    def __call__(self, kind: Kind, how: str, folder: Path, url: str, **config: Any) -> Flask: ...


@pytest.fixture
def mounted() -> Iterator[Mount]:
    """The function that mounts the API; `config` is set once the host is built."""
    apps: list[Flask] = []

    def mount(kind: Kind, how: str, folder: Path, url: str, **config: Any) -> Flask:
        app = kind.build(folder)
        app.config.update(config)
        TenantProvisioning(mount=how).init_app(app, kind.database(app) or url)
        kind.wrap(app)
        apps.append(app)
        return app

    yield mount
    for app in apps:
        get_engine(app).dispose()
