"""Fixtures: each test that takes `database_url`, `app` or `partner` runs on SQLite and on PostgreSQL.

One that is marked `one_database` runs on SQLite alone: its case never reaches a database, or any will do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import make_url

pytest.register_assert_rewrite("tests.support.hosts", "tests.support.assertions")

from tests.support import callers, hosts  # noqa: E402
from tests.support.database import postgresql  # noqa: E402
from tests.support.database.schemas import Schemas  # noqa: E402
from tests.support.database.templates import Tables  # noqa: E402

pytest_plugins = [
    "tests.guards.skips",
    "tests.support.plugins.services",
    "tests.support.plugins.mounts",
    "tests.support.isolated_hosts",
    "tests.support.host_kinds.mounting",
    "tests.support.webhooks.senders",
    "tests.support.database.faults",
    "tests.support.client.hosts",
]
DATABASES = ["sqlite", "postgresql"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run choose a database."""
    parser.addoption("--database", choices=DATABASES, help="run on this one what would run on each")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three processes for two cores: the tests wait as long as they compute."""
    return max(1, (os.cpu_count() or 1) * 3 // 2)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a test to which the database is all the same run once, and the others where `--database` says."""
    own = any("database" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if own or "database" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("one_database")
    if chosen := DATABASES[0] if marker else metafunc.config.getoption("--database"):
        metafunc.definition.add_marker(pytest.mark.parametrize("database", [chosen], indirect=True))


@pytest.fixture(scope="session", params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The name of the database that this test runs on."""
    return str(request.param)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database: str, tmp_path: Path, tables: Tables) -> str:
    """The URL of a database of this test's own: with the newest tables, unless it is marked `without_tables`."""
    bare = request.node.get_closest_marker("without_tables")
    if database == "postgresql":
        return str(request.getfixturevalue("empty_postgresql_database" if bare else "postgresql_database"))
    url = f"sqlite:///{tmp_path}/provisioning.sqlite3"
    if not bare:
        tables(make_url(url))
    return url


@pytest.fixture
def postgresql_database(schemas: Schemas) -> Iterator[str]:
    """The URL of a schema with the newest tables, which another test may get later, emptied and with another name."""
    with schemas.lend() as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def schemas(postgresql_url: str, tables: Tables) -> Iterator[Schemas]:
    """The session's schemas with the newest tables."""
    new_schemas = Schemas(make_url(postgresql_url), tables)
    yield new_schemas
    new_schemas.close()


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The object that creates the newest tables in an empty database."""
    return Tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture
def make_app(database_url: str) -> Iterator[Callable[..., Flask]]:
    """Builds host apps on a database of this test's own."""
    apps: list[Flask] = []

    def make(**config: Any) -> Flask:
        apps.append(hosts.make_host(database_url, **config))
        return apps[-1]

    yield make
    for app in apps:
        _close(app)


@pytest.fixture(scope="session")
def app(request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One host app for all tests that need no configuration of their own; partners keep them apart."""
    if database == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('shared')}/provisioning.sqlite3"
    else:
        server: str = request.getfixturevalue("postgresql_url")
        url = postgresql.create_schema(make_url(server)).render_as_string(hide_password=False)
    new_app = hosts.make_host(url)
    yield new_app
    _close(new_app)


@pytest.fixture
def partner(app: Flask) -> callers.Caller:
    """A partner's administrator, of a partner that no other test knows."""
    return callers.Caller(app)


def _close(app: Flask) -> None:
    for mount in app.extensions["tenant_provisioning"].values():
        if "storage" in vars(mount):
            mount.storage.engine.dispose()
