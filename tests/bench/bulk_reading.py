"""Measure the splitting of an upload into rows: µs of CPU a row, and MB a second, for each format, plain and gzip.

python -m tests.bench.bulk_reading --rows 200000
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask_tenant_provisioning.bulk.upload.limits import UploadLimits
from flask_tenant_provisioning.bulk.upload.reader import read_chunks

LIMITS = UploadLimits(max_rows=10_000_000, max_bytes=1 << 32)
BLOCK = 64 * 1024
ROUNDS = 3

Row = dict[str, Any]


def row(number: int) -> Row:
    """A tenant as a partner would send it."""
    return {
        "external_id": f"customer-{number}",
        "client_name": f"Example {number} Corp",
        "email": f"admin-{number}@example.com",
        "phone_number": "+4915112345678",
        "industry": "Technology",
        "plan": "standard",
        "metadata": {"region": "eu-central", "sales": "n.n."},
    }


def ndjson(rows: list[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def array(rows: list[Row]) -> bytes:
    return json.dumps(rows).encode()


def dump_indented(rows: list[Row]) -> bytes:
    return json.dumps(rows, indent=2).encode()


def table(rows: list[Row], quoting: Any = csv.QUOTE_MINIMAL) -> bytes:
    text = io.StringIO()
    flat = [{**{k: v for k, v in row.items() if k != "metadata"}, "metadata.region": "eu-central"} for row in rows]
    writer = csv.DictWriter(text, list(flat[0]), quoting=quoting)
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue().encode()


def quoted_table(rows: list[Row]) -> bytes:
    return table(rows, csv.QUOTE_ALL)


WAYS: dict[str, tuple[Callable[[list[Row]], bytes], str]] = {
    "NDJSON": (ndjson, "application/x-ndjson"),
    "JSON array": (array, "application/json"),
    "JSON array, indented": (dump_indented, "application/json"),
    "CSV": (table, "text/csv"),
    "CSV, all quoted": (quoted_table, "text/csv"),
}


def blocks(data: bytes) -> Iterator[bytes]:
    return (data[start : start + BLOCK] for start in range(0, len(data), BLOCK))


def seconds(data: bytes, media_type: str, encoding: str | None, rows: int) -> float:
    """The processor's time that it takes to read them all: the least of some rounds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        count = sum(len(chunk.lines) for chunk in read_chunks(blocks(data), media_type, encoding, LIMITS))
        taken.append(time.process_time() - began)
        assert count == rows
    return min(taken)


def main() -> None:
    """Print a line for each format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    count: int = parser.parse_args().rows
    rows = [row(number) for number in range(count)]
    print(f"{'':22} {'plain':>20} {'gzip':>20}")
    for name, (write, media_type) in WAYS.items():
        data = write(rows)
        figures = ""
        for encoding, sent in ((None, data), ("gzip", gzip.compress(data))):
            taken = seconds(sent, media_type, encoding, count)
            figures += f" {taken / count * 1e6:6.2f} µs {len(data) / taken / 1e6:5.0f} MB/s"
        print(f"{name:22}{figures}")


if __name__ == "__main__":
    main()
