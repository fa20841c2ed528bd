"""Read the rows of a bulk upload."""

from __future__ import annotations

from collections.abc import Iterator

from flask_tenant_provisioning.bulk.upload.limits import UploadLimits
from flask_tenant_provisioning.bulk.upload.reader import read_chunks

LIMITS = UploadLimits(max_rows=100_000, max_bytes=1 << 30)
JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"


def cut_bytes(data: bytes, width: int) -> Iterator[bytes]:
    return (data[start : start + width] for start in range(0, len(data), width))


def read_rows(
    data: bytes, media_type: str, width: int = 1 << 16, encoding: str | None = None
) -> list[tuple[int, bytes]]:
    """Each row with its line, when so many bytes are looked at at once."""
    rows: list[tuple[int, bytes]] = []
    for chunk in read_chunks(cut_bytes(data, width), media_type, encoding, LIMITS, rows_per_chunk=3, block=width):
        assert chunk.first_row == len(rows) + 1
        assert len(chunk.lines) <= 3
        rows.extend(zip(chunk.lines, chunk.payload.split(b"\n"), strict=True))
    return rows
