"""Behind PgBouncer: each transaction may run in another session, and nothing that a client left there is its own."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import URL, create_engine, text

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning
from tests.support.callers import Caller
from tests.support.commands import run_command
from tests.support.conformance import run_suite, write_host
from tests.support.database import pgbouncer, postgresql
from tests.support.database.faults import TENANT, assert_storage_unavailable, observe_database, wait_until
from tests.support.database.transactions import require_whole_units
from tests.support.hosts import get_engine, make_config
from tests.support.servers import run_concurrently

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]

CLIENTS = 8
CALLS = 40
ADVICE = "set PROVISIONING_DATABASE_POOLER to 'transaction'"
Mount = Callable[..., Caller]


@pytest.fixture
def database(postgresql_url: str) -> Iterator[URL]:
    """An empty database; a schema of one would need startup options, which PgBouncer refuses."""
    server, _ = postgresql.find_server()
    assert server is not None
    url = postgresql.create_database(server)
    yield url
    postgresql.drop_database(url)


@pytest.fixture
def pooled(database: URL) -> Iterator[URL]:
    """The same through PgBouncer, whose server connections are lent for a transaction."""
    with pgbouncer.start_pgbouncer(database, "transaction") as url:
        yield url


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts the API of a host, on an engine of its own or on the host's."""
    apps: list[Flask] = []

    def mount_on(db: Any, **config: Any) -> Caller:
        app = Flask("host")
        app.config.update(make_config(**config))
        provisioning = TenantProvisioning()
        provisioning.map_error(ValueError, status=409, code="refused-by-hook")

        @provisioning.hook("tenant.update")
        def refuse(session: Any, tenant: dict[str, Any]) -> None:
            session.execute(text("SELECT 1"))
            if tenant["industry"] == "no":
                raise ValueError

        provisioning.init_app(app, db)
        apps.append(app)
        return Caller(app)

    yield mount_on
    for app in apps:
        get_engine(app).dispose()


def format_url(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def crowd(app: Flask) -> Counter[int]:
    """Return the statuses of mixed concurrent calls by several partners; each sees only its own tenants."""

    def call(number: int) -> Counter[int]:
        partner, seen = Caller(app, f"partner-{number % 4}"), Counter[int]()
        for turn in range(CALLS):
            body = {"client_name": partner.partner, "email": f"{number}-{turn}@example.com"}
            response = partner("POST", "/tenants", json=body)
            at = f"/tenants/{response.get_json()['tenant']}"
            listed = partner("GET", "/tenants?limit=50")
            assert {item["client_name"] for item in listed.get_json()["items"]} == {partner.partner}
            changed = partner("PATCH", at, json={"industry": "Arts"})
            seen.update(response.status_code for response in (response, listed, changed, partner("DELETE", at)))
        return seen

    outcomes = run_concurrently(CLIENTS, call)
    assert all(isinstance(outcome, Counter) for outcome in outcomes), outcomes
    return sum(outcomes, Counter[int]())


@pytest.mark.parametrize("config", [{"PROVISIONING_DATABASE_POOLER": "transaction"}, {}], ids=["named", "recognised"])
@pytest.mark.parametrize("ours", [True, False], ids=["our engine", "the host's engine"])
def test_many_clients_share_few_server_connections(
    mount: Mount, pooled: URL, config: dict[str, Any], ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"pool_size": CLIENTS, "max_overflow": 0}
    db = format_url(pooled) if ours else create_engine(pooled, **options)
    partner = mount(db, PROVISIONING_DATABASE_OPTIONS=options, **config)
    require_whole_units(partner)
    assert crowd(partner.app) == {201: CLIENTS * CALLS, 200: 3 * CLIENTS * CALLS}
    assert (ADVICE in caplog.text) is (not config)
    with observe_database(pooled) as ask:
        assert ask("SELECT count(*) FROM pg_prepared_statements") == [0]


def test_the_suite_for_hosts_holds_behind_pgbouncer(pooled: URL, tmp_path: Path) -> None:
    write_host(tmp_path)
    config = {
        "PROVISIONING_DATABASE_URL": format_url(pooled),
        "PROVISIONING_DATABASE_POOLER": "transaction",
        "PROVISIONING_AUTO_MIGRATE": True,
    }
    done = run_suite(tmp_path, config=config)
    held, failed, _ = done.counts
    assert (done.status, failed) == (0, 0), done
    assert held > 500


def test_undeclared_pooler_is_reported_by_log_and_doctor(
    mount: Mount, pooled: URL, caplog: pytest.LogCaptureFixture
) -> None:
    partner = mount(format_url(pooled))
    assert "PROVISIONING_STATEMENT_TIMEOUT_SECONDS has no effect, since a pooler refuses it" in caplog.text
    partner.create()
    assert caplog.text.count(ADVICE) == 1
    output = run_command(partner.app, "doctor").out
    assert re.search(r"^warn  pooler +a pooler is used, and PROVISIONING_DATABASE_POOLER is not set / ", output, re.M)


def test_a_named_pooler_is_asked_whether_statements_end(mount: Mount, pooled: URL, database: URL) -> None:
    output = run_command(mount(format_url(pooled), PROVISIONING_DATABASE_POOLER="transaction").app, "doctor").out
    assert re.search(r"^warn  pooler +transaction: statements have no timeout / ALTER ROLE", output, re.M)
    with observe_database(database) as ask:
        ask(f'ALTER DATABASE "{database.database}" SET statement_timeout = 10000')
        ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()")  # fmt: skip
    output = run_command(mount(format_url(pooled), PROVISIONING_DATABASE_POOLER="transaction").app, "doctor").out
    assert re.search(r"^ok    pooler +transaction$", output, re.M)


def test_options_of_the_hosts_own_that_a_pooler_refuses_are_named_at_start(mount: Mount, pooled: URL) -> None:
    url = pooled.update_query_dict({"options": "-csearch_path=acme"})
    for config in ({}, {"PROVISIONING_DATABASE_POOLER": "transaction"}):
        with pytest.raises(ConfigurationError, match="take `options` out of the URL"):
            mount(format_url(url), **config)


def test_session_pooling_prepares_statements(mount: Mount, database: URL) -> None:
    with pgbouncer.start_pgbouncer(database, "session") as url:
        options = {"pool_size": 1, "max_overflow": 0}
        config = {"PROVISIONING_DATABASE_POOLER": "session", "PROVISIONING_DATABASE_OPTIONS": options}
        partner = mount(format_url(url), PROVISIONING_STATEMENT_TIMEOUT_SECONDS=0, **config)
        for _ in range(10):
            partner.create()
        with get_engine(partner.app).connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar()


def test_statements_that_a_pooler_mixes_up_run_again_unprepared(
    mount: Mount, pooled: URL, caplog: pytest.LogCaptureFixture
) -> None:
    """A pooler that cannot be recognised: the key says that sessions are whole, and they are not."""
    options = {"pool_size": CLIENTS, "max_overflow": 0, "connect_args": {"prepare_threshold": 0}}
    config = {"PROVISIONING_DATABASE_POOLER": "session", "PROVISIONING_DATABASE_OPTIONS": options}
    partner = mount(format_url(pooled), PROVISIONING_STATEMENT_TIMEOUT_SECONDS=0, **config)
    barrier = threading.Barrier(CLIENTS)

    def create(number: int) -> int:
        barrier.wait(30)
        own = Caller(partner.app, f"partner-{number}")
        return own("POST", "/tenants", json={**TENANT, "email": f"{number}@example.com"}).status_code

    assert run_concurrently(CLIENTS, create) == [201] * CLIENTS
    assert ADVICE in caplog.text


@pytest.mark.parametrize("moment", ["with the hook's", "before COMMIT"])
def test_a_server_connection_that_dies_in_a_transaction_is_no_failure_of_ours(
    pooled: URL, database: URL, moment: str
) -> None:
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_DATABASE_POOLER="transaction"))
    provisioning = TenantProvisioning()

    @provisioning.hook("tenant.suspend")
    def kill(session: Any) -> None:
        with observe_database(database) as ask:
            pid = session.scalar(text("SELECT pg_backend_pid()"))
            ask("SELECT pg_terminate_backend(:pid)", pid=pid)
            wait_until(lambda: not ask("SELECT 1 FROM pg_stat_activity WHERE pid = :pid", pid=pid))
        if moment == "with the hook's":
            session.scalar(text("SELECT 1"))

    provisioning.init_app(app, format_url(pooled))
    partner = Caller(app)
    at = f"/tenants/{partner.create()['tenant']}"
    assert_storage_unavailable(partner("POST", f"{at}/suspend", json={}))
    assert partner("GET", at).get_json()["status"] == "active"
    assert partner("PATCH", at, json={"industry": "Arts"}).status_code == 200
    get_engine(app).dispose()
