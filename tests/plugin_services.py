"""The services that tests need, and what the summary says of those that are not there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import make_url

from tests import postgresql

REQUIRE_VARIABLE = "PROVISIONING_TEST_REQUIRE_POSTGRESQL"
DESELECTED = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a new database, dropped at the end of the session; skips where there is no server."""
    server, reason = postgresql.find()
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
    """Fail at once where PostgreSQL is demanded and absent."""
    if os.environ.get(REQUIRE_VARIABLE, "") in ("", "0"):
        return
    server, reason = postgresql.find()
    if server is None:
        pytest.exit(f"{REQUIRE_VARIABLE} is set, but PostgreSQL was not found: {reason}", returncode=1)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count the slow tests that this run leaves out."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        stash = slow[0].config.stash
        stash[DESELECTED] = stash.get(DESELECTED, 0) + len(slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which PostgreSQL the tests ran on, and what was left out."""
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and "PostgreSQL: not found" in report.longrepr[2]
    ]
    terminalreporter.section("services")
    if skipped:
        _, reason = postgresql.find()
        terminalreporter.line(f"PostgreSQL: not found ({reason}): {len(skipped)} tests skipped", yellow=True)
    elif postgresql.find.cache_info().currsize:
        server, where = postgresql.find()
        terminalreporter.line(f"PostgreSQL: {server} ({where})")
    else:
        terminalreporter.line("PostgreSQL: no test of this run needed it")
    if left_out := config.stash.get(DESELECTED, 0):
        terminalreporter.line(f"slow: {left_out} tests left out; `make test-all` runs them too")
