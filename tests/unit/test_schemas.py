"""Plainly valid input is valid, and has the values that the schema gives it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from flask_tenant_provisioning.config import Config
from flask_tenant_provisioning.errors import InvalidInput
from flask_tenant_provisioning.mount import Api
from flask_tenant_provisioning.registry import Registry
from flask_tenant_provisioning.tenants.fields import make_fast_path
from flask_tenant_provisioning.tenants.schemas import TenantSchema
from flask_tenant_provisioning.validation import load
from tests.support.callers import EXAMPLE
from tests.support.hosts import make_config

API = Api(config=Config.read(make_config(PROVISIONING_PLANS=["gold", "silver"]), {}), registry=Registry(), routes=())
WHOLE: dict[str, Any] = {
    **EXAMPLE, "external_id": "e1", "plan": "gold", "metadata": {"tier": "gold", "x" * 40: "y" * 500},
}  # fmt: skip
VALUES: list[Any] = [
    None, True, 0, 1.5, "", " ", "a", "A\0", "a" * 40, "a" * 41, "x" * 100, "x" * 101, "e" * 128, "e" * 129, "n" * 255,
    "n" * 256, f" {'n' * 255} ", "gold", "none", "ﬁ İ ß Ⅳ", "+49 (0)30-123.4", "12", "1" * 32, "1" * 33, "+" * 5,
    "a@b.example", "a@b.co", "A.B+c@Example.COM", "a@b", "a b@c.co", "ü@c.co", "a@bücher.de", "a@x.test", ".a@b.co",
    f"{'a' * 64}@b.co", f"{'a' * 65}@b.co", f"a@{'b' * 63}.co", f"a@{'b' * 64}.co", f"a@{'b.' * 130}co",
    [], ["a"], {}, {"a": "b"}, {"": "b"}, {"k" * 40: "v"}, {"k" * 41: "v"}, {"a": "v" * 501}, {"a": None}, {"a": 1},
    {str(n): "" for n in range(50)}, {str(n): "" for n in range(51)},
]  # fmt: skip
NAMES = [*WHOLE, "nonsense", "tenant", "email_key"]


def agree(body: Any) -> bool:
    """Return whether it is plain; if so, the schema must say the same."""
    result = make_fast_path(API.config, API.plans)(body)
    if result is not None:
        assert result == load(API.schema(TenantSchema), body)
    return result is not None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", range(len(VALUES)))
def test_no_value_of_any_field_is_seen_otherwise(name: str, place: int) -> None:
    agree({**WHOLE, name: VALUES[place]})


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=30)))
def test_random_bodies_agree_with_the_schema(body: dict[str, Any]) -> None:
    agree(body)


def test_typical_input_is_plain() -> None:
    assert agree(EXAMPLE)
    assert agree(WHOLE)
    assert agree({"client_name": " Müller & Söhne ", "email": "Admin@Example.com", "metadata": None, "plan": None})


@pytest.mark.parametrize("body", [None, [], "", 1, {}, {"client_name": "A"}, {"email": "a@b.co"}], ids=repr)
def test_other_input_is_left_to_the_schema(body: Any) -> None:
    assert not agree(body)
    with pytest.raises(InvalidInput):
        load(API.schema(TenantSchema), body)
