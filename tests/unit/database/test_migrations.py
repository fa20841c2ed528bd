"""The packaged migrations: up, down, on data, beside a host's own."""

from __future__ import annotations

import pathlib
import shutil
import threading
from collections.abc import Callable
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask.cli import FlaskGroup
from sqlalchemy import Column, Engine, Integer, MetaData, Table, inspect, select

from flask_tenant_provisioning.database import migration
from flask_tenant_provisioning.tables import build_metadata
from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows
from tests.support.events import read_feed
from tests.support.hosts import get_engine

pytestmark = pytest.mark.without_tables

PREFIX = "provisioning_"
NAMES = (
    "alembic_version", "tenants", "erasures", "events", "feeds", "usage", "idempotency", "runs", "steps",
    "webhooks", "deliveries", "attempts", "bulk_jobs", "bulk_chunks", "bulk_keys", "partners",
    "settings", "settings_history", "clients", "assertions", "invitations",
)  # fmt: skip
TABLES = {f"{PREFIX}{name}" for name in NAMES}


@pytest.fixture
def bare(make_app: Callable[..., Flask]) -> Flask:
    """An app whose database holds nothing yet."""
    return make_app(PROVISIONING_AUTO_MIGRATE=False)


def run(app: Flask, *arguments: str) -> Any:
    """The result of ``flask provisioning …`` in `app`."""
    return app.test_cli_runner().invoke(FlaskGroup(create_app=lambda: app), ["provisioning", *arguments])


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_upgrade_makes_the_tables_and_check_agrees(bare: Flask) -> None:
    assert run(bare, "db", "current").output == "no tables\n"
    assert run(bare, "db", "upgrade").output == f"{migration.get_head_revision()} (newest)\n"
    assert tables(get_engine(bare)) == TABLES
    checked = run(bare, "db", "check")
    assert (checked.exit_code, checked.output) == (0, "The tables match this release.\n")


def test_check_names_a_differing_column(bare: Flask) -> None:
    run(bare, "db", "upgrade")
    change_tables(bare, f"ALTER TABLE {PREFIX}events ADD COLUMN stray INTEGER")
    checked = run(bare, "db", "check")
    assert checked.exit_code == 1
    assert "stray" in checked.output
    assert "flask provisioning db upgrade" in checked.output


def test_downgrade_removes_the_tables(bare: Flask) -> None:
    run(bare, "db", "upgrade")
    assert run(bare, "db", "downgrade", "base", "--yes").output == "no tables\n"
    assert tables(get_engine(bare)) <= {f"{PREFIX}alembic_version"}


def test_upgrading_twice_keeps_the_rows(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    partner = Caller(app)
    tenant = partner.create()
    run(app, "db", "upgrade")
    assert partner("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant


def test_upgrading_after_a_downgrade_starts_empty(make_app: Callable[..., Flask]) -> None:
    app = make_app(PROVISIONING_PARTNER_CACHE_SECONDS=3600)
    partner = Caller(app)
    tenant = partner.create()
    for _ in range(2):
        run(app, "db", "downgrade", "base", "--yes")
        assert partner("GET", f"/tenants/{tenant['tenant']}").status_code == 503
        assert run(app, "db", "upgrade").output == "0001 (newest)\n"
        assert migration.diff_tables(get_engine(app), build_metadata(PREFIX)) == []
        assert fetch_rows(app, "tenants") == fetch_rows(app, "events") == []
        assert partner("GET", f"/tenants/{tenant['tenant']}").status_code == 404
        tenant = partner.create()
        assert [event["tenant"] for event in read_feed(partner)] == [tenant["tenant"]]


def test_outdated_tables_return_503_until_they_are_upgraded(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app()
    partner = Caller(app)
    tenant = partner.create()
    change_tables(app, f"ALTER TABLE {PREFIX}tenants DROP COLUMN fields")
    assert partner("GET", f"/tenants/{tenant['tenant']}").status_code == 503
    assert "the tables are missing or outdated: run `flask provisioning db upgrade`" in caplog.text
    checked = run(app, "db", "check")
    assert checked.exit_code == 1
    assert "'fields'" in checked.output
    change_tables(app, f"ALTER TABLE {PREFIX}tenants ADD COLUMN fields {'JSON' if is_postgresql(app) else 'TEXT'}")
    assert partner("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant
    assert run(app, "db", "check").exit_code == 0


#: A revision as a later release might have it: a column, filled from the rows that are there.
LATER = """
import sqlalchemy as sa
from alembic import context, op

revision, down_revision = "0002", "0001"


def upgrade():
    table = f"{context.config.attributes['prefix']}feeds"
    op.add_column(table, sa.Column("published", sa.Integer))
    op.execute(f"UPDATE {table} SET published = position")


def downgrade():
    op.drop_column(f"{context.config.attributes['prefix']}feeds", "published")
"""


@pytest.fixture
def later_release(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Migrations with one more revision."""
    folder = tmp_path / "migrations"
    shutil.copytree(migration._FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "0002_later.py").write_text(LATER)
    monkeypatch.setattr(migration, "_FOLDER", folder)


@pytest.mark.usefixtures("later_release")
def test_a_later_revision_comes_and_goes_on_data(bare: Flask) -> None:
    assert run(bare, "db", "upgrade", "0001").output == "0001\n"
    partner = Caller(bare)
    tenant = partner.create()
    assert [event["tenant"] for event in read_feed(partner)] == [tenant["tenant"]]
    for _ in range(2):
        failures = upgrade_at_once(get_engine(bare))
        assert (failures, run(bare, "db", "current").output) == ([], "0002 (newest)\n")
        feeds = Table(f"{PREFIX}feeds", MetaData(), autoload_with=get_engine(bare))
        with get_engine(bare).connect() as connection:
            assert connection.execute(select(feeds.c.published, feeds.c.position)).all() == [(1, 1)]
        assert "published" in run(bare, "db", "check").output
        assert run(bare, "db", "downgrade", "0001", "--yes").output == "0001\n"
        assert migration.diff_tables(get_engine(bare), build_metadata(PREFIX)) == []
    assert partner("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant


def test_eight_processes_may_upgrade_at_once(bare: Flask) -> None:
    assert upgrade_at_once(get_engine(bare)) == []
    assert migration.diff_tables(get_engine(bare), build_metadata(PREFIX)) == []


def upgrade_at_once(engine: Engine) -> list[Exception]:
    """Upgrade to the newest revision in eight threads. Return what they raised."""
    failures = list[Exception]()

    def upgrade() -> None:
        try:
            migration.upgrade(engine, PREFIX)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_another_prefix_names_every_table(make_app: Callable[..., Flask]) -> None:
    app = make_app(PROVISIONING_TABLE_PREFIX="abcdefghij_lmnopqrst")
    assert tables(get_engine(app)) == {name.replace(PREFIX, "abcdefghij_lmnopqrst") for name in TABLES}
    assert run(app, "db", "check").exit_code == 0
    partner = Caller(app)
    taken = partner.create(external_id="x-1")
    assert partner("POST", "/tenants", json={"client_name": "B", "email": taken["email"]}).status_code == 409


def test_a_hosts_autogenerate_leaves_our_tables_alone(make_app: Callable[..., Flask]) -> None:
    engine = get_engine(make_app())
    theirs = MetaData()
    Table("host_things", theirs, Column("id", Integer, primary_key=True))
    theirs.create_all(engine)
    with engine.connect() as connection:
        seeing = compare_metadata(MigrationContext.configure(connection), theirs)
        options = {"include_name": migration.exclude_ours(PREFIX)}
        filtered = compare_metadata(MigrationContext.configure(connection, opts=options), theirs)
    assert {change[0] for change in seeing if isinstance(change[0], str)} >= {"remove_table"}
    assert filtered == []


def test_our_version_table_is_not_the_hosts(make_app: Callable[..., Flask]) -> None:
    engine = get_engine(make_app())
    assert "alembic_version" not in tables(engine)
    ours = Table(f"{PREFIX}alembic_version", MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        assert connection.execute(select(ours)).scalar_one() == migration.get_head_revision()


def test_missing_tables_return_503_and_log_the_fix(bare: Flask, caplog: pytest.LogCaptureFixture) -> None:
    response = Caller(bare)("GET", "/tenants")
    assert (response.status_code, response.get_json()["code"]) == (503, "storage-unavailable")
    assert response.headers["Retry-After"] == "2"
    assert "flask provisioning db upgrade" in caplog.text


def change_tables(app: Flask, statement: str) -> None:
    with get_engine(app).begin() as connection:
        connection.exec_driver_sql(statement)


def is_postgresql(app: Flask) -> bool:
    return bool(get_engine(app).dialect.name == "postgresql")
