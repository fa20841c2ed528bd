"""Record the requests and the outcome of each test of the conformance suite.

A run takes this as a plugin (``-p tests.support.recording``), and its folder's conftest.py imports
`provisioning_client`. The environment names the file that is written, and the path below which callers find the host.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.hosts import PREFIX

RECORD, ROOT = "CONFORMANCE_RECORD", "CONFORMANCE_ROOT"
_record: dict[str, dict[str, Any]] = {}


class Exchange(NamedTuple):
    """A request to the API, at a path below the mount, and what it answered."""

    method: str
    path: str
    authorized: bool
    #: How many bytes of a body were announced.
    size: int
    status: int
    #: The code of the problem that was answered, if it was one.
    code: str | None


class Outcome(NamedTuple):
    """The outcome of one test, and its exchanges."""

    failed: bool
    exchanges: tuple[Exchange, ...]


def read_exchange(response: TestResponse) -> Exchange:
    """Return the exchange of `response`."""
    sent, problem = response.request, response.mimetype == "application/problem+json"
    document = response.get_json(silent=True) if problem else None
    code = document.get("code") if isinstance(document, dict) else None
    path = sent.path.partition(PREFIX)[2]
    return Exchange(
        sent.method, path, "Authorization" in sent.headers, sent.content_length or 0, response.status_code, code
    )


class Recorder(FlaskClient):
    """A test client below the path that `ROOT` names, which notes each exchange of the test that runs."""

    exchanges: list[Exchange]

    def open(self, path: str, **options: Any) -> TestResponse:  # type: ignore[override]
        """Send a request, and note what comes of it."""
        response = super().open(os.environ[ROOT] + path, **options)
        self.exchanges.append(read_exchange(response))
        return response


@pytest.fixture
def provisioning_client(provisioning_app: Flask, request: pytest.FixtureRequest) -> Recorder:
    """The client that the suite takes."""
    client = Recorder(provisioning_app, use_cookies=False)
    client.exchanges = _load_record(request.node.nodeid)["exchanges"]
    return client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Keep what was sent until the test has ended: what is sent to clean up shows nothing."""
    try:
        return (yield)
    finally:
        kept = _load_record(item.nodeid)
        kept["exchanges"] = [*kept["exchanges"]]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note whether a test failed or was left out, in whatever phase."""
    _load_record(report.nodeid)["outcomes"].append(report.outcome)


def pytest_sessionfinish() -> None:
    """Write what was noted of the tests that were not left out."""
    shown = {name: kept for name, kept in _record.items() if "skipped" not in kept["outcomes"]}
    Path(os.environ[RECORD]).write_text(json.dumps(shown), encoding="utf-8")


def _load_record(nodeid: str) -> dict[str, Any]:
    """Return the record of a test, by its module, name and parameters."""
    module, _, test = nodeid.partition(".py::")
    return _record.setdefault(f"{module.rpartition(':')[2]}::{test}", {"exchanges": [], "outcomes": []})


def load_outcomes(path: Path) -> Mapping[str, Outcome]:
    """Return what a run wrote, by the names of its tests."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Outcome("failed" in kept["outcomes"], tuple(Exchange(*exchange) for exchange in kept["exchanges"]))
        for name, kept in document.items()
    }
