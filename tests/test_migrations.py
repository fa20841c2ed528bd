"""The packaged migrations: up, down, on data, beside a host's own."""

from __future__ import annotations

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
from tests.support.events import followed
from tests.witness import rows
from tests.world import Caller, engine_of, signed_license

pytestmark = pytest.mark.without_tables

PREFIX = "provisioning_"
NAMES = (
    "alembic_version", "tenants", "erasures", "events", "feeds", "usage", "idempotency", "runs", "steps",
    "webhooks", "deliveries", "attempts", "bulk_jobs", "bulk_chunks", "bulk_keys", "partners",
    "settings", "settings_history",
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
    assert tables(engine_of(bare)) == TABLES
    checked = run(bare, "db", "check")
    assert (checked.exit_code, checked.output) == (0, "The tables match this release.\n")


def test_check_names_what_differs(bare: Flask) -> None:
    run(bare, "db", "upgrade")
    with engine_of(bare).begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {PREFIX}events ADD COLUMN stray INTEGER")
    checked = run(bare, "db", "check")
    assert checked.exit_code == 1
    assert "stray" in checked.output
    assert "flask provisioning db upgrade" in checked.output


def test_downgrade_removes_the_tables(bare: Flask) -> None:
    run(bare, "db", "upgrade")
    assert run(bare, "db", "downgrade", "base", "--yes").output == "no tables\n"
    assert tables(engine_of(bare)) <= {f"{PREFIX}alembic_version"}


def test_upgrading_twice_keeps_the_rows(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    partner = Caller(app)
    made = partner.create()
    run(app, "db", "upgrade")
    assert partner("GET", f"/tenants/{made['tenant']}").get_json() == made


def test_events_of_before_the_feed_get_their_places(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    partner = Caller(app)
    made = [partner.create()["tenant"] for _ in range(3)]
    assert [event["tenant"] for event in followed(partner)] == made
    for _ in range(2):
        run(app, "db", "downgrade", "0003", "--yes")
        assert {row["position"] for row in rows(app, "events")} == {None}
        run(app, "db", "upgrade")
        assert [event["tenant"] for event in followed(partner)] == made


def test_settings_go_down_and_up_with_what_is_in_other_tables(make_app: Callable[..., Flask]) -> None:
    app = make_app(PROVISIONING_PARTNER_CACHE_SECONDS=3600)  # the partners' columns go too, and nobody asks for them
    partner = Caller(app)
    made = partner.create()
    path = f"/tenants/{made['tenant']}/settings"
    assert partner("PUT", path, json={}).status_code == 200
    run(app, "db", "downgrade", "0007", "--yes")
    assert tables(engine_of(app)) == TABLES - {f"{PREFIX}settings", f"{PREFIX}settings_history"}
    assert partner("GET", f"/tenants/{made['tenant']}").get_json() == made
    run(app, "db", "upgrade")
    assert partner("GET", path).get_json()["version"] == 0


def test_eight_processes_may_upgrade_at_once(bare: Flask) -> None:
    engine, failures = engine_of(bare), []

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
    assert failures == []
    assert migration.diff_tables(engine, build_metadata(PREFIX)) == []


def test_another_prefix_names_every_table(make_app: Callable[..., Flask]) -> None:
    app = make_app(PROVISIONING_TABLE_PREFIX="abcdefghij_lmnopqrst")
    assert tables(engine_of(app)) == {name.replace(PREFIX, "abcdefghij_lmnopqrst") for name in TABLES}
    assert run(app, "db", "check").exit_code == 0
    partner = Caller(app)
    taken = partner.create(external_id="x-1")
    assert partner("POST", "/tenants", json={"client_name": "B", "email": taken["email"]}).status_code == 409


def test_a_hosts_autogenerate_leaves_our_tables_alone(make_app: Callable[..., Flask]) -> None:
    engine = engine_of(make_app())
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
    engine = engine_of(make_app())
    assert "alembic_version" not in tables(engine)
    ours = Table(f"{PREFIX}alembic_version", MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        assert connection.execute(select(ours)).scalar_one() == migration.get_head_revision()


def test_missing_tables_answer_503_and_the_log_says_what_to_do(bare: Flask, caplog: pytest.LogCaptureFixture) -> None:
    answer = Caller(bare)("GET", "/tenants")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "storage-unavailable")
    assert answer.headers["Retry-After"] == "2"
    assert "flask provisioning db upgrade" in caplog.text


def test_the_counter_of_everybody_makes_way_for_a_partner_of_that_name(make_app: Callable[..., Flask]) -> None:
    app = make_app(PROVISIONING_LICENSE=signed_license(max_tenants=3))
    star, admin = Caller(app, partner="*"), Caller(app, roles=["provisioning-admin"])
    star.create()
    admin("PUT", "/partners/*", json={"max_tenants": 2})
    run(app, "db", "downgrade", "0007", "--yes")
    assert rows_of_usage(app) == [("*", 1)]
    run(app, "db", "upgrade")
    assert rows_of_usage(app) == [("", 1)]
    star.create()
    assert rows_of_usage(app) == [("", 2)]


def test_whoever_has_tenants_is_registered(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    old, known = Caller(app, partner="old"), Caller(app, partner="known")
    first, _ = old.create(), old.create()
    known.create()
    run(app, "db", "downgrade", "0007", "--yes")
    with engine_of(app).begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM {PREFIX}partners WHERE partner_id = 'old'")
    run(app, "db", "upgrade")
    admin = Caller(app, roles=["provisioning-admin"])
    assert [one["partner"] for one in admin("GET", "/partners").get_json()["items"]] == ["known", "old"]
    found = admin("GET", "/partners/old").get_json()
    assert (found["status"], found["version"], found["created_at"]) == ("active", 1, first["created_at"])


def rows_of_usage(app: Flask) -> list[tuple[str, int]]:
    """Each counter, in tables of whichever revision."""
    usage = Table(f"{PREFIX}usage", MetaData(), autoload_with=engine_of(app))
    with engine_of(app).connect() as connection:
        found = connection.execute(select(usage.c.partner_id, usage.c.tenants)).all()
    return [(scope, int(tenants)) for scope, tenants in found]
