"""Merge patches (RFC 7396): the appendix's examples, on their own, on metadata and on settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.encoding import apply_merge_patch
from tests.support import tenant_settings
from tests.support.assertions import assert_invalid_fields
from tests.support.callers import Caller
from tests.support.database.rows import open_host
from tests.support.merge_patches import VECTORS
from tests.support.tenant_settings import read_settings, settings_path

TYPE = "application/merge-patch+json"

vectors = pytest.mark.parametrize(("target", "patch", "result"), VECTORS, ids=str)


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """One host with settings for all tests of this module."""
    with open_host(request, database, make=tenant_settings.make_host) as new_app:
        yield new_app


def are_texts(value: Any) -> bool:
    """Return whether metadata accepts this value."""
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


@vectors
def test_rfc_7396_examples_leave_the_target_unchanged(target: Any, patch: Any, result: Any) -> None:
    before = json.dumps(target)
    assert apply_merge_patch(target, patch) == result
    assert json.dumps(target) == before


@vectors
def test_rfc_7396_examples_hold_for_metadata(partner: Caller, target: Any, patch: Any, result: Any) -> None:
    before = target if are_texts(target) else {"kept": "x"}
    tenant = partner.create(metadata=before)
    response = partner("PATCH", f"/tenants/{tenant['tenant']}", json={"metadata": patch}, content_type=TYPE)
    document = partner("GET", f"/tenants/{tenant['tenant']}").get_json()
    if are_texts(apply_merge_patch(before, patch)):
        assert (response.status_code, document["metadata"]) == (200, apply_merge_patch(before, patch))
    elif patch is None:
        assert (response.status_code, document["metadata"]) == (200, {})
    else:
        assert (response.status_code, response.get_json()["code"]) == (400, "validation-error")
        assert document == tenant


@vectors
def test_rfc_7396_examples_hold_for_settings(partner: Caller, target: Any, patch: Any, result: Any) -> None:
    tenant = partner.create()
    before = target if isinstance(target, dict) else {"b": [1, 2]}
    assert partner("PUT", settings_path(tenant), json={"free": before}).status_code == 200
    response = partner("PATCH", settings_path(tenant), json={"free": patch}, content_type=TYPE)
    if isinstance(patch, dict):
        assert read_settings(partner, tenant)["explicit"].get("free", {}) == apply_merge_patch(before, patch)
    elif patch is None:
        assert read_settings(partner, tenant)["explicit"] == {}
    else:
        assert_invalid_fields(response, ("#/free", "invalid-type", "Must be an object."))
        assert read_settings(partner, tenant)["explicit"] == {"free": before}


@pytest.mark.parametrize("patch", [["c", "d"], ["c"], None, "bar", 5], ids=str)
def test_patch_without_an_object_result_is_refused(partner: Caller, patch: Any) -> None:
    tenant = partner.create()
    options: dict[str, Any] = {"json": patch} if patch is not None else {"data": "null"}
    for method, kind in (("PATCH", TYPE), ("PUT", "application/json")):
        response = partner(method, settings_path(tenant), content_type=kind, **options)
        assert_invalid_fields(response, ("#", "invalid-type", "Must be an object."))
    assert read_settings(partner, tenant)["version"] == 0
