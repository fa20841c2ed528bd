"""Merge patches (RFC 7396): the appendix's examples, on their own, on metadata and on settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.encoding import apply_merge_patch
from tests import own_settings
from tests.merge_patches import VECTORS
from tests.own_settings import at, read
from tests.refusals import invalid
from tests.witness import hosted
from tests.world import Caller

TYPE = "application/merge-patch+json"

vectors = pytest.mark.parametrize(("target", "patch", "result"), VECTORS, ids=str)


@pytest.fixture(scope="module")
def app(request: pytest.FixtureRequest, database: str) -> Iterator[Flask]:
    """One host with settings for all tests of this module."""
    with hosted(request, database, make=own_settings.host) as made:
        yield made


def are_texts(value: Any) -> bool:
    """Whether metadata can be this."""
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


@vectors
def test_the_examples_hold(target: Any, patch: Any, result: Any) -> None:
    before = json.dumps(target)
    assert apply_merge_patch(target, patch) == result
    assert json.dumps(target) == before


@vectors
def test_they_hold_on_metadata_as_far_as_it_holds_texts(partner: Caller, target: Any, patch: Any, result: Any) -> None:
    before = target if are_texts(target) else {"kept": "x"}
    tenant = partner.create(metadata=before)
    answer = partner("PATCH", f"/tenants/{tenant['tenant']}", json={"metadata": patch}, content_type=TYPE)
    found = partner("GET", f"/tenants/{tenant['tenant']}").get_json()
    if are_texts(apply_merge_patch(before, patch)):
        assert (answer.status_code, found["metadata"]) == (200, apply_merge_patch(before, patch))
    elif patch is None:
        assert (answer.status_code, found["metadata"]) == (200, {})
    else:
        assert (answer.status_code, answer.get_json()["code"]) == (400, "validation-error")
        assert found == tenant


@vectors
def test_they_hold_on_settings_as_far_as_these_are_objects(
    partner: Caller, target: Any, patch: Any, result: Any
) -> None:
    tenant = partner.create()
    before = target if isinstance(target, dict) else {"b": [1, 2]}
    assert partner("PUT", at(tenant), json={"free": before}).status_code == 200
    answer = partner("PATCH", at(tenant), json={"free": patch}, content_type=TYPE)
    if isinstance(patch, dict):
        assert read(partner, tenant)["explicit"].get("free", {}) == apply_merge_patch(before, patch)
    elif patch is None:
        assert read(partner, tenant)["explicit"] == {}
    else:
        invalid(answer, ("#/free", "invalid-type", "Must be an object."))
        assert read(partner, tenant)["explicit"] == {"free": before}


@pytest.mark.parametrize("patch", [["c", "d"], ["c"], None, "bar", 5], ids=str)
def test_a_patch_that_leaves_no_object_at_all_is_refused(partner: Caller, patch: Any) -> None:
    tenant = partner.create()
    options: dict[str, Any] = {"json": patch} if patch is not None else {"data": "null"}
    for method, kind in (("PATCH", TYPE), ("PUT", "application/json")):
        answer = partner(method, at(tenant), content_type=kind, **options)
        invalid(answer, ("#", "invalid-type", "Must be an object."))
    assert read(partner, tenant)["version"] == 0
