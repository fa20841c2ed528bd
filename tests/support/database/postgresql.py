"""Find a PostgreSQL for the tests, or start one, and hand out empty databases in it.

A test's database is a schema of its own in a database of the session's own: made in a millisecond where
`CREATE DATABASE` takes thirty, and named by the URL alone (`?options=-csearch_path=…`), so that every thread, pool
and process that connects with the URL sees it and nothing else.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import getpass
import glob
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

URL_VARIABLE = "PROVISIONING_TEST_POSTGRESQL_URL"
#: Where the common packages put `initdb` when it is not on the PATH.
BINARIES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)


@functools.cache
def find_server() -> tuple[URL | None, str]:
    """Return a server's URL and where it was found, or None and why there is none.

    In this order: `PROVISIONING_TEST_POSTGRESQL_URL`; localhost (or `PGHOST`, `PGPORT`, `PGUSER`); a throw-away
    cluster out of installed binaries, stopped when the process ends.
    """
    if configured := os.environ.get(URL_VARIABLE):
        url = make_url(configured).set(drivername="postgresql+psycopg")
        fault = _find_fault(url)
        return (None, f"{URL_VARIABLE}: {fault}") if fault else (url, URL_VARIABLE)
    for url in _local_urls():
        if not _find_fault(url):
            return url, f"answers on {url.host}:{url.port}"
    try:
        return start_server(find_binaries()), "started for this run"
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        return None, f"none answers on localhost, and none could be started: {error}"


def create_database(server: URL, encoding: str = "UTF8") -> URL:
    """Create an empty database with a unique name; the role needs CREATEDB."""
    name = f"provisioning_test_{uuid.uuid4().hex[:12]}"
    with connect(server) as connection:
        how = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        connection.execute(text(f'CREATE DATABASE "{name}" {how if encoding != "UTF8" else ""}'))
        # No test reads the rows after a crash of this server; the tests that do start one that is durable.
        connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
    # A busy machine may take its time to let a test in.
    return server.set(database=name).update_query_dict({"connect_timeout": "60"})


def drop_database(url: URL) -> None:
    """Drop the database of `create_database` with the connections that remain."""
    with connect(url.set(database="postgres")) as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)'))


def create_schema(database: URL) -> URL:
    """Create an empty schema, and return a URL whose every connection works in it alone."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with connect(database) as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    return add_schema(database, name)


def add_schema(database: URL, name: str) -> URL:
    """Return a URL whose every connection works in the schema `name` alone."""
    return database.set(query={**database.query, "options": f"-csearch_path={name}"})


def get_schema(url: URL) -> str:
    """Return the schema's name in what `in_schema` returned."""
    return str(url.query["options"]).removeprefix("-csearch_path=")


@contextlib.contextmanager
def connect(url: URL) -> Iterator[Connection]:
    """Connect once, in autocommit; whatever waits for a lock for ten seconds fails instead of hanging."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args={"connect_timeout": 60})
    with engine.connect() as connection:
        connection.execute(text("SET lock_timeout = '10s'"))
        yield connection


def _find_fault(url: URL) -> str | None:
    """Say why the server at `url` is of no use, if so."""
    try:
        with connect(url) as connection:
            may = connection.scalar(text("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"))
    except (SQLAlchemyError, ImportError) as error:
        return str(error).splitlines()[0]
    return None if may else "its role may not CREATE DATABASE"


def _local_urls() -> Iterator[URL]:
    host, port = os.environ.get("PGHOST", "127.0.0.1"), int(os.environ.get("PGPORT", "5432"))
    users = [os.environ["PGUSER"]] if "PGUSER" in os.environ else [getpass.getuser(), "postgres"]
    for user in dict.fromkeys(users):
        for database in ("test", "postgres"):
            yield URL.create("postgresql+psycopg", user, host=host, port=port, database=database)


def find_binaries() -> Path:
    """Return the newest installation's folder of `initdb` and `pg_ctl`."""
    folders = {Path(folder) for pattern in BINARIES for folder in glob.glob(pattern)}
    if on_path := shutil.which("initdb"):
        folders.add(Path(on_path).resolve().parent)
    folders = {folder for folder in folders if (folder / "initdb").exists()}
    if not folders:
        raise RuntimeError("no initdb is installed")
    return max(folders, key=lambda folder: [int(number) for number in re.findall(r"\d+", str(folder))])


def start_server(binaries: Path, *, durable: bool = False) -> URL:
    """Start a cluster in a temporary folder; with `durable` it also survives a crash of the machine."""
    owner = find_unprivileged_user() if os.geteuid() == 0 else None
    # Below /tmp for another owner: root's own TMPDIR may be closed to it.
    home = Path(tempfile.mkdtemp(prefix="provisioning-pg-", dir="/tmp" if owner else None))
    user, group, groups = (owner.pw_uid, owner.pw_gid, ()) if owner else (None, None, None)
    if owner:
        os.chown(home, owner.pw_uid, owner.pw_gid)

    def run(program: str, *arguments: str) -> None:
        result = subprocess.run(
            [binaries / program, "-D", home / "data", *arguments],
            cwd=home, env={**os.environ, "HOME": str(home), "LC_ALL": "C"},
            user=user, group=group, extra_groups=groups,
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=60,
        )  # fmt: skip
        if result.returncode:
            raise RuntimeError(f"{program} failed: {(home / 'output').read_text(errors='replace')[-500:]}")

    def stop() -> None:
        with contextlib.suppress(RuntimeError, subprocess.SubprocessError):
            run("pg_ctl", "stop", "-m", "immediate")
        log.close()
        shutil.rmtree(home, ignore_errors=True)

    log = (home / "output").open("w")
    atexit.register(stop)
    port = find_free_port()
    speed = "" if durable else " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    options = f"-p {port} -k '{home}' -c listen_addresses=127.0.0.1 -c max_connections=200{speed}"
    run("pg_ctl", "start", "-w", "-o", options)
    return URL.create("postgresql+psycopg", "postgres", host="127.0.0.1", port=port, database="postgres")


def find_unprivileged_user() -> pwd.struct_passwd:
    """Return whom a cluster may belong to: initdb refuses root."""
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("root may not run it, and there is neither a user postgres nor nobody")


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
