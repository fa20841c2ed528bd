"""Rows for uploads, and how they are written as each media type."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..web.media_types import CSV, JSON, NDJSON
from .callers import Caller, Document

Rows = Sequence[Mapping[str, Any]]


def new_rows(partner: Caller, count: int = 2, **fields: Any) -> list[Document]:
    """Rows for new tenants, each with an external id of its own."""
    return [partner.body(external_id=f"bulk-{uuid.uuid4().hex}", **fields) for _ in range(count)]


def with_a_bad_one(partner: Caller) -> list[Document]:
    """Three rows, of which the second has an invalid email."""
    first, last = new_rows(partner)
    return [first, *new_rows(partner, 1, email="admin@"), last]


def as_array(rows: Rows) -> bytes:
    """A JSON array; its first row is on line 2."""
    return b"[\n%b\n]" % b",\n".join(json.dumps(row).encode() for row in rows)


def as_lines(rows: Rows) -> bytes:
    """NDJSON; its first row is on line 1."""
    return b"".join(b"%b\n" % json.dumps(row).encode() for row in rows)


def as_table(rows: Rows) -> bytes:
    """CSV; its first row is on line 2, unless a name has several."""
    cells = [dict(_cells(row)) for row in rows]
    written = io.StringIO()
    writer = csv.DictWriter(written, list(dict.fromkeys(name for row in cells for name in row)))
    writer.writeheader()
    writer.writerows(cells)
    return written.getvalue().encode()


#: What writes rows as each media type.
KINDS: dict[str, Callable[[Rows], bytes]] = {
    JSON: as_array,
    NDJSON: as_lines,
    "application/jsonl": as_lines,
    CSV: as_table,
}


def _cells(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if name == "metadata":
            yield from ((f"metadata.{key}", one) for key, one in value.items())
        elif value is not None:
            yield name, value if isinstance(value, str) else json.dumps(value)
