"""The host whose API the client's tests call: with fields, settings and a plan of its own, under a real server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.workers.worker import make_worker
from tests.support.callers import Caller
from tests.support.client.connections import Connections
from tests.support.client.faulty_server import FaultyServer, serve_faults
from tests.support.hosts import PREFIX, get_engine, get_mount, make_config
from tests.support.servers import Address, serve
from tests.support.tenant_settings import MailSettings
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS


class SalesFields(Schema):
    """Fields of the host."""

    region = fields.String(allow_none=True)
    seats = fields.Integer(strict=True, allow_none=True)


class ClientHost:
    """A served host. Its work is done when a test says so."""

    def __init__(self, app: Flask, address: Address) -> None:
        self.app, self.address = app, address
        self.url = f"http://{address[0]}:{address[1]}{PREFIX}"

    def make_caller(self, *roles: str) -> Caller:
        """A caller of a partner that no other test knows."""
        return Caller(self.app, roles=roles or ("partner-admin",))

    def work(self) -> None:
        """Do everything that is due."""
        make_worker(get_mount(self.app)).drain()


@contextlib.contextmanager
def serve_host(database_url: str, **config: Any) -> Iterator[ClientHost]:
    """Serve a host until the block ends."""
    app, provisioning = Flask("host"), TenantProvisioning()
    app.config.update(make_config(**LOCAL_WEBHOOKS, **config))
    provisioning.tenant_fields(SalesFields, filterable=("region",))
    provisioning.settings("mail", MailSettings)
    provisioning.invite()(lambda: None)
    provisioning.init_app(app, database_url)
    try:
        with serve(app) as address:
            yield ClientHost(app, address)
    finally:
        engine = get_mount(app).engine
        if engine is not None:
            engine.stop(10)
        get_engine(app).dispose()


@pytest.fixture(scope="module")
def client_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientHost]:
    """One served host for all tests of a module; partners keep them apart. No thread of it outlives the module."""
    with serve_host(f"sqlite:///{tmp_path_factory.mktemp('client')}/provisioning.sqlite3") as host:
        yield host


@pytest.fixture(scope="module")
def embedded_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientHost]:
    """One served host whose work is done as it comes."""
    url = f"sqlite:///{tmp_path_factory.mktemp('embedded')}/provisioning.sqlite3"
    with serve_host(url, PROVISIONING_ENGINE="embedded") as host:
        yield host


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connections]:
    """Makes clients: a test that takes it is about the synchronous and about the asynchronous client."""
    connections = Connections(request.param)
    yield connections
    connections.close()


@pytest.fixture
def caller(client_host: ClientHost) -> Caller:
    """A partner's administrator."""
    return client_host.make_caller()


@pytest.fixture
def client(connect: Connections, client_host: ClientHost, caller: Caller) -> Any:
    """A client of that caller's."""
    return connect(client_host.url, caller.token)


@pytest.fixture
def faulty(client_host: ClientHost) -> Iterator[FaultyServer]:
    """A server between the client and the API, with faults."""
    with serve_faults(client_host.address) as server:
        yield server
