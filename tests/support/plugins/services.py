"""The services that tests need, and what the summary says of those that are not there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.support.database import postgresql
from tests.support.workers import brokers

REQUIRE_VARIABLE = "PROVISIONING_TEST_REQUIRE_POSTGRESQL"
REQUIRE_BROKERS = "PROVISIONING_TEST_REQUIRE_BROKERS"
DESELECTED = pytest.StashKey[int]()
SERVER = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a new database, dropped at the end of the session; skips where there is no server."""
    server, reason = postgresql.find_server()
    if server is None:
        pytest.skip(f"PostgreSQL: not found ({reason})")
    url = postgresql.create_database(server)
    yield url.render_as_string(hide_password=False)
    postgresql.drop_database(url)


@pytest.fixture
def empty_postgresql_database(postgresql_url: str) -> str:
    """The URL of an empty schema that no other test sees, in the session's database."""
    schema = postgresql.create_schema(make_url(postgresql_url))
    return schema.render_as_string(hide_password=False)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Fail at once where a service is demanded and absent."""
    if _is_demanded(REQUIRE_VARIABLE):
        server, reason = postgresql.find_server()
        if server is None:
            pytest.exit(f"{REQUIRE_VARIABLE} is set, but PostgreSQL was not found: {reason}", returncode=1)
    if _is_demanded(REQUIRE_BROKERS):
        for kind in brokers.KINDS:
            if fault := brokers.find_fault(kind):
                pytest.exit(f"{REQUIRE_BROKERS} is set, but {kind} was not found: {fault}", returncode=1)


def _is_demanded(variable: str) -> bool:
    return os.environ.get(variable, "") not in ("", "0")


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count the slow tests that this run leaves out."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        stash = slow[0].config.stash
        stash[DESELECTED] = stash.get(DESELECTED, 0) + len(slow)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep which PostgreSQL was used; where xdist runs the tests in several processes, each tells the first one."""
    stash = session.config.stash
    if postgresql.find_server.cache_info().currsize:
        server, where = postgresql.find_server()
        stash[SERVER] = f"{server} ({where})"
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["services"] = stash.get(DESELECTED, 0), stash.get(SERVER, None)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear what a process of xdist's tells; each of them has seen every test."""
    left_out, server = getattr(node, "workeroutput", {}).get("services", (0, None))
    if left_out:
        node.config.stash[DESELECTED] = left_out
    if server:
        node.config.stash[SERVER] = server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which services the tests ran on, and what was left out."""
    terminalreporter.section("services")
    if left_out := _skipped(terminalreporter, "PostgreSQL"):
        _, reason = postgresql.find_server()
        terminalreporter.line(f"PostgreSQL: not found ({reason}): {left_out} tests skipped", yellow=True)
    elif server := config.stash.get(SERVER, None):
        terminalreporter.line(f"PostgreSQL: {server}")
    else:
        terminalreporter.line("PostgreSQL: no test of this run needed it")
    for kind in brokers.KINDS:
        if left_out := _skipped(terminalreporter, kind):
            reason = f"{brokers.find_fault(kind)}; {brokers.VARIABLES[kind]} names another"
            terminalreporter.line(f"{kind}: not found ({reason}): {left_out} tests skipped", yellow=True)
    if "not slow" in config.option.markexpr and (left_out := config.stash.get(DESELECTED, 0)):
        terminalreporter.line(f"slow: {left_out} tests left out; `make test-all` runs them too")


def _skipped(terminalreporter: pytest.TerminalReporter, service: str) -> int:
    """Return the number of tests skipped because the service is not there."""
    reports = terminalreporter.stats.get("skipped", [])
    return sum(
        isinstance(report.longrepr, tuple) and f"{service}: not found" in report.longrepr[2] for report in reports
    )
