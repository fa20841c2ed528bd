"""Engines of hosts: on which the API's units of work are whole, and which are refused in what words."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AssertionPool, NullPool, SingletonThreadPool, StaticPool

from flask_tenant_provisioning import ConfigurationError, TenantProvisioning
from flask_tenant_provisioning.database.errors import FailureKind, classify_failure
from tests.support.assertions import check_problem
from tests.support.callers import EXAMPLE, Caller
from tests.support.commands import run_command
from tests.support.database import postgresql
from tests.support.database.faults import observe_database
from tests.support.database.transactions import require_whole_units
from tests.support.hosts import get_engine, make_config

Make = Callable[..., Engine]
Mount = Callable[..., Caller]
SERVER = "postgresql+psycopg://127.0.0.1:1/none"
MEMORY = "A SQLite database in memory belongs to one connection: name a file instead."


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts the API of a host whose hook refuses industries named "no"."""
    engines: list[Engine] = []

    def mount_on(db: Any, **config: Any) -> Caller:
        app = Flask("host", instance_path=str(tmp_path / "instance"))
        app.config.update(make_config(**config))
        provisioning = TenantProvisioning()
        provisioning.map_error(ValueError, status=409, code="refused-by-hook")

        @provisioning.hook("tenant.update")
        def refuse(tenant: dict[str, Any]) -> None:
            if tenant["industry"] == "no":
                raise ValueError

        provisioning.init_app(app, db)
        engines.append(get_engine(app))
        return Caller(app)

    yield mount_on
    for engine in engines:
        engine.dispose()


def listen(engine: Engine, name: str, function: Callable[..., Any], **options: Any) -> Engine:
    event.listen(engine, name, function, **options)
    return engine


def begin_by_recipe(url: str) -> Engine:
    """SQLAlchemy's recipe for SQLite's SAVEPOINT: the host begins transactions, and the driver none."""
    engine = create_engine(url)
    listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    return listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))


def rewrite(engine: Engine) -> Engine:
    def comment(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return f"/* of the host */ {statement}", parameters

    return listen(engine, "before_cursor_execute", comment, retval=True)


def dumps(value: Any) -> str:
    return json.dumps({"wrapped": value})


SUPPORTED: dict[str, Callable[[str], Engine]] = {
    "AUTOCOMMIT": lambda url: create_engine(url, isolation_level="AUTOCOMMIT"),
    "AUTOCOMMIT as an option": lambda url: create_engine(url, execution_options={"isolation_level": "AUTOCOMMIT"}),
    "a copy in AUTOCOMMIT": lambda url: create_engine(url).execution_options(isolation_level="AUTOCOMMIT"),
    "AUTOCOMMIT that rolls nothing back": lambda url: create_engine(
        url, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True
    ),
    "SERIALIZABLE": lambda url: create_engine(url, isolation_level="SERIALIZABLE"),
    "SERIALIZABLE as an option": lambda url: create_engine(url, execution_options={"isolation_level": "SERIALIZABLE"}),
    "json_serializer": lambda url: create_engine(url, json_serializer=dumps, json_deserializer=lambda _: "read"),
    "rewritten statements": lambda url: rewrite(create_engine(url)),
    "a schema_translate_map of the host's schemas": lambda url: create_engine(
        url, execution_options={"schema_translate_map": {"tenant": "acme"}}
    ),
    "NullPool": lambda url: create_engine(url, poolclass=NullPool, pool_reset_on_return=None),
    "pool_pre_ping": lambda url: create_engine(url, pool_pre_ping=True, pool_recycle=1, pool_use_lifo=True),
    "a pool that resets by itself": lambda url: listen(
        create_engine(url, pool_reset_on_return=None), "reset", lambda connection, *_: connection.rollback()
    ),
    "another paramstyle": lambda url: create_engine(url, paramstyle="qmark" if "sqlite" in url else "format"),
}


@pytest.mark.parametrize("kind", SUPPORTED)
def test_units_of_work_are_whole_on_a_hosts_engine(mount: Mount, database_url: str, kind: str) -> None:
    try:
        engine = SUPPORTED[kind](database_url)
    except TypeError:
        pytest.skip("this SQLAlchemy has no such option")
    require_whole_units(mount(engine))


@pytest.mark.parametrize("make", [begin_by_recipe, lambda url: create_engine(f"{url}?timeout=0.1")])
def test_units_of_work_are_whole_on_a_hosts_sqlite(mount: Mount, tmp_path: Path, make: Make) -> None:
    require_whole_units(mount(make(f"sqlite:///{tmp_path}/host.db")))


@pytest.mark.postgresql
@pytest.mark.parametrize("level", ["READ UNCOMMITTED", "REPEATABLE READ"])
def test_units_of_work_are_whole_on_each_of_postgresqls_levels(
    mount: Mount, empty_postgresql_database: str, level: str
) -> None:
    require_whole_units(mount(create_engine(empty_postgresql_database, isolation_level=level)))


def test_a_host_in_autocommit_stays_so(mount: Mount, database_url: str) -> None:
    """The connections that the API gives back are as the host's engine makes them."""
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=0)
    partner = mount(engine)
    partner.create()
    with engine.connect() as connection:
        connection.execute(text("DELETE FROM provisioning_tenants"))
    assert partner("GET", "/tenants").get_json()["items"] == []


REFUSED: dict[str, tuple[Callable[[str], Any], str]] = {
    "in memory": (lambda _: create_engine("sqlite://"), MEMORY),
    "in memory, shared by threads": (lambda _: create_engine("sqlite://", poolclass=StaticPool), MEMORY),
    "in memory, by name": (
        lambda _: create_engine("sqlite:///file:x?mode=memory&uri=true", poolclass=NullPool),
        MEMORY,
    ),
    "StaticPool": (
        lambda file: create_engine(file, poolclass=StaticPool),
        "The engine's StaticPool has one connection for several threads: use a QueuePool or a NullPool.",
    ),
    "SingletonThreadPool": (
        lambda file: create_engine(file, poolclass=SingletonThreadPool),
        "The engine's SingletonThreadPool has one connection for several threads: use a QueuePool or a NullPool.",
    ),
    "AssertionPool": (
        lambda file: create_engine(file, poolclass=AssertionPool),
        "The engine's AssertionPool has one connection for several threads: use a QueuePool or a NullPool.",
    ),
    "another driver": (
        lambda file: create_engine(file.replace("sqlite", "sqlite+pysqlcipher"), module=sqlite3),
        "The driver pysqlcipher is not supported: use pysqlite.",
    ),
    "READ UNCOMMITTED": (
        lambda file: create_engine(file, isolation_level="READ UNCOMMITTED"),
        "With READ UNCOMMITTED or cache=shared, SQLite shows what has not been committed: leave both out.",
    ),
    "cache=shared": (
        lambda file: create_engine(file.replace("///", "///file:") + "?cache=shared&uri=true"),
        "With READ UNCOMMITTED or cache=shared, SQLite shows what has not been committed: leave both out.",
    ),
    "a pool that resets nothing": (
        lambda _: create_engine(SERVER, pool_reset_on_return=None),
        (
            "The engine's pool does not roll back what is returned to it, and the next user would commit it: "
            "leave pool_reset_on_return out."
        ),
    ),
    "schema_translate_map": (
        lambda _: create_engine(SERVER).execution_options(schema_translate_map={None: "acme"}),
        (
            "The engine's schema_translate_map moves tables that name no schema to 'acme': "
            "give the API an engine without that entry, and let search_path begin with 'acme'."
        ),
    ),
    "stream_results": (
        lambda _: create_engine(SERVER, execution_options={"stream_results": True}),
        (
            "The engine's stream_results makes a cursor of each statement, and SAVEPOINT none: "
            "give stream_results to the statements that need it."
        ),
    ),
    "read-only": (
        lambda _: create_engine(SERVER, execution_options={"postgresql_readonly": True}),
        "The engine's transactions are read-only (postgresql_readonly): give the API one that may write.",
    ),
    "an AsyncEngine": (
        lambda _: create_async_engine(SERVER),
        (
            "db must be a Flask-SQLAlchemy object, an Engine, a URL or None, not AsyncEngine: "
            "make an Engine with a synchronous driver beside it."
        ),
    ),
    "an asynchronous driver": (
        lambda _: create_async_engine(SERVER).sync_engine,
        "The engine is asynchronous: make an Engine with a synchronous driver beside it.",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_engine_on_which_no_unit_is_whole_is_refused_at_start(mount: Mount, tmp_path: Path, kind: str) -> None:
    make, words = REFUSED[kind]
    with pytest.raises(ConfigurationError) as refused:
        mount(make(f"sqlite:///{tmp_path}/host.db"))
    assert str(refused.value) == words


def test_flask_sqlalchemy_in_memory_is_refused_at_start(mount: Mount) -> None:
    app = Flask("host")
    app.config.update(make_config(SQLALCHEMY_DATABASE_URI="sqlite://"))
    with pytest.raises(ConfigurationError, match="in memory"):
        TenantProvisioning().init_app(app, SQLAlchemy(app))


# What only a connection tells


def return_bytes(connection: sqlite3.Connection, _: Any) -> None:
    connection.text_factory = bytes


def store_utf_16(connection: sqlite3.Connection, _: Any) -> None:
    connection.execute("PRAGMA encoding = 'UTF-16le'")


@pytest.mark.parametrize(
    ("connect", "words"),
    [
        (return_bytes, "The connections' text_factory is not str: take it out."),
        (store_utf_16, "The database's encoding is UTF-16le: make a database whose encoding is UTF-8."),
    ],
)
def test_a_sqlite_that_would_not_compare_texts_is_refused(
    mount: Mount, tmp_path: Path, connect: Callable[..., Any], words: str
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/host.db")
    with pytest.raises(ConfigurationError) as refused:
        mount(listen(engine, "connect", connect))
    assert str(refused.value) == words


@pytest.fixture(params=["LATIN1", "SQL_ASCII", "UTF8"])
def encoded_database(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The URL of a PostgreSQL database with an encoding, and the encoding."""
    server, reason = postgresql.find_server()
    if server is None:
        pytest.skip(f"PostgreSQL: not found ({reason})")
    url = postgresql.create_database(server, encoding=request.param)
    yield url.render_as_string(hide_password=False), request.param
    postgresql.drop_database(url)


@pytest.mark.postgresql
def test_a_database_that_cannot_hold_each_name_is_refused(
    mount: Mount, encoded_database: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    url, encoding = encoded_database
    if encoding == "UTF8":
        require_whole_units(mount(url))
        return
    words = f"The database's encoding is {encoding}, "
    for db in (url, create_engine(url)):
        with pytest.raises(ConfigurationError, match=words):
            mount(db)
        partner = mount(db, PROVISIONING_AUTO_MIGRATE=False)
        response = partner("POST", "/tenants", json={**EXAMPLE, "client_name": "株式会社"})
        check_problem(response, status=503, code="storage-unavailable", detail="The database is not ready.")
        assert words in caplog.text
        assert "make one with CREATE DATABASE … ENCODING 'UTF8'" in caplog.text
        result = run_command(partner.app, "doctor")
        assert result.status == 1
        assert f"fail  database        {words}" in result.out


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"autocommit": True}, "The driver commits each statement by itself, unknown to SQLAlchemy"),
        ({"client_encoding": "latin1"}, "The connections' client_encoding is LATIN1: take it out"),
    ],
)
def test_driver_options_that_break_transactions_are_refused(
    mount: Mount, postgresql_database: str, options: dict[str, Any], words: str
) -> None:
    engine = create_engine(postgresql_database, connect_args=options)
    with pytest.raises(ConfigurationError, match=words):
        mount(engine)
    partner = mount(engine, PROVISIONING_AUTO_MIGRATE=False)
    check_problem(partner("POST", "/tenants", json=EXAMPLE), status=503, code="storage-unavailable")
    with observe_database(postgresql_database) as ask:
        assert ask("SELECT count(*) FROM provisioning_tenants") == [0]


@pytest.mark.postgresql
def test_engine_switched_to_autocommit_returns_503_before_writing(
    mount: Mount, postgresql_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_engine(postgresql_database)
    partner = mount(engine)
    partner.create()
    engine.update_execution_options(isolation_level="AUTOCOMMIT")
    check_problem(partner("PATCH", "/tenants", json={}), status=405)
    response = partner("POST", "/tenants", json=EXAMPLE, headers={"Idempotency-Key": "k"})
    check_problem(response, status=503, code="storage-unavailable", detail="The database is not ready.")
    assert "isolation level has changed since the API was mounted" in caplog.text


# A role that may not


@pytest.fixture
def poor_role(empty_postgresql_database: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The URL of a role without any privilege, and a connection that may grant some."""
    url = make_url(empty_postgresql_database)
    schema = postgresql.get_schema(url)
    role = f"poor_{schema}"
    with observe_database(url) as ask:
        ask(f"CREATE ROLE {role} LOGIN")
        ask(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        yield url.set(username=role).render_as_string(hide_password=False), ask
        ask(f"DROP OWNED BY {role}")
        ask(f"DROP ROLE {role}")


@pytest.mark.postgresql
def test_missing_privileges_name_the_grant(
    mount: Mount, poor_role: tuple[str, Callable[..., Any]], empty_postgresql_database: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    url, ask = poor_role
    role = make_url(url).username
    with pytest.raises(ConfigurationError, match=r"(?s)permission denied for schema.*GRANT USAGE, CREATE"):
        mount(url)
    mount(empty_postgresql_database)
    ask(f"GRANT SELECT ON ALL TABLES IN SCHEMA {postgresql.get_schema(make_url(empty_postgresql_database))} TO {role}")
    ask(f"GRANT INSERT, UPDATE, DELETE ON provisioning_partners TO {role}")
    partner = mount(url, PROVISIONING_AUTO_MIGRATE=False)
    assert partner("GET", "/tenants").status_code == 200
    for headers in ({}, {"Idempotency-Key": "k"}):
        response = partner("POST", "/tenants", json=EXAMPLE, headers=headers)
        check_problem(response, status=503, code="storage-unavailable", detail="The database is not ready.")
    assert "GRANT SELECT, INSERT, UPDATE, DELETE on the API's tables" in caplog.text
    result = run_command(partner.app, "doctor")
    assert result.status == 1
    (line,) = [line for line in result.out.splitlines() if "privileges" in line]
    assert (
        f"{role} may not INSERT, UPDATE, DELETE on every table / GRANT INSERT, UPDATE, DELETE ON provisioning_" in line
    )
    assert "provisioning_tenants" in line
    assert "provisioning_partners" not in line
    ask(line.partition(" / ")[2])
    assert partner("POST", "/tenants", json=EXAMPLE).status_code == 201


# Which database it is


def test_a_database_given_to_the_constructor_counts_in_init_app(tmp_path: Path) -> None:
    first, second = (create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("first", "second"))
    provisioning = TenantProvisioning(db=first)
    apps = []
    for db in (None, second):
        app = Flask("host", instance_path=str(tmp_path / "instance"))
        app.config.update(make_config())
        provisioning.init_app(app, db)
        apps.append(app)
    assert [get_engine(app) for app in apps] == [first, second]
    assert not (tmp_path / "instance").exists()


def test_an_app_with_flask_sqlalchemy_is_warned_of_a_database_beside_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask("host", instance_path=str(tmp_path / "instance"))
    app.config.update(make_config(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/host.db"))
    SQLAlchemy(app)
    TenantProvisioning().init_app(app)
    (record,) = [record for record in caplog.records if "Flask-SQLAlchemy" in record.getMessage()]
    assert (record.levelno, record.file) == (logging.WARNING, f"{tmp_path}/instance/provisioning.sqlite3")  # type: ignore[attr-defined]
    output = run_command(app, "doctor").out
    assert "a file of the API's own, not the database of the app's Flask-SQLAlchemy / call provisioning" in output


@pytest.mark.parametrize("named", [True, False])
def test_an_app_that_names_its_database_is_not_warned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, named: bool
) -> None:
    app = Flask("host", instance_path=str(tmp_path / "instance"))
    app.config.update(make_config(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/host.db"))
    db = SQLAlchemy(app)
    if named:
        app.config["PROVISIONING_DATABASE_URL"] = f"sqlite:///{tmp_path}/ours.db"
    TenantProvisioning().init_app(app, None if named else db)
    assert "database" not in caplog.text
    assert "Flask-SQLAlchemy" not in run_command(app, "doctor").out


def test_configured_url_beside_a_given_database_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_DATABASE_URL=f"sqlite:///{tmp_path}/configured.db"))
    TenantProvisioning().init_app(app, f"sqlite:///{tmp_path}/given.db")
    assert "PROVISIONING_DATABASE_URL has no effect: init_app was given a database" in caplog.text
    assert "configured.db" not in caplog.text


# The reading of errors


class Failure(Exception):
    """A driver's, with an SQLSTATE or none."""

    def __init__(self, sqlstate: str | None, state: str = "") -> None:
        super().__init__(state)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "message", "expected"),
    [
        ("25006", "", FailureKind.READ_ONLY),
        (None, "cannot execute INSERT in a read-only transaction", FailureKind.READ_ONLY),
        ("0A000", "cannot use serializable mode in a hot standby", FailureKind.READ_ONLY),
        ("55000", "recovery is in progress", FailureKind.READ_ONLY),
        ("22023", "a partner wrote: cannot execute INSERT in a read-only transaction", FailureKind.BUG),
        ("42P05", "", FailureKind.UNPREPARED),
        ("26000", "", FailureKind.UNPREPARED),
        ("08P01", "bind message supplies 3 parameters, but prepared statement requires 2", FailureKind.UNPREPARED),
        ("0A000", "cached plan must not change result type", FailureKind.OUTDATED_PLAN),
        ("08P01", "unsupported startup parameter: options", FailureKind.STARTUP_REFUSED),
        (None, "FATAL:  unsupported startup parameter in options: statement_timeout", FailureKind.STARTUP_REFUSED),
        *((state, "", FailureKind.DISCONNECTED) for state in ("08000", "08003", "08006", "08P01", "25P03")),
        *((f"57P0{number}", "", FailureKind.DISCONNECTED) for number in range(1, 6)),
        ("57014", "", FailureKind.UNREACHABLE),
        ("42501", "", FailureKind.FORBIDDEN),
        ("42601", "", FailureKind.BUG),
    ],
)
def test_a_drivers_error_is_read_by_its_state_and_its_words(
    state: str | None, message: str, expected: FailureKind
) -> None:
    assert classify_failure(Failure(state, message)) is expected


# What a server that forks would hand on


@pytest.mark.parametrize("closes", [False, True])
def test_connections_that_are_open_before_a_fork_are_seen_by_doctor(
    mount: Mount, database_url: str, closes: bool
) -> None:
    engine = create_engine(database_url, pool_timeout=5)
    app = mount(engine).app
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    if closes:
        engine.dispose()
    (line,) = [line for line in run_command(app, "doctor").out.splitlines() if line[6:].startswith("pool ")]
    assert line.startswith("ok" if closes else "warn")
    assert ("1 open after the app was created" in line) is not closes


def test_a_mount_that_migrates_at_start_leaves_no_connection_open(mount: Mount, database_url: str) -> None:
    opened: list[Any] = []
    engine = create_engine(database_url)
    event.listen(engine, "connect", lambda connection, _: opened.append(connection))
    closed: list[Any] = []
    event.listen(engine, "close_detached", closed.append)
    mount(engine)
    assert opened
    assert closed == opened
