"""The suite in a run of pytest: collected alone or after the host's tests, and summarized at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

SUITE = Path(__file__).parent / "suite"
#: What every test of the suite is known by, in its reports too.
KEYWORD = "provisioning_conformance"
_PACKAGE = f"{__package__}.suite"
_FOLDER = pytest.StashKey[Path]()


class SuiteModule(pytest.Module):
    """One module of the suite, collected whatever the host calls its own tests and however it imports them."""

    def _getobj(self) -> ModuleType:
        return import_module(f"{_PACKAGE}.{self.path.stem}")

    def funcnamefilter(self, name: str) -> bool:
        return name.startswith("test_")


class SuiteFolder(pytest.Directory):
    """A folder of the host's that holds the suite instead of its own tests, so that its `conftest.py` counts."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        return _iter_modules(self)


def collect_alone(config: pytest.Config) -> None:
    """Collect the suite instead of pytest's default if no path is given."""
    place = config.stash[_FOLDER] = _find_home(config)
    config.args = [str(place)]


def collect_folder(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Return the collector of the folder at `path`; None where it is not the suite's folder."""
    return SuiteFolder.from_parent(parent, path=path) if path == parent.config.stash.get(_FOLDER, None) else None


def add_suite(session: pytest.Session, items: list[pytest.Item]) -> list[pytest.Item]:
    """`items` and, unless they hold it already, the suite."""
    selected = (
        items
        if any(map(_is_in_suite, items)) or _FOLDER in session.config.stash
        else [*items, *_collect_suite(session, items)]
    )
    for item in filter(_is_in_suite, selected):
        item.keywords[KEYWORD] = True
    return selected


def _collect_suite(session: pytest.Session, items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """The suite, in the folder of the host's tests where some of `items` stand in it too."""
    home = _find_home(session.config)
    above = (node for item in items for node in item.listchain() if isinstance(node, pytest.Directory))
    parent = next((node for node in above if node.path == home), session)
    for module in _iter_modules(parent):
        yield from session.genitems(module)


def _find_home(config: pytest.Config) -> Path:
    """The folder of the host's tests: the first of `testpaths`, else `tests` with a `conftest.py`, else this one."""
    here = config.invocation_params.dir
    wanted = [Path(here, path) for path in config.args]
    folder = next((path for path in wanted if path.is_dir() and path != here), here / "tests")
    return folder.resolve() if folder in wanted or (folder / "conftest.py").exists() else here


def _iter_modules(parent: pytest.Collector) -> Iterator[SuiteModule]:
    for path in sorted(SUITE.glob("test_*.py")):
        yield SuiteModule.from_parent(parent, path=path)


def _is_in_suite(item: pytest.Item) -> bool:
    module: str = getattr(getattr(item, "function", None), "__module__", "")
    return item.path.parent == SUITE or module.startswith(_PACKAGE)


def summarize(reporter: pytest.TerminalReporter) -> None:
    """Write the suite's section, with the reason for every test that was left out."""
    held, failed = _count(reporter, "passed"), _count(reporter, "failed") + _count(reporter, "error")
    reasons = Counter(_iter_reasons(reporter))
    if not (held or failed or reasons):
        return
    reporter.section("provisioning conformance")
    reporter.line(f"{held} tests hold, {failed} failed, {reasons.total()} left out")
    for reason, count in reasons.most_common():
        reporter.line(f"{count:4} × {reason}")


def _count(reporter: pytest.TerminalReporter, outcome: str) -> int:
    return sum(1 for _ in _iter_reports(reporter, outcome))


def _iter_reasons(reporter: pytest.TerminalReporter) -> Iterator[str]:
    for report in _iter_reports(reporter, "skipped"):
        if isinstance(report.longrepr, tuple):
            yield report.longrepr[2].removeprefix("Skipped: ")


def _iter_reports(reporter: pytest.TerminalReporter, outcome: str) -> Iterator[pytest.TestReport]:
    """Yield the reports of the suite's tests. A module that was skipped or failed at collection has no keywords."""
    for report in reporter.getreports(outcome):
        if isinstance(report, pytest.TestReport) and KEYWORD in report.keywords:
            yield report
