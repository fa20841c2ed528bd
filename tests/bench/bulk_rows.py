"""The upload of the bulk benches: tenants as a partner would send them, some 245 bytes a row, as many as are wanted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

BLOCK = 64 * 1024

_NAMES = ("Blue Harbour", "Müller & Söhne", "Northwind", "Example", "O'Brien", "Société Générique", "Acme", "Lumen")
_KINDS = ("Corp", "GmbH", "Ltd", "SARL", "Holding")
_INDUSTRIES = ("Technology", "Retail", "Health care", None)
_PLANS = ("standard", "premium", None)
_PHONES = ("+4915112345678", "+1 (555) 010-9999", None)
_METADATA: tuple[dict[str, str], ...] = (
    {"region": "eu-central", "sales": "n.n.", "cost_center": "4711-0815"},
    {"region": "us-east", "note": 'says "as soon as possible"', "segment": "mid-market"},
    {},
)


def row(number: int) -> dict[str, Any]:
    """The tenant of this number; external ids ascend with it, emails and names do not."""
    key = number * 2_654_435_761 % (1 << 32)
    values = {
        "external_id": f"customer-{number:09}",
        "client_name": f"{_NAMES[key % 8]} {key:08x} {_KINDS[key % 5]}",
        "email": f"Office.{key:08x}@example.com",
        "phone_number": _PHONES[number % 3],
        "industry": _INDUSTRIES[key % 4],
        "plan": _PLANS[key % 3],
        "metadata": _METADATA[number // 3 % 3],
    }
    return {name: value for name, value in values.items() if value not in (None, {})}


def lines(count: int) -> Iterator[bytes]:
    """So many rows as NDJSON, a line at a time."""
    for number in range(count):
        yield json.dumps(row(number), ensure_ascii=False).encode() + b"\n"


def write(path: Path, count: int) -> int:
    """Write so many rows as NDJSON; returns how many bytes they are."""
    with path.open("wb", buffering=BLOCK) as file:
        file.writelines(lines(count))
    return path.stat().st_size


def blocks(path: Path) -> Iterator[bytes]:
    """The file in blocks, as an upload's bytes arrive."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def write_parts(path: Path, parts: Iterable[bytes]) -> Path:
    """A file of all `parts`."""
    with path.open("wb") as file:
        file.writelines(parts)
    return path
