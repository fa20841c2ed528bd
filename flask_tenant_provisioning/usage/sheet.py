"""The report as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from ..web.sheets import harmless, line_writer
from .actions import COUNTED, Document

COLUMNS = ("partner", "name", "status", *COUNTED, "total", "max_tenants", "remaining")


def flat(row: Document) -> Document:
    """A row of the report in one level."""
    return {**row, **row["tenants"]}


def sheet(rows: Iterable[Document]) -> Iterator[bytes]:
    """The header, then each row of the report. No text is a formula to a spreadsheet."""
    line = line_writer(csv.QUOTE_MINIMAL)
    yield line(COLUMNS)
    for row in rows:
        cells = {**flat(row), "partner": harmless(row["partner"]), "name": harmless(row["name"])}
        yield line(map(cells.get, COLUMNS))
