"""The indexes of filterable fields come and go with their declaration."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields
from sqlalchemy import inspect

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.database import indexes, migration
from flask_tenant_provisioning.tenants.custom_field_checks import make_tenant_fields
from flask_tenant_provisioning.tenants.models import make_custom_field_indexes
from tests.support.callers import Caller, tenant_path
from tests.support.commands import CommandResult, run_command
from tests.support.database.rows import get_storage
from tests.support.hosts import make_config

TABLE = "provisioning_tenants"


class Fields(Schema):
    region = fields.String()
    seats = fields.Integer()


class Host:
    """A host on one database, started again and again with other fields."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self.apps: list[Flask] = []

    def start(self, filterable: Sequence[str] | None, *, late: bool = False, migrate: bool = False) -> Flask:
        """A new app; `filterable` is None for one that declares no field, `late` declares them after `init_app`."""
        app, provisioning = Flask("host"), TenantProvisioning()
        app.config.update(make_config(PROVISIONING_AUTO_MIGRATE=migrate))
        steps: list[Callable[[], None]] = [lambda: provisioning.init_app(app, self._url)]
        if filterable is not None:
            steps.insert(1 if late else 0, lambda: provisioning.tenant_fields(Fields, filterable=filterable))
        for step in steps:
            step()
        self.apps.append(app)
        return app

    def indexes(self) -> set[str]:
        """The names of the indexes of its own fields, without what they all begin with."""
        beginning = f"{TABLE}_own_"
        with get_storage(self.apps[-1]).engine.connect() as connection:
            return {name.removeprefix(beginning) for name in indexes.list_index_names(connection, TABLE, beginning)}


def list_index_names(*names: str) -> set[str]:
    return {f"{name}_{kind}_idx" for name in names for kind in ("created", "name", "every")}


@pytest.fixture
def host(database_url: str) -> Iterator[Host]:
    new_host = Host(database_url)
    yield new_host
    for app in new_host.apps:
        get_storage(app).engine.dispose()


def check_indexes(app: Flask) -> CommandResult:
    return run_command(app, "db", "check")


def test_upgrade_creates_declared_indexes_and_drops_undeclared_ones(host: Host) -> None:
    for filterable in (["region"], ["region", "seats"], ["seats"], [], ["region"], None):
        app = host.start(filterable)
        run_command(app, "db", "upgrade")
        assert host.indexes() == list_index_names(*(filterable or ()))
        assert check_indexes(app) == CommandResult(0, "The tables match this release.\n", "")


def test_check_lists_missing_and_undeclared_indexes(host: Host) -> None:
    run_command(host.start(["seats"]), "db", "upgrade")
    app = host.start(["region"])
    status, _, err = check_indexes(app)
    assert status == 1
    lines = err.splitlines()
    assert len([line for line in lines if line.startswith("differs: missing: CREATE INDEX")]) == 3
    assert [line for line in lines if "no longer" in line] == [
        f"differs: no longer declared: {TABLE}_own_seats_{kind}_idx" for kind in ("created", "every", "name")
    ]
    assert f"at {migration.get_head_revision()}, with 6 differences" in run_command(app, "doctor").out


def test_the_statement_that_check_shows_makes_the_index(host: Host) -> None:
    run_command(host.start([]), "db", "upgrade")
    app = host.start(["region"])
    missing = [
        line.removeprefix("differs: missing: ") for line in check_indexes(app).err.splitlines() if "missing" in line
    ]
    with get_storage(app).engine.begin() as connection:
        for statement in missing:
            connection.exec_driver_sql(statement.replace("%%", "%"))
    assert check_indexes(app).status == 0


@pytest.mark.parametrize("late", [False, True], ids=["before init_app", "after init_app"])
def test_auto_migrate_makes_them_at_start(host: Host, late: bool) -> None:
    app = host.start(["region"], late=late, migrate=True)
    assert host.indexes() == list_index_names("region")
    host.start(["seats"], late=late, migrate=True)
    assert host.indexes() == list_index_names("seats")
    assert Caller(app).create(region="eu")["region"] == "eu"


def test_a_start_that_declares_none_yet_drops_none(host: Host) -> None:
    host.start(["region"], migrate=True)
    host.start(None, migrate=True)
    assert host.indexes() == list_index_names("region")


def test_foreign_index_is_kept(host: Host) -> None:
    run_command(host.start(["region"]), "db", "upgrade")
    with get_storage(host.apps[-1]).engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE INDEX mine_own_x_idx ON {TABLE} (plan)")
    run_command(host.start([]), "db", "upgrade")
    with get_storage(host.apps[-1]).engine.connect() as connection:
        assert "mine_own_x_idx" in {index["name"] for index in inspect(connection).get_indexes(TABLE)}


def test_eight_processes_may_upgrade_at_once(host: Host) -> None:
    app, failures = host.start(["region", "seats"]), []

    def upgrade() -> None:
        try:
            wanted = make_custom_field_indexes("provisioning_", make_tenant_fields(Fields, ["region", "seats"]))
            migration.upgrade(get_storage(app).engine, "provisioning_", indexes=wanted)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=upgrade) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert host.indexes() == list_index_names("region", "seats")


def test_the_indexes_go_with_the_tables_and_come_again(host: Host) -> None:
    app = host.start(["region"])
    run_command(app, "db", "upgrade")
    partner = Caller(app)
    partner.create(region="eu", seats=3)
    run_command(app, "db", "downgrade", "base", "--yes")
    run_command(app, "db", "upgrade")
    assert host.indexes() == list_index_names("region")
    tenant = partner.create(region="eu", seats=3)
    assert partner("GET", tenant_path(tenant)).get_json() == tenant


def test_a_revision_that_is_named_gets_no_indexes(host: Host) -> None:
    app = host.start(["region"])
    run_command(app, "db", "upgrade", "0001")
    assert host.indexes() == set()


def test_names_are_short_and_different() -> None:
    class Long(Schema):
        class Meta:
            include: Any = {  # noqa: RUF012
                name: fields.String()
                for name in ("a" * 63, "a" * 62 + "b", "Region", "region", "REGION", "x_created", "x")
            }

    own = make_tenant_fields(Long, list(Long().fields))
    for prefix in ("provisioning_", "a" * 20):
        names = [str(index.name) for index in make_custom_field_indexes(prefix, own).indexes]
        assert len({name.lower() for name in names}) == len(names) == 21
        assert max(map(len, names)) < 63
        assert all(name.startswith(f"{prefix}tenants_own_") for name in names)


def test_long_values_of_before_keep_no_index_from_being_made(host: Host) -> None:
    partner = Caller(host.start([], migrate=True))
    long, short = "".join(chr(0x1F300 + number * 37 % 700) for number in range(3000)), "eu"
    tenants = [partner.create(region=region)["tenant"] for region in (long, short)]
    later = Caller(host.start(["region"], migrate=True), partner.partner)
    assert host.indexes() == list_index_names("region")
    listed = later("GET", "/tenants?region=eu").get_json()["items"]
    assert [tenant["tenant"] for tenant in listed] == tenants[1:]
    assert later("GET", f"/tenants/{tenants[0]}").get_json()["region"] == long
    assert later("PATCH", f"/tenants/{tenants[0]}", json={"seats": 2}).status_code == 400
    assert later("PATCH", f"/tenants/{tenants[0]}", json={"region": "us"}).status_code == 200


def test_the_longest_values_fit_into_the_indexes(host: Host) -> None:
    app = host.start(["region"], migrate=True)
    partner = Caller(app, partner="\U0001f600" * 255)
    wide = "".join(chr(0x1F300 + number * 37 % 700) for number in range(255))
    tenant = partner.create(client_name=wide, region=wide[:100])
    assert [tenant] == partner("GET", "/tenants", query_string={"region": wide[:100]}).get_json()["items"]
