"""A row whose `tenant` is no id is wrong like any other: it fails alone, and its chunk is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.support.bulk import Bulk
from tests.support.callers import Caller

WRONG: list[tuple[Any, str]] = [("x", "invalid-id"), ("", "invalid-id"), (7, "invalid-type"), (None, "null")]


@pytest.fixture
def bulk(make_app: Callable[..., Flask]) -> Bulk:
    app = make_app()
    return Bulk(app, Caller(app))


@pytest.mark.parametrize("operation", ["update", "suspend", "reactivate", "delete"])
def test_row_with_malformed_tenant_id_fails_alone(bulk: Bulk, operation: str) -> None:
    tenant = bulk.partner.create()
    rows = [{"tenant": value} for value, _ in WRONG]
    *wrong, right = bulk.do(operation, [*rows, {"tenant": tenant["tenant"].upper()}])
    errors = [[(error["pointer"], error["code"]) for error in (result.problem or {})["errors"]] for result in wrong]
    assert [result.status for result in wrong] == [400] * len(WRONG)
    assert errors == [[("#/tenant", code)] for _, code in WRONG]
    assert (right.status, right.tenant) == (200, tenant["tenant"])
