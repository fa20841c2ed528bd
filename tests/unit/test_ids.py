"""Identifiers: the version 7 of RFC 9562, alone and many at once."""

from __future__ import annotations

import uuid

from flask_tenant_provisioning.database.ids import make_uuid7, make_uuid7s

#: The example of RFC 9562, appendix A.6: Tuesday, 22 February 2022, 14:22:22.00.
EXAMPLE = 1_645_557_742_000_000_000


def test_id_contains_its_creation_time() -> None:
    assert make_uuid7(EXAMPLE).startswith("017f22e2-79b0-7000-")
    assert make_uuid7(EXAMPLE + 999_999).startswith("017f22e2-79b0-7fff-")


def test_many_ascend_across_milliseconds() -> None:
    ids = make_uuid7s(5000, EXAMPLE)
    assert len(set(ids)) == 5000
    assert ids == sorted(ids)
    assert ids[4999].startswith("017f22e2-79b1-7387-")


def test_ids_are_canonical_and_random() -> None:
    ids = [make_uuid7(), *make_uuid7s(1000)]
    assert [str(uuid.UUID(id)) for id in ids] == ids
    assert {(uuid.UUID(id).version, uuid.UUID(id).variant) for id in ids} == {(7, uuid.RFC_4122)}
    assert len({id[24:] for id in ids}) == 1001


def test_zero_ids_are_an_empty_list() -> None:
    assert make_uuid7s(0) == []
