"""Units of work: whole or not at all, repeated when the database asks for it, and refused in clear words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine, make_url, select, text

from flask_tenant_provisioning.access.principal import Actor, Principal
from flask_tenant_provisioning.config import Config
from flask_tenant_provisioning.database.errors import StaleRead
from flask_tenant_provisioning.database.session import Session, Storage
from flask_tenant_provisioning.errors import StorageUnavailable
from flask_tenant_provisioning.licensing.source import LicenseSource
from flask_tenant_provisioning.tenants import actions
from flask_tenant_provisioning.tenants.quotas import Allowance
from tests.support.assertions import check_problem
from tests.support.callers import Caller
from tests.support.hosts import make_config, make_host

ACTOR = Actor(Principal("tester", "acme"))
LICENSE = LicenseSource(Config.read(make_config(), {}))
LICENSE.load()
ALLOWANCE = Allowance(LICENSE, ())
VALUES = {"client_name": "A", "name_key": "a", "email": "a@example.com", "email_key": "a@example.com"}
notes = Table("host_notes", MetaData(), Column("id", Integer, primary_key=True), Column("text", String(50)))


@pytest.fixture
def storage(make_app: Callable[..., Flask]) -> Storage:
    """The storage of an app with a database of its own."""
    opened: Storage = make_app().extensions["tenant_provisioning"]["provisioning"].storage
    return opened


def count(storage: Storage, name: str = "tenants") -> int:
    with storage.engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM provisioning_{name}")).scalar_one())


def create(session: Session) -> Any:
    return actions.create(session, ACTOR, "acme", VALUES, ALLOWANCE)


def test_a_unit_that_fails_leaves_nothing(storage: Storage) -> None:
    def work(session: Session) -> None:
        create(session)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        storage.transaction(work)
    assert (count(storage), count(storage, "events")) == (0, 0)


def test_current_session_is_per_thread(storage: Storage) -> None:
    seen: list[Session | None] = []

    def work(session: Session) -> None:
        assert storage.current_session is session
        thread = threading.Thread(target=lambda: seen.append(storage.current_session))
        thread.start()
        thread.join()
        raise ZeroDivisionError

    for unit in (storage.read, storage.run_autocommit, storage.transaction):
        with pytest.raises(ZeroDivisionError):
            unit(work)
        assert storage.current_session is None
    assert seen == [None] * 3


def test_the_hosts_own_rows_commit_with_the_tenant(storage: Storage) -> None:
    notes.metadata.create_all(storage.engine)

    def work(session: Session) -> None:
        session.orm.execute(notes.insert().values(text=create(session).id))

    storage.transaction(work)
    with storage.engine.connect() as connection:
        assert len(connection.execute(select(notes)).fetchall()) == count(storage) == 1


def test_the_hosts_own_rows_go_back_with_the_tenant(storage: Storage) -> None:
    notes.metadata.create_all(storage.engine)

    def work(session: Session) -> None:
        create(session)
        session.orm.execute(notes.insert().values(text="gone"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        storage.transaction(work)
    with storage.engine.connect() as connection:
        assert connection.execute(select(notes)).fetchall() == []
    assert count(storage) == 0


def test_stale_read_runs_the_unit_again(storage: Storage) -> None:
    tries: list[str] = []

    def work(session: Session) -> str:
        tries.append(create(session).id)
        if len(tries) < 3:
            raise StaleRead("changed by another unit")
        return tries[-1]

    assert storage.transaction(work) == tries[2]
    assert (count(storage), count(storage, "events")) == (1, 1)


def test_patience_is_bounded(storage: Storage) -> None:
    naps: list[float] = []
    impatient = Storage(storage.engine, storage.metadata, attempts=4, sleep=naps.append)

    def work(session: Session) -> None:
        raise StaleRead("again")

    with pytest.raises(StorageUnavailable):
        impatient.transaction(work)
    assert len(naps) == 3
    assert all(0 < nap < 0.5 for nap in naps)


def test_serialization_failures_are_retried(storage: Storage) -> None:
    """PostgreSQL's SERIALIZABLE does not let two units commit that read each other's writes."""
    if storage.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer")
    strict = create_engine(storage.engine.url, isolation_level="SERIALIZABLE")
    serializable = Storage(strict, storage.metadata)
    barrier = threading.Barrier(2)
    tries: list[int] = []

    def make_work(number: int) -> Callable[[Session], None]:
        def work(session: Session) -> None:
            tries.append(number)
            count = session.orm.execute(text("SELECT count(*) FROM provisioning_tenants")).scalar_one()
            if tries.count(number) == 1:
                barrier.wait(10)
            values = {**VALUES, "email_key": f"{number}@example.com", "client_name": f"{count} before me"}
            actions.create(session, ACTOR, "acme", values, ALLOWANCE)

        return work

    threads = [threading.Thread(target=serializable.transaction, args=(make_work(n),)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with storage.engine.connect() as connection:
        names = connection.execute(text("SELECT client_name FROM provisioning_tenants ORDER BY 1")).scalars().all()
    assert names == ["0 before me", "1 before me"]
    assert len(tries) > 2
    strict.dispose()


def test_a_connection_that_died_in_the_pool_fails_no_read(make_app: Callable[..., Flask], database: str) -> None:
    if database != "postgresql":
        pytest.skip("SQLite has no server")
    named = {"connect_args": {"application_name": "doomed"}}
    app = make_app(PROVISIONING_DATABASE_OPTIONS=named)
    partner = Caller(app)
    tenant = partner.create()
    kill_connections(app.extensions["tenant_provisioning"]["provisioning"].storage.engine)
    assert partner("GET", f"/tenants/{tenant['tenant']}").status_code == 200
    assert partner("POST", "/tenants", json={"client_name": "B", "email": "b@example.com"}).status_code == 201


def test_a_time_limit_in_the_url_is_kept_and_one_in_the_options_wins(database_url: str, database: str) -> None:
    key = "connect_timeout" if database == "postgresql" else "timeout"
    url = make_url(database_url).update_query_dict({key: "7"}).render_as_string(hide_password=False)

    def limit(**config: Any) -> float:
        storage: Storage = make_host(url, **config).extensions["tenant_provisioning"]["provisioning"].storage
        with storage.engine.connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            if database == "postgresql":
                return float(driver.info.get_parameters()["connect_timeout"])
            return float(driver.execute("PRAGMA busy_timeout").fetchone()[0]) / 1000

    assert limit() == 7
    assert limit(PROVISIONING_DATABASE_OPTIONS={"connect_args": {key: 9}}) == 9


def kill_connections(engine: Engine) -> None:
    """End every pooled connection from the server's side."""
    killer = create_engine(engine.url, isolation_level="AUTOCOMMIT")
    with killer.connect() as connection:
        mine = "datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'doomed'"
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"))
    killer.dispose()


def test_an_exhausted_pool_answers_503(make_app: Callable[..., Flask]) -> None:
    app = make_app(PROVISIONING_DATABASE_OPTIONS={"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1})
    partner = Caller(app)
    engine = app.extensions["tenant_provisioning"]["provisioning"].storage.engine
    with engine.connect():
        response = partner("GET", "/tenants")
        check_problem(
            response, code="storage-unavailable", status=503, detail="The database does not answer at the moment."
        )
        assert response.headers["Retry-After"] == "2"
    assert partner("GET", "/tenants").status_code == 200


def test_an_unreachable_server_answers_503_and_says_nothing_of_it(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    storage = app.extensions["tenant_provisioning"]["provisioning"].storage
    storage.engine.dispose()
    away = create_engine("postgresql+psycopg://nobody:hidden@127.0.0.1:9/none")
    partner = Caller(app)
    app.extensions["tenant_provisioning"]["provisioning"].__dict__["storage"] = Storage(away, storage.metadata)
    for method, options in (("GET", {}), ("POST", {"json": {"client_name": "A", "email": "a@example.com"}})):
        response = partner(method, "/tenants", **options)
        document = check_problem(response, code="storage-unavailable", status=503)
        assert "hidden" not in str(document)
        assert "127.0.0.1" not in str(document)
