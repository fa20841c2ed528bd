"""Fail databases, observe them from outside, and check the API's responses during the failure."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import URL, Column, Integer, MetaData, String, Table, create_engine, text
from sqlalchemy.pool import NullPool
from werkzeug.test import TestResponse

from flask_tenant_provisioning.database.session import Session, Storage
from flask_tenant_provisioning.database.statements import Statement
from tests.support import hosts
from tests.support.assertions import check_problem
from tests.support.hosts import get_engine

TENANT = {"client_name": "A", "email": "a@example.com"}
notes = Table("host_notes", MetaData(), Column("id", Integer, primary_key=True), Column("text", String(50)))


@pytest.fixture
def make_pg_app(empty_postgresql_database: str) -> Iterator[Callable[..., Flask]]:
    """Builds host apps on a PostgreSQL schema of this test's own; `url` names another way to it."""
    with open_apps(empty_postgresql_database) as make:
        yield make


@contextlib.contextmanager
def open_apps(its: str) -> Iterator[Callable[..., Flask]]:
    apps: list[Flask] = []

    def make(url: str = its, **config: Any) -> Flask:
        apps.append(hosts.make_host(url, **config))
        return apps[-1]

    yield make
    for app in apps:
        get_engine(app).dispose()


def create_notes_table(app: Flask) -> Storage:
    storage: Storage = app.extensions["tenant_provisioning"]["provisioning"].storage
    notes.metadata.create_all(storage.engine)
    return storage


def run(session: Session, sql: str) -> Any:
    return session.run(Statement(text(sql), session.storage.engine.dialect), {})


READ_ONLY = "The database takes no writes at the moment."


def assert_storage_unavailable(
    response: TestResponse, detail: str = "The database does not answer at the moment."
) -> None:
    """Assert the one answer to every failure of the database."""
    check_problem(response, status=503, code="storage-unavailable", detail=detail)
    assert response.headers["Retry-After"] == "2"


def wait_until(wanted: Callable[[], Any], seconds: float = 10) -> None:
    """Wait until `wanted` is true of another process."""
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.005)


@contextlib.contextmanager
def observe_database(url: URL | str) -> Iterator[Callable[..., list[Any]]]:
    """A second connection to the same database, in autocommit; called with SQL, returns the first column."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:

        def ask(sql: str, **values: Any) -> list[Any]:
            result = connection.execute(text(sql), values)
            return list(result.scalars()) if result.returns_rows else []

        yield ask


def kill_backend(url: URL | str, pid: int) -> None:
    """End a connection from the server's side, and wait until it is gone."""
    with observe_database(url) as ask:
        ask("SELECT pg_terminate_backend(:pid)", pid=pid)
        wait_until(lambda: not ask("SELECT 1 FROM pg_stat_activity WHERE pid = :pid", pid=pid))


def get_backend_pid(session: Session) -> int:
    return int(run(session, "SELECT pg_backend_pid()").fetchone()[0])
