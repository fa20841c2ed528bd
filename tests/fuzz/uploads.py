"""Uploads as partners send them, which no schema describes: rows that may be valid, and some that are none."""

from __future__ import annotations

import csv
import io
import json

from hypothesis import strategies as st

_NAMES = st.sampled_from([
    "client_name", "email", "external_id", "industry", "metadata.seats", "tenant", "reason", "result.row",
])  # fmt: skip
_VALUES = st.sampled_from(["Bulk Corp", "f-1", "f-2", "bulk@example.com"]) | st.text(max_size=20)
_ROWS = st.lists(st.dictionaries(_NAMES, _VALUES, min_size=1), max_size=5)
_NO_ROWS = st.text(min_size=1, max_size=100).map(str.encode)


def _as_lines(rows: list[dict[str, str]]) -> bytes:
    return b"".join(b"%b\n" % json.dumps(row).encode() for row in rows) or b"\n"


def _as_table(rows: list[dict[str, str]]) -> bytes:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(dict.fromkeys(name for row in rows for name in row)) or ["email"])
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue().encode()


LINES = _ROWS.map(_as_lines) | _NO_ROWS
TABLES = _ROWS.map(_as_table) | _NO_ROWS
