"""Fail a run in which a test was skipped for a reason that is not in `KNOWN`.

A plugin of pytest, which acts where `PROVISIONING_TEST_KNOWN_SKIPS` is set: `.ci/run` sets it.
"""

from __future__ import annotations

import os
import re

import pytest

VARIABLE = "PROVISIONING_TEST_KNOWN_SKIPS"

#: The reasons (regular expressions) for which a test may be skipped, and why that hides nothing.
KNOWN = {
    r"about the blueprint itself: ": "runs with the blueprint mount, in another run of the same script",
    r"SQLite has one writer|SQLite has no server|a server keeps its files to itself": "the other database runs it",
    r"this user reads every file": "file modes do not bind root; the test runs where the user is another",
    r"(?:node|php|ruby|go|javac) is not installed$": "not every machine has every language",
    r"there are no forks here": "an operating system without fork()",
    r"TRUSTED_HOSTS came with Flask 3\.1": "the environment of floors has Flask 2.3",
    r"this SQLAlchemy has no such option": "the environment of floors has SQLAlchemy 2.0.20",
    r"(prometheus|promtool) is not installed$": "a server of the operating system's own, such as Debian's package",
    r"(uWSGI|gunicorn|gevent) is not installed$": "an operating system for which the extra `test` names none",
    r"async views need flask\[async\]": "the extra `test` has asgiref; an environment without it has no such views",
    r"this example is written for Flask-SQLAlchemy 3\.1": "the environment of floors has 3.0",
    r"could not import '(asgiref|flask_migrate|flask_appbuilder|flask_compress)'": "an extra is missing",
    r"could not import '(flask_login|flask_wtf)'": "an extra is missing",
    r"the extra 'docs' is not installed": "the environments of tox have the extra `test` alone",
}


def is_known(reason: str) -> bool:
    """Return whether a test may be skipped for this reason."""
    return any(re.match(pattern, reason.removeprefix("Skipped: ")) for pattern in KNOWN)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get(VARIABLE, "") not in ("", "0"):
        config.pluginmanager.register(KnownSkips(config), "known-skips")


class KnownSkips:
    """The tests skipped in this run for another reason."""

    def __init__(self, config: pytest.Config) -> None:
        self.unknown: dict[str, str] = {}
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unknown and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.unknown:
            terminalreporter.section("skipped for a reason that tests/guards/skips.py does not know", red=True)
            for test, reason in self.unknown.items():
                terminalreporter.line(f"{test}: {reason}")

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            if not is_known(reason):
                self.unknown[report.nodeid] = reason
