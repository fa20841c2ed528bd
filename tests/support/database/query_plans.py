"""Explain statements, and check that they read little."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import sqlalchemy
from sqlalchemy import Engine

from flask_tenant_provisioning.database.session import Session, Storage
from flask_tenant_provisioning.database.statements import Statement
from flask_tenant_provisioning.tenants import listing
from tests.support.database import postgresql

PREFIX = "provisioning_"
TENANTS = 60_000
NOW = 2 * TENANTS
#: What a page of 50 may read at most: rows and blocks on PostgreSQL, steps of its machine on SQLite (25 or so a row).
MOST_ROWS, MOST_BLOCKS, MOST_STEPS = 1000, 500, 15_000


def make_database_url(request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of an empty database for the tests of a module."""
    if database == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('plans')}/lists.sqlite3"
    server = sqlalchemy.make_url(request.getfixturevalue("postgresql_url"))
    return postgresql.create_schema(server).render_as_string(hide_password=False)


class Page(NamedTuple):
    """A page that is asked for, and who should be on it."""

    asked: dict[str, Any]
    place: str | None
    expected: list[str]


class RecordingSession:
    """A session that remembers what it was asked to run."""

    statement: Statement
    values: dict[str, Any]

    def __init__(self, session: Session) -> None:
        self.session = session
        self.storage = session.storage

    def run(self, statement: Statement, values: dict[str, Any]) -> Any:
        self.statement, self.values = statement, values
        return self.session.run(statement, values)


def read_page(storage: Storage, partner: str | None, page: Page) -> tuple[list[str], RecordingSession]:
    """The ids on a page, and the statement that found them."""

    def work(session: Session) -> tuple[list[str], RecordingSession]:
        watched: Any = RecordingSession(session)
        documents, _ = listing.load_page(watched, partner, page.asked, page.place)
        return [document["tenant"] for document in documents], watched

    return storage.read(work)


class Cost(NamedTuple):
    """The cost of a statement: rows read (on SQLite steps), whether that is little, and the plan."""

    read: int
    little: bool
    scans: bool
    sorts: bool
    plan: str


def measure_costs(engine: Engine, watched: RecordingSession) -> list[Cost]:
    """One for each way in which the database may plan the statement."""
    connection = engine.raw_connection()
    try:
        explained = _explain_postgresql if engine.dialect.name == "postgresql" else _explain_sqlite
        return explained(connection.driver_connection, watched.statement, watched.values)
    finally:
        connection.close()


def _explain_sqlite(driver: Any, statement: Statement, values: dict[str, Any]) -> list[Cost]:
    steps, bound = [0], statement.bind(values)
    driver.set_progress_handler(lambda: steps.__setitem__(0, steps[0] + 10), 10)
    driver.execute(statement.text, bound).fetchall()
    driver.set_progress_handler(None, 0)
    plan = "\n".join(line[3] for line in driver.execute(f"EXPLAIN QUERY PLAN {statement.text}", bound))
    description = f"{steps[0]} steps\n{plan}"
    return [Cost(steps[0], steps[0] <= MOST_STEPS, "SCAN" in plan, "TEMP B-TREE" in plan, description)]


def _explain_postgresql(driver: Any, statement: Statement, values: dict[str, Any]) -> list[Cost]:
    """Return the plan for these values; and where its limit stands in the text, also the plan for any values."""
    import psycopg

    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement.text)))
    prepared = re.sub(r"%\((\w+)\)s", lambda match: f"${names.index(match[1]) + 1}", statement.text)
    run = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE page ({', '.join(['%s'] * len(names))})"
    bound, plans, cursor = statement.bind(values), [], psycopg.ClientCursor(driver)
    driver.execute(f"PREPARE page AS {prepared}")
    for mode in ("custom",) if "limit" in names else ("custom", "generic"):
        driver.execute(f"SET plan_cache_mode = force_{mode}_plan")
        [[explained]] = cursor.execute(run, [bound[name] for name in names]).fetchall()
        plans.append(_measure_plan(explained[0]["Plan"]))
    driver.execute("DEALLOCATE page")
    driver.execute("RESET plan_cache_mode")
    return plans


def _measure_plan(plan: dict[str, Any]) -> Cost:
    scans = [node for node in _nodes(plan) if node["Node Type"] in _SCANS]
    rows = sum(node["Actual Loops"] * sum(node.get(name, 0) for name in _READ) for node in scans)
    blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    kinds = {node["Node Type"] for node in _nodes(plan)}
    description = f"{rows} rows, {blocks} blocks\n{json.dumps(plan, indent=1)}"
    return Cost(rows, rows <= MOST_ROWS and blocks <= MOST_BLOCKS, "Seq Scan" in kinds, "Sort" in kinds, description)


_SCANS = ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan")
_READ = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
