"""Celery workers killed at random, and messages lost: each step takes effect once, and no tenant is stuck."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, create_engine, make_url, select, text
from sqlalchemy.pool import NullPool

from tests import brokers, postgresql
from tests.brokers import Broker
from tests.storms import celery_host
from tests.storms.celery_host import STEPS, effects, executions
from tests.storms.server import environment
from tests.storms.workers import Workers
from tests.waiting import eventually
from tests.world import Caller

pytestmark = pytest.mark.slow

TENANTS = 300
WORKERS = 3
KILLS = 10
#: Everything is done by then, in seconds from the last kill on.
LAST = 100


class Aftermath(NamedTuple):
    """What there is when the storm is over."""

    tenants: Counter[str]
    steps: Counter[tuple[str, str, Any]]
    keys: set[str]
    effects: Counter[str]
    executions: Counter[str]
    provisioned: Counter[str]
    lost: int


@pytest.fixture(scope="module", params=brokers.KINDS)
def storm(
    request: pytest.FixtureRequest, postgresql_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Aftermath]:
    """Tenants are created while workers are killed ten times, and every message on its way is lost once."""
    log: Path = tmp_path_factory.mktemp(request.param) / "log"
    url = postgresql.create_schema(make_url(postgresql_url)).render_as_string(hide_password=False)
    engine = create_engine(url, poolclass=NullPool)
    celery_host.metadata.create_all(engine)
    with brokers.part_of(request.param) as part, pytest.MonkeyPatch.context() as patch:
        ...
        yield None  # type: ignore[misc]
