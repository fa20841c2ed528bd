"""Selection of the mount that the tests run against: ``pytest --mount isolated``."""

from __future__ import annotations

import os

import pytest

from tests.support import hosts


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the choice."""
    parser.addoption("--mount", choices=["blueprint", "isolated"], help="how the hosts of the tests mount the API")


def pytest_configure(config: pytest.Config) -> None:
    """Make it known to whatever the tests start."""
    if chosen := config.getoption("--mount"):
        os.environ[hosts.MOUNT_VARIABLE] = chosen


def pytest_report_header() -> str:
    """Say it."""
    return f"mount: {'isolated' if hosts.is_isolated() else 'blueprint'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is about the blueprint itself where there is none."""
    for item in items if hosts.is_isolated() else ():
        if marker := item.get_closest_marker("blueprint"):
            item.add_marker(pytest.mark.skip(reason=f"about the blueprint itself: {marker.args[0]}"))
