"""What the suite says in the end: how much of the contract was shown, and what could not be, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from .collection import KEYWORD


def summarize(reporter: pytest.TerminalReporter) -> None:
    """Write the suite's section, with the reason for every test that was left out."""
    held, failed = _count(reporter, "passed"), _count(reporter, "failed") + _count(reporter, "error")
    reasons = Counter(_reasons(reporter))
    if not (held or failed or reasons):
        return
    reporter.section("provisioning conformance")
    reporter.line(f"{held} tests hold, {failed} failed, {reasons.total()} left out")
    for reason, count in reasons.most_common():
        reporter.line(f"{count:4} × {reason}")


def _count(reporter: pytest.TerminalReporter, outcome: str) -> int:
    return sum(1 for _ in _reports(reporter, outcome))


def _reasons(reporter: pytest.TerminalReporter) -> Iterator[str]:
    for report in _reports(reporter, "skipped"):
        if isinstance(report.longrepr, tuple):
            yield report.longrepr[2].removeprefix("Skipped: ")


def _reports(reporter: pytest.TerminalReporter, outcome: str) -> Iterator[pytest.TestReport]:
    """Yield the reports of the suite's tests. A module that was skipped or failed at collection has no keywords."""
    for report in reporter.getreports(outcome):
        if isinstance(report, pytest.TestReport) and KEYWORD in report.keywords:
            yield report
