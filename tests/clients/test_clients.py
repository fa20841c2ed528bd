"""Each generator takes the document as it is; its client compiles, and all clients print the same lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import Host
from tests.clients.generators import Client

pytestmark = [pytest.mark.slow, pytest.mark.clients]

EXPECTED = (Path(__file__).parent / "expected.txt").read_text()


def test_generated_client_compiles(client: Client, folder: Path) -> None:
    client.check(folder)


def test_generated_client_runs_the_scenario(client: Client, folder: Path, host: Host) -> None:
    assert client.call(folder, host.url, host.tokens[client.name]) == EXPECTED
