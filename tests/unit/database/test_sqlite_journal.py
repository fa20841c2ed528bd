"""SQLite's write-ahead log: kept short during continuous writes, without waiting."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.database.session import Storage
from flask_tenant_provisioning.database.sqlite import WriteAheadLog
from tests.support.callers import Caller
from tests.support.database.rows import get_storage
from tests.support.hosts import make_config

LIMIT = 200_000
#: More than any one write of these tests adds.
MORE = 200_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "provisioning.sqlite3"


@pytest.fixture
def app(file: Path) -> Iterator[Flask]:
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_ENGINE="external"))
    TenantProvisioning().init_app(app, f"sqlite:///{file}")
    get_storage(app)._journal = WriteAheadLog(str(file), LIMIT, wait_milliseconds=10)
    yield app
    get_storage(app).engine.dispose()


def length(file: Path) -> int:
    return os.stat(f"{file}-wal").st_size


def reads(file: Path) -> sqlite3.Connection:
    """A reader that sees the rows from before it began."""
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM provisioning_tenants").fetchone()
    return reader


def test_long_journal_is_restarted(app: Flask, file: Path) -> None:
    partner, sizes = Caller(app), []
    for _ in range(20):
        partner.create()
        sizes.append(length(file))
    assert 0 in sizes
    assert max(sizes) < LIMIT + MORE


def test_continuous_readers_do_not_block_writers(app: Flask, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    partner, reader = Caller(app), reads(file)
    tenants = [partner.create()["tenant"] for _ in range(20)]
    assert length(file) > LIMIT
    assert reader.execute("SELECT count(*) FROM provisioning_tenants").fetchone() == (0,)
    reader.close()
    while length(file):
        tenants.append(partner.create()["tenant"])
        assert len(tenants) < 60
    assert {partner("GET", f"/tenants/{id}").status_code for id in tenants} == {200}
    assert not caplog.records


def test_failed_checkpoint_is_retried_after_as_many_pages_again(file: Path) -> None:
    file.with_name(f"{file.name}-wal").write_bytes(b"x" * 1000)
    tried: list[str] = []

    class Busy:
        def execute(self, sql: str) -> Busy:
            tried.append(sql)
            return self

        def fetchone(self) -> tuple[int, ...]:
            return (5000,) if tried[-1] == "PRAGMA busy_timeout" else (1, 7, 3)

    journal = WriteAheadLog(str(file), 1000, wait_milliseconds=10)
    for more in (0, 999, 1, 5000):
        with open(f"{file}-wal", "ab") as wal:
            wal.write(b"x" * more)
        journal.truncate_if_long(Busy())
    once = [
        "PRAGMA busy_timeout",
        "PRAGMA busy_timeout=10",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA busy_timeout=5000",
    ]
    assert tried == once * 3


def test_failed_truncation_is_logged_without_an_error(app: Flask, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = WriteAheadLog(str(file), 0)
    driver = sqlite3.connect(file)
    driver.close()
    journal.truncate_if_long(driver)
    assert caplog.messages == ["the write-ahead log cannot be truncated: Cannot operate on a closed database."]


def test_the_log_of_the_host_s_own_engine_is_the_host_s(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/host.sqlite3")
    app = Flask("host")
    app.config.update(make_config())
    TenantProvisioning().init_app(app, engine)
    storage: Storage = get_storage(app)
    assert storage._journal is None
    engine.dispose()


def test_no_other_database_has_one(postgresql_url: str) -> None:
    other = Flask("other")
    other.config.update(make_config())
    TenantProvisioning().init_app(other, postgresql_url)
    assert get_storage(other)._journal is None
