"""Database failures: refused requests, retried requests, and never a lost or a doubled write."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from werkzeug.test import TestResponse

from flask_tenant_provisioning.database.errors import FailureKind, UniqueViolation, classify_failure
from flask_tenant_provisioning.database.migration import upgrade
from flask_tenant_provisioning.database.session import Session, Storage
from flask_tenant_provisioning.errors import StorageUnavailable
from tests.support.assertions import check_problem
from tests.support.callers import EXAMPLE, Caller
from tests.support.database import postgresql
from tests.support.database.faults import (
    READ_ONLY,
    TENANT,
    assert_storage_unavailable,
    create_notes_table,
    get_backend_pid,
    kill_backend,
    notes,
    observe_database,
    open_apps,
    run,
    wait_until,
)
from tests.support.hosts import get_engine
from tests.support.servers import run_concurrently
from tests.support.storms.wire import Wire


@pytest.fixture(scope="module")
def notes_storage(app: Flask) -> Storage:
    """The storage of the shared app, and in its database a table of the host."""
    return create_notes_table(app)


@pytest.fixture
def storage(notes_storage: Storage) -> Storage:
    """The same; the table is empty."""
    return empty_notes(notes_storage)


@pytest.fixture(scope="module")
def noting_pg(postgresql_url: str) -> Iterator[Storage]:
    schema = postgresql.create_schema(make_url(postgresql_url))
    with open_apps(schema.render_as_string(hide_password=False)) as make:
        yield create_notes_table(make())


@pytest.fixture
def pg(noting_pg: Storage) -> Storage:
    """The same, on PostgreSQL alone."""
    return empty_notes(noting_pg)


@pytest.fixture
def make_file_app(file: Path) -> Iterator[Callable[..., Flask]]:
    """Builds host apps on the SQLite `file`; `url` names another way to it."""
    with open_apps(f"sqlite:///{file}") as make:
        yield make


@pytest.fixture
def wire(empty_postgresql_database: str) -> Iterator[Wire]:
    """A wire that can be cut, to a PostgreSQL schema of this test's own."""
    new_wire = Wire(make_url(empty_postgresql_database))
    yield new_wire
    new_wire.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The path of a new SQLite database."""
    return tmp_path / "provisioning.sqlite3"


def empty_notes(storage: Storage) -> Storage:
    with storage.engine.begin() as connection:
        connection.execute(notes.delete())
    return storage


def note(session: Session, number: int = 1) -> None:
    run(session, f"INSERT INTO host_notes (id, text) VALUES ({number}, 'new')")


def read_notes(storage: Storage) -> list[tuple[int, str]]:
    with storage.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT id, text FROM host_notes ORDER BY id"))]


def rows(app: Flask, table: str) -> int:
    with get_engine(app).connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM provisioning_{table}")).scalar_one())


# The server is gone, silent or full


def test_a_server_that_takes_the_call_and_says_nothing_answers_503(make_pg_app: Callable[..., Flask]) -> None:
    app = make_pg_app()
    storage = create_notes_table(app)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        away = create_engine(url, connect_args={"connect_timeout": 2})
        app.extensions["tenant_provisioning"]["provisioning"].__dict__["storage"] = Storage(away, storage.metadata)
        assert_storage_unavailable(Caller(app)("POST", "/tenants", json=TENANT))
    storage.engine.dispose()


def test_an_exhausted_pool_refuses_a_write(make_app: Callable[..., Flask]) -> None:
    app = make_app(PROVISIONING_DATABASE_OPTIONS={"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1})
    partner = Caller(app)
    with get_engine(app).connect():
        assert_storage_unavailable(partner("POST", "/tenants", json=TENANT))
        assert_storage_unavailable(partner("POST", "/tenants", json=TENANT, headers={"Idempotency-Key": "k"}))
    assert partner("POST", "/tenants", json=TENANT).status_code == 201


def test_one_dead_connection_clears_the_pool_of_all(pg: Storage) -> None:
    barrier = threading.Barrier(5)

    def meet(session: Session) -> int:
        barrier.wait(10)
        return get_backend_pid(session)

    pids = run_concurrently(5, lambda _: pg.read(meet))
    for pid in pids:
        kill_backend(pg.engine.url, pid)
    with pytest.raises(StorageUnavailable):
        pg.run_autocommit(note)
    barrier.reset()
    again = run_concurrently(5, lambda _: pg.run_autocommit(meet))
    assert all(isinstance(pid, int) and pid not in pids for pid in again), again


def test_a_server_that_vanishes_is_given_up_in_seconds(make_pg_app: Callable[..., Flask]) -> None:
    engine = get_engine(make_pg_app())
    with engine.connect() as connection, socket.socket(fileno=os.dup(connection.connection.fileno())) as wire:
        options = [wire.getsockopt(socket.IPPROTO_TCP, name) for name in (18, 4, 5)]
    assert options == [10_000, 5, 5]


@pytest.mark.parametrize(
    "state",
    ["53100", "53200", "25006", "25P03", "57014", "57P01", "58030", "40003", "55P03", "40001", "42501", "XX000"],
)
def test_database_failures_return_503(failing_app: Flask, state: str) -> None:
    """Disk full, memory full, read-only, ended, canceled, shut down, I/O, outcome unknown, locked, serialization,
    without a privilege, internal."""
    for headers in ({}, {"Idempotency-Key": "k"}):
        detail = {"25006": {"detail": READ_ONLY}, "42501": {"detail": "The database is not ready."}}.get(state, {})
        assert_storage_unavailable(
            Caller(failing_app)("POST", "/tenants", json={**TENANT, "industry": state}, headers=headers), **detail
        )
    assert (rows(failing_app, "tenants"), rows(failing_app, "events"), rows(failing_app, "idempotency")) == (0, 0, 0)


@pytest.fixture(scope="module")
def failing_app(postgresql_url: str) -> Iterator[Flask]:
    """An app whose database refuses each new tenant with the SQLSTATE that stands in its industry."""
    schema = postgresql.create_schema(make_url(postgresql_url))
    with open_apps(schema.render_as_string(hide_password=False)) as make, observe_database(schema) as ask:
        app = make(PROVISIONING_TRANSACTION_ATTEMPTS=2)
        raising = "BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = NEW.industry; END"
        ask(f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ {raising} $$")
        ask("CREATE TRIGGER fail BEFORE INSERT ON provisioning_tenants FOR EACH ROW EXECUTE FUNCTION fail()")
        yield app


def test_a_read_only_server_serves_reads(make_pg_app: Callable[..., Flask]) -> None:
    caller = Caller(make_pg_app())
    tenant = caller.create()["tenant"]
    standby = {"connect_args": {"options": f"{get_options(caller.app)} -cdefault_transaction_read_only=on"}}
    app = make_pg_app(PROVISIONING_DATABASE_OPTIONS=standby, PROVISIONING_AUTO_MIGRATE=False)
    partner = Caller(app, caller.partner)
    assert_storage_unavailable(partner("POST", "/tenants", json=TENANT), READ_ONLY)
    assert_storage_unavailable(partner("PATCH", f"/tenants/{tenant}", json={"industry": "Arts"}), READ_ONLY)
    assert partner("GET", f"/tenants/{tenant}").status_code == 200


def get_options(app: Flask) -> Any:
    return get_engine(app).url.query["options"]


# SQLite's file


def test_a_full_disk_refuses_writes_and_leaves_nothing(make_file_app: Callable[..., Flask]) -> None:
    app = make_file_app(PROVISIONING_DATABASE_OPTIONS={"pool_size": 1, "max_overflow": 0})
    partner = Caller(app)
    with get_engine(app).connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    big = {"metadata": {f"key-{n}": "x" * 500 for n in range(50)}}
    responses = [
        partner("POST", "/tenants", json={**TENANT, **big}, headers=headers)
        for headers in ({}, {"Idempotency-Key": "k"})
    ]
    for response in responses:
        assert_storage_unavailable(response)
    assert (rows(app, "tenants"), rows(app, "events"), rows(app, "idempotency")) == (0, 0, 0)


def test_a_read_only_file_serves_reads(file: Path, make_file_app: Callable[..., Flask]) -> None:
    caller = Caller(make_file_app())
    tenant = caller.create()["tenant"]
    app = make_file_app(f"sqlite:///file:{file}?mode=ro&uri=true", PROVISIONING_AUTO_MIGRATE=False)
    partner = Caller(app, caller.partner)
    assert_storage_unavailable(partner("POST", "/tenants", json=TENANT), READ_ONLY)
    assert partner("GET", f"/tenants/{tenant}").status_code == 200


def test_a_file_that_is_no_database_answers_503(file: Path, make_file_app: Callable[..., Flask]) -> None:
    file.write_bytes(b"something else entirely, and long enough to be looked at" * 100)
    partner = Caller(make_file_app(PROVISIONING_AUTO_MIGRATE=False))
    assert_storage_unavailable(partner("GET", "/tenants"))
    assert_storage_unavailable(partner("POST", "/tenants", json=TENANT))


def test_unreadable_database_file_returns_503_until_restored(file: Path, make_file_app: Callable[..., Flask]) -> None:
    make_file_app()
    away = file.rename(file.with_suffix(".away"))
    file.mkdir()
    partner = Caller(make_file_app(PROVISIONING_AUTO_MIGRATE=False))
    assert_storage_unavailable(partner("GET", "/tenants"))
    assert_storage_unavailable(partner("POST", "/tenants", json=TENANT))
    file.rmdir()
    away.rename(file)
    partner.create()


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_lock_of_another_process_returns_503_until_released(file: Path, make_file_app: Callable[..., Flask]) -> None:
    patient = {"connect_args": {"timeout": 0.1}}
    app = make_file_app(PROVISIONING_DATABASE_OPTIONS=patient, PROVISIONING_TRANSACTION_ATTEMPTS=2)
    partner = Caller(app)
    other = subprocess.Popen([sys.executable, "-c", HOLD, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        assert_storage_unavailable(partner("POST", "/tenants", json=TENANT))
        assert partner("GET", "/tenants").status_code == 200
        other.communicate()
    partner.create()


def test_a_locked_file_is_waited_for_no_longer_than_patience_lasts(
    file: Path, make_file_app: Callable[..., Flask]
) -> None:
    app = make_file_app(PROVISIONING_DATABASE_OPTIONS={"connect_args": {"timeout": 0.3}})
    impatient = Storage(get_engine(app), create_notes_table(app).metadata, attempts=50, patience=0.2)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    start = time.monotonic()
    with pytest.raises(StorageUnavailable):
        impatient.transaction(note)
    assert time.monotonic() - start < 10, "each of 50 attempts waits for 0.3 seconds"
    holder.close()


def test_a_thread_waits_for_another_one_no_longer_than_patience_lasts(make_file_app: Callable[..., Flask]) -> None:
    app = make_file_app()
    storage = Storage(get_engine(app), create_notes_table(app).metadata, patience=0.1)
    entered, leave = threading.Event(), threading.Event()

    def slow(session: Session) -> None:
        entered.set()
        assert leave.wait(10)
        note(session)

    thread = threading.Thread(target=storage.transaction, args=(slow,))
    thread.start()
    assert entered.wait(10)
    with pytest.raises(StorageUnavailable):
        storage.transaction(lambda session: note(session, 2))
    leave.set()
    thread.join()
    assert read_notes(storage) == [(1, "new")]


# A statement that takes too long


def test_a_statement_that_waits_too_long_answers_503(make_pg_app: Callable[..., Flask]) -> None:
    app = make_pg_app(PROVISIONING_STATEMENT_TIMEOUT_SECONDS=1)
    partner = Caller(app)
    tenant = partner.create()["tenant"]
    with get_engine(app).execution_options(isolation_level="READ COMMITTED").connect() as holder:
        holder.execute(text("SELECT 1 FROM provisioning_tenants FOR UPDATE"))
        assert_storage_unavailable(partner("PATCH", f"/tenants/{tenant}", json={"industry": "Arts"}))
    assert partner("PATCH", f"/tenants/{tenant}", json={"industry": "Arts"}).status_code == 200


@pytest.mark.parametrize(("seconds", "shown"), [(None, "10s"), (7, "7s"), (0, "0")])
def test_the_statement_timeout_stands_beside_the_urls_options(
    make_pg_app: Callable[..., Flask], seconds: int | None, shown: str
) -> None:
    key = {} if seconds is None else {"PROVISIONING_STATEMENT_TIMEOUT_SECONDS": seconds}
    app = make_pg_app(**key)
    with get_engine(app).connect() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == shown
        assert f"-csearch_path={connection.scalar(text('SELECT current_schema()'))}" == get_options(app)


def test_options_of_the_operators_own_win(make_pg_app: Callable[..., Flask], empty_postgresql_database: str) -> None:
    search_path = make_url(empty_postgresql_database).query["options"]
    theirs = {"connect_args": {"options": f"{search_path} -cstatement_timeout=3s"}}
    with get_engine(make_pg_app(PROVISIONING_DATABASE_OPTIONS=theirs)).connect() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "3s"


def test_a_migration_may_take_its_time(make_pg_app: Callable[..., Flask]) -> None:
    app = make_pg_app(PROVISIONING_STATEMENT_TIMEOUT_SECONDS=1, PROVISIONING_AUTO_MIGRATE=False)
    with observe_database(get_engine(app).url) as ask:
        ask("SELECT pg_advisory_lock(7236041905271)")
        thread = threading.Thread(target=upgrade, args=(get_engine(app), "provisioning_"))
        thread.start()
        thread.join(1.3)
        assert thread.is_alive()
        ask("SELECT pg_advisory_unlock(7236041905271)")
        thread.join(10)
    Caller(app).create()


def test_a_lock_that_is_not_given_back_in_time_answers_503(pg: Storage) -> None:
    pg.transaction(note)

    def work(session: Session) -> None:
        session.wait_for_locks(0.05)
        run(session, "UPDATE host_notes SET text = 'changed'")

    with pg.engine.execution_options(isolation_level="READ COMMITTED").connect() as holder:
        holder.execute(text("SELECT 1 FROM host_notes FOR UPDATE"))
        with pytest.raises(StorageUnavailable):
            pg.transaction(work)
    assert read_notes(pg) == [(1, "new")]


# What is tried again


def test_a_deadlock_costs_neither_writer_its_write(pg: Storage) -> None:
    for number in (1, 2):
        pg.transaction(partial(note, number=number))
    barrier, tries = threading.Barrier(2), []

    def make_work(first: int, second: int) -> Callable[[Session], None]:
        def work(session: Session) -> None:
            tries.append(first)
            run(session, f"UPDATE host_notes SET text = text || '{first}' WHERE id = {first}")
            if tries.count(first) == 1:
                barrier.wait(10)
            run(session, f"UPDATE host_notes SET text = text || '{first}' WHERE id = {second}")

        return work

    run_concurrently(2, lambda number: pg.transaction(make_work(1, 2) if number else make_work(2, 1)))
    assert len(tries) == 3
    assert {"".join(sorted(note)) for _, note in read_notes(pg)} == {"12enw"}


def test_a_serialization_failure_at_commit_is_tried_again(pg: Storage) -> None:
    strict = create_engine(pg.engine.url, isolation_level="SERIALIZABLE")
    serializable = Storage(strict, pg.metadata)
    barrier, tries = threading.Barrier(2), []

    def make_work(number: int) -> Callable[[Session], None]:
        def work(session: Session) -> None:
            tries.append(number)
            there = run(session, "SELECT count(*) FROM host_notes").fetchone()[0]
            run(session, f"INSERT INTO host_notes VALUES ({number}, 'after {there}')")
            if tries.count(number) == 1:
                barrier.wait(10)

        return work

    run_concurrently(2, lambda number: serializable.transaction(make_work(number)))
    strict.dispose()
    assert sorted(note for _, note in read_notes(pg)) == ["after 0", "after 1"]
    assert len(tries) > 2


def test_a_patch_that_loses_a_race_for_an_email_answers_409(make_pg_app: Callable[..., Flask]) -> None:
    """The winner commits after the loser has looked, so that the unique key alone stands between them."""
    app = make_pg_app()
    partner = Caller(app)
    loser, winner = partner.create()["tenant"], partner.create()["tenant"]
    responses: list[TestResponse] = []
    taking = text("UPDATE provisioning_tenants SET email = :e, email_key = :e WHERE id = :id")
    body = {"email": "wanted@example.com"}
    with get_engine(app).execution_options(isolation_level="READ COMMITTED").connect() as other:
        other.execute(taking, {"e": body["email"], "id": winner})
        thread = threading.Thread(target=lambda: responses.append(partner("PATCH", f"/tenants/{loser}", json=body)))
        thread.start()
        with observe_database(get_engine(app).url) as ask:
            blocked = "SELECT 1 FROM pg_locks WHERE NOT granted AND pid = ANY(:pids)"
            pids = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE%email%'"
            wait_until(lambda: (waiting := ask(pids)) and ask(blocked, pids=list(waiting)))
        other.commit()
        thread.join(10)
    check_problem(responses[0], status=409, code="tenant-exists", field="email")


# COMMIT


def test_a_connection_killed_before_commit_is_refused_once_and_leaves_nothing(pg: Storage) -> None:
    tries: list[int] = []

    def work(session: Session) -> None:
        note(session)
        tries.append(get_backend_pid(session))
        kill_backend(pg.engine.url, tries[-1])

    with pytest.raises(StorageUnavailable):
        pg.transaction(work)
    assert (len(tries), read_notes(pg)) == (1, [])


def test_a_commit_that_breaks_a_deferred_rule_is_no_success(pg: Storage) -> None:
    tries: list[int] = []
    with observe_database(pg.engine.url) as ask:
        ask("CREATE TABLE host_once (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")

    def work(session: Session) -> None:
        tries.append(1)
        note(session)
        run(session, "INSERT INTO host_once VALUES (1), (1)")

    with pytest.raises(IntegrityError):
        pg.transaction(work)
    assert (len(tries), read_notes(pg)) == (1, [])


def test_lost_commit_response_returns_503_and_the_key_replays_it(make_pg_app: Callable[..., Flask], wire: Wire) -> None:
    app = make_pg_app(wire.url.render_as_string(hide_password=False))
    partner, keyed = Caller(app), {"Idempotency-Key": "once"}
    assert partner("GET", "/tenants").status_code == 200
    wire.lose_answer_to(b"COMMIT\0")
    assert_storage_unavailable(partner("POST", "/tenants", json=EXAMPLE, headers=keyed))
    assert (rows(app, "tenants"), rows(app, "events")) == (1, 1)
    again = partner("POST", "/tenants", json=EXAMPLE, headers=keyed)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert [tenant["tenant"] for tenant in partner("GET", "/tenants").get_json()["items"]] == [
        again.get_json()["tenant"]
    ]


def test_lost_insert_response_returns_503_and_is_not_retried(make_pg_app: Callable[..., Flask], wire: Wire) -> None:
    app = make_pg_app(wire.url.render_as_string(hide_password=False))
    partner = Caller(app)
    wire.lose_answer_to(b"INTO provisioning_tenants")
    assert_storage_unavailable(partner("POST", "/tenants", json=EXAMPLE))
    assert (rows(app, "tenants"), rows(app, "events")) == (1, 1)
    tenant = partner("GET", "/tenants").get_json()["items"][0]["tenant"]
    again = partner("POST", "/tenants", json=EXAMPLE)
    check_problem(again, status=409, code="tenant-exists", field="email", conflicting_tenant=tenant)


# Units that lose their transaction, or their thread


def test_a_unit_that_swallows_a_failed_statement_is_no_success(pg: Storage) -> None:
    """PostgreSQL answers its COMMIT with ROLLBACK, and with no error."""

    def work(session: Session) -> str:
        note(session)
        with contextlib.suppress(DBAPIError):
            session.orm.execute(text("SELECT 1 / 0"))
        return "done"

    with pytest.raises(RuntimeError, match="lost its transaction"):
        pg.transaction(work)
    assert read_notes(pg) == []


def test_unit_can_suppress_an_error_inside_a_savepoint(storage: Storage) -> None:
    def work(session: Session) -> None:
        note(session, 1)
        with contextlib.suppress(UniqueViolation, sqlite3.IntegrityError), session.savepoint():
            note(session, 2)
            note(session, 1)

    storage.transaction(work)
    assert read_notes(storage) == [(1, "new")]


def test_rollback_by_the_host_is_an_error(storage: Storage) -> None:
    def work(session: Session) -> None:
        note(session)
        session.orm.execute(text("SELECT 1"))
        session.orm.rollback()

    with pytest.raises(RuntimeError, match="lost its transaction"):
        storage.transaction(work)
    assert read_notes(storage) == []


def test_a_host_that_commits_in_a_unit_commits_nothing_before_its_end(storage: Storage) -> None:
    def work(session: Session) -> None:
        session.orm.execute(notes.insert().values(id=1, text="early"))
        session.orm.commit()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        storage.transaction(work)
    assert read_notes(storage) == []


@pytest.mark.parametrize("inner", ["read", "run_autocommit", "transaction"])
def test_a_unit_within_a_unit_is_refused_at_once(storage: Storage, inner: str) -> None:
    with pytest.raises(RuntimeError, match="pass its session on"):
        storage.transaction(lambda _: getattr(storage, inner)(note))
    storage.transaction(note)
    assert read_notes(storage) == [(1, "new")]


class Interruption(BaseException):
    """An exception like that of a worker's timeout or a killed greenlet, raised at any point."""


@pytest.fixture
def interruption() -> Iterator[Callable[[float], None]]:
    """Raises `Interrupted` in this thread after some seconds.

    Python ignores what is raised while it forgets an object (`sys.unraisablehook`); it is raised once more then.
    """

    def raise_after(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def interrupt(*_: object) -> None:
        raise Interruption

    def handle_unraisable(what: sys.UnraisableHookArgs) -> None:
        if what.exc_type is Interruption:
            raise_after(0.01)
        else:
            hook(what)

    before, hook = signal.signal(signal.SIGALRM, interrupt), sys.unraisablehook
    sys.unraisablehook = handle_unraisable
    yield raise_after
    raise_after(0)
    sys.unraisablehook = hook
    signal.signal(signal.SIGALRM, before)


LONG = {
    "postgresql": "SELECT pg_sleep(5)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000) SELECT max(i) FROM n",
}


@pytest.mark.parametrize("opened", ["run_autocommit", "transaction"])
def test_an_interrupted_unit_leaves_nothing_behind(
    storage: Storage, database: str, opened: str, interruption: Callable[[float], None]
) -> None:
    def work(session: Session) -> None:
        if opened == "transaction":
            note(session)
        interruption(0.1)
        run(session, LONG[database])

    with pytest.raises(Interruption):
        getattr(storage, opened)(work)
    assert read_notes(storage) == []
    storage.transaction(lambda session: note(session, 2))
    assert read_notes(storage) == [(2, "new")]


def test_connection_of_an_interrupted_statement_is_discarded(
    pg: Storage, interruption: Callable[[float], None]
) -> None:
    pids: list[int] = []

    def work(session: Session) -> None:
        pids.append(get_backend_pid(session))
        interruption(0.1)
        run(session, LONG["postgresql"])

    with pytest.raises(Interruption):
        pg.read(work)
    assert pg.read(get_backend_pid) != pids[0]


FORKING = """
import os, sys
from tests.support.database.faults import create_notes_table, get_backend_pid
from tests.support.hosts import make_host
storage = create_notes_table(make_host(sys.argv[1]))
print(storage.read(get_backend_pid), flush=True)
if os.fork() == 0:
    print(storage.read(get_backend_pid), flush=True)
    os._exit(0)
os.wait()
print(storage.read(get_backend_pid), flush=True)
"""


def test_a_forked_worker_has_a_connection_of_its_own(empty_postgresql_database: str) -> None:
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", FORKING, empty_postgresql_database], cwd=root, capture_output=True, text=True, timeout=30
    )
    before, child, after = result.stdout.split()
    assert before == after != child, result.stderr


# The reading of errors


def test_operational_error_of_another_library_is_a_bug() -> None:
    class OperationalError(Exception):
        """An error that a queue's client raises in a host's hook."""

    assert classify_failure(OperationalError("the broker is away")) is FailureKind.BUG
