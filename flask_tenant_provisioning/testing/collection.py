"""How the suite gets into a run of pytest: alone where no path was given, else after what was asked for."""

from __future__ import annotations

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
        return _modules(self)


def alone(config: pytest.Config) -> None:
    """Collect the suite instead of what pytest would collect where it is given no path."""
    place = config.stash[_FOLDER] = _home(config)
    config.args = [str(place)]


def folder(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """What collects the folder at `path`, if the suite stands in it."""
    return SuiteFolder.from_parent(parent, path=path) if path == parent.config.stash.get(_FOLDER, None) else None


def completed(session: pytest.Session, items: list[pytest.Item]) -> list[pytest.Item]:
    """`items` and, unless they hold it already, the suite."""
    found = (
        items if any(map(_of_suite, items)) or _FOLDER in session.config.stash else [*items, *_added(session, items)]
    )
    for item in filter(_of_suite, found):
        item.keywords[KEYWORD] = True
    return found


def _added(session: pytest.Session, items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """The suite, in the folder of the host's tests where some of `items` stand in it too."""
    home = _home(session.config)
    above = (node for item in items for node in item.listchain() if isinstance(node, pytest.Directory))
    parent = next((node for node in above if node.path == home), session)
    for module in _modules(parent):
        yield from session.genitems(module)


def _home(config: pytest.Config) -> Path:
    """The folder of the host's tests: the first of `testpaths`, else `tests` with a `conftest.py`, else this one."""
    here = config.invocation_params.dir
    wanted = [Path(here, path) for path in config.args]
    found = next((path for path in wanted if path.is_dir() and path != here), here / "tests")
    return found.resolve() if found in wanted or (found / "conftest.py").exists() else here


def _modules(parent: pytest.Collector) -> Iterator[SuiteModule]:
    for path in sorted(SUITE.glob("test_*.py")):
        yield SuiteModule.from_parent(parent, path=path)


def _of_suite(item: pytest.Item) -> bool:
    module: str = getattr(getattr(item, "function", None), "__module__", "")
    return item.path.parent == SUITE or module.startswith(_PACKAGE)
