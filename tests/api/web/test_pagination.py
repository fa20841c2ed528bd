"""Pages end by bytes: `limit` is the most that one has, and `next` leads to the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flask_tenant_provisioning.database.pages import PAGE_BYTES, measure_text, read_page
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.hosts import PREFIX

WIDE = "\U00020000"  # four bytes of UTF-8
MIB = 1 << 20


def page(sizes: list[int], limit: int, after: int = -1, step: int = 100) -> tuple[list[int], int | None]:
    """A page of rows that are numbers, each with its own size; no statement asks for more than a step and one."""

    def read(count: int, place: int | None) -> range:
        assert count <= step + 1
        first = -1 if place is None else place
        return range(first + 1, min(first + 1 + count, len(sizes)))

    return read_page(read, limit, after, int, sizes.__getitem__, step)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 10, 11, 100])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 25])
def test_a_page_has_as_many_rows_as_its_limit(step: int, count: int) -> None:
    rows, end = page([1] * count, 10, step=step)
    assert rows == [*range(min(count, 10))]
    assert end == (9 if count > 10 else None)


@pytest.mark.parametrize("step", [1, 2, 100])
def test_a_page_ends_before_its_bytes_are_too_many(step: int) -> None:
    half = PAGE_BYTES // 2
    assert page([half, half], 10, step=step) == ([0, 1], None)
    assert page([half, half, 1], 10, step=step) == ([0, 1], 1)
    assert page([half, half + 1, 1], 10, step=step) == ([0], 0)
    assert page([half, half + 1, 1], 10, after=0, step=step) == ([1, 2], None)


def test_a_row_that_is_larger_than_a_page_is_one() -> None:
    assert page([PAGE_BYTES * 2, 1], 10) == ([0], 0)
    assert page([1, PAGE_BYTES * 2, 1], 10, after=0) == ([1], 1)


@pytest.mark.parametrize(("text", "size"), [(None, 0), ("", 0), ("abc", 3), ("ä", 2), (WIDE, 4)])
def test_texts_are_measured_in_bytes(text: str | None, size: int) -> None:
    assert measure_text(text) == size


def read_whole_list(partner: Caller, path: str, sign: str, **headers: str) -> tuple[list[dict[str, Any]], list[int]]:
    """Every item of a list, and how many bytes its pages have."""
    items: list[dict[str, Any]] = []
    sizes: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&{sign}={cursor}" if cursor else ""
        response = partner("GET", f"{path}{more}")
        document = response.get_json()
        items += document["items"]
        sizes.append(len(response.data))
        cursor = document["next"] if document.get("has_more", True) else None
        if cursor is not None and "Link" in response.headers:
            assert f"{PREFIX}/" in response.headers["Link"]
    return items, sizes


@pytest.mark.slow
def test_lists_of_large_documents_end_early(partner: Caller) -> None:
    rows = [
        {
            "client_name": f"n{n}",
            "email": f"n{n}@example.com",
            "metadata": {f"{k:02}{WIDE * 38}": WIDE * 500 for k in range(50)},
        }
        for n in range(30)
    ]
    tenants = [partner.create(**row)["tenant"] for row in rows]
    for path, sign, own in (("/tenants?limit=1000", "cursor", "tenant"), ("/events?limit=1000", "after", "tenant")):
        items, sizes = read_whole_list(partner, path, sign)
        assert [item[own] for item in items] == tenants
        assert len(sizes) > 1
        assert max(sizes) < PAGE_BYTES + MIB


@pytest.mark.slow
def test_items_of_many_errors_end_early(partner: Caller) -> None:
    row = json.dumps({f"{WIDE * 20}{n}": 0 for n in range(120)})
    bulk = Bulk(partner.app, partner)
    job = bulk.upload("create", [json.loads(row)] * 500)
    bulk.work()
    items, sizes = read_whole_list(partner, f"/bulk-jobs/{job.id}/items?limit=1000", "cursor")
    assert [item["row"] for item in items] == [*range(1, 501)]
    assert max(sizes) < PAGE_BYTES + MIB
    for item in items:
        problem = item["problem"]
        assert 1 <= len(problem["errors"]) <= 100
        assert len(problem["errors"]) + problem["errors_omitted"] == 122
