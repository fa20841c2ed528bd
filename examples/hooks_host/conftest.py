"""A fixture for the conformance suite: the partners of this host need a contract."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from flask import Flask


@pytest.fixture
def provisioning_new_partner(provisioning_app: Flask) -> Callable[[], str]:
    """Create a partner with a contract."""

    def make() -> str:
        name = f"conformance-{uuid.uuid4().hex}"
        provisioning_app.test_cli_runner().invoke(args=["contract", name], catch_exceptions=False)
        return name

    return make
