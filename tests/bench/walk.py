"""The walk of a request through the package: how many files and functions it visits, and how often it turns back.

    python -m tests.bench.walk            # a line for each request
    python -m tests.bench.walk --calls    # every call, in order

The WSGI app is called in this process, on SQLite, after some requests of the same kind. Calls of the package's own
functions are counted; comprehensions and lambdas are part of the function that holds them.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from werkzeug.test import TestResponse

import flask_tenant_provisioning
from tests.support import tenant_settings
from tests.support.callers import EXAMPLE, Caller
from tests.support.hosts import make_host

PACKAGE = Path(flask_tenant_provisioning.__file__).parent
WARM_UP = 3


class Call(NamedTuple):
    """A call of one of the package's functions; `file` is relative to the package."""

    file: str
    function: str


class Walk(NamedTuple):
    """The figures of a request.

    `turns` are changes of file from one call to the next, `returns` those of them into a file that was seen before.
    """

    files: int
    functions: int
    calls: int
    turns: int
    returns: int


def trace(send: Callable[[], TestResponse]) -> list[Call]:
    """Return the calls that a request makes, in order. Raises `AssertionError` where it is refused."""
    calls: list[Call] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        path = Path(code.co_filename)
        if event == "call" and not code.co_name.startswith("<") and path.is_relative_to(PACKAGE):
            calls.append(Call(str(path.relative_to(PACKAGE)), code.co_qualname))

    sys.setprofile(note)
    try:
        response = send()
    finally:
        sys.setprofile(None)
    assert response.status_code < 300, response.text
    return calls


def measure(calls: list[Call]) -> Walk:
    """Count what `Walk` holds."""
    turns = [after.file for before, after in itertools.pairwise(calls) if before.file != after.file]
    seen = {calls[0].file}
    returns = 0
    for file in turns:
        returns += file in seen
        seen.add(file)
    return Walk(len(seen), len({*calls}), len(calls), len(turns), returns)


def make_requests(folder: str) -> dict[str, Callable[[], TestResponse]]:
    """Return the requests that are walked, by name."""
    partner = Caller(make_host(f"sqlite:///{folder}/tenants.sqlite3", PROVISIONING_PARTNER_CACHE_SECONDS=60))
    settings = Caller(
        tenant_settings.make_host(f"sqlite:///{folder}/settings.sqlite3", PROVISIONING_PARTNER_CACHE_SECONDS=60)
    )
    numbers = itertools.count()

    def create(caller: Caller = partner) -> TestResponse:
        return caller("POST", "/tenants", json={**EXAMPLE, "email": f"{next(numbers)}@example.com"})

    tenant: dict[str, Any] = create().get_json()
    other: dict[str, Any] = create(settings).get_json()

    def change_settings() -> TestResponse:
        patch = {"mail": {"note": f"Example {next(numbers)}"}}
        return settings("PATCH", f"/tenants/{other['tenant']}/settings", json=patch)

    return {
        "POST /tenants": create,
        "GET /tenants/{id}": lambda: partner("GET", f"/tenants/{tenant['tenant']}"),
        "GET /tenants": lambda: partner("GET", "/tenants"),
        "PATCH /tenants/{id}/settings": change_settings,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", action="store_true", help="print every call")
    every = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        for name, send in make_requests(folder).items():
            for _ in range(WARM_UP):
                trace(send)
            calls = trace(send)
            figures = ", ".join(f"{value} {key}" for key, value in measure(calls)._asdict().items())
            print(f"{name}: {figures}")
            if every:
                print("\n".join(f"    {call.file} {call.function}" for call in calls))


if __name__ == "__main__":
    main()
