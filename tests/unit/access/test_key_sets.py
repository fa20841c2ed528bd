"""A cache of published keys, as several threads see it."""

from __future__ import annotations

from typing import Any

from flask_tenant_provisioning.access.key_sets import KeySet, PublicKeys, parse_public_keys
from tests.support.clock import Clock
from tests.support.issuers import make_jwk
from tests.support.servers import run_concurrently

KEYS = parse_public_keys({"keys": [make_jwk("first"), make_jwk("second")]})


def test_a_thread_with_an_unknown_key_waits_for_the_fetch_of_another() -> None:
    waiting: list[bool] = []

    def fetch() -> PublicKeys:
        waiting.extend([keys.needs_fetch("first"), keys.needs_fetch(5)])
        return KEYS

    keys = KeySet("the test", fetch, Clock())
    assert keys.find("first") == KEYS["first"]
    assert waiting == [True, False]
    assert not keys.needs_fetch("first")


def test_many_threads_that_need_the_first_key_all_get_it() -> None:
    fetches: list[None] = []

    def fetch() -> PublicKeys:
        fetches.append(None)
        return KEYS

    keys = KeySet("the test", fetch, Clock())
    found = run_concurrently(20, lambda number: keys.find("first" if number % 2 else "second"))
    assert [key.text for key in found] == [KEYS["first" if number % 2 else "second"].text for number in range(20)]
    assert len(fetches) == 1


def test_private_and_malformed_keys_are_left_out() -> None:
    malformed: list[Any] = [None, "text", {"kty": "oct", "k": "c2VjcmV0"}, {"kty": []}, {"kty": "RSA", "n": 5}]
    odd = [{"kty": "OKP", "crv": "X25519", "x": "A" * 43}, {**make_jwk("third"), "d": "AQAB"}, make_jwk("4", use="enc")]
    keys = parse_public_keys({"keys": [*malformed, *odd, make_jwk("first")]})
    assert {*keys} == {"first", None}
