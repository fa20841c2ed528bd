"""Globs over event types: their meanings, and globs that can match no type."""

from __future__ import annotations

import time

import pytest

from flask_tenant_provisioning.webhooks.fanout import EVENT_TYPES, EXPLICIT_EVENT_TYPES, has_no_match, is_glob, matches


@pytest.mark.parametrize("type", [*EVENT_TYPES, "of.a.later.release"])
def test_single_star_matches_all_types_except_explicit_ones(type: str) -> None:
    assert matches(["*"], type) is (type not in EXPLICIT_EVENT_TYPES)


@pytest.mark.parametrize("type", sorted(EXPLICIT_EVENT_TYPES))
@pytest.mark.parametrize("glob", ["*.*", "*.*ed", "w*.*", "c*.*", "*t.*"])
def test_changes_of_endpoints_and_clients_are_asked_for_by_name(type: str, glob: str) -> None:
    kind = type.partition(".")[0]
    assert not matches([glob], type)
    assert {other: matches([f"{other}.*"], type) for other in ("webhook", "client", "tenant")} == {
        "webhook": kind == "webhook", "client": kind == "client", "tenant": False,
    }  # fmt: skip
    assert matches([type], type)


def test_the_explicit_types_are_the_changes_of_endpoints_and_clients() -> None:
    assert sorted(EXPLICIT_EVENT_TYPES) == [
        "client.created", "client.deleted", "client.rotated", "client.updated",
        "webhook.created", "webhook.deleted", "webhook.rotated", "webhook.updated",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("glob", "type", "meant"),
    [
        ("tenant.created", "tenant.created", True),
        ("tenant.created", "tenant.deleted", False),
        ("tenant.create", "tenant.created", False),
        ("tenant.*", "tenant.created", True),
        ("tenant.*", "webhook.test", False),
        ("tenant.*", "tenant.one.more", False),
        ("*.deleted", "tenant.deleted", True),
        ("*.deleted", "tenant.created", False),
        ("*.*", "tenant.created", True),
        ("*.*.*", "tenant.created", False),
        ("tenant.provision*", "tenant.provisioning_failed", True),
        ("tenant.*ed", "tenant.created", True),
        ("t*t.*ed", "tenant.purged", True),
        ("tenant", "tenant.created", False),
        ("tenant*", "tenant.created", False),
    ],
)
def test_a_star_stands_for_part_of_a_segment(glob: str, type: str, meant: bool) -> None:
    assert matches([glob], type) is meant


def test_one_matching_glob_is_enough() -> None:
    assert matches(["tenant.deleted", "tenant.created"], "tenant.created")
    assert not matches([], "tenant.created")


@pytest.mark.parametrize("glob", ["*", "tenant.*", "webhook.test", "webhook.disabled", "*.*ed"])
def test_glob_that_matches_a_type_is_accepted(glob: str) -> None:
    assert is_glob(glob)
    assert not has_no_match(glob)


@pytest.mark.parametrize("glob", ["tenant", "tenant.crated", "invoice.*", "*.*.*", "tenant*"])
def test_glob_that_matches_no_type_is_reported(glob: str) -> None:
    assert is_glob(glob)
    assert has_no_match(glob)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "tenant.",
        ".created",
        "Tenant.*",
        "tenant.?",
        "tenant.[a-z]*",
        "tenant created",
        "a" * 65,
        "*\n",
        "é.*",
    ],
)
def test_other_texts_are_invalid_globs(text: str) -> None:
    assert not is_glob(text)


def test_many_stars_take_no_time() -> None:
    start = time.thread_time()
    assert not matches(["*e*" * 20 + ".x", ("*a" * 32)[:64]], "tenant.provisioning_failed" * 5)
    assert time.thread_time() - start < 1
