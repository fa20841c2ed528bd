"""The primary goes and another comes: connections to the old one are let go, and writes go on."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import create_engine, event, text

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.database.session import RECONNECT_SECONDS, Storage
from flask_tenant_provisioning.database.statements import Statement
from flask_tenant_provisioning.errors import StorageUnavailable
from tests.support.callers import Caller
from tests.support.clock import Clock
from tests.support.commands import run_command
from tests.support.database.faults import READ_ONLY, TENANT, assert_storage_unavailable, observe_database
from tests.support.database.rows import get_storage
from tests.support.hosts import get_engine, make_config
from tests.support.storms.cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]
THREADS = 4


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    try:
        new_cluster = Cluster()
    except RuntimeError as error:
        pytest.skip(f"PostgreSQL: not found ({error})")
    yield new_cluster
    new_cluster.stop("immediate")


@pytest.fixture(params=["ours", "the host's"])
def partner(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Caller]:
    """A partner of an app on that cluster, on an engine of its own or of the host's."""
    url = cluster.url.render_as_string(hide_password=False)
    app = Flask("host")
    app.config.update(make_config())
    TenantProvisioning().init_app(app, url if request.param == "ours" else create_engine(url))
    yield Caller(app)
    get_engine(app).dispose()


def set_read_only(cluster: Cluster, value: str) -> None:
    """Have each session that begins from now on refuse writes, or take them; those that are there stay as they are."""
    with observe_database(cluster.url) as ask:
        ask("SET default_transaction_read_only = off")
        ask(f"ALTER DATABASE postgres SET default_transaction_read_only = {value}")


def demote(cluster: Cluster) -> None:
    """End each session, and let new ones refuse writes, as a primary does that becomes a standby."""
    set_read_only(cluster, "on")
    with observe_database(cluster.url) as ask:
        ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename <> ''")


def create(partner: Caller) -> int:
    body = {**TENANT, "email": f"{time.monotonic_ns()}-{threading.get_ident()}@example.com"}
    return partner("POST", "/tenants", json=body).status_code


def create_concurrently(partner: Caller) -> Counter[int]:
    """The statuses of creates by several threads, each with a connection of its own."""
    statuses: Counter[int] = Counter()
    barrier = threading.Barrier(THREADS)

    def run_one() -> None:
        barrier.wait(30)
        statuses[create(Caller(partner.app, partner.partner))] += 1

    threads = [threading.Thread(target=run_one) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def health(partner: Caller) -> tuple[str, str]:
    document = partner.with_roles("provisioning-admin")("GET", "/health").get_json()
    return document["status"], document["database"]["status"]


def test_writes_go_on_within_two_seconds_of_a_new_primary(partner: Caller, cluster: Cluster) -> None:
    assert create(partner) == 201
    assert health(partner) == ("ok", "ok")
    demote(cluster)
    try:
        for _ in range(4):
            assert create_concurrently(partner) == {503: THREADS}
        assert_storage_unavailable(partner("POST", "/tenants", json=TENANT), READ_ONLY)
        assert partner("GET", "/tenants").status_code == 200
        assert health(partner) == ("degraded", "read-only")
        result = run_command(partner.app, "doctor")
        assert result.status == 1
        assert "it is read-only / connect to the primary" in result.out
    finally:
        set_read_only(cluster, "off")
    end = time.monotonic() + 2
    while (seen := create(partner)) != 201 and time.monotonic() < end:
        time.sleep(0.05)
    assert seen == 201
    assert create_concurrently(partner) == {201: THREADS}
    assert health(partner) == ("ok", "ok")


@pytest.fixture
def frozen(partner: Caller) -> tuple[Storage, Clock]:
    """The same app's tables, and a clock that stands."""
    storage, clock = get_storage(partner.app), Clock()
    return Storage(storage.engine, storage.metadata, owns_engine=True, monotonic=clock), clock


def test_takes_writes_discards_read_only_connections(frozen: tuple[Storage, Clock], cluster: Cluster) -> None:
    storage, clock = frozen
    demote(cluster)
    try:
        assert not storage.takes_writes()
    finally:
        set_read_only(cluster, "off")
    assert not storage.takes_writes()
    clock.now += RECONNECT_SECONDS
    assert storage.takes_writes()


def test_a_server_that_takes_no_writes_is_not_asked_for_a_connection_by_each(
    frozen: tuple[Storage, Clock], cluster: Cluster
) -> None:
    storage, clock = frozen
    opened: list[object] = []
    event.listen(storage.engine, "connect", lambda connection, _: opened.append(connection))
    insert = Statement(text("COMMENT ON DATABASE postgres IS 'written'"), storage.engine.dialect)

    def write() -> int:
        for _ in range(20):
            with pytest.raises(StorageUnavailable, match=READ_ONLY):
                storage.transaction(lambda session: session.run(insert, {}))
        return len(opened)

    demote(cluster)
    try:
        assert write() <= 2
        opened.clear()
        clock.now += RECONNECT_SECONDS
        assert write() == 1
    finally:
        set_read_only(cluster, "off")
    clock.now += RECONNECT_SECONDS
    storage.transaction(lambda session: session.run(insert, {}))


@pytest.mark.parametrize("state", ["57P01", "57P02", "57P05", "08006", "25P03"])
def test_a_connection_that_the_server_gives_up_is_not_used_again(make_pg_app: Callable[..., Flask], state: str) -> None:
    app = make_pg_app(PROVISIONING_DATABASE_OPTIONS={"pool_size": 1, "max_overflow": 0})
    partner = Caller(app)
    partner.create()
    pid = "SELECT pg_backend_pid()"
    with observe_database(get_engine(app).url) as ask, get_engine(app).connect() as connection:
        before = connection.exec_driver_sql(pid).scalar()
        giving_up = f"IF NEW.industry = 'gone' THEN RAISE EXCEPTION 'gone' USING ERRCODE = '{state}'; END IF;"
        ask(f"CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {giving_up} RETURN NEW; END $$")
        ask("CREATE TRIGGER give_up BEFORE INSERT ON provisioning_tenants FOR EACH ROW EXECUTE FUNCTION give_up()")
    assert_storage_unavailable(partner("POST", "/tenants", json={**TENANT, "industry": "gone"}))
    with get_engine(app).connect() as connection:
        assert connection.exec_driver_sql(pid).scalar() != before
    assert partner("POST", "/tenants", json=TENANT).status_code == 201
